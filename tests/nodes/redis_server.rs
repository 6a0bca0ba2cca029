//! A redis-server of its own for each test.

use std::{
    io::ErrorKind,
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use echoroom::testing::nodes::LIBRARY;
use redis::{Client, Connection};
use tempfile::TempDir;

/// How long a server may take to start on a busy machine.
const START: Duration = Duration::from_secs(20);

/// A redis-server on a free port of the loopback, with an empty folder. It is killed when this is dropped.
pub struct RedisServer {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl RedisServer {
    /// Starts a server that keeps nothing on the disk, and loads the library of functions.
    pub fn start() -> Self {
        Self::start_with(&["--save", "", "--appendonly", "no"]).loaded()
    }

    /// Starts a Redis Cluster of one server, which refuses calls whose keys are not in one slot.
    pub fn start_as_cluster() -> Self {
        let server = Self::start_with(&["--save", "", "--appendonly", "no", "--cluster-enabled", "yes"]);
        let mut link = server.connect();
        redis::cmd("CLUSTER").arg(&["ADDSLOTSRANGE", "0", "16383"]).exec(&mut link).expect("all slots");
        let started = Instant::now();
        let is_up = |link: &mut Connection| {
            let info: String = redis::cmd("CLUSTER").arg("INFO").query(link).expect("an answer");
            info.contains("cluster_state:ok")
        };
        while !is_up(&mut link) {
            assert!(started.elapsed() < START, "the cluster does not start");
            sleep(Duration::from_millis(10));
        }
        server.loaded()
    }

    fn loaded(self) -> Self {
        let server = self;
        redis::cmd("FUNCTION")
            .arg(&["LOAD", "REPLACE", LIBRARY])
            .exec(&mut server.connect())
            .expect("the library");
        server
    }

    /// Starts a server with these settings.
    pub fn start_with(settings: &[&str]) -> Self {
        // Between looking for a free port and its use, another program may take it.
        for _ in 0..10 {
            if let Some(server) = Self::try_start(settings) {
                return server;
            }
        }
        panic!("redis-server does not start");
    }

    fn try_start(settings: &[&str]) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port")
            .port();
        let folder = tempfile::tempdir().expect("a folder");
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"])
            .arg(folder.path())
            .args(settings)
            .stdout(Stdio::null())
            .spawn();
        let process = process.unwrap_or_else(|error| match error.kind() {
            ErrorKind::NotFound => {
                panic!("redis-server is not installed: these tests need the Debian package redis-server")
            }
            _ => panic!("redis-server cannot be started: {error}"),
        });
        let mut server = Self { process, port, _folder: folder };
        let started = Instant::now();
        while started.elapsed() < START && server.process.try_wait().expect("a child").is_none() {
            if server
                .client("")
                .get_connection()
                .is_ok_and(|mut link| redis::cmd("PING").exec(&mut link).is_ok())
            {
                return Some(server);
            }
            sleep(Duration::from_millis(10));
        }
        None
    }

    fn client(&self, settings: &str) -> Client {
        Client::open(format!("redis://127.0.0.1:{}/{settings}", self.port)).expect("an address")
    }

    /// The id of the process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// A new connection.
    pub fn connect(&self) -> Connection {
        self.client("").get_connection().expect("a connection")
    }

    /// A new connection that speaks RESP3.
    pub fn connect_by_resp3(&self) -> Connection {
        self.client("?protocol=resp3").get_connection().expect("a connection")
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
