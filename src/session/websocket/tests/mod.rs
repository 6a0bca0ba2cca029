//! Sessions without a server: the handshake is a test's request, and the client is at the ends of its payload and of
//! the response's body.

use std::{future::poll_fn, pin::Pin, time::Duration};

use actix_web::{
    FromRequest as _,
    body::{BoxBody, MessageBody as _},
    dev,
    error::PayloadError,
    rt,
    test::TestRequest,
};
use futures_core::Stream;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;
use crate::{
    app::Node,
    config::{JournalKind, Settings},
    domain::RoomName,
    protocol::websocket::frame::ServerHeader,
};

mod chat;
mod doors;
mod endings;

/// Makes a test that waits for what never comes fail.
const BACKSTOP: Duration = Duration::from_secs(60);

/// The client of a session.
struct Client {
    bytes: mpsc::UnboundedSender<Bytes>,
    body: Pin<Box<BoxBody>>,
    came: Vec<u8>,
}

fn settings() -> Settings {
    Settings::default().with(|settings| settings.journal.kind = JournalKind::Memory)
}

fn worker(settings: Settings) -> web::Data<Worker> {
    Node::new(settings).expect("legal settings").start_worker()
}

fn lobby() -> Door {
    Door::Plain(RoomName::default())
}

impl Client {
    /// Comes to a door.
    async fn at(door: Door, worker: &web::Data<Worker>) -> Self {
        let request = TestRequest::default()
            .insert_header(("Upgrade", "websocket"))
            .insert_header(("Connection", "Upgrade"))
            .insert_header(("Sec-WebSocket-Version", "13"))
            .insert_header(("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="))
            .to_http_request();
        let (bytes, sent) = mpsc::unbounded_channel();
        let sent = stream::unfold(sent, |mut sent: mpsc::UnboundedReceiver<Bytes>| async move {
            sent.recv().await.map(|bytes| (Ok::<_, PayloadError>(bytes), sent))
        });
        let sent: Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>> = Box::pin(sent);
        let mut payload = dev::Payload::Stream { payload: sent };
        let payload = web::Payload::from_request(&request, &mut payload).await.expect("a payload");
        let admitted = worker.admission.admit(None).expect("there is room");
        let visitor = Visitor { door, address: None, watch: None };
        let response = open(&request, payload, visitor, admitted, worker).expect("a handshake");
        assert_eq!(response.status(), 101);
        Self { bytes, body: Box::pin(response.into_body()), came: Vec::new() }
    }

    /// Sends frames at once.
    fn send(&self, frames: impl IntoIterator<Item = Vec<u8>>) {
        let frames: Vec<_> = frames.into_iter().flatten().collect();
        self.bytes.send(frames.into()).expect("the session reads");
    }

    /// The next frame; `None` at the end of the body.
    async fn next(&mut self) -> Option<(OpCode, Bytes)> {
        loop {
            if let Some(ServerHeader { opcode, len, payload_len }) = ServerHeader::parse(&self.came)
                && self.came.len() >= len + payload_len
            {
                let frame: Vec<_> = self.came.drain(..len + payload_len).collect();
                return Some((opcode, Bytes::copy_from_slice(&frame[len..])));
            }
            let more = poll_fn(|cx| self.body.as_mut().poll_next(cx));
            let more = rt::time::timeout(BACKSTOP, more).await.expect("it does not hang")?;
            self.came.extend_from_slice(&more.expect("the session does not break off"));
        }
    }

    /// The next message, a text.
    async fn text(&mut self) -> String {
        let (opcode, payload) = self.next().await.expect("a frame");
        assert_eq!(opcode, OpCode::Text);
        String::from_utf8(payload.into()).expect("UTF-8")
    }

    /// The next message at the door of the chat.
    async fn event(&mut self) -> Value {
        serde_json::from_str(&self.text().await).expect("JSON")
    }

    /// The code of the close frame, which is the last one.
    async fn code(&mut self) -> u16 {
        self.close().await.0
    }

    /// Code and reason of the close frame, which is the last one.
    async fn close(&mut self) -> (u16, String) {
        let (opcode, payload) = self.next().await.expect("a frame");
        assert_eq!(opcode, OpCode::Close);
        assert_eq!(self.next().await, None, "nothing follows it");
        let code = u16::from_be_bytes([payload[0], payload[1]]);
        (code, String::from_utf8_lossy(&payload[2..]).into_owned())
    }
}

/// A frame of a client.
fn frame_of(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let mut frame = bytes::BytesMut::new();
    frame::write_header(&mut frame, opcode, payload.len());
    let mut frame = frame.to_vec();
    // Masked by zeros.
    frame[1] |= 0x80;
    frame.extend([0; 4]);
    frame.extend_from_slice(payload);
    frame
}

fn text(text: &str) -> Vec<u8> {
    frame_of(OpCode::Text, text.as_bytes())
}

fn request(event: &str, data: Value, ack: u64) -> Vec<u8> {
    text(&json!({"event": event, "data": data, "ack": ack}).to_string())
}
