//! A client that speaks TLS, through `openssl s_client`, and HTTP and WebSocket as bytes.

use std::{
    io::{Read as _, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use crate::proxy::NAME;

/// How long anything may take. Far beyond what it ever takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One connection.
pub struct Client {
    child: Child,
    stdin: ChildStdin,
    incoming: Receiver<Vec<u8>>,
    bytes: Vec<u8>,
    /// `Host`, and the host of the page.
    host: String,
}

/// An answer to a request.
#[derive(Debug)]
pub struct Answer {
    /// In lower case.
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Client {
    /// Connects to a port of this machine from one of its loopback addresses.
    pub fn connect(port: u16, from: &str) -> Self {
        let mut child = Command::new("openssl")
            .args(["s_client", "-quiet", "-servername", NAME, "-bind", from])
            .args(["-connect", &format!("127.0.0.1:{port}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl runs");
        let (stdin, mut stdout) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let (sender, incoming) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(len @ 1..) = stdout.read(&mut buffer) {
                if sender.send(buffer[..len].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { child, stdin, incoming, bytes: Vec::new(), host: format!("{NAME}:{port}") }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stdin.write_all(bytes).and_then(|()| self.stdin.flush()).expect("sent");
    }

    /// Waits for more bytes; false at the end.
    fn read_on(&mut self) -> bool {
        match self.incoming.recv_timeout(PATIENCE) {
            Ok(bytes) => self.bytes.extend(bytes),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return false,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => panic!("nothing came: {:?}", self.bytes),
        }
        true
    }

    fn take_up_to(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.bytes.windows(end.len()).position(|window| window == end) {
                return Some(self.bytes.drain(..at + end.len()).collect());
            }
            if !self.read_on() {
                return None;
            }
        }
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        while self.bytes.len() < len {
            assert!(self.read_on(), "the connection has ended: {:?}", String::from_utf8_lossy(&self.bytes));
        }
        self.bytes.drain(..len).collect()
    }

    fn read_head(&mut self) -> Option<String> {
        Some(String::from_utf8(self.take_up_to(b"\r\n\r\n")?).expect("UTF-8"))
    }

    /// The head of the answer to a GET, unless the connection ends.
    pub fn try_get(&mut self, path: &str) -> Option<String> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.host);
        self.stdin.write_all(request.as_bytes()).and_then(|()| self.stdin.flush()).ok()?;
        self.read_head()
    }

    /// A request of a page of the server, and its answer.
    pub fn ask(&mut self, method: &str, path: &str, body: &str) -> Answer {
        let (host, len) = (&self.host, body.len());
        let length = if method == "POST" { format!("Content-Length: {len}\r\n") } else { String::new() };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: https://{host}\r\n{length}\r\n{body}"
        );
        self.send(request.as_bytes());
        let head = self.read_head().expect("an answer").to_lowercase();
        let mut answer = Answer { head, body: String::new() };
        if method == "HEAD" {
            return answer;
        }
        let body = match answer.header("content-length").map(|len| len.parse().expect("a length")) {
            Some(len) => self.take(len),
            None if answer.head.contains("transfer-encoding: chunked") => self.take_chunks(),
            None => Vec::new(),
        };
        answer.body = String::from_utf8(body).expect("UTF-8");
        answer
    }

    fn take_chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = String::from_utf8(self.take_up_to(b"\r\n").expect("a chunk")).expect("UTF-8");
            let len = usize::from_str_radix(line.trim(), 16).expect("a length");
            body.extend(self.take(len));
            self.take(2);
            if len == 0 {
                return body;
            }
        }
    }

    /// Asks for a WebSocket with more headers; the head of the answer.
    pub fn shake_hands(&mut self, path: &str, headers: &str) -> String {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n",
            self.host
        );
        self.send(request.as_bytes());
        self.read_head().expect("an answer")
    }

    /// A WebSocket of the server's own page.
    pub fn into_websocket(mut self, path: &str) -> Self {
        let head = self.shake_hands(path, &format!("Origin: https://{}\r\n", self.host.clone()));
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        self
    }

    /// Sends a text as one masked frame.
    pub fn say(&mut self, text: &str) {
        let mut frame = vec![0x81];
        match u16::try_from(text.len()).expect("a short text") {
            len @ 0..=125 => frame.push(0x80 | len as u8),
            len => {
                frame.push(0x80 | 126);
                frame.extend(len.to_be_bytes());
            }
        }
        let mask = [0x37, 0xFA, 0x21, 0x3D];
        frame.extend(mask);
        frame.extend(text.bytes().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
        self.send(&frame);
    }

    /// The next text that contains a word.
    pub fn hear(&mut self, word: &str) -> String {
        loop {
            let head = self.take(2);
            let len = match head[1] {
                126 => self.take(2).iter().fold(0, |len, byte| len << 8 | usize::from(*byte)),
                127 => self.take(8).iter().fold(0, |len, byte| len << 8 | usize::from(*byte)),
                len => len.into(),
            };
            let payload = self.take(len);
            assert_ne!(head[0], 0x88, "closed before {word:?}: {payload:?}");
            let text = String::from_utf8_lossy(&payload).into_owned();
            if head[0] == 0x81 && text.contains(word) {
                return text;
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
