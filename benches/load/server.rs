//! Starts the servers on one core and reads their CPU time.

use std::{
    error::Error,
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{PATIENCE, candidates::peers, clients::Clients, frames::push_text};

/// A server process. Dropping it ends the process.
pub struct Server {
    child: Child,
    pub port: u16,
    /// When the process was started.
    pub spawned: Instant,
    /// The folder of the server's journal; deleted with this value.
    _data: TempDir,
}

impl Server {
    /// Echoroom as its users run it, with all limits on, but without a log line for each session. Only the
    /// limit on a session's message rate is raised, above every load here.
    pub fn echoroom(journal: &str, flags: &[&str]) -> Result<Self, Box<dyn Error>> {
        Self::echoroom_with(1, journal, flags)
    }

    /// Echoroom with this number of workers. Flags of the form `NAME=VALUE` are variables of its environment: an
    /// older build ignores those that it does not know.
    pub fn echoroom_with(workers: usize, journal: &str, flags: &[&str]) -> Result<Self, Box<dyn Error>> {
        let data = data_folder()?;
        let path = data.path().to_str().ok_or("a folder whose name is not UTF-8")?.to_owned();
        let own = ["--journal", journal, "--data-dir", &path];
        Self::echoroom_keeping(workers, data, &[&own, flags].concat())
    }

    /// Echoroom as a node on the Redis at `port`.
    pub fn node_on(redis: &Server, name: &str) -> Result<Self, Box<dyn Error>> {
        let url = format!("redis://127.0.0.1:{}", redis.port);
        Self::echoroom_keeping(1, data_folder()?, &["--redis", &url, "--node", name])
    }

    fn echoroom_keeping(workers: usize, data: TempDir, flags: &[&str]) -> Result<Self, Box<dyn Error>> {
        let port = free_port()?;
        let program =
            std::env::var_os("BENCH_ECHOROOM").unwrap_or_else(|| env!("CARGO_BIN_EXE_echoroom").into());
        let mut command = on_core_0(program);
        for (name, _) in std::env::vars_os() {
            if name == "PORT" || name.to_string_lossy().starts_with("ECHOROOM_") {
                command.env_remove(&name);
            }
        }
        command
            .args(["--bind", "127.0.0.1", "--workers", &workers.to_string(), "--port", &port.to_string()])
            .args(["--rate", "10000000", "--rate-burst", "10000000"])
            .args(["--static-dir", concat!(env!("CARGO_MANIFEST_DIR"), "/static")])
            .env("RUST_LOG", "echoroom::app=info");
        for flag in flags {
            match flag.split_once('=').filter(|_| flag.starts_with("ECHOROOM_")) {
                Some((name, value)) => command.env(name, value),
                None => command.arg(flag),
            };
        }
        Self::start(command, port, data)
    }

    /// `examples/socketio_conformance.rs`, which Cargo builds if needed, with the heartbeat of the other
    /// servers.
    pub fn fixture() -> Result<Self, Box<dyn Error>> {
        let program = match std::env::var_os("BENCH_FIXTURE") {
            Some(other_build) => other_build.into(),
            None => built_example("socketio_conformance")?,
        };
        let port = free_port()?;
        let mut command = on_core_0(program);
        command.args([&port.to_string(), "20000", "25000"]).env("RUST_LOG", "actix_server=info");
        Self::start(command, port, tempfile::tempdir()?)
    }

    /// `examples/socketio_cluster.rs` on the Redis at `redis`, which is a URL, or `none`.
    pub fn cluster(redis: &str, format: &str) -> Result<Self, Box<dyn Error>> {
        let program = match std::env::var_os("BENCH_CLUSTER") {
            Some(other_build) => other_build.into(),
            None => built_example("socketio_cluster")?,
        };
        let port = free_port()?;
        let mut command = on_core_0(program);
        command.args([&port.to_string(), redis, format]).env("RUST_LOG", "actix_server=info");
        Self::start(command, port, tempfile::tempdir()?)
    }

    /// A Redis that keeps nothing on the disk.
    pub fn redis_in_memory() -> Result<Self, Box<dyn Error>> {
        let (port, data) = (free_port()?, data_folder()?);
        let mut command = on_core_0("redis-server");
        command
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--port", &port.to_string(), "--dir"])
            .arg(data.path());
        Self::start_until("Ready to accept connections", command, port, data)
    }

    /// A Redis that appends all that it takes to a file, and flushes that as often as `appendfsync` says.
    pub fn redis(appendfsync: &str) -> Result<Self, Box<dyn Error>> {
        let (port, data) = (free_port()?, data_folder()?);
        let mut command = on_core_0("redis-server");
        command
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
            .args(["--port", &port.to_string(), "--appendfsync", appendfsync, "--dir"])
            .arg(data.path());
        Self::start_until("Ready to accept connections", command, port, data)
    }

    /// The Node peer in `benches/peers/`, installed by npm at first use.
    pub fn node(peer: &str, flags: &[&str]) -> Result<Self, Box<dyn Error>> {
        let source = peers().join(peer);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("peer-{peer}"));
        fs::create_dir_all(&folder)?;
        for file in ["package.json", "server.js"] {
            fs::copy(source.join(file), folder.join(file))?;
        }
        if !folder.join("node_modules").exists() {
            run(Command::new("npm").args(["install", "--silent"]).current_dir(&folder))?;
        }
        let port = free_port()?;
        let mut command = on_core_0("node");
        command.arg(folder.join("server.js")).arg(port.to_string()).args(flags);
        Self::start(command, port, tempfile::tempdir()?)
    }

    /// A program whose argument is the port.
    pub fn program(program: &Path) -> Result<Self, Box<dyn Error>> {
        let port = free_port()?;
        let mut command = on_core_0(program);
        command.arg(port.to_string());
        Self::start(command, port, tempfile::tempdir()?)
    }

    fn start(command: Command, port: u16, data: TempDir) -> Result<Self, Box<dyn Error>> {
        Self::start_until("listening on", command, port, data)
    }

    /// Starts a server, and waits until it logs a line with these words.
    fn start_until(
        words: &'static str,
        mut command: Command,
        port: u16,
        data: TempDir,
    ) -> Result<Self, Box<dyn Error>> {
        let spawned = Instant::now();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        // Some servers log to stdout, others to stderr.
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let server = Self { child, port, spawned, _data: data };
        let (sender, listening) = std::sync::mpsc::channel();
        for stream in
            [out.map(|out| Box::new(out) as Box<dyn std::io::Read + Send>), err.map(|err| Box::new(err) as _)]
        {
            let (stream, sender) = (stream.ok_or("a piped stream")?, sender.clone());
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if line.contains(words) {
                        // The main thread may have stopped waiting.
                        let _ = sender.send(());
                    }
                }
            });
        }
        listening.recv_timeout(Duration::from_secs(20)).map_err(|_| "the server did not start")?;
        Ok(server)
    }

    /// User and system time of all threads so far, in nanoseconds.
    pub fn cpu_time(&self) -> Result<Duration, Box<dyn Error>> {
        let mut nanos = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread may end meanwhile.
            let Ok(schedstat) = fs::read_to_string(thread?.path().join("schedstat")) else {
                continue;
            };
            nanos += schedstat.split_whitespace().next().ok_or("a time")?.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanos))
    }

    /// How often the server's threads have gone to sleep so far, which is about how often they were woken.
    pub fn sleeps(&self) -> Result<u64, Box<dyn Error>> {
        let mut sleeps = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let status = fs::read_to_string(thread?.path().join("status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            sleeps += line.ok_or("a number of switches")?.trim().parse::<u64>()?;
        }
        Ok(sleeps)
    }

    pub fn rss_mib(&self) -> Result<f64, Box<dyn Error>> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("VmRSS")?;
        let kib: f64 = line.split_whitespace().nth(1).ok_or("a number")?.parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Pins this process to one core.
pub fn pin_self_to(core: usize) -> Result<(), Box<dyn Error>> {
    let pid = std::process::id().to_string();
    let status =
        Command::new("taskset").args(["-p", "-c", &core.to_string(), &pid]).stdout(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err("taskset failed: two cores are needed".into()) }
}

pub fn run(command: &mut Command) -> Result<(), Box<dyn Error>> {
    if command.status()?.success() { Ok(()) } else { Err(format!("{command:?} failed").into()) }
}

fn on_core_0(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program);
    command
}

/// A folder on the disk of the sources, because the default one may be in memory.
fn data_folder() -> Result<TempDir, Box<dyn Error>> {
    Ok(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

fn free_port() -> Result<u16, Box<dyn Error>> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Waits until the server at `port` has replied to a WebSocket message.
pub fn first_answer(port: u16) -> Result<(), Box<dyn Error>> {
    let mut clients = Clients::connect(port, "/echo", 1)?;
    push_text(clients.output(0), b"hello");
    clients.flush(1)?;
    let mut has_answered = false;
    while !has_answered {
        has_answered = clients.turn(PATIENCE, &mut |_, _, _| Ok(()))?;
    }
    Ok(())
}

/// The program of an example, which Cargo builds if needed.
fn built_example(name: &str) -> Result<PathBuf, Box<dyn Error>> {
    let profile = Path::new(env!("CARGO_BIN_EXE_echoroom")).parent().ok_or("a folder of programs")?;
    let target = profile.parent().ok_or("a target folder")?;
    run(Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--example", name, "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR")))?;
    Ok(profile.join("examples").join(name))
}
