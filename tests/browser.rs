//! Runs the tests of the page, which are JavaScript: its modules in Node (`tests/unit/`), and all of it in a browser
//! (`tests/browser/`).
//!
//! They need Node, npm and Chromium. Without `TEST_BROWSER` set this program only says that it has left them out;
//! `tests/run.sh` installs what they need and sets it.

#![allow(clippy::print_stdout, reason = "a test program without a harness speaks by printing")]

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
};

fn main() -> ExitCode {
    if std::env::var_os("TEST_BROWSER").is_none() {
        println!("\nLEFT OUT: the tests in a browser. tests/run.sh runs them too.\n");
        return ExitCode::SUCCESS;
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser");
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/unit");
    let passed = run(Command::new("node").arg("--test").args(test_files(unit)).current_dir(unit))
        && run(Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--silent"])
            .current_dir(folder))
        && run(Command::new("node")
            .args(["--test", "--test-concurrency=1"])
            .args(test_files(folder))
            .env("ECHOROOM_BINARY", env!("CARGO_BIN_EXE_echoroom"))
            .current_dir(folder));
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// By name: what a folder means as an argument differs between versions of Node.
fn test_files(folder: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<_> = entries.filter(|path| path.to_string_lossy().ends_with(".test.js")).collect();
    files.sort_unstable();
    assert!(!files.is_empty(), "there are no tests in {folder}");
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
