//! Runs the tests of the page, which are JavaScript: its modules in Node (`tests/unit/`), and all of it in a browser
//! (`tests/browser/`).
//!
//! They need Node, npm and Chromium, and for several nodes nginx and redis-server. Without `TEST_BROWSER` set this
//! program only says that it has left them out; `tests/run.sh` installs what they need and sets it.

#![allow(clippy::print_stdout, reason = "a test program without a harness speaks by printing")]

mod node;

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    if std::env::var_os("TEST_BROWSER").is_none() {
        println!("\nLEFT OUT: the tests in a browser. tests/run.sh runs them too.\n");
        return ExitCode::SUCCESS;
    }
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let folder = tests.join("browser");
    // A page and its server leave a second core idle.
    let at_once = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(2));
    let passed = node::test(&tests.join("unit"), at_once, &[])
        && node::install(&folder)
        && node::test(&folder, at_once, &[]);
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
