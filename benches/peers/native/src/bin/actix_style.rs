//! A plain session of Echoroom and its echo, in the style of actix's chat example: an actor for each session,
//! an actor for the room, and a message with a copy of the text for each delivery.
//!
//! One thing favors it over the example: the room runs on the thread of the only worker, so no delivery
//! crosses threads.

use std::{
    collections::HashMap,
    error::Error,
    net::Ipv4Addr,
    sync::atomic::{AtomicUsize, Ordering},
};

use actix::{
    Actor, ActorContext as _, Addr, AsyncContext as _, Context, Handler, Message, Recipient, Running,
    StreamHandler,
};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use actix_web_actors::ws::{self, WebsocketContext, WsResponseBuilder};
use echoroom_bench_peers::start;

/// Largest message in bytes; the crate's default is 64 KiB.
const FRAME_SIZE: usize = 1024 * 1024;

#[derive(Message)]
#[rtype(result = "()")]
struct Line(String);

#[derive(Message)]
#[rtype(result = "()")]
struct Connect {
    id: usize,
    recipient: Recipient<Line>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Disconnect {
    id: usize,
}

#[derive(Message)]
#[rtype(result = "()")]
struct ClientLine {
    id: usize,
    text: String,
}

#[derive(Default)]
struct ChatServer {
    sessions: HashMap<usize, Recipient<Line>>,
}

impl Actor for ChatServer {
    type Context = Context<Self>;
}

impl Handler<Connect> for ChatServer {
    type Result = ();

    fn handle(&mut self, Connect { id, recipient }: Connect, _: &mut Self::Context) {
        self.sessions.insert(id, recipient);
    }
}

impl Handler<Disconnect> for ChatServer {
    type Result = ();

    fn handle(&mut self, Disconnect { id }: Disconnect, _: &mut Self::Context) {
        self.sessions.remove(&id);
    }
}

impl Handler<ClientLine> for ChatServer {
    type Result = ();

    fn handle(&mut self, ClientLine { id, text }: ClientLine, _: &mut Self::Context) {
        for (session, recipient) in &self.sessions {
            if *session != id {
                recipient.do_send(Line(text.clone()));
            }
        }
    }
}

struct ChatSession {
    id: usize,
    server: Addr<ChatServer>,
}

impl Actor for ChatSession {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.server.do_send(Connect { id: self.id, recipient: ctx.address().recipient() });
    }

    fn stopping(&mut self, _: &mut Self::Context) -> Running {
        self.server.do_send(Disconnect { id: self.id });
        Running::Stop
    }
}

impl Handler<Line> for ChatSession {
    type Result = ();

    fn handle(&mut self, Line(text): Line, ctx: &mut Self::Context) {
        ctx.text(text);
    }
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for ChatSession {
    fn handle(&mut self, message: Result<ws::Message, ws::ProtocolError>, ctx: &mut Self::Context) {
        match message {
            Ok(ws::Message::Text(text)) => {
                let text = text.to_string();
                ctx.text(text.to_uppercase() + "!!!");
                self.server.do_send(ClientLine { id: self.id, text });
            }
            Ok(ws::Message::Ping(payload)) => ctx.pong(&payload),
            Ok(ws::Message::Close(reason)) => {
                ctx.close(reason);
                ctx.stop();
            }
            Ok(_) => {}
            Err(_) => ctx.stop(),
        }
    }
}

struct EchoSession;

impl Actor for EchoSession {
    type Context = WebsocketContext<Self>;
}

impl StreamHandler<Result<ws::Message, ws::ProtocolError>> for EchoSession {
    fn handle(&mut self, message: Result<ws::Message, ws::ProtocolError>, ctx: &mut Self::Context) {
        match message {
            Ok(ws::Message::Text(text)) => ctx.text(text),
            Ok(ws::Message::Binary(payload)) => ctx.binary(payload),
            Ok(ws::Message::Ping(payload)) => ctx.pong(&payload),
            Ok(ws::Message::Close(reason)) => {
                ctx.close(reason);
                ctx.stop();
            }
            Ok(_) => {}
            Err(_) => ctx.stop(),
        }
    }
}

async fn echo_door(request: HttpRequest, payload: web::Payload) -> actix_web::Result<HttpResponse> {
    WsResponseBuilder::new(EchoSession, &request, payload).frame_size(FRAME_SIZE).start()
}

async fn room_door(
    request: HttpRequest,
    payload: web::Payload,
    server: web::Data<Addr<ChatServer>>,
) -> actix_web::Result<HttpResponse> {
    static NEXT_ID: AtomicUsize = AtomicUsize::new(0);
    let session =
        ChatSession { id: NEXT_ID.fetch_add(1, Ordering::Relaxed), server: server.get_ref().clone() };
    WsResponseBuilder::new(session, &request, payload).frame_size(FRAME_SIZE).start()
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = start()?;
    let server = HttpServer::new(|| {
        App::new()
            .app_data(web::Data::new(ChatServer::default().start()))
            .route("/echo", web::get().to(echo_door))
            .default_service(web::get().to(room_door))
    })
    .workers(1)
    .backlog(4096)
    .max_connections(25_000)
    .tcp_nodelay(true)
    .bind((Ipv4Addr::LOCALHOST, port))?;
    println!("listening on http://localhost:{port}");
    server.run().await?;
    Ok(())
}
