//! `docs/from-node.md` and `docs/beside-node.md` name for methods and options of Node's packages what they are here: those
//! methods exist.

use std::{collections::BTreeSet, fs, path::PathBuf};

/// All sources of the Socket.IO server as one text.
fn sources() -> String {
    let mut folders = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/socketio"))];
    let mut text = String::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                text.push_str(&fs::read_to_string(&path).expect("a source"));
            }
        }
    }
    text
}

/// The second cell of a row of a table; a pipe inside of a cell is written as `\|`.
fn second_cell(row: &str) -> Option<String> {
    let row = row.strip_prefix("| ")?.strip_suffix(" |")?.replace("\\|", "!");
    Some(row.split_once(" | ")?.1.to_owned())
}

/// The names behind a dot, `Hooks::` or `Redis::` in the code of a text, texts in quotation marks left out.
fn methods(text: &str) -> BTreeSet<String> {
    let code = text.split('`').skip(1).step_by(2);
    let mut methods = BTreeSet::new();
    for code in code {
        let bare: String = code.split('"').step_by(2).collect();
        let types = ["Hooks::", "Redis::"];
        let of_types = types.into_iter().flat_map(|name| bare.match_indices(name));
        for (at, before) in bare.match_indices('.').chain(of_types) {
            let behind = bare[at..].trim_start_matches(before);
            let name = behind.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            methods.insert(name.to_owned());
        }
    }
    methods
}

#[test]
fn every_method_that_the_table_names_exists() {
    let page = |name: &str| {
        let path = format!("{}/docs/{name}.md", env!("CARGO_MANIFEST_DIR"));
        fs::read_to_string(path).expect("a page")
    };
    let pages = [page("from-node"), page("beside-node")].concat();
    let sources = sources();
    let is_there = |name: &str| {
        [format!("fn {name}("), format!("fn {name}<")].iter().any(|start| sources.contains(start.as_str()))
    };
    // The last two are of the path of a file.
    let others = ["", "await", "io", "js"];
    let cells = pages.lines().filter_map(second_cell);
    let named: BTreeSet<_> = cells.flat_map(|cell| methods(&cell)).collect();
    assert!(named.len() > 60, "the tables are written otherwise now: {named:?}");
    let missing: Vec<_> =
        named.iter().filter(|name| !others.contains(&name.as_str()) && !is_there(name)).collect();
    assert!(missing.is_empty(), "the pages name methods that do not exist: {missing:?}");
}
