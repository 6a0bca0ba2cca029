//! A node: the server program on a port of its own, alone or with others on one Redis.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    client::Client,
    ports::free_port,
    program::{PATIENCE, Program, command},
};

/// How long a node may take for an answer over HTTP before it counts as one that does not answer.
const ANSWER: Duration = Duration::from_secs(3);

/// Between two looks at the health of a node.
const PAUSE: Duration = Duration::from_millis(10);

/// How long a node may be out of touch before the others fence it, with [`SHORT_LEASE`].
pub const LEASE: Duration = Duration::from_secs(3);

/// For tests that wait for the end of a lease: the shortest one.
pub const SHORT_LEASE: [&str; 2] = ["--node-lease", "3s"];

/// No limit of a node gets in the way, and nothing that is compared is let go.
const FLAGS: [&str; 6] = ["--rate", "0", "--history", "1000000", "--history-bytes", "1g"];

/// A node. Ended when dropped.
pub struct Node {
    port: u16,
    flags: Vec<String>,
    program: Option<Program>,
    /// The folder of its journal, which stays over a kill.
    data: TempDir,
}

impl Node {
    /// Starts a server with a journal of its own.
    pub fn alone(flags: &[&str]) -> Self {
        let mut node = Self {
            port: free_port(),
            flags: FLAGS.iter().chain(flags).map(|&flag| flag.to_owned()).collect(),
            program: None,
            data: tempfile::tempdir().expect("a folder"),
        };
        node.start_again();
        node
    }

    /// Starts a node with this name, of 4 characters, which finds Redis at this address.
    pub fn on_redis(name: &str, redis: SocketAddr, flags: &[&str]) -> Self {
        let url = format!("redis://{redis}");
        Self::alone(&[&["--redis", &url, "--node", name], flags].concat())
    }

    /// Starts it on its port and in its folder after a kill.
    pub fn start_again(&mut self) {
        assert!(self.program.is_none(), "it runs");
        let port = self.port.to_string();
        let mut flags = vec!["--port", &port];
        flags.extend(self.flags.iter().map(String::as_str));
        let mut command = command(&flags);
        command.arg("--data-dir").arg(self.data.path());
        self.program = Some(Program::spawn(command));
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The folder of its journal.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    fn program(&self) -> &Program {
        self.program.as_ref().expect("it runs")
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        self.program().signal(Signal::KILL);
        self.program = None;
    }

    /// Stops the process. Its connections stay.
    pub fn stop(&self) {
        self.program().signal(Signal::STOP);
    }

    /// Lets a stopped process go on.
    pub fn go_on(&self) {
        self.program().signal(Signal::CONT);
    }

    /// Makes a shared part of it panic.
    pub fn poison(&self, part: &str) {
        let answer = Client::post(self.address(), &format!("/poison/{part}"));
        assert!(answer.starts_with("HTTP/1.1 2"), "{answer}");
    }

    /// Waits until it has ended by itself; gives back its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        self.program.take().expect("it runs").exit_code()
    }

    /// Ends it as an administrator does; gives back its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.program().signal(Signal::TERM);
        self.program.take().expect("it runs").exit_code()
    }

    /// A copy of its data, while it does not run.
    pub fn copy(&self) -> TempDir {
        assert!(self.program.is_none(), "it runs");
        let copy = tempfile::tempdir().expect("a folder");
        for entry in fs::read_dir(self.data.path()).expect("a folder").map(|entry| entry.expect("an entry")) {
            fs::copy(entry.path(), copy.path().join(entry.file_name())).expect("copied");
        }
        copy
    }

    /// Has it go on with a copy of its data when it is started again.
    pub fn put_back(&mut self, copy: TempDir) {
        assert!(self.program.is_none(), "it runs");
        self.data = copy;
    }

    /// The lines that it has logged so far.
    pub fn log(&self) -> Vec<String> {
        self.program().log()
    }

    /// Waits for a line of its log that contains `text`.
    pub fn wait_for_log(&self, text: &str) -> String {
        self.program().wait_for_log(text)
    }

    /// The status and the body that it answers a GET with. `None` if it does not answer in time.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        let answer = String::from_utf8(self.answer(path)?).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// The status that it answers a GET with. `None` if it does not answer in time.
    pub fn status(&self, path: &str) -> Option<u16> {
        let answer = self.answer(path)?;
        String::from_utf8_lossy(&answer).split(' ').nth(1)?.parse().ok()
    }

    fn answer(&self, path: &str) -> Option<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&self.address(), ANSWER).ok()?;
        stream.set_read_timeout(Some(ANSWER)).ok()?;
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address());
        stream.write_all(head.as_bytes()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        Some(answer)
    }

    fn get_json(&self, path: &str) -> Value {
        let (_, body) = self.get(path).unwrap_or_else(|| panic!("{path} is not answered"));
        serde_json::from_str(&body).unwrap_or_else(|_| panic!("{path}: {body}"))
    }

    pub fn health(&self) -> Value {
        self.get_json("/health")
    }

    pub fn rooms(&self) -> Value {
        self.get_json("/rooms")
    }

    /// The sum of a metric over its labels; 0 if there is none of that name.
    pub fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.get("/metrics").expect("an answer");
        let of_name = text.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ') || rest.starts_with('{'))
        });
        of_name.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Whether a balancer would send it clients.
    pub fn is_well(&self) -> bool {
        matches!(self.get("/health"), Some((200, _)))
    }

    pub fn wait_until_well(&self) {
        self.wait_until(true);
    }

    /// Waits until its health says that it cannot keep messages.
    pub fn wait_until_unwell(&self) {
        self.wait_until(false);
    }

    fn wait_until(&self, is_well: bool) {
        let deadline = Instant::now() + PATIENCE;
        while self.is_well() != is_well {
            assert!(Instant::now() < deadline, "{:?} {:#?}", self.get("/health"), self.log());
            thread::sleep(PAUSE);
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if thread::panicking()
            && let Some(program) = &self.program
        {
            let log = program.log();
            eprintln!("{}: {:#?}", self.address(), &log[log.len().saturating_sub(20)..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::visitor::Visitor;

    #[test]
    fn a_node_tells_its_health_its_rooms_and_its_metrics_and_stops_and_goes_on() {
        let mut node = Node::alone(&[]);
        assert!(!node.wait_for_log("listening on ").is_empty());
        node.wait_until_well();
        let ann = Visitor::login(node.address(), "ann", "tea");
        assert_eq!(node.health()["sessions"], 1);
        assert_eq!(node.rooms()["rooms"][0]["room"], "tea");
        assert!(node.metric("echoroom_sessions") >= 1.0);
        node.stop();
        assert_eq!(node.get("/health"), None, "a stopped process does not answer");
        node.go_on();
        node.wait_until_well();
        drop(ann);
        assert_eq!(node.terminate(), Some(0));
        assert_eq!(node.get("/health"), None, "nothing listens");
    }
}
