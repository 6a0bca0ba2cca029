//! Checks which modules the sources in `src` name. `use crate::` points down by the floors of `docs/architecture.md`, or
//! stays in its own folder; inside of a folder, files do not name each other in a circle.

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    path::{Path, PathBuf},
};

/// Highest first. A module must not use other modules of its floor, nor of a higher one.
const FLOORS: [&[&str]; 10] = [
    &["main", "lib", "app"],
    &["routes", "http"],
    &["session"],
    &["chat", "socketio"],
    &["broadcast", "web"],
    &["connection"],
    &["nodes"],
    &["journal", "redis_client"],
    &["domain", "protocol", "config", "metrics", "parts"],
    &["logging"],
];

/// The names of a path, such as `crate`, `chat`, `Register`, or of a module, without `crate`.
type Names = Vec<String>;

/// A source file.
struct Source {
    /// The path of the file below `src`.
    file: String,
    module: Names,
    /// The paths that it names by `crate`, `self` or `super`, its tests left out.
    paths: Vec<Names>,
    /// Absolute paths of what it imports, by the names that they have in the file.
    imports: BTreeMap<String, Names>,
}

impl Source {
    fn new(file: String, text: &str) -> Self {
        let mut module: Names = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|last| ["mod", "lib"].contains(&last.as_str())) {
            module.pop();
        }
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let mut source = Self { file, module, paths: Vec::new(), imports: BTreeMap::new() };
        for Named { path, alias, is_import } in paths_in(text) {
            let name = alias.or_else(|| path.last().cloned()).unwrap_or_default();
            if is_import {
                source.imports.insert(name, absolute(&source.module, &path));
            }
            source.paths.push(path);
        }
        source
    }

    fn is_test(&self) -> bool {
        self.module.iter().any(|name| name == "tests")
    }
}

/// A path in a source.
struct Named {
    path: Names,
    alias: Option<String>,
    is_import: bool,
}

/// All paths behind `crate`, `self` or `super`; a group in braces is one path for each of its names.
fn paths_in(text: &str) -> Vec<Named> {
    let code: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let tokens = tokens(&code);
    let mut paths = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).map_or("", |before| tokens[before]);
        if ["crate", "self", "super"].contains(token) && before != "::" && tokens.get(at + 1) == Some(&"::") {
            read_tree(&tokens, at, Vec::new(), before == "use", &mut paths);
        }
    }
    paths
}

/// Words, `::`, and single signs.
fn tokens(code: &str) -> Vec<&str> {
    let is_in_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let len = match rest.find(|c| !is_in_word(c)).unwrap_or(rest.len()) {
            0 if rest.starts_with("::") => 2,
            0 => first.len_utf8(),
            word => word,
        };
        tokens.push(&rest[..len]);
        rest = rest[len..].trim_start();
    }
    tokens
}

/// Reads a path, or a group of paths, that begins at a token. Returns the token behind it.
fn read_tree(
    tokens: &[&str],
    mut at: usize,
    mut path: Names,
    is_import: bool,
    into: &mut Vec<Named>,
) -> usize {
    loop {
        let token = tokens.get(at).copied().unwrap_or_default();
        if token == "{" {
            at += 1;
            while tokens.get(at).is_some_and(|token| *token != "}") {
                let next = read_tree(tokens, at, path.clone(), is_import, into);
                assert!(next > at, "a group of paths is read to its end");
                at = next + usize::from(tokens.get(next) == Some(&","));
            }
            return at + 1;
        }
        if token != "*" && !token.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            into.push(Named { path, alias: None, is_import });
            return at;
        }
        if token != "self" || path.is_empty() {
            path.push(token.to_owned());
        }
        at += 1;
        if tokens.get(at) != Some(&"::") {
            let alias = (tokens.get(at) == Some(&"as")).then(|| tokens[at + 1].to_owned());
            at += if alias.is_some() { 2 } else { 0 };
            into.push(Named { path, alias, is_import });
            return at;
        }
        at += 1;
    }
}

/// A path without `crate`, `self` and `super`, as seen from a module.
fn absolute(module: &[String], path: &[String]) -> Names {
    let mut base = module.to_vec();
    for (at, name) in path.iter().enumerate() {
        match name.as_str() {
            "crate" => base.clear(),
            "self" => {}
            "super" => _ = base.pop(),
            _ => {
                base.extend_from_slice(&path[at..]);
                break;
            }
        }
    }
    base
}

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// The sources, each with its path below `src` and its text.
fn texts() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    assert!(files.len() > 20, "the sources are read");
    let text = |file: PathBuf| {
        let below = file.strip_prefix(&src).expect("inside src").components();
        let below: Vec<_> = below.map(|name| name.as_os_str().to_string_lossy()).collect();
        (below.join("/"), fs::read_to_string(&file).expect("readable"))
    };
    files.into_iter().map(text).collect()
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

#[test]
fn imports_point_down() {
    let mut imports = 0;
    // Unit tests may have a whole node around what they test.
    let is_test = |file: &str| file.ends_with("/tests.rs") || file.contains("/tests/");
    for (file, text) in texts().into_iter().filter(|(file, _)| !is_test(file)) {
        let own = file.split('/').next().unwrap_or_default().trim_end_matches(".rs");
        let floor = floor_of(own).unwrap_or_else(|| panic!("{own} has no floor: put it in the table"));
        for Named { path, .. } in paths_in(&text).iter().filter(|named| named.path[0] == "crate") {
            let module = path[1].as_str();
            let other = floor_of(module).unwrap_or_else(|| panic!("{file}: crate::{module} has no floor"));
            assert!(
                module == own || other > floor,
                "{file} is on the floor of {own} and must not use crate::{module}"
            );
            imports += 1;
        }
    }
    assert!(imports > 20, "imports are found");
}

/// Files and folders of one folder, with those that each of them names, and where.
type Graph = BTreeMap<String, BTreeMap<String, String>>;

/// Which files and folders name each other, for each folder.
fn graphs(sources: &[Source]) -> BTreeMap<String, Graph> {
    let by_module: BTreeMap<_, _> = sources.iter().map(|source| (source.module.clone(), source)).collect();
    let mut graphs: BTreeMap<String, Graph> = BTreeMap::new();
    for source in sources.iter().filter(|source| !source.is_test()) {
        for path in &source.paths {
            let target = owner(&by_module, absolute(&source.module, path));
            let shared = source.module.iter().zip(&target).take_while(|(own, other)| own == other).count();
            // A folder's own file names what is inside of the folder, and the other way round.
            if let (Some(own), Some(other)) = (source.module.get(shared), target.get(shared)) {
                let graph = graphs.entry(source.module[..shared].join("/")).or_default();
                let why = format!("{} names {}", source.file, target.join("::"));
                graph.entry(own.clone()).or_default().entry(other.clone()).or_insert(why);
            }
        }
    }
    graphs
}

/// The module in which the item of an absolute path is. A module that only imports it is passed through.
fn owner(by_module: &BTreeMap<Names, &Source>, path: Names) -> Names {
    let is_module = |len: &usize| by_module.contains_key(&path[..*len]);
    let len = (0..=path.len()).rev().find(is_module).unwrap_or_default();
    let imported = path.get(len).and_then(|name| by_module[&path[..len]].imports.get(name));
    match imported.filter(|imported| **imported != path[..=len]) {
        Some(imported) => owner(by_module, [imported, &path[len + 1..]].concat()),
        None => path[..len].to_vec(),
    }
}

/// The shortest way from a file back to itself, as the reasons for its steps.
fn circle(graph: &Graph) -> Option<Vec<&str>> {
    graph.keys().filter_map(|start| way_back(graph, start)).min_by_key(Vec::len)
}

fn way_back<'a>(graph: &'a Graph, start: &str) -> Option<Vec<&'a str>> {
    let mut ways = VecDeque::from([(start, Vec::new())]);
    let mut seen = Vec::new();
    while let Some((at, way)) = ways.pop_front() {
        for (next, why) in graph.get(at).into_iter().flatten() {
            let mut way = way.clone();
            way.push(why.as_str());
            if next == start {
                return Some(way);
            }
            if !seen.contains(next) {
                seen.push(next.clone());
                ways.push_back((next, way));
            }
        }
    }
    None
}

#[test]
fn files_of_a_folder_do_not_name_each_other_in_a_circle() {
    let sources: Vec<_> = texts().into_iter().map(|(file, text)| Source::new(file, &text)).collect();
    let graphs = graphs(&sources);
    assert!(graphs.values().map(BTreeMap::len).sum::<usize>() > 20, "imports are found");
    let in_circles: Vec<_> =
        graphs.iter().filter_map(|(folder, graph)| Some((folder, circle(graph)?))).collect();
    assert!(in_circles.is_empty(), "what files share belongs into a file below them: {in_circles:#?}");
}

#[test]
fn every_path_is_found() {
    let source = "use crate::chat::Register;\nuse crate::{\n    domain::{SessionId, self as names},\n    routes,\n};\n\
                  // crate::app is only talked about\npub(crate) fn f() -> crate::config::X {super::g::<u8>()}";
    let paths: Vec<_> = paths_in(source).into_iter().map(|named| named.path.join("::")).collect();
    let expected = [
        "crate::chat::Register",
        "crate::domain::SessionId",
        "crate::domain",
        "crate::routes",
        "crate::config::X",
    ];
    assert_eq!(paths[..5], expected);
    assert_eq!(paths[5..], ["super::g"]);
}

#[test]
fn a_circle_is_found_through_what_a_folder_imports() {
    let source = |file: &str, text: &str| Source::new(file.to_owned(), text);
    let mut sources = vec![
        source("lib.rs", ""),
        source("a/mod.rs", "pub use self::{x::X, y::Y};"),
        source("a/x.rs", "use super::Y;\n#[cfg(test)]\nmod tests {\n    use crate::a::z;\n}"),
        source("a/y.rs", "fn f() { super::z::g() }"),
        source("a/z/mod.rs", ""),
        source("a/tests.rs", "use super::x;"),
    ];
    assert!(circle(&graphs(&sources)["a"]).is_none());
    sources.push(source("a/z/inner.rs", "use crate::a;\nuse a::X;\nuse super::super::X;"));
    let graphs = graphs(&sources);
    let way = circle(&graphs["a"]).expect("x, y, z");
    assert_eq!(way, ["a/x.rs names a::y", "a/y.rs names a::z", "a/z/inner.rs names a::x"]);
}

#[test]
fn only_one_file_names_the_frozen_crate() {
    let naming = texts().into_iter().filter(|(_, text)| text.contains("actix_web_actors::"));
    let naming: Vec<_> = naming.map(|(file, _)| file).collect();
    assert_eq!(naming, ["session/websocket.rs"]);
}
