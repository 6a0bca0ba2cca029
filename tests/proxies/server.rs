//! The server as a child process.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{client::PATIENCE, document};

/// Lines of a child's log as they come.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    /// Reads standard error of a child from now on, so that the child never blocks on it.
    pub fn of(child: &mut Child) -> Self {
        let log = Self::default();
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let lines = log.clone();
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).for_each(|line| lines.lock().push(line));
        });
        log
    }

    /// The lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.lock().clone()
    }

    /// Waits for a line with all of these parts.
    pub fn wait_for(&self, parts: &[&str]) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.lock().iter().find(|line| parts.iter().all(|part| line.contains(part))).cloned();
            if let Some(line) = found {
                return line;
            }
            assert!(Instant::now() < deadline, "{parts:?} was not logged: {:#?}", self.lines());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A server that runs until it is dropped.
pub struct Server {
    child: Child,
    pub port: u16,
    pub log: Log,
}

impl Server {
    /// Starts one with the flags of the document and more, on a free port, for two sessions of each address.
    pub fn start(more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_echoroom"));
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text == "PORT" || text == "RUST_LOG" || text.starts_with("ECHOROOM_") {
                command.env_remove(&name);
            }
        }
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/static");
        command.args(document::flags()).args(["--port", "0", "--journal", "memory", "--workers", "2"]);
        command.args(["--static-dir", page, "--max-sessions-per-address", "2"]).args(more);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the server starts");
        let log = Log::of(&mut child);
        let line = log.wait_for(&["listening on "]);
        let port = line.rsplit(':').next().and_then(|port| port.trim().parse().ok()).expect("a port");
        Self { child, port, log }
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&self) {
        kill_process(Pid::from_child(&self.child), Signal::KILL).expect("a process");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
