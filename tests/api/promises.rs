//! The table of promises, `docs/promises.md`, names tests that exist, and says something of each promise at each door.

use std::{collections::BTreeMap, fs, path::Path};

/// The doors, as each table of the document names them, in its order.
const DOORS: [&str; 5] = ["echo", "plain", "chat", "Socket.IO over a WebSocket", "Socket.IO over polling"];

/// What a cell begins with if the promise is none at its door.
const NONE: &str = "Does not apply: ";

fn document() -> String {
    read(Path::new(env!("CARGO_MANIFEST_DIR")), "docs/promises.md").expect("the table")
}

fn read(folder: &Path, file: &str) -> Option<String> {
    fs::read_to_string(folder.join(file)).ok()
}

/// The sections of the document, each with the rows of its table: a door and what is written of it.
fn promises(document: &str) -> BTreeMap<&str, Vec<(&str, &str)>> {
    let mut promises = BTreeMap::new();
    for section in document.split("\n## ").skip(1) {
        let title = section.lines().next().unwrap_or_default();
        let rows =
            section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
        let rows: Vec<_> = rows.skip(1).collect();
        assert!(promises.insert(title, rows).is_none(), "{title}: a title twice");
    }
    promises
}

/// The tests that a cell names, each with its file: what is in backticks, a file first and then its tests.
fn tests_in(cell: &str) -> Vec<(&str, &str)> {
    let mut file = "";
    let mut tests = Vec::new();
    for code in cell.split('`').skip(1).step_by(2) {
        if [".rs", ".js"].iter().any(|end| code.ends_with(end)) {
            file = code;
        } else if !file.is_empty() {
            tests.push((file, code));
        }
    }
    tests
}

/// The attributes of a test function, if the file has one of that name.
fn attributes<'a>(source: &'a str, name: &str) -> Option<&'a str> {
    let at = source.find(&format!("fn {name}()"))?;
    let before = source[..at].rfind("\n\n").map_or(0, |end| end + 2);
    let attributes = &source[before..at];
    ["#[actix_web::test]", "#[test]"].iter().any(|test| attributes.contains(test)).then_some(attributes)
}

/// What is wrong with the naming of a test, if anything is.
fn fault_of(file: &str, name: &str) -> Option<String> {
    let Some(source) = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"), file) else {
        return Some(format!("there is no file tests/{file}"));
    };
    if file.ends_with(".js") {
        let is_there =
            source.lines().any(|line| line.trim_start().starts_with("test(") && line.contains(name));
        return (!is_there).then(|| format!("tests/{file} has no test {name:?}"));
    }
    let Some(attributes) = attributes(&source, name) else {
        return Some(format!("tests/{file} has no test {name}"));
    };
    attributes.contains("#[ignore").then(|| format!("{name} is ignored: it holds no promise"))
}

#[test]
fn every_promise_is_told_at_every_door() {
    let document = document();
    let promises = promises(&document);
    assert!(promises.len() > 10, "{:?}", promises.keys());
    for (title, rows) in promises {
        let doors: Vec<_> = rows.iter().map(|(door, _)| *door).collect();
        assert_eq!(doors, DOORS, "{title}");
        for (door, cell) in rows {
            let is_held = !tests_in(cell).is_empty();
            assert!(is_held || cell.starts_with(NONE), "{title}, {door}: neither a test nor a reason");
        }
    }
}

#[test]
fn every_test_that_the_table_of_promises_names_is_there() {
    let document = document();
    let promises = promises(&document);
    let cells = promises.values().flatten().map(|(_, cell)| *cell);
    let faults = cells
        .flat_map(|cell| tests_in(cell).into_iter().filter_map(move |(file, name)| fault_of(file, name)));
    let faults: Vec<_> = faults.collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_test_that_is_gone_is_missed() {
    for (cell, count) in [
        ("`api/promises.rs` `every_promise_is_told_at_every_door`", 0),
        ("`api/promises.rs` `every_promise_is_told_at_every_window`", 1),
        ("`api/promises.rs` `fault_of`", 1),
        ("`api/nothing.rs` `every_promise_is_told_at_every_door`", 1),
        ("`socketio/relay.test.js` `a client that says goodbye begins anew`", 0),
        ("`socketio/relay.test.js` `a client that says nothing`", 1),
    ] {
        let faults = tests_in(cell).into_iter().filter_map(|(file, name)| fault_of(file, name));
        assert_eq!(faults.count(), count, "{cell}");
    }
}
