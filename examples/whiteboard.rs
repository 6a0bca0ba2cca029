//! A board on which all visitors draw together: each line goes to everybody else.
//!
//! `cargo run --example whiteboard` serves `http://127.0.0.1:3000`, with the page: open it in two windows and draw.
//!
//! A client sends `drawing` with `{x0, y0, x1, y1, color}`, and the others get it. Coordinates are from 0 to 1, for boards
//! differ in size. What is not a line does not reach the others: its sender finds that in the log of the server.

use std::{env, io};

use actix_web::{App, HttpResponse, HttpServer, web};
use echoroom::socketio::{EventError, Server, Socket};
use serde::{Deserialize, Serialize};

/// Longest line in bytes, as it is sent.
const MAX_LINE: usize = 1024;

/// A line from one point to another.
#[derive(Clone, Copy, Deserialize, Serialize)]
struct Line {
    x0: f32,
    y0: f32,
    x1: f32,
    y1: f32,
    color: Color,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Color {
    Black,
    Red,
    Green,
    Blue,
    Yellow,
}

#[actix_web::main]
async fn main() -> io::Result<()> {
    env_logger::init();
    let port = env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(3000);
    let io = Server::builder().max_payload(MAX_LINE).max_payload_before_connect(MAX_LINE).build();
    io.namespace("/")
        .on("drawing", async |socket: Socket, line: Line| socket.broadcast().emit("drawing", &line))
        .on_error(|socket: &Socket, error: &EventError| log::info!("{}: {error}", socket.id()));
    HttpServer::new(move || App::new().configure(io.routes()).route("/", web::get().to(page)))
        .bind(("127.0.0.1", port))?
        .run()
        .await
}

async fn page() -> HttpResponse {
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(include_str!("pages/whiteboard.html"))
}
