//! The program itself, as a child process.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actix_web::rt;

use crate::helpers::soon;

pub const STATIC_DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/static");

/// The program, with nothing of the environment that could set it up, and its journal in memory: not in the folder that
/// the test is run in.
pub fn echoroom() -> Command {
    set_apart(Command::new(env!("CARGO_BIN_EXE_echoroom")))
}

/// The program behind a line of a shell that says how, such as `ulimit -n 300; exec "$@"`.
pub fn echoroom_by(line: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", line, "sh", env!("CARGO_BIN_EXE_echoroom")]);
    set_apart(command)
}

fn set_apart(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text == "PORT" || text == "RUST_LOG" || text.starts_with("ECHOROOM_") {
            command.env_remove(&name);
        }
    }
    command.env("ECHOROOM_JOURNAL", "memory");
    command
}

/// Starts a server and gives back it and the link it logs.
pub fn start(command: &mut Command) -> (Running, String) {
    let mut child = command
        .args(["--static-dir", STATIC_DIR])
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
    let mut running = Running { child, log_before_start: String::new(), log: Arc::default() };
    let mut line = String::new();
    while !line.contains("listening on ") {
        running.log_before_start.push_str(&line);
        line.clear();
        assert_ne!(stderr.read_line(&mut line).expect("a log line"), 0, "the program ended");
    }
    // Keep reading, so that the program never blocks on its log.
    let log = Arc::clone(&running.log);
    std::thread::spawn(move || {
        stderr.lines().map_while(Result::ok).for_each(|line| lock(&log).push(line));
    });
    (running, line.trim_end().rsplit(' ').next().expect("a link").to_owned())
}

/// The program, ended when dropped.
pub struct Running {
    child: Child,
    log_before_start: String,
    log: Arc<Mutex<Vec<String>>>,
}

impl Running {
    /// What it logged before it listened.
    pub fn log_before_start(&self) -> &str {
        &self.log_before_start
    }

    /// What it has logged since it listened.
    pub fn log(&self) -> Vec<String> {
        lock(&self.log).clone()
    }

    /// Waits for a line of its log.
    pub async fn wait_for_log(&self, text: &str) {
        soon(text, async {
            while !self.log().iter().any(|line| line.contains(text)) {
                rt::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// Descriptors it has open.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("Linux").count()
    }

    /// Its resident memory.
    pub fn resident_kib(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("Linux");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
    }

    /// Lets it write files of any size again.
    pub fn raise_file_size_limit(&self) {
        let raised = Command::new("prlimit")
            .args(["--fsize=unlimited:", "--pid", &self.child.id().to_string()])
            .status()
            .expect("prlimit, of util-linux");
        assert!(raised.success());
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status().expect("kill");
        assert!(sent.success());
    }

    /// Its exit code, once it has ended by itself.
    pub fn exit_code(mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lock(log: &Mutex<Vec<String>>) -> MutexGuard<'_, Vec<String>> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}
