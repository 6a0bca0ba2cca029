//! A chat room with names: who joins and leaves, how many there are, who is typing, and what they say. Its events are those of
//! the chat example of the reference server, so a page for that one works here.
//!
//! `cargo run --example chat` serves `http://127.0.0.1:3000`, with a page to try it: open it in two windows.
//!
//! | a client sends | what happens |
//! |---|---|
//! | `add user`, a name | the client gets `login` with `{numUsers}`, the others `user joined` with `{username, numUsers}` |
//! | `new message`, a text | the others get `new message` with `{username, message}` |
//! | `typing` and `stop typing` | the others get the event with `{username}` |
//!
//! When a user leaves, the others get `user left` with `{username, numUsers}`.

use std::{
    env, io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use actix_web::{App, HttpResponse, HttpServer, web};
use echoroom::socketio::{Handshake, Server, Socket};
use serde_json::json;

/// Longest name in characters. The rest of a longer one is cut off.
const MAX_NAME: usize = 40;

/// Longest message in bytes, as it is sent: [`Builder::max_payload`](echoroom::socketio::Builder::max_payload).
const MAX_MESSAGE: usize = 16 << 10;

/// The data of a socket. It is made before the user has a name.
#[derive(Default)]
struct User {
    name: OnceLock<String>,
}

/// Users with a name, on all threads.
type Count = Arc<AtomicUsize>;

#[actix_web::main]
async fn main() -> io::Result<()> {
    env_logger::init();
    let port = env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(3000);
    let io = Server::builder().max_payload(MAX_MESSAGE).build();
    set_up(&io);
    HttpServer::new(move || App::new().configure(io.routes()).route("/", web::get().to(page)))
        .bind(("127.0.0.1", port))?
        .run()
        .await
}

fn set_up(io: &Server) {
    let count = Count::default();
    let (joined, left) = (Arc::clone(&count), count);
    io.namespace("/")
        .admit(async |_: &Handshake| Ok(User::default()))
        .on("add user", async move |socket: Socket<User>, name: String| add_user(&socket, &name, &joined))
        .on("new message", async |socket: Socket<User>, message: String| {
            if let Some(name) = socket.data().name.get() {
                socket.broadcast().emit("new message", &json!({"username": name, "message": message}));
            }
        })
        .on("typing", async |socket: Socket<User>| tell_others(&socket, "typing"))
        .on("stop typing", async |socket: Socket<User>| tell_others(&socket, "stop typing"))
        .disconnect(async move |socket: Socket<User>, _| {
            if let Some(name) = socket.data().name.get() {
                let users = left.fetch_sub(1, Ordering::Relaxed) - 1;
                socket.broadcast().emit("user left", &json!({"username": name, "numUsers": users}));
            }
        });
}

/// Gives a user a name, once.
fn add_user(socket: &Socket<User>, name: &str, count: &Count) {
    let name: String = name.trim().chars().take(MAX_NAME).collect();
    if name.is_empty() || socket.data().name.set(name.clone()).is_err() {
        return;
    }
    let users = count.fetch_add(1, Ordering::Relaxed) + 1;
    socket.emit("login", &json!({"numUsers": users}));
    socket.broadcast().emit("user joined", &json!({"username": name, "numUsers": users}));
}

fn tell_others(socket: &Socket<User>, event: &str) {
    if let Some(name) = socket.data().name.get() {
        socket.broadcast().emit(event, &json!({"username": name}));
    }
}

async fn page() -> HttpResponse {
    HttpResponse::Ok().content_type("text/html; charset=utf-8").body(include_str!("pages/chat.html"))
}
