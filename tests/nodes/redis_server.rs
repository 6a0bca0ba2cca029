//! A server of Redis as a child process.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use echoroom::testing::nodes::LIBRARY;

use crate::ports::free_port;

/// How long anything may take. Far beyond what it ever takes.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A server in a folder of its own, at a socket there, until it is dropped.
pub struct Redis {
    child: Child,
    folder: tempfile::TempDir,
    flags: Vec<String>,
}

impl Redis {
    /// Starts one with more flags. If there is no redis-server on this machine, all tests of this program are left out.
    pub fn start(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let flags: Vec<_> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let child = match Self::run(&folder, &flags) {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                leave_out("there is no redis-server on this machine (Debian package redis-server)")
            }
            Err(error) => panic!("redis-server: {error}"),
        };
        let redis = Self { child, folder, flags };
        redis.wait_until_it_answers();
        redis
    }

    fn run(folder: &tempfile::TempDir, flags: &[String]) -> std::io::Result<Child> {
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--unixsocket", "redis.sock", "--save", "", "--dir"]).arg(folder.path());
        command.args(flags).current_dir(folder.path()).stdout(Stdio::null()).spawn()
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// Its address for `--redis`.
    pub fn url(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    fn wait_until_it_answers(&self) {
        let deadline = Instant::now() + PATIENCE;
        while UnixStream::connect(self.socket()).is_err() {
            assert!(Instant::now() < deadline, "redis-server does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The id of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Starts one with the library of functions.
    pub fn with_functions() -> Self {
        let redis = Self::start(&[]);
        let load = redis::cmd("FUNCTION").arg(&["LOAD", "REPLACE", LIBRARY]).exec(&mut redis.connect());
        load.expect("the library");
        redis
    }

    /// Starts a Redis Cluster of one server, with the library of functions: it refuses calls whose keys are not in one slot.
    pub fn as_cluster() -> Self {
        // Without a setting the second one is 10,000 above the first, and may not be there or be taken.
        let [port, bus] = [free_port(), free_port()].map(|port| port.to_string());
        let redis = Self::start(&["--port", &port, "--cluster-enabled", "yes", "--cluster-port", &bus]);
        let mut link = redis.connect();
        ::redis::cmd("CLUSTER").arg(&["ADDSLOTSRANGE", "0", "16383"]).exec(&mut link).expect("all slots");
        let deadline = Instant::now() + PATIENCE;
        let is_up = |link: &mut ::redis::Connection| {
            let info: String = ::redis::cmd("CLUSTER").arg("INFO").query(link).expect("an answer");
            info.contains("cluster_state:ok")
        };
        while !is_up(&mut link) {
            assert!(Instant::now() < deadline, "the cluster does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        let load = ::redis::cmd("FUNCTION").arg(&["LOAD", "REPLACE", LIBRARY]).exec(&mut redis.connect());
        load.expect("the library");
        redis
    }

    /// A new connection.
    pub fn connect(&self) -> redis::Connection {
        self.connect_with("")
    }

    /// A new connection by RESP3.
    pub fn connect_by_resp3(&self) -> redis::Connection {
        self.connect_with("?protocol=resp3")
    }

    fn connect_with(&self, query: &str) -> redis::Connection {
        let url = format!("unix://{}{query}", self.socket().display());
        redis::Client::open(url).expect("an address").get_connection().expect("a connection")
    }

    /// The first line of its answer to a command.
    pub fn ask(&self, command: &str) -> String {
        let mut stream = UnixStream::connect(self.socket()).expect("connected");
        stream.write_all(format!("{command}\r\n").as_bytes()).expect("sent");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).expect("an answer");
        line.trim_end().to_owned()
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill").success());
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    pub fn start_again(&mut self) {
        self.child = Self::run(&self.folder, &self.flags).expect("it was there before");
        self.wait_until_it_answers();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends this program, in which no test can run, and says why. With `TEST_REDIS` set that is a failure.
#[allow(clippy::exit, reason = "no test of the program can run")]
fn leave_out(why: &str) -> ! {
    // What a test prints is not shown if it passes.
    let told = writeln!(std::io::stderr(), "LEFT OUT: the tests of several nodes: {why}");
    let is_wanted = std::env::var_os("TEST_REDIS").is_some() || told.is_err();
    std::process::exit(i32::from(is_wanted))
}
