//! The program as a child process: its settings, its log, what it costs.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long the program may take for anything that it must do. Far beyond what it ever takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The page, from the sources.
const STATIC_DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/static");

/// A server in a process of its own, with a data folder of its own. Ended when dropped.
pub struct Program {
    child: Child,
    pub address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    /// Its data folder, if that goes with it.
    data: Option<TempDir>,
}

impl Program {
    /// Starts a server with the given flags on its defaults, on a free port of all loopback addresses, with a journal in
    /// a folder that goes with it.
    pub fn start(flags: &[&str]) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let mut command = command(flags);
        command.arg("--data-dir").arg(data.path());
        let mut program = Self::spawn(command);
        program.data = Some(data);
        program
    }

    /// Starts what [`command`] has made, which names its data folder itself.
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut line = String::new();
        let port = loop {
            line.clear();
            let read = stderr.read_line(&mut line).expect("a log line");
            assert_ne!(read, 0, "the program ended: {:?}", lock(&log));
            lock(&log).push(line.trim_end().to_owned());
            if let Some((_, link)) = line.split_once("listening on ") {
                break link.trim_end().rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
            }
        };
        let lines = Arc::clone(&log);
        // Goes on reading, so that the program never blocks on its log.
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).for_each(|line| lock(&lines).push(line));
        });
        Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)), log, data: None }
    }

    /// The lines that it has logged so far.
    pub fn log(&self) -> Vec<String> {
        lock(&self.log).clone()
    }

    /// Waits for a line of its log that contains `text`.
    pub fn wait_for_log(&self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(line) = lock(&self.log).iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            assert!(Instant::now() < deadline, "{text:?} was not logged: {:#?}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// User and system time of all its threads so far.
    pub fn cpu_time(&self) -> Duration {
        let nanos = fs::read_dir(self.proc("task"))
            .expect("Linux")
            .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("schedstat")).ok())
            .filter_map(|times| times.split(' ').next()?.parse::<u64>().ok())
            .sum();
        Duration::from_nanos(nanos)
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(self.proc("status")).expect("Linux");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
        line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
    }

    /// Descriptors that it has open.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(self.proc("fd")).expect("Linux").count()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("the program runs");
    }

    /// Its exit code, once it has ended by itself; nothing if a signal ended it.
    pub fn exit_code(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the program does not end: {:#?}", self.log());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.id())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program with the given flags on a free port, two workers, and nothing of the environment that could set it up. It
/// keeps its journal in `data` of the current folder unless `--data-dir` or `--journal` is given.
pub fn command(flags: &[&str]) -> Command {
    // A release build may be tried by the same tests.
    let mut command = match std::env::var_os("HOSTILE_ECHOROOM") {
        Some(program) => Command::new(program),
        None => Command::new(env!("CARGO_BIN_EXE_echoroom")),
    };
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text == "PORT" || text == "RUST_LOG" || text.starts_with("ECHOROOM_") {
            command.env_remove(&name);
        }
    }
    for (flag, value) in [("--port", "0"), ("--static-dir", STATIC_DIR), ("--workers", "2")] {
        if !flags.contains(&flag) {
            command.args([flag, value]);
        }
    }
    command.args(flags);
    command
}

fn lock(log: &Mutex<Vec<String>>) -> MutexGuard<'_, Vec<String>> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}
