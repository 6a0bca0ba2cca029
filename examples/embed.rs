//! A Socket.IO server in a program of one's own: a namespace, two events, one of them with an ack, a room, and beside it
//! an HTTP route that emits to the room.
//!
//! `cargo run --example embed` serves `http://127.0.0.1:3000`. A client in JavaScript:
//!
//! ```js
//! const socket = io('http://127.0.0.1:3000/tea');
//! socket.on('message', (text, picture) => console.log(text, picture));
//! socket.on('news', (text) => console.log(text));
//! socket.emit('message', 'hello', new Uint8Array([1, 2, 3]));        // to all others
//! await socket.emitWithAck('sum', 1, 2);                             // 3
//! ```
//!
//! `curl -d 'the kettle is on' http://127.0.0.1:3000/news` sends a text to all of them.

use std::future::ready;

use actix_web::{App, HttpResponse, HttpServer, web};
use echoroom::socketio::{Ack, Bytes, Server, Socket};

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let io = Server::builder().build();
    io.namespace("/tea")
        .connect(async |socket: Socket| drop(socket.join("guests")))
        .on("message", async |socket: Socket, (text, picture): (String, Bytes)| {
            socket.to("guests").emit("message", &(text, picture));
        })
        .on("sum", async |_: Socket, (a, b): (f64, f64), ack: Ack| ack.send(&(a + b)));
    HttpServer::new(move || {
        let tea = io.namespace("/tea");
        let news = move |text: String| {
            tea.to("guests").emit("news", &text);
            ready(HttpResponse::NoContent())
        };
        App::new().configure(io.routes()).route("/news", web::post().to(news))
    })
    .bind(("127.0.0.1", 3000))?
    .run()
    .await
}
