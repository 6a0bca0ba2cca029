//! What one sender says reaches each reader in the order in which it was said, of whatever kind it is and by whatever
//! door either of them came.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    helpers::{RawClient, TestServer, frame, settings, text},
    people::{PIXEL, Person},
    sockets::{Poller, connected, next_text},
};

/// How often each kind follows each.
const REPETITIONS: usize = 150;

/// What a user can say that others hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Message,
    Image,
    Private,
    PrivateImage,
    Typing,
}

/// The doors of the chat.
#[derive(Clone, Copy, Debug)]
enum Door {
    Chat,
    SocketIoWebSocket,
    SocketIoPolling,
}

const DOORS: [Door; 3] = [Door::Chat, Door::SocketIoWebSocket, Door::SocketIoPolling];

/// A client of any door.
enum Line<'a> {
    Chat(RawClient),
    WebSocket(RawClient),
    Polling(Poller<'a>),
}

/// One user in the room.
struct User<'a> {
    name: String,
    line: Line<'a>,
    /// What others said: who, and which of their events it is.
    heard: Vec<(String, Heard)>,
    last_ack: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Heard {
    /// A message, a picture or a private message, by its number.
    Said(usize),
    Typing(bool),
}

impl<'a> User<'a> {
    async fn enter(server: &'a TestServer, door: Door, name: String) -> Self {
        let line = match door {
            Door::Chat => Line::Chat(server.connect_raw("/chat").await),
            Door::SocketIoWebSocket => Line::WebSocket(connected(server).await),
            Door::SocketIoPolling => Line::Polling(Poller::connected(server).await),
        };
        let mut user = Self { name, line, heard: Vec::new(), last_ack: 0 };
        user.send(&[("login", json!({"username": user.name, "room": "tea"}))]).await;
        let own = user.name.clone();
        // A list that names it shows that it hears the room.
        while !user.receive().await.iter().any(|(event, data)| {
            event == "userList"
                && data.as_array().is_some_and(|list| list.iter().any(|u| u["username"] == own))
        }) {}
        user
    }

    /// Sends events in one go, the last one with an ack.
    async fn send(&mut self, events: &[(&str, Value)]) {
        self.last_ack += 1;
        let number = self.last_ack;
        let is_last = |index: usize| index + 1 == events.len();
        let is_chat = matches!(self.line, Line::Chat(_));
        let packets = events.iter().enumerate().map(|(index, (event, data))| match is_chat {
            true if is_last(index) => json!({"event": event, "data": data, "ack": number}).to_string(),
            true => json!({"event": event, "data": data}).to_string(),
            false if is_last(index) => format!("42{number}{}", json!([event, data])),
            false => format!("42{}", json!([event, data])),
        });
        match &mut self.line {
            Line::Chat(raw) | Line::WebSocket(raw) => {
                let frames: Vec<_> = packets.map(|packet| text(&packet)).collect();
                raw.send(&frames.concat()).await;
            }
            Line::Polling(poller) => {
                let payload: Vec<_> = packets.collect();
                assert_eq!(poller.post(&payload.join("\u{1E}")).await.status, 200);
            }
        }
    }

    /// The same, and listens until the last one is answered.
    async fn say(&mut self, events: &[(&str, Value)]) {
        self.send(events).await;
        self.listen(0, self.last_ack).await;
    }

    /// The next events; the ack of the last request is one of the name `ack`.
    async fn receive(&mut self) -> Vec<(String, Value)> {
        let (packets, is_chat) = match &mut self.line {
            Line::Chat(raw) => (vec![next_text(raw).await], true),
            Line::WebSocket(raw) => (vec![next_text(raw).await], false),
            Line::Polling(poller) => {
                let answer = poller.poll().await;
                assert_eq!(answer.status, 200, "{}", answer.body);
                (answer.body.split('\u{1E}').map(str::to_owned).collect(), false)
            }
        };
        packets
            .iter()
            .filter_map(|packet| if is_chat { of_chat(packet) } else { of_socketio(packet) })
            .collect()
    }

    /// Takes what comes until the end has been heard of so many senders, or so many own requests are answered.
    async fn listen(&mut self, ends: usize, acks: u64) {
        let (mut ended, mut acked) = (0, 0);
        while ended < ends || acked < acks {
            for (event, data) in self.receive().await {
                match &*event {
                    "ack" => {
                        assert!(data["error"].is_null(), "{data}");
                        acked = data["number"].as_u64().expect("a number");
                    }
                    "receiveMessage" | "receiveImage" | "receivePrivate" => {
                        let sender = data["username"].as_str().expect("a name").to_owned();
                        let id = data["id"].as_str().expect("an id");
                        ended += usize::from(id.starts_with("end"));
                        let number = id.parse().unwrap_or(usize::MAX);
                        self.heard.push((sender, Heard::Said(number)));
                    }
                    "typing" => {
                        let sender = data["username"].as_str().expect("a name").to_owned();
                        self.heard.push((sender, Heard::Typing(data["typing"] == true)));
                    }
                    _ => {}
                }
            }
        }
    }
}

fn of_chat(text: &str) -> Option<(String, Value)> {
    let mut value: Value = serde_json::from_str(text).expect("JSON");
    if let Some(ack) = value["ack"].as_u64() {
        return Some(("ack".to_owned(), json!({"number": ack, "error": value["error"]})));
    }
    Some((value["event"].as_str().expect("a name").to_owned(), value["data"].take()))
}

fn of_socketio(packet: &str) -> Option<(String, Value)> {
    if let Some(event) = packet.strip_prefix("42") {
        let mut value: Value = serde_json::from_str(event).expect("JSON");
        return Some((value[0].as_str().expect("a name").to_owned(), value[1].take()));
    }
    let ack = packet.strip_prefix("43")?;
    let open = ack.find('[').expect("an array");
    let value: Value = serde_json::from_str(&ack[open..]).expect("JSON");
    Some((
        "ack".to_owned(),
        json!({"number": ack[..open].parse::<u64>().expect("a number"), "error": value[0]["error"]}),
    ))
}

/// The kinds in such an order that each follows each once, if it is said again and again.
const EACH_BEHIND_EACH: [Kind; 25] = {
    use Kind::{Image as I, Message as M, Private as P, PrivateImage as S, Typing as T};
    [M, M, I, M, P, M, S, M, T, I, I, P, I, S, I, T, P, P, S, P, T, S, S, T, T]
};

/// What one sender says in all, and to whom.
struct Said {
    kind: Kind,
    to: usize,
    heard: Heard,
}

impl Said {
    fn is_private(&self) -> bool {
        matches!(self.kind, Kind::Private | Kind::PrivateImage)
    }
}

fn said(kind: Kind, number: usize, readers: usize) -> Said {
    let heard = match kind {
        Kind::Typing => Heard::Typing(number.is_multiple_of(2)),
        _ => Heard::Said(number),
    };
    // Another reader with each, so that every pair of kinds comes to every reader.
    Said { kind, to: (number / 3) % readers, heard }
}

fn event(said: &Said, names: &[String]) -> (&'static str, Value) {
    let Said { kind, to, heard } = said;
    let id = match heard {
        Heard::Said(number) => number.to_string(),
        Heard::Typing(_) => String::new(),
    };
    match kind {
        Kind::Message => ("sendMessage", json!({"msg": "m", "id": id})),
        Kind::Image => ("sendImage", json!({"img": PIXEL, "id": id})),
        Kind::Private => ("sendPrivate", json!({"to": names[*to], "msg": "p", "id": id})),
        Kind::PrivateImage => ("sendImage", json!({"to": names[*to], "img": PIXEL, "id": id})),
        Kind::Typing => ("typing", json!({"typing": *heard == Heard::Typing(true)})),
    }
}

/// What was heard must be what was said, in its order; only typing may be missing.
fn assert_in_order(what: &str, heard: &[Heard], said: &[&Said]) {
    let mut heard = heard.iter().peekable();
    let mut missing = None;
    for said in said {
        match heard.next_if(|next| **next == said.heard) {
            Some(_) => {}
            None if said.kind == Kind::Typing => {}
            None => {
                missing = Some(&said.heard);
                break;
            }
        }
    }
    assert!(
        missing.is_none() && heard.peek().is_none(),
        "{what}: {:?} came before {missing:?}",
        heard.peek()
    );
}

#[actix_web::test]
async fn each_reader_hears_what_one_sender_says_in_its_order_whatever_its_kind() {
    let roomy = settings().with(|s| {
        s.listen.workers = std::num::NonZeroUsize::new(3);
        s.limits.max_queue_bytes = "64m".parse().expect("a size");
        s.limits.max_intake_bytes = "16m".parse().expect("a size");
        // On a busy machine it may take a while.
        s.heartbeat.ping_interval = "5m".parse().expect("a time");
    });
    let server = TestServer::with(roomy).await;
    let (mut readers, mut senders) = (Vec::new(), Vec::new());
    for (index, door) in DOORS.into_iter().enumerate() {
        readers.push(User::enter(&server, door, format!("reader{index}")).await);
    }
    for (index, door) in DOORS.into_iter().enumerate() {
        senders.push(User::enter(&server, door, format!("sender{index}")).await);
    }
    let names: Vec<_> = readers.iter().map(|reader| reader.name.clone()).collect();
    let kinds = (0..REPETITIONS).flat_map(|_| EACH_BEHIND_EACH);
    let all: Vec<_> = kinds.enumerate().map(|(number, kind)| said(kind, number, names.len())).collect();

    // In pieces that are not those of the table, so that a cut comes behind each kind.
    for (number, piece) in all.chunks(101).enumerate() {
        let mut events: Vec<_> = piece.iter().map(|said| event(said, &names)).collect();
        events.push(("sendMessage", json!({"msg": "end", "id": format!("end {number}")})));
        let said = join_all(senders.iter_mut().map(|sender| sender.say(&events)));
        let heard = join_all(readers.iter_mut().map(|reader| reader.listen(DOORS.len(), 0)));
        futures_util::future::join(said, heard).await;
    }

    for (index, reader) in readers.iter().enumerate() {
        for sender in &senders {
            let heard: Vec<_> = of(reader, &sender.name);
            let said: Vec<_> = all.iter().filter(|said| !said.is_private() || said.to == index).collect();
            assert_in_order(&format!("{} of {}", reader.name, sender.name), &heard, &said);
        }
    }
    for sender in &senders {
        let said: Vec<_> = all.iter().filter(|said| said.kind != Kind::Typing).collect();
        assert_in_order(&format!("{} of itself", sender.name), &of(sender, &sender.name), &said);
    }
}

/// What a user heard of a sender, but for the last word.
fn of(user: &User<'_>, sender: &str) -> Vec<Heard> {
    let of_sender =
        user.heard.iter().filter(|(name, heard)| name == sender && *heard != Heard::Said(usize::MAX));
    of_sender.map(|(_, heard)| heard.clone()).collect()
}

#[actix_web::test]
async fn texts_and_bytes_of_a_plain_session_keep_their_order() {
    let server = TestServer::start().await;
    let mut listeners = Vec::new();
    for _ in 0..4 {
        listeners.push(server.connect_raw("/ws").await);
    }
    let mut speaker = server.connect_raw("/ws").await;
    for number in 0..REPETITIONS {
        let said = [text(&format!("{number}")), frame(0x82, b"x"), frame(0x82, b"y"), text("z")];
        speaker.send(&said.concat()).await;
    }
    for mut listener in listeners {
        for number in 0..REPETITIONS {
            let mut heard = Vec::new();
            for _ in 0..4 {
                heard.push(listener.read_frame().await.payload);
            }
            assert_eq!(heard, [number.to_string().as_bytes(), b"x", b"y", b"z"]);
        }
    }
}

/// What one hears of the kinds named, without answers: `NAME` or `NAME TEXT`.
async fn next_of(person: &mut Person, names: &[&str]) -> String {
    loop {
        let value = person.next().await;
        let Some(name) = value["event"].as_str().filter(|name| names.contains(name)) else {
            continue;
        };
        return value["data"]["msg"].as_str().map_or(name.to_owned(), |msg| format!("{name} {msg}"));
    }
}

#[actix_web::test]
async fn a_user_is_seen_to_come_and_go_among_what_it_says() {
    const NAMES: [&str; 4] = ["receiveMessage", "receivePrivate", "addUser", "delUser"];
    let server = TestServer::start().await;
    let mut ben = Person::settled(&server, "Ben").await;
    let mut ann = Person::settled(&server, "Ann").await;
    assert_eq!(next_of(&mut ben, &NAMES).await, "addUser");
    for round in 0..50 {
        let msg = json!({"msg": round.to_string()});
        let private = json!({"msg": round.to_string(), "to": "Ben"});
        ann.send("sendMessage", msg.clone()).await;
        ann.send("sendPrivate", private.clone()).await;
        ann.send("joinRoom", json!({"room": "milk"})).await;
        ann.send("joinRoom", json!({"room": "tea"})).await;
        ann.send("sendPrivate", private).await;
        ann.send("sendMessage", msg).await;
        let mut heard = Vec::new();
        for _ in 0..6 {
            heard.push(next_of(&mut ben, &NAMES).await);
        }
        let (message, private) = (format!("receiveMessage {round}"), format!("receivePrivate {round}"));
        assert_eq!(heard, [&*message, &*private, "delUser", "addUser", &*private, &*message]);
    }
}

#[actix_web::test]
async fn an_answer_comes_behind_what_its_client_is_to_hear_of_it() {
    let server = TestServer::start().await;
    let _ben = Person::settled(&server, "Ben").await;
    let mut ann = Person::settled(&server, "Ann").await;
    for number in 0..REPETITIONS {
        let id = number.to_string();
        let said = ann.request("sendMessage", json!({"msg": "m", "id": id})).await;
        let whispered = ann.request("sendPrivate", json!({"to": "Ben", "msg": "p", "id": id})).await;
        let mut heard = Vec::new();
        while heard.len() < 4 {
            let value = ann.next().await;
            match (value["event"].as_str(), value["ack"].as_u64()) {
                (Some(name @ ("receiveMessage" | "receivePrivate")), _) => heard.push(name.to_owned()),
                (_, Some(ack)) => heard.push(if ack == said { "said" } else { "whispered" }.to_owned()),
                _ => {}
            }
            assert!(value["ack"].is_null() || value["ack"] == said || value["ack"] == whispered, "{value}");
        }
        let place = |name: &str| heard.iter().position(|heard| heard == name).expect("heard");
        assert!(place("receiveMessage") < place("receivePrivate"), "{heard:?}");
        assert!(place("receiveMessage") < place("said"), "{heard:?}");
        assert!(place("receivePrivate") < place("whispered"), "{heard:?}");
    }
}
