//! A real server in this process, and two clients: one that knows WebSocket, one that knows only bytes.

use std::{future::Future, net::SocketAddr, num::NonZeroUsize, time::Duration};

use actix_web::rt::{self, time::timeout};
use awc::ws;
use bytes::Bytes;
use echoroom::{
    app::{Application, StopHandle},
    config::{JournalKind, Settings},
};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// How long anything may take before a test gives up. Far beyond what it ever takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for an event that must come.
pub async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    timeout(PATIENCE, event).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Settings for a server of a test: loopback, any port, two workers, so that rooms span threads, and no limit on the
/// rate, and a journal in memory, but where that is the test.
pub fn settings() -> Settings {
    Settings::default().with(|s| {
        s.listen.bind = [127, 0, 0, 1].into();
        s.listen.port = 0;
        s.listen.workers = NonZeroUsize::new(2);
        s.rates.rate = 0;
        s.journal.kind = JournalKind::Memory;
        s.listen.static_dir = concat!(env!("CARGO_MANIFEST_DIR"), "/static").into();
    })
}

/// A running server; stopped when dropped.
pub struct TestServer {
    pub address: SocketAddr,
    /// Missing for a server that runs elsewhere.
    handle: Option<StopHandle>,
    pub metrics_port: Option<u16>,
}

impl TestServer {
    pub async fn start() -> Self {
        Self::with(settings()).await
    }

    pub async fn with(settings: Settings) -> Self {
        let application = Application::build(settings).expect("the server starts");
        let address = SocketAddr::from(([127, 0, 0, 1], application.port()));
        let handle = application.handle();
        let metrics_port = application.metrics_port();
        rt::spawn(async move { application.run().await.expect("the server runs") });
        Self { address, handle: Some(handle), metrics_port }
    }

    /// The clients of a server in another process, by the link it logs.
    pub fn elsewhere(link: &str) -> Self {
        let address = link.trim_start_matches("http://").replace("localhost", "127.0.0.1");
        Self { address: address.parse().expect("an address"), handle: None, metrics_port: None }
    }

    /// Stops the server of this process.
    pub fn handle(&self) -> StopHandle {
        self.handle.clone().expect("a server of this process")
    }

    /// A WebSocket client of the door at `path`.
    pub async fn connect(&self, path: &str) -> Client {
        let url = format!("http://{}{path}", self.address);
        let request = awc::Client::new().ws(url).max_frame_size(16 << 20);
        let (_, framed) = soon("the handshake", request.connect()).await.expect("the handshake succeeds");
        Client { framed }
    }

    /// A client that has shaken hands at `path` and now speaks bytes.
    pub async fn connect_raw(&self, path: &str) -> RawClient {
        let mut raw = self.connect_tcp().await;
        raw.send(raw.upgrade_request(path).as_bytes()).await;
        let head = raw.read_head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        raw
    }

    /// The same, with the given offer of extensions accepted.
    pub async fn connect_raw_offering(&self, path: &str, offer: &str) -> RawClient {
        let mut raw = self.connect_tcp().await;
        let line = format!("Sec-WebSocket-Extensions: {offer}\r\nUpgrade: w");
        raw.send(raw.upgrade_request(path).replace("Upgrade: w", &line).as_bytes()).await;
        let head = raw.read_head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.contains("sec-websocket-extensions: permessage-deflate"), "{head}");
        raw
    }

    /// The answer to a GET with the given headers, whole.
    pub async fn get_raw(&self, path: &str, headers: &str) -> String {
        let mut raw = self.connect_tcp().await;
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
        raw.send(request.as_bytes()).await;
        let mut answer = String::new();
        soon("an answer", raw.stream.read_to_string(&mut answer)).await.expect("UTF-8");
        answer
    }

    /// The answer to a POST without a body, whole.
    pub async fn post_raw(&self, path: &str) -> String {
        let mut raw = self.connect_tcp().await;
        let (host, end) = (self.address, "Content-Length: 0\r\nConnection: close\r\n\r\n");
        raw.send(format!("POST {path} HTTP/1.1\r\nHost: {host}\r\n{end}").as_bytes()).await;
        let mut answer = String::new();
        soon("an answer", raw.stream.read_to_string(&mut answer)).await.expect("UTF-8");
        answer
    }

    /// A client that has only connected.
    pub async fn connect_tcp(&self) -> RawClient {
        let stream = soon("a connection", TcpStream::connect(self.address)).await.expect("connected");
        stream.set_nodelay(true).expect("nodelay");
        RawClient { stream, address: self.address }
    }

    /// The JSON of `/health`.
    pub async fn health(&self) -> serde_json::Value {
        let url = format!("http://{}/health", self.address);
        let mut response = soon("/health", awc::Client::new().get(url).send()).await.expect("an answer");
        response.json().await.expect("JSON")
    }

    /// Waits until `/health` shows so many sessions and rooms.
    pub async fn until_health_shows(&self, sessions: u64, rooms: u64) {
        soon(&format!("{sessions} sessions in {rooms} rooms"), async {
            loop {
                let health = self.health().await;
                if health["sessions"] == sessions && health["rooms"] == rooms {
                    return;
                }
                rt::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            handle.stop_at_once();
        }
    }
}

/// A WebSocket client.
pub struct Client {
    framed: actix_codec::Framed<awc::BoxedSocket, ws::Codec>,
}

impl Client {
    pub async fn send(&mut self, text: &str) {
        self.send_message(ws::Message::Text(text.to_owned().into())).await;
    }

    pub async fn send_binary(&mut self, bytes: &[u8]) {
        self.send_message(ws::Message::Binary(Bytes::copy_from_slice(bytes))).await;
    }

    pub async fn close(&mut self) {
        self.send_message(ws::Message::Close(Some(ws::CloseCode::Normal.into()))).await;
    }

    pub async fn pong(&mut self, bytes: Bytes) {
        self.send_message(ws::Message::Pong(bytes)).await;
    }

    async fn send_message(&mut self, message: ws::Message) {
        soon("a message to be sent", self.framed.send(message)).await.expect("sent");
    }

    pub async fn next(&mut self) -> ws::Frame {
        soon("a frame", self.framed.next()).await.expect("the connection is open").expect("a legal frame")
    }

    /// Sends a text, unless the connection has ended.
    pub async fn try_send(&mut self, text: &str) -> bool {
        let text = ws::Message::Text(text.to_owned().into());
        soon("a message to be sent", self.framed.send(text)).await.is_ok()
    }

    /// The next frame, unless the connection has ended.
    pub async fn try_next(&mut self) -> Option<ws::Frame> {
        soon("a frame or the end", self.framed.next()).await?.ok()
    }

    pub async fn next_text(&mut self) -> String {
        match self.next().await {
            ws::Frame::Text(bytes) => String::from_utf8(bytes.to_vec()).expect("UTF-8"),
            other => panic!("expected a text, got {other:?}"),
        }
    }

    pub async fn next_binary(&mut self) -> Vec<u8> {
        match self.next().await {
            ws::Frame::Binary(bytes) => bytes.to_vec(),
            other => panic!("expected bytes, got {other:?}"),
        }
    }

    /// Sends a text and expects its answer next: nothing else was waiting.
    pub async fn expect_quiet(&mut self) {
        self.send("still here?").await;
        assert_eq!(self.next_text().await, "STILL HERE?!!!");
    }
}

/// A frame as it came from the server.
#[derive(Debug, PartialEq, Eq)]
pub struct RawFrame {
    /// FIN, reserved bits and opcode.
    pub first: u8,
    pub payload: Vec<u8>,
}

/// A client that writes and reads bytes.
pub struct RawClient {
    pub stream: TcpStream,
    address: SocketAddr,
}

impl RawClient {
    /// A correct handshake request.
    pub fn upgrade_request(&self, path: &str) -> String {
        format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.address
        )
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        soon("bytes to be sent", self.stream.write_all(bytes)).await.expect("sent");
    }

    /// Reads up to and with the empty line behind an HTTP head.
    pub async fn read_head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon("a head", self.stream.read_u8()).await.expect("the connection is open"));
        }
        String::from_utf8(head).expect("UTF-8")
    }

    pub async fn read_exact(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        soon(&format!("{len} bytes"), self.stream.read_exact(&mut bytes))
            .await
            .expect("the connection is open");
        bytes
    }

    pub async fn read_frame(&mut self) -> RawFrame {
        let head = self.read_exact(2).await;
        assert_eq!(head[1] & 0x80, 0, "a server does not mask");
        let len = match head[1] {
            126 => self.read_exact(2).await.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)),
            127 => self.read_exact(8).await.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)),
            len => len.into(),
        };
        RawFrame { first: head[0], payload: self.read_exact(len).await }
    }

    /// The next frame must be a close with this code; then the server closes TCP.
    pub async fn expect_close(mut self, code: u16) {
        let frame = self.read_frame().await;
        assert_eq!(frame.first, 0x88, "expected a close frame, got {frame:?}");
        let sent = frame.payload.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
        assert_eq!(sent, Some(code), "{frame:?}");
        self.expect_end().await;
    }

    /// All bytes up to the end of the connection.
    pub async fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        soon("the end of an answer", self.stream.read_to_end(&mut bytes)).await.expect("a clean end");
        bytes
    }

    /// The server closes TCP, without another byte.
    pub async fn expect_end(mut self) {
        let rest = self.read_to_end().await;
        assert!(rest.is_empty(), "unexpected bytes {rest:?}");
    }

    /// The client again, after its halves were used at the same time.
    pub fn rejoin(read: tokio::io::ReadHalf<TcpStream>, write: tokio::io::WriteHalf<TcpStream>) -> Self {
        let stream = read.unsplit(write);
        let address = stream.peer_addr().expect("connected");
        Self { stream, address }
    }

    /// The status and head of the answer to a handshake with more headers.
    pub async fn handshake_with(mut self, path: &str, headers: &str) -> String {
        let request = self.upgrade_request(path).replace("Upgrade: w", &format!("{headers}Upgrade: w"));
        self.send(request.as_bytes()).await;
        self.read_head().await
    }

    /// Ends the connection with a reset instead of a FIN.
    pub fn reset(self) {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("linger");
        drop(self.stream);
    }
}

/// A masked client frame with the given first byte (FIN, reserved bits, opcode).
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        len @ 0..=125 => out.push(0x80 | len as u8),
        len @ 126..=65535 => {
            out.push(0x80 | 126);
            out.extend((len as u16).to_be_bytes());
        }
        len => {
            out.push(0x80 | 127);
            out.extend((len as u64).to_be_bytes());
        }
    }
    let mask = [0x37, 0xFA, 0x21, 0x3D];
    out.extend(mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
    out
}

pub fn text(payload: &str) -> Vec<u8> {
    frame(0x81, payload.as_bytes())
}
