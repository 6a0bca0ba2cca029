//! A server of Redis as a child process.

use std::{
    io::{BufRead as _, BufReader, ErrorKind, Write as _},
    net::TcpListener,
    os::unix::net::UnixStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use redis::{Cmd, FromRedisValue};

/// How long anything may take. Far beyond what it ever takes.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// A server in a folder of its own, at a socket there, until it is dropped.
pub(super) struct Redis {
    child: Child,
    folder: tempfile::TempDir,
    flags: Vec<String>,
}

impl Redis {
    /// Starts one with more flags; `None` if there is no redis-server on this machine. With `TEST_REDIS` set that is a failure.
    pub(super) fn start(flags: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let flags: Vec<_> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let child = match run(&folder, &flags) {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound && std::env::var_os("TEST_REDIS").is_none() => {
                return None;
            }
            Err(error) => panic!("redis-server: {error}"),
        };
        let redis = Self { child, folder, flags };
        redis.wait_until_it_answers();
        Some(redis)
    }

    /// Starts a Redis Cluster of one server that has these slots.
    pub(super) fn as_cluster(slots: [&str; 2]) -> Option<Self> {
        let [port, bus] = free_ports().map(|port| port.to_string());
        let redis = Self::start(&["--port", &port, "--cluster-enabled", "yes", "--cluster-port", &bus])?;
        redis.ask::<()>(redis::cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(&slots));
        let is_up = || redis.ask::<String>(redis::cmd("CLUSTER").arg("INFO")).contains("cluster_state:ok");
        if slots == ["0", "16383"] {
            wait_until("the cluster is up", is_up);
        }
        Some(redis)
    }

    /// Starts a Redis Cluster of two servers, each with one half of the slots.
    pub(super) fn two_of_a_cluster() -> Option<[Self; 2]> {
        let ports = [free_ports(), free_ports()];
        let mut servers = Vec::new();
        for ([port, bus], slots) in ports.iter().zip([["0", "8191"], ["8192", "16383"]]) {
            let [port, bus] = [port, bus].map(ToString::to_string);
            let flags = ["--port", &port, "--cluster-enabled", "yes", "--cluster-port", &bus];
            let redis = Self::start(&flags)?;
            redis.ask::<()>(redis::cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(&slots));
            servers.push(redis);
        }
        let [one, other] = servers.try_into().ok()?;
        let [_, [port, bus]] = ports;
        one.ask::<()>(redis::cmd("CLUSTER").arg("MEET").arg("127.0.0.1").arg(port).arg(bus));
        wait_until("the cluster is up", || {
            [&one, &other].iter().all(|redis| {
                let info = redis.ask::<String>(redis::cmd("CLUSTER").arg("INFO"));
                info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384")
            })
        });
        Some([one, other])
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// Its address.
    pub(super) fn url(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    fn wait_until_it_answers(&self) {
        wait_until("redis-server listens", || {
            let Ok(mut stream) = UnixStream::connect(self.socket()) else { return false };
            let mut line = String::new();
            stream.write_all(b"PING\r\n").is_ok()
                && BufReader::new(stream).read_line(&mut line).is_ok()
                && !line.is_empty()
                && !line.starts_with("-LOADING")
        });
    }

    /// Asks it on a connection of its own.
    pub(super) fn ask<T: FromRedisValue>(&self, command: &Cmd) -> T {
        let client = redis::Client::open(format!("unix://{}", self.socket().display())).expect("an address");
        command.query(&mut client.get_connection().expect("a connection")).expect("an answer")
    }

    pub(super) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill").success());
    }

    pub(super) fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    pub(super) fn start_again(&mut self) {
        self.child = run(&self.folder, &self.flags).expect("it was there before");
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

fn run(folder: &tempfile::TempDir, flags: &[String]) -> std::io::Result<Child> {
    let mut command = Command::new("redis-server");
    command.args(["--port", "0", "--unixsocket", "redis.sock", "--save", "", "--dir"]).arg(folder.path());
    command.args(flags).current_dir(folder.path()).stdout(Stdio::null()).spawn()
}

fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).expect("a port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}

/// Asks again and again, where nothing tells of the change.
pub(super) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
