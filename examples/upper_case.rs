//! The tutorial's server as an actor: replies to each text in upper case. The page's lesson "The server's
//! side" shows this program from its first `use` to its end, and a test compares the two.
//!
//! `cargo run --example upper_case` serves `ws://127.0.0.1:3000/`.

#![allow(
    clippy::print_stdout,
    missing_docs,
    reason = "the program prints what happens, and its parts explain themselves"
)]

use actix::{Actor, ActorContext, StreamHandler};
use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer, web};
use actix_web_actors::ws::{self, Message, ProtocolError, WebsocketContext};

struct Session;

impl Actor for Session {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        println!("opened");
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        println!("closed");
    }
}

impl StreamHandler<Result<Message, ProtocolError>> for Session {
    fn handle(&mut self, message: Result<Message, ProtocolError>, ctx: &mut Self::Context) {
        match message {
            Ok(Message::Text(text)) => {
                println!("sent a text of {} bytes", text.len());
                ctx.text(text.to_uppercase() + "!!!");
            }
            Ok(Message::Ping(bytes)) => ctx.pong(&bytes),
            Ok(Message::Close(reason)) => {
                ctx.close(reason);
                ctx.stop();
            }
            Ok(_) => {}
            Err(error) => {
                println!("broke a rule: {error}");
                ctx.stop();
            }
        }
    }
}

pub async fn open(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Error> {
    ws::start(Session, &request, payload)
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    HttpServer::new(|| App::new().route("/", web::get().to(open))).bind(("127.0.0.1", 3000))?.run().await
}
