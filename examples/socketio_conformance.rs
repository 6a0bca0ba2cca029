//! The server for the official conformance suites of Engine.IO and Socket.IO.
//!
//! `cargo run --release --example socketio_conformance -- PORT [PING_TIMEOUT_MS [PING_INTERVAL_MS]]` serves, on
//! loopback, an Engine.IO echo at `/engine.io/` and the two namespaces of the Socket.IO suite at `/socket.io/`.

use std::{env, error::Error, time::Duration};

use actix_web::{App, HttpServer};
use echoroom::socketio::{Builder, EngineSocket, Event, Server, Socket};
use serde_json::Value;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    env_logger::init();
    let port = argument(1, 3000);
    let port = u16::try_from(port)?;
    let echo = settings()
        .path("/engine.io")
        .build_engine(|socket: &EngineSocket<'_>, message| socket.send(message))?;
    let sockets = settings().try_build()?;
    sockets.namespace("/").connect(send_auth_back).on_any(async |socket: Socket, event: Event| {
        match event.name() {
            "message" => socket.emit_args(event.args().renamed("message-back")),
            "message-with-ack" => event.ack().send_args(&event.args().without_name()),
            _ => {}
        }
    });
    sockets.namespace("/custom").connect(send_auth_back);
    HttpServer::new(move || App::new().configure(echo.routes()).configure(sockets.routes()))
        // Notice an aborted poll immediately.
        .h1_allow_half_closed(false)
        .workers(2)
        .bind(("127.0.0.1", port))?
        .run()
        .await?;
    Ok(())
}

/// Both suites have these, with short times.
fn settings() -> Builder {
    Server::builder()
        .ping_interval(Duration::from_millis(argument(3, 300)))
        .ping_timeout(Duration::from_millis(argument(2, 200)))
        .connect_timeout(Duration::from_secs(1))
        .max_waiting_bytes(16 << 20)
        .memory(64 << 20)
        .max_idle_packets(None)
}

/// Both namespaces begin with an event that has what the client sent as `auth`.
async fn send_auth_back(socket: Socket) {
    match socket.handshake().auth::<Value>() {
        Ok(auth) => socket.emit("auth", &auth),
        Err(error) => log::error!("auth is not JSON: {error}"),
    }
}

/// A number on the command line.
fn argument(index: usize, default: u64) -> u64 {
    env::args().nth(index).and_then(|number| number.parse().ok()).unwrap_or(default)
}
