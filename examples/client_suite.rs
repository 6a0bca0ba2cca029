//! The server for the tests of the official JavaScript client, `socket.io-client`.
//!
//! `cargo run --release --example client_suite -- PORT` serves, on loopback, the namespaces and events that those tests
//! expect of their server.

use std::{
    cell::Cell,
    collections::BTreeMap,
    env, io,
    rc::Rc,
    time::{Duration, SystemTime},
};

use actix_web::{App, HttpServer, rt::time::sleep};
use echoroom::socketio::{Ack, Bytes, Handshake, Hooks, Namespace, Recovery, Refusal, Server, Socket, Value};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The time before a session begins: some tests have a client that gives up before.
const DELAY: Duration = Duration::from_millis(10);

#[actix_web::main]
async fn main() -> io::Result<()> {
    env_logger::init();
    let port = env::args().nth(1).and_then(|port| port.parse().ok()).unwrap_or(3210);
    let hooks = Hooks::default().allow_request(async |_| {
        sleep(DELAY).await;
        Ok(())
    });
    let io = Server::builder()
        .ping_interval(Duration::from_millis(2000))
        .connection_state_recovery(Recovery::default())
        .hooks(hooks)
        .build();
    texts(main_namespace(&io)).connect(in_order);
    io.namespace("/foo").on("getId", get_id);
    for name in ["/timeout_socket", "/valid", "/asd"] {
        io.namespace(name);
    }
    io.namespace("/abc")
        .connect(async |socket: Socket| socket.emit("handshake", &Shown::of(socket.handshake())));
    io.namespace("/no").middleware(async |_: Socket| Err(Refusal::new("Auth failed (custom namespace)")));
    HttpServer::new(move || App::new().configure(io.routes()))
        .workers(2)
        .bind(("127.0.0.1", port))?
        .run()
        .await
}

fn main_namespace(io: &Server) -> Namespace {
    io.namespace("/")
        .middleware(async |socket: Socket| match socket.handshake().query("fail") {
            Some(_) => Err(Refusal::new("Auth failed (main namespace)")),
            None => Ok(()),
        })
        .on("getId", get_id)
        .on("hi", async |socket: Socket| socket.emit("hi", &()))
        .on("echo", async |_: Socket, first: Value, ack: Ack| ack.send(&first))
        .on("ack", ask)
        .on("getHandshake", async |socket: Socket, ack: Ack| ack.send(&Shown::of(socket.handshake())))
}

/// Events that are answered with texts, and with bytes.
fn texts(namespace: Namespace) -> Namespace {
    namespace
        .on("getAckDate", async |_: Socket, _: Value, ack: Ack| ack.send(&now()))
        .on("getDate", async |socket: Socket| socket.emit("takeDate", &now()))
        .on("getDateObj", async |socket: Socket| socket.emit("takeDateObj", &json!({"date": now()})))
        .on("getUtf8", async |socket: Socket| {
            for text in ["てすと", "Я Б Г Д Ж Й", "Ä ä Ü ü ß", "utf8 — string", "utf8 — string"]
            {
                socket.emit("takeUtf8", text);
            }
        })
        .on("false", async |socket: Socket| socket.emit("false", &false))
        .on("doge", async |socket: Socket| socket.emit("doge", &Bytes::from_static(b"asdfasdf")))
        .on("getbin", async |socket: Socket| socket.emit("takebin", &Bytes::from_static(b"asdfasdf")))
        .on("buffa", async |socket: Socket, _: Bytes| socket.emit("buffack", &()))
        .on("blob", async |socket: Socket, _: Bytes| socket.emit("back", &()))
        .on("jsonbuff", async |socket: Socket, mixed: Mixed| mixed.answer(&socket, "jsonbuff-ack"))
        .on("jsonblob", async |socket: Socket, mixed: Mixed| mixed.answer(&socket, "jsonblob-ack"))
}

async fn get_id(socket: Socket, ack: Ack) {
    ack.send(socket.id());
}

/// Asks the client, and tells it whether its answer was right.
async fn ask(socket: Socket) {
    let answer = socket.emit_with_ack::<(i64, Answer)>("ack", &()).await;
    if matches!(answer, Ok((5, Answer { test: true }))) {
        socket.emit("got it", &());
    }
}

#[derive(Deserialize)]
struct Answer {
    test: bool,
}

/// Bytes among texts.
#[derive(Deserialize)]
struct Mixed {
    hello: String,
    message: Bytes,
    goodbye: String,
}

impl Mixed {
    fn answer(&self, socket: &Socket, event: &str) {
        if self.hello == "lol" && !self.message.is_empty() && self.goodbye == "gotcha" {
            socket.emit(event, &());
        }
    }
}

/// Events that are answered if the ones before have come: each socket has its own count.
async fn in_order(socket: Socket) {
    let buffers = Rc::new(Cell::new(0));
    let blobs = Rc::new(Cell::new(0));
    let count = Rc::clone(&buffers);
    socket.on("abuff1", async move |_: Socket, _: Bytes| count.set(1));
    socket.on("abuff2", async move |socket: Socket| {
        if buffers.get() == 1 {
            socket.emit("abuff2-ack", &());
        }
    });
    let count = Rc::clone(&blobs);
    socket.on("blob1", async move |_: Socket, _: Bytes| count.set(1));
    let count = Rc::clone(&blobs);
    socket.on("blob2", async move |_: Socket, text: String| {
        if count.get() == 1 && text == "second" {
            count.set(2);
        }
    });
    socket.on("blob3", async move |socket: Socket, _: Bytes| {
        if blobs.get() == 2 {
            socket.emit("blob3-ack", &());
        }
    });
}

/// A handshake as the reference shows it to programs.
#[derive(Serialize)]
struct Shown {
    headers: BTreeMap<String, String>,
    time: String,
    address: String,
    xdomain: bool,
    secure: bool,
    issued: u64,
    url: String,
    query: BTreeMap<String, String>,
    auth: serde_json::Value,
}

impl Shown {
    fn of(handshake: &Handshake) -> Self {
        let text = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            headers: handshake.headers().map(text).collect(),
            time: iso(handshake.time()),
            address: handshake.address().map(|address| address.to_string()).unwrap_or_default(),
            xdomain: handshake.is_cross_domain(),
            secure: handshake.is_secure(),
            issued: handshake.issued(),
            url: handshake.url().to_owned(),
            query: handshake
                .query_pairs()
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
            auth: handshake.auth().unwrap_or_default(),
        }
    }
}

fn now() -> String {
    iso(SystemTime::now())
}

/// A time as JavaScript's `toISOString` writes it.
fn iso(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (mut days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let mut year = 1970;
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let millis = since.subsec_millis();
    format!("{year}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z", days + 1)
}
