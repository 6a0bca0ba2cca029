//! A server of a cluster with Node servers that have the official adapters for Redis.
//!
//! `cargo run --example socketio_cluster --features redis -- PORT REDIS_URL [classic|sharded|streams]` serves, on loopback, the
//! namespaces `/` and `/admin`. A client joins the room that its query names as `room`, and may send these events; with an ack
//! it learns the outcome:
//!
//! | event | what it does |
//! |---|---|
//! | `join` (room), `leave` (room) | enters or leaves a room |
//! | `to` (room, event, ...arguments) | emits to the sockets in a room |
//! | `all` (event, ...arguments) | emits to all sockets |
//! | `who` (room) | acks with the sockets in a room, as `[{id, rooms, data}]` |
//! | `ask` (room, question) | emits `question` to a room, waits a second for acks, and acks with them |
//! | `sse` (event, ...arguments) | emits to the other servers, and acks with their answers |
//! | `set` (data) | sets the data of the socket, which `who` shows |
//! | `move` (from, to) | puts the sockets in a room into another one, too |
//! | `kick` (room) | disconnects the sockets in a room |
//!
//! All of them reach the sockets of all servers. The event `hello` of another server is answered with `rust` and its first
//! argument. With `streams`, clients that were lost are recovered at any server. With `none` for the URL the server is alone.

use std::{
    env,
    error::Error,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use actix_web::{
    App, HttpServer,
    rt::signal::unix::{SignalKind, signal},
};
use echoroom::socketio::{
    Ack, Arguments, ByteString, Event, Handshake, Namespace, Recovery, Redis, RedisFormat, Refusal,
    RemoteSocket, Server, ServerEvent, Socket, Value,
};
use log::{error, warn};
use serde::{Deserialize, Serialize};

/// How long a question waits for answers.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// What a client has set.
type Data = Mutex<Value>;

/// The name of a room. JavaScript has numbers as names, too.
#[derive(Deserialize)]
#[serde(try_from = "Value")]
struct Room(String);

impl TryFrom<Value> for Room {
    type Error = &'static str;

    fn try_from(name: Value) -> Result<Self, Self::Error> {
        match name {
            Value::String(name) => Ok(Self(name)),
            Value::Number(number) => Ok(Self(number.to_string())),
            _ => Err("the name of a room is a text or a number"),
        }
    }
}

/// A socket as `who` shows it.
#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    rooms: &'a [ByteString],
    data: Value,
}

impl<'a> From<&'a RemoteSocket> for Shown<'a> {
    fn from(socket: &'a RemoteSocket) -> Self {
        Self { id: socket.id(), rooms: socket.rooms(), data: socket.data_as().unwrap_or_default() }
    }
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    env_logger::init();
    let mut arguments = env::args().skip(1);
    let (Some(port), Some(redis)) = (arguments.next(), arguments.next()) else {
        return Err("usage: socketio_cluster PORT REDIS_URL|none [classic|sharded|streams]".into());
    };
    let format = match arguments.next().as_deref() {
        None | Some("classic") => RedisFormat::Classic,
        Some("sharded") => RedisFormat::Sharded,
        Some("streams") => RedisFormat::Streams,
        Some(other) => return Err(format!("{other} is not a format").into()),
    };
    let mut settings = Server::builder();
    if redis != "none" {
        settings = settings.redis(Redis::new(redis).format(format));
    }
    // Recovery adds an argument to each event, the offset, which clients of Node servers get in this format only.
    if format == RedisFormat::Streams {
        settings = settings.connection_state_recovery(Recovery::default());
    }
    let io = settings.try_build()?;
    for name in ["/", "/admin"] {
        serve(io.namespace(name));
    }
    let routes = io.clone();
    let mut terminated = signal(SignalKind::terminate())?;
    HttpServer::new(move || App::new().configure(routes.routes()))
        .workers(2)
        .shutdown_signal(async move {
            terminated.recv().await;
            // Before the program ends, its sockets are kept for the other servers, if they can be.
            io.close().await;
        })
        .bind(("127.0.0.1", port.parse::<u16>()?))?
        .run()
        .await?;
    Ok(())
}

/// Adds all events to a namespace.
fn serve(namespace: Namespace) {
    let all = namespace.clone();
    let namespace = namespace
        .admit(async |_: &Handshake| Ok::<_, Refusal>(Data::new(Value::Object(Vec::new()))))
        .share_data()
        .on_server_side("hello", hello)
        .connect(async |socket: Socket<Data>| {
            if let Some(room) = socket.handshake().query("room") {
                enter(&socket, &room).await;
            }
        })
        .on("join", async |socket: Socket<Data>, Room(room): Room, ack: Ack| {
            enter(&socket, &room).await;
            ack.send(&());
        })
        .on("leave", async |socket: Socket<Data>, Room(room): Room, ack: Ack| {
            socket.leave(&room);
            ack.send(&());
        })
        .on("set", async |socket: Socket<Data>, data: Value, ack: Ack| {
            *socket.data().lock().unwrap_or_else(PoisonError::into_inner) = data;
            ack.send(&());
        });
    emitting(namespace.clone(), &all);
    asking(namespace, &all);
}

async fn enter(socket: &Socket<Data>, room: &str) {
    if let Err(problem) = socket.join(room).await {
        error!("{} does not enter {room:?}: {problem}", socket.id());
    }
}

/// The answer to another server.
fn hello(event: &ServerEvent) {
    match event.decode() {
        Ok(Value::String(name)) => event.answer(&format!("rust {name}")),
        Ok(value) => event.answer(&format!("rust {value:?}")),
        Err(problem) => warn!("a greeting is not understood: {problem}"),
    }
}

/// Adds the events that do something to the sockets in a room.
fn emitting(namespace: Namespace<Data>, io: &Namespace) {
    let [to, all, moving, kick] = [(); 4].map(|()| io.clone());
    namespace
        .on("to", async move |_: Socket<Data>, event: Event| match event.decode() {
            Ok(Room(room)) => {
                to.to(room).emit_args(event.args().without_name().without_name());
                event.ack().send(&());
            }
            Err(problem) => warn!("an event has no room: {problem}"),
        })
        .on("all", async move |_: Socket<Data>, event: Event| {
            all.emit_args(event.args().without_name());
            event.ack().send(&());
        })
        .on("move", async move |_: Socket<Data>, (Room(from), Room(to)): (Room, Room), ack: Ack| {
            moving.within(from).sockets_join(to);
            ack.send(&());
        })
        .on("kick", async move |_: Socket<Data>, Room(room): Room, ack: Ack| {
            kick.within(room).disconnect_sockets(false);
            ack.send(&());
        });
}

/// Adds the events that ask other servers.
fn asking(namespace: Namespace<Data>, io: &Namespace) {
    let [who, ask, sse] = [(); 3].map(|()| io.clone());
    namespace
        .on("who", async move |_: Socket<Data>, Room(room): Room, ack: Ack| {
            match who.within(room).fetch_sockets().await {
                Ok(sockets) => {
                    warn_of_missing(sockets.missing_servers());
                    ack.send(&sockets.iter().map(Shown::from).collect::<Vec<_>>());
                }
                Err(problem) => error!("sockets are not found: {problem}"),
            }
        })
        .on("ask", async move |_: Socket<Data>, (Room(room), question): (Room, Value), ack: Ack| {
            let asked = ask.to(room).timeout(ANSWER_TIMEOUT).emit_with_ack::<Value>("question", &question);
            let acks = asked.all().await.unwrap_or_else(|missing| {
                warn!("{missing}");
                missing.acks
            });
            ack.send(&acks.into_iter().map(|(_, answer)| answer).collect::<Vec<_>>());
        })
        .on("sse", async move |_: Socket<Data>, Arguments(mut arguments): Arguments, ack: Ack| {
            if arguments.is_empty() {
                return warn!("an event for servers has no name");
            }
            let Value::String(name) = arguments.remove(0) else {
                return warn!("the name of an event for servers is not a text");
            };
            match sse.server_side_emit_with_ack::<Value>(&name, &Arguments(arguments)).await {
                Ok(answered) => {
                    warn_of_missing(answered.missing_servers);
                    ack.send(&answered.answers);
                }
                Err(problem) => error!("servers are not asked: {problem}"),
            }
        });
}

fn warn_of_missing(servers: usize) {
    if servers > 0 {
        warn!("servers that did not answer: {servers}");
    }
}
