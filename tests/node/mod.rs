//! How test programs in JavaScript are run: Node's own test runner, in their folder.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Installs what the tests of a folder need; whether that went well.
pub fn install(folder: &Path) -> bool {
    run(Command::new("npm").args(["install", "--no-audit", "--no-fund", "--silent"]).current_dir(folder))
}

/// Runs a folder's tests, so many files at a time, with these variables; whether all passed. They start the server that
/// Cargo has built.
pub fn test(folder: &Path, files: usize, variables: &[(&str, &Path)]) -> bool {
    run(Command::new("node")
        .args(["--test", &format!("--test-concurrency={files}")])
        .args(test_files(folder))
        .env("ECHOROOM_BINARY", env!("CARGO_BIN_EXE_echoroom"))
        .envs(variables.iter().copied())
        .current_dir(folder))
}

/// By name: what a folder means as an argument differs between versions of Node.
fn test_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> = entries.filter(|path| path.to_string_lossy().ends_with(".test.js")).collect();
    files.sort_unstable();
    assert!(!files.is_empty(), "there are no tests in {}", folder.display());
    files
}

fn run(command: &mut Command) -> bool {
    match command.status() {
        Ok(status) => status.success(),
        Err(error) => {
            println!("{command:?} could not be started: {error}");
            false
        }
    }
}
