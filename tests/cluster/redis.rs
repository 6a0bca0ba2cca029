//! A redis-server as a process: its settings, signals, and a way to ask it something.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{ports::free_port, program::PATIENCE};

/// Between two looks at whether a server has come up.
const PAUSE: Duration = Duration::from_millis(5);

/// A redis-server on a port and in a folder of its own. Ended when dropped.
pub struct Redis {
    child: Option<Child>,
    folder: TempDir,
    address: SocketAddr,
}

impl Redis {
    /// Starts a server with these lines of configuration, such as `appendonly yes`. Without any it keeps nothing on the
    /// disk.
    pub fn start(lines: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let own = format!("bind 127.0.0.1\nport {}\nsave \"\"\nlogfile redis.log\n", address.port());
        let dir = format!("dir {}\nrepl-diskless-sync-delay 0\n", folder.path().display());
        fs::write(folder.path().join("redis.conf"), own + &dir + &lines.join("\n") + "\n").expect("written");
        let mut redis = Self { child: None, folder, address };
        redis.start_again();
        redis
    }

    /// Starts a replica of the server at `master`, and waits until it has its data.
    pub fn replica(master: SocketAddr, lines: &[&str]) -> Self {
        let of = format!("replicaof {} {}", master.ip(), master.port());
        let replica = Self::start(&[lines, &[&of]].concat());
        replica.wait_for_info("replication", "master_link_status:up");
        replica
    }

    /// Starts it on its port and in its folder after a kill, and waits until it has read what it had kept.
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let mut command = Command::new("redis-server");
        command.arg(self.folder.path().join("redis.conf")).stdin(Stdio::null()).stdout(Stdio::null());
        self.child = Some(command.spawn().unwrap_or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => leave_out(),
            _ => panic!("redis-server does not start: {error}"),
        }));
        let deadline = Instant::now() + PATIENCE;
        while self.try_ask(&["PING"]).ok() != Some(Reply::Text("PONG".to_owned())) {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(ended.is_none() && Instant::now() < deadline, "no Redis, {ended:?}: {}", self.log());
            std::thread::sleep(PAUSE);
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it at once, as a crash does.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("killed");
        child.wait().expect("an end");
    }

    /// Stops the process. Its connections stay.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a stopped process go on.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).expect("a process");
    }

    /// What it answers to a command that it must take.
    pub fn ask(&self, words: &[&str]) -> Reply {
        match self.try_ask(words) {
            Ok(Reply::Error(error)) => panic!("{words:?}: {error}"),
            Ok(reply) => reply,
            Err(error) => panic!("{words:?}: {error}: {}", self.log()),
        }
    }

    /// What it answers to a command, also an error, on a connection for this command.
    pub fn try_ask(&self, words: &[&str]) -> io::Result<Reply> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut request = format!("*{}\r\n", words.len());
        for word in words {
            request += &format!("${}\r\n{word}\r\n", word.len());
        }
        (&stream).write_all(request.as_bytes())?;
        Reply::read(&mut BufReader::new(stream))
    }

    /// Whether a section of its INFO has this line.
    pub fn has_info(&self, section: &str, line: &str) -> bool {
        matches!(self.try_ask(&["INFO", section]), Ok(Reply::Text(text)) if text.lines().any(|own| own == line))
    }

    /// Waits until a section of its INFO has this line.
    pub fn wait_for_info(&self, section: &str, line: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.has_info(section, line) {
            assert!(
                Instant::now() < deadline,
                "no {line}: {:?}, {}",
                self.ask(&["INFO", section]),
                self.log()
            );
            std::thread::sleep(PAUSE);
        }
    }

    /// Waits for a line of its log that contains `text`.
    pub fn wait_for_log(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.whole_log().contains(text) {
            assert!(Instant::now() < deadline, "{text:?} was not logged: {}", self.log());
            std::thread::sleep(PAUSE);
        }
    }

    fn whole_log(&self) -> String {
        fs::read_to_string(self.folder.path().join("redis.log")).unwrap_or_default()
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        let text = self.whole_log();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What Redis answers, in RESP2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Text(String),
    Number(i64),
    List(Vec<Reply>),
    Nothing,
    Error(String),
}

impl Reply {
    fn read(from: &mut BufReader<TcpStream>) -> io::Result<Self> {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let bad = || io::Error::from(io::ErrorKind::InvalidData);
        let (kind, rest) = line.trim_end().split_at_checked(1).ok_or_else(bad)?;
        let number = || rest.parse::<i64>().map_err(|_| bad());
        Ok(match kind {
            "+" => Self::Text(rest.to_owned()),
            "-" => Self::Error(rest.to_owned()),
            ":" => Self::Number(number()?),
            "$" => match usize::try_from(number()?) {
                Err(_) => Self::Nothing,
                Ok(len) => {
                    let mut bytes = vec![0; len + 2];
                    from.read_exact(&mut bytes)?;
                    Self::Text(String::from_utf8_lossy(&bytes[..len]).into_owned())
                }
            },
            "*" => match number()? {
                ..0 => Self::Nothing,
                len => Self::List((0..len).map(|_| Self::read(from)).collect::<Result<_, _>>()?),
            },
            _ => return Err(bad()),
        })
    }
}

/// Ends this program, in which no test can run, and says why. With `TEST_REDIS` set that is a failure.
#[allow(clippy::exit, reason = "no test of the program can run")]
fn leave_out() -> ! {
    // What a test prints is not shown if it passes.
    let why = "there is no redis-server on this machine (Debian package redis-server)";
    let told = writeln!(io::stderr(), "LEFT OUT: the tests of nodes that die: {why}");
    let is_wanted = std::env::var_os("TEST_REDIS").is_some() || told.is_err();
    std::process::exit(i32::from(is_wanted))
}
