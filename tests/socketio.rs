//! Runs the tests with the official Socket.IO client, which are JavaScript: `tests/socketio/`.
//!
//! They need Node and npm. Without `TEST_SOCKETIO` set this program only says that it has left them out; `tests/run.sh`
//! installs what they need and sets it.

#![allow(clippy::print_stdout, reason = "a test program without a harness speaks by printing")]

use std::{
    path::PathBuf,
    process::{Command, ExitCode},
};

fn main() -> ExitCode {
    if std::env::var_os("TEST_SOCKETIO").is_none() {
        println!("\nLEFT OUT: the tests with the official Socket.IO client. tests/run.sh runs them too.\n");
        return ExitCode::SUCCESS;
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/socketio");
    // Cargo builds examples with the tests, beside the program.
    let fixture =
        std::path::Path::new(env!("CARGO_BIN_EXE_echoroom")).with_file_name("examples/socketio_conformance");
    let passed =
        run(Command::new("npm").args(["install", "--no-audit", "--no-fund", "--silent"]).current_dir(folder))
            && run(Command::new("node")
                .args(["--test", "--test-concurrency=1"])
                .args(test_files(folder))
                .env("ECHOROOM_BINARY", env!("CARGO_BIN_EXE_echoroom"))
                .env("ECHOROOM_FIXTURE", fixture)
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
