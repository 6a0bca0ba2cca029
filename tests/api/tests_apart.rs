//! Tests touch nothing but folders of their own, and nothing of the caller's environment sets up what they test: a server
//! may run in this folder on its defaults meanwhile.

use std::{fs, path::PathBuf};

use crate::program::{echoroom, echoroom_by, start};

/// The sources of all tests.
fn sources() -> Vec<(PathBuf, String)> {
    let mut folders = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests"))];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let is_source = path.extension().is_some_and(|kind| kind == "rs" || kind == "js");
            if path.is_dir() && !path.ends_with("node_modules") {
                folders.push(path);
            } else if is_source {
                let text = fs::read_to_string(&path).expect("a source");
                sources.push((path, text));
            }
        }
    }
    sources
}

#[test]
fn every_start_of_the_program_is_set_apart_from_the_callers_environment() {
    let mut starts = 0;
    for (path, text) in sources() {
        // Put together, so that this line is not one of them.
        let rust = text.contains(concat!("Command::new(env!(\"CARGO_BIN", "_EXE_echoroom\""));
        let script = text.contains(concat!("process.env.ECHOROOM", "_BINARY"));
        if rust || script {
            let is_apart = text.contains("env_remove") || text.contains("env: ENVIRONMENT");
            assert!(is_apart, "{}: starts the program with the caller's settings", path.display());
            starts += 1;
        }
    }
    assert!(starts >= 5, "the program is started otherwise now");
}

#[test]
fn a_start_leaves_nothing_in_the_folder_it_is_made_in() {
    let folder = tempfile::tempdir().expect("a folder");
    for mut command in [echoroom(), echoroom_by("exec \"$@\"")] {
        drop(start(command.current_dir(folder.path()).args(["--bind", "127.0.0.1", "--port", "0"])));
    }
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
}
