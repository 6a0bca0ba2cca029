//! Checks the floors of `src/lib.rs`: `use crate::` points down, or stays in its own folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Highest first. A module must not use other modules of its floor, nor of a higher one.
const FLOORS: [&[&str]; 9] = [
    &["main", "lib", "app"],
    &["routes", "http"],
    &["session"],
    &["chat", "socketio"],
    &["broadcast"],
    &["connection"],
    &["journal"],
    &["domain", "protocol", "config", "metrics", "parts"],
    &["logging"],
];

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
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

/// The top-level modules that a source file names behind `crate::`, without comments.
fn modules_named(source: &str) -> Vec<String> {
    let code: String =
        source.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut modules = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => modules.push(first_word(rest)),
            Some(group) => {
                // Collect the names at depth one of a braced group.
                let mut depth = 0;
                let mut start = true;
                for (index, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && depth == 0 && c.is_alphabetic() => {
                            modules.push(first_word(&group[index..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    modules
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn imports_point_down() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    assert!(files.len() > 20, "the sources are read");
    let mut imports = 0;
    for file in files {
        let relative = file.strip_prefix(&src).expect("inside src");
        let own = relative.components().next().expect("a name").as_os_str().to_string_lossy();
        let own = own.trim_end_matches(".rs");
        let floor = floor_of(own).unwrap_or_else(|| panic!("{own} has no floor: put it in the table"));
        for module in modules_named(&fs::read_to_string(&file).expect("readable")) {
            let other = floor_of(&module)
                .unwrap_or_else(|| panic!("{}: crate::{module} has no floor", relative.display()));
            assert!(
                module == own || other > floor,
                "{} is on the floor of {own} and must not use crate::{module}",
                relative.display()
            );
            imports += 1;
        }
    }
    assert!(imports > 20, "imports are found");
}

#[test]
fn every_module_is_found_in_an_import() {
    let source = "use crate::chat::Join;\nuse crate::{\n    domain::{SessionId, RoomName},\n    routes,\n};\n\
                  // crate::app is only talked about\npub(crate) fn f() -> crate::config::X {}";
    assert_eq!(modules_named(source), ["chat", "domain", "routes", "config"]);
}

#[test]
fn only_one_file_names_the_frozen_crate() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let naming: Vec<_> = files
        .into_iter()
        .filter(|file| fs::read_to_string(file).expect("readable").contains("actix_web_actors::"))
        .map(|file| file.strip_prefix(&src).expect("inside src").display().to_string())
        .collect();
    assert_eq!(naming, ["session/websocket.rs"]);
}
