//! Runs the tests with the official Socket.IO client, which are JavaScript: `tests/socketio/`. Those in `cluster/` run servers
//! of this crate and official ones as one cluster.
//!
//! They need Node and npm, and those of the cluster redis-server. Without `TEST_SOCKETIO` set this program only says that it has left them out; `tests/run.sh`
//! installs what they need and sets it.

#![allow(clippy::print_stdout, reason = "a test program without a harness speaks by printing")]

mod node;

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    if std::env::var_os("TEST_SOCKETIO").is_none() {
        println!("\nLEFT OUT: the tests with the official Socket.IO client. tests/run.sh runs them too.\n");
        return ExitCode::SUCCESS;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/socketio");
    // Cargo builds examples with the tests, beside the program.
    let examples = Path::new(env!("CARGO_BIN_EXE_echoroom")).with_file_name("examples");
    let variables: &[(&str, &Path)] = &[("ECHOROOM_EXAMPLES", &examples)];
    let passed = node::install(&folder)
        && node::test(&folder, 1, variables)
        && node::test(&folder.join("cluster"), 2, variables);
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
