//! Twenty thousand sessions in one room: nothing is lost, nothing comes twice, and all come to the same end.
//!
//! A test program of its own, because its clients take all descriptors that a process may have. It raises its limit as far
//! as it may, and has as many sessions as then fit; how fast they are served is a matter of the load benchmark.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

const SESSIONS: usize = 20_000;

/// Fewer show nothing.
const FEWEST: usize = 10_000;

/// Descriptors beside connections, here and in the server, which keeps 1,024 for all else.
const SPARE: u64 = 1_100;

/// Handshakes under way at a time.
const BURST: usize = 64;

const MESSAGES: usize = 3;

/// The server, ended when dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start() -> (Server, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_echoroom"));
    for (name, _) in std::env::vars_os() {
        if name == "PORT" || name.to_string_lossy().starts_with("ECHOROOM_") {
            command.env_remove(&name);
        }
    }
    let mut child = command
        .args(["--bind", "127.0.0.1", "--port", "0", "--journal", "memory"])
        .args(["--static-dir", concat!(env!("CARGO_MANIFEST_DIR"), "/static")])
        .env("RUST_LOG", "echoroom::app=info")
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut log = BufReader::new(child.stderr.take().expect("piped")).lines();
    let server = Server(child);
    let link =
        log.find_map(|line| line.expect("a log line").rsplit_once("http://").map(|(_, at)| at.to_owned()));
    std::thread::spawn(move || log.for_each(drop));
    (server, link.expect("a link").replace("localhost", "127.0.0.1"))
}

fn shake_hands(address: &str, count: usize) -> Vec<TcpStream> {
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let open = |_| {
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        stream.write_all(request.as_bytes()).expect("sent");
        stream
    };
    let mut streams: Vec<_> = (0..count).map(open).collect();
    for stream in &mut streams {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("an answer to the handshake");
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    }
    streams
}

fn expect_text(stream: &mut TcpStream, text: &str) {
    let mut frame = vec![0; 2 + text.len()];
    stream.read_exact(&mut frame).expect("a message");
    assert_eq!(frame, [&[0x81, text.len() as u8], text.as_bytes()].concat());
}

#[test]
fn a_message_reaches_every_one_of_twenty_thousand_sessions_once() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("as much as is allowed");
    let most = maximum.unwrap_or(u64::MAX).saturating_sub(SPARE);
    let count = SESSIONS.min(usize::try_from(most).unwrap_or(usize::MAX));
    eprintln!("{count} sessions");
    assert!(count >= FEWEST, "{count} sessions are too few: `ulimit -Hn` must allow more descriptors");
    let (server, address) = start();
    let mut sessions = Vec::new();
    while sessions.len() < count {
        sessions.extend(shake_hands(&address, BURST.min(count - sessions.len())));
    }
    for number in 0..MESSAGES {
        // Each time somebody else says it.
        let speaker = number * (count - 1) / (MESSAGES - 1);
        let text = format!("to all {number}");
        let frame = [&[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0], text.as_bytes()].concat();
        sessions[speaker].write_all(&frame).expect("sent");
        for (index, session) in sessions.iter_mut().enumerate() {
            let answer = format!("TO ALL {number}!!!");
            expect_text(session, if index == speaker { &answer } else { &text });
        }
    }
    let pid = Pid::from_raw(server.0.id().cast_signed()).expect("a process");
    kill_process(pid, Signal::TERM).expect("a signal");
    for mut session in sessions {
        let mut rest = Vec::new();
        session.read_to_end(&mut rest).expect("a clean end");
        assert_eq!(
            (rest.len(), &rest[..4]),
            (usize::from(rest[1]) + 2, &[0x88, rest[1], 0x03, 0xF4][..]),
            "1012"
        );
    }
}
