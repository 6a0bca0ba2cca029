//! The server for the official conformance suites of Engine.IO and Socket.IO.
//!
//! `cargo run --release --example socketio_conformance -- PORT [PING_TIMEOUT_MS [PING_INTERVAL_MS]]` serves,
//! on loopback, an Engine.IO echo at `/engine.io/` and the two namespaces of the Socket.IO suite at
//! `/socket.io/`. It is also the shortest program that uses this crate as a Socket.IO server with its own
//! events.

use std::{io, sync::Arc, time::Duration};

use actix_web::{App, HttpServer};
use bytes::Bytes;
use bytestring::ByteString;
use echoroom::{
    app::embed::{Budget, Door, configure_door},
    socketio::{
        Carried, Ending, Engine, EngineSettings,
        handle::SessionHandle,
        namespaces::{Event, Namespace, Namespaces, Refusal, Socket, SocketHandler},
    },
};
use serde_json::value::RawValue;

/// Replies to each message with that message.
struct EngineEcho;

impl Carried for EngineEcho {
    fn text(&mut self, text: ByteString, handle: &SessionHandle) {
        handle.packet(format!("4{text}"));
    }

    fn binary(&mut self, bytes: Bytes, handle: &SessionHandle) {
        handle.binary(bytes);
    }

    fn closed(&mut self, _: &Ending) {}
}

/// A namespace of the suite. Both send the client's `auth` back; the main one also replies to events.
struct Suite {
    answers: bool,
}

struct SuiteSocket {
    auth: Box<RawValue>,
    answers: bool,
}

impl Namespace for Suite {
    fn admit(&self, auth: &str) -> Result<Box<dyn SocketHandler>, Refusal> {
        let auth = RawValue::from_string(auth.to_owned()).map_err(|error| Refusal::new(error.to_string()))?;
        Ok(Box::new(SuiteSocket { auth, answers: self.answers }))
    }
}

impl SocketHandler for SuiteSocket {
    fn connected(&mut self, socket: &Socket) {
        socket.emit("auth", &self.auth);
    }

    fn event(&mut self, socket: &Socket, event: Event) {
        match (&*event.name, event.ack) {
            ("message", _) if self.answers => socket.emit_args(&event.args.renamed("message-back")),
            ("message-with-ack", Some(ack)) if self.answers => ack.answer(&event.args.without_name()),
            _ => {}
        }
    }
}

#[actix_web::main]
async fn main() -> io::Result<()> {
    env_logger::init();
    let argument = |index| std::env::args().nth(index);
    let port = argument(1).and_then(|port| port.parse().ok()).unwrap_or(3000);
    let millis = |index, default| {
        Duration::from_millis(argument(index).and_then(|millis| millis.parse().ok()).unwrap_or(default))
    };
    let settings = EngineSettings {
        ping_interval: millis(3, 300),
        ping_timeout: millis(2, 200),
        max_payload: 1_000_000,
        upgrade_timeout: Duration::from_secs(10),
        connect_timeout: Duration::from_secs(1),
        max_waiting: 16 << 20,
        rate: None,
        ..EngineSettings::default()
    };
    let engine = || Engine::new(settings.clone(), Arc::default(), Budget::new(64 << 20), Arc::default());
    let (echo, sockets) = (engine(), engine());
    HttpServer::new(move || {
        let namespaces = Namespaces::default()
            .with("/", Suite { answers: true })
            .with("/custom", Suite { answers: false });
        let echo = Door::new(Arc::clone(&echo), || Box::new(EngineEcho));
        let sockets = Door::new(Arc::clone(&sockets), namespaces.carried(&sockets));
        App::new()
            .configure(|cfg| configure_door(cfg, "/engine.io", echo))
            .configure(|cfg| configure_door(cfg, "/socket.io", sockets))
    })
    // Notice an aborted poll immediately.
    .h1_allow_half_closed(false)
    .workers(2)
    .bind(("127.0.0.1", port))?
    .run()
    .await
}
