//! A conversation without its session: the test hands it texts, answers of the chat server and pages, and reads
//! what its client gets.

use std::{
    future::poll_fn,
    task::{Context, Poll, Waker},
    time::Duration,
};

use actix::{Actor, Handler};
use actix_web::rt;
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;
use crate::{
    app::Node,
    broadcast::{Cutter, Delivery, Encoding, Seat},
    chat::{Register, Unregister, log::Resume, messages::Tail},
    config::{JournalKind, Settings},
    connection::{
        Lease,
        host::HostEnd,
        outbound::{Bounds, Outbound},
        rate::RateLimit,
        wire::Wire,
    },
    domain::Avatar,
    journal::{Append, Epoch, EpochId, NewEntry, Record},
    protocol::websocket::frame,
    session::voice::Voice,
};

mod acks;
mod catching_up;
mod history;
mod identity;
mod last_requests;
mod limits;
mod states;

/// Makes a test that waits for what never comes fail.
const BACKSTOP: Duration = Duration::from_secs(60);

const EPOCH: EpochId = EpochId { random: 5, number: 1 };

/// A conversation, its client, and a chat server with a journal in memory.
struct Stage {
    worker: web::Data<Worker>,
    talk: Conversation,
    outbound: Outbound,
    client: HostEnd,
    /// What the client has been sent, and the test has not looked at.
    came: Vec<u8>,
    /// What the chat server sends; `None` if it does not know the session, so that the test answers for it.
    deliveries: Option<mpsc::UnboundedReceiver<Delivery>>,
}

fn settings() -> Settings {
    Settings::default().with(|settings| settings.journal.kind = JournalKind::Memory)
}

fn worker(settings: Settings) -> web::Data<Worker> {
    Node::new(settings).expect("legal settings").start_worker()
}

impl Stage {
    /// A conversation for which the test answers as the chat server.
    fn new() -> Self {
        Self::of(worker(settings()), None)
    }

    /// A conversation of a session that `worker`'s chat server knows.
    fn registered(worker: &web::Data<Worker>, rate: Option<RateLimit>) -> Self {
        let mut stage = Self::of(worker.clone(), rate);
        let (deliver, deliveries) = mpsc::unbounded_channel();
        let seat = Seat {
            deliveries: Mailbox(deliver).start().recipient(),
            backlog: stage.outbound.backlog(),
            encoding: Encoding { dialect: line::CHAT, deflated: false },
            cutter: Cutter::new(|_| {}),
        };
        let (member, worker) = (stage.talk.member, worker.id);
        stage.talk.way.send(Register { member, room: None, worker, seat, address: None });
        stage.deliveries = Some(deliveries);
        stage
    }

    fn of(worker: web::Data<Worker>, rate: Option<RateLimit>) -> Self {
        let (wire, client) = Wire::in_memory();
        wire.open();
        let (bounds, lease) = (Bounds::of(&worker.settings), Lease::of_waiting(worker.budget.clone()));
        let outbound = Outbound::on_wire(wire, bounds, lease, None);
        let member = MemberId::next();
        let talk = Conversation::new(
            member,
            worker.clone(),
            worker.chat.way_of(member, None),
            Intake::new(1 << 20, worker.budget.clone()),
            Speech::WebSocket(Voice::new(outbound.clone(), None, worker.clone())),
            Pause::default(),
            rate.map(|limit| Meter::new(limit, Instant::now())),
        );
        Self { worker, talk, outbound, client, came: Vec::new(), deliveries: None }
    }

    /// The client sends a request, which comes to nothing but messages.
    fn send(&mut self, event: &str, data: Value, ack: Option<u64>) {
        assert!(is_nothing(&self.ask(event, data, ack)), "{event}");
    }

    /// The client sends a request.
    fn ask(&mut self, event: &str, data: Value, ack: Option<u64>) -> Next {
        self.talk.text(&json!({"event": event, "data": data, "ack": ack}).to_string().into())
    }

    /// The client asks for a page of history, and all is durable that its room has heard.
    fn ask_for_page(&mut self, data: Value, ack: u64) -> Next {
        self.send("history", data, Some(ack));
        self.reply(self.ticket(), posted(0))
    }

    /// The ticket of the newest request that has no answer yet.
    fn ticket(&self) -> u64 {
        *self.talk.pending.keys().max().expect("a request is under way")
    }

    fn reply(&mut self, ticket: u64, reply: Reply) -> Next {
        self.talk.news(ChatNews::Reply { ticket, reply })
    }

    /// The chat server logs the session in to the lobby.
    fn logged_in(&mut self, head: u64, durable: u64, resume: Resume) -> Next {
        let reply = Reply::LoggedIn(Box::new(login("ann", head, durable, resume)));
        self.reply(self.ticket(), reply)
    }

    /// A session that is logged in to an empty room and subscribed to it.
    async fn subscribed() -> Self {
        let mut stage = Self::new();
        stage.send("login", json!({"username": "ann"}), Some(1));
        let visit = stage.ticket();
        let reading = stage.logged_in(0, 0, Resume::Fresh);
        assert!(is_nothing(&stage.run(reading).await));
        assert!(is_nothing(&stage.talk.tail(Tail {
            visit,
            epoch: EPOCH,
            records: Vec::new(),
            behind: None
        })));
        stage.heard();
        stage
    }

    /// Runs readings while the client takes all it is sent; returns what follows them.
    async fn run(&mut self, mut next: Next) -> Next {
        while let Next::Read(mut reading) = next {
            let outcome = poll_fn(|cx| {
                self.take();
                reading.as_mut().poll(cx)
            })
            .await;
            next = self.talk.have_read(outcome);
        }
        next
    }

    /// The client takes all it is sent.
    fn take(&mut self) {
        let all = poll_fn(|cx| {
            loop {
                let _ = self.outbound.poll_write(cx);
                let taken = self.client.taken();
                if taken.is_empty() {
                    return Poll::Ready(());
                }
                self.came.extend(taken);
            }
        });
        // A test never gives way, so tokio would let it read only so often.
        tokio::task::unconstrained(all).now_or_never().expect("it does not wait");
    }

    /// What the client has been sent since the last call.
    fn heard(&mut self) -> Vec<Value> {
        self.take();
        let frames = frame::payloads(std::mem::take(&mut self.came).into());
        frames.map(|(_, text)| serde_json::from_slice(&text).expect("JSON")).collect()
    }

    /// The code of the one error that the client has been sent since the last call.
    fn code(&mut self) -> String {
        let heard = self.heard();
        let [error] = &*heard else { panic!("one answer: {heard:?}") };
        let code = error["error"]["code"].as_str().or(error["data"]["code"].as_str());
        code.unwrap_or_else(|| panic!("an error: {error}")).to_owned()
    }

    /// Handles what the chat server sends up to the ack of this number; returns all that the client got.
    async fn until_ack(&mut self, ack: u64) -> Vec<Value> {
        self.until(|heard| heard["ack"] == ack).await
    }

    /// Handles what the chat server sends until the client has got what the test waits for.
    async fn until(&mut self, is_it: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut heard = self.heard();
        while !heard.iter().any(&is_it) {
            let deliveries = self.deliveries.as_mut().expect("registered");
            let delivery = rt::time::timeout(BACKSTOP, deliveries.recv()).await.expect("it does not hang");
            match delivery.expect("the mailbox stays") {
                Delivery::Frames { frames, .. } => self.outbound.take_mailed(&frames, false),
                Delivery::Volatile { frames, .. } => self.outbound.take_mailed(&frames, true),
                Delivery::News { news, .. } => {
                    let news = news.downcast::<ChatNews>().expect("news of the chat");
                    let next = self.talk.news(*news);
                    assert!(is_nothing(&self.run(next).await), "the session goes on");
                }
                Delivery::Dismissed(why) => panic!("dismissed: {why}"),
            }
            heard.extend(self.heard());
        }
        heard
    }

    /// The client has left, and had sent these requests during a pause.
    fn leave(mut self, held: &[Value]) {
        let held = held.iter().map(|request| {
            let text = request.to_string();
            (Envelope::parse(&text).request, text.len())
        });
        self.talk.handle_last_requests(held);
        self.talk.way.send(Unregister { member: self.talk.member, holds_name: false });
    }
}

/// Passes on what the chat server sends to a session.
struct Mailbox(mpsc::UnboundedSender<Delivery>);

impl Actor for Mailbox {
    type Context = actix::Context<Self>;
}

impl Handler<Delivery> for Mailbox {
    type Result = ();

    fn handle(&mut self, delivery: Delivery, _: &mut Self::Context) {
        // Fails only if the test is over.
        let _ = self.0.send(delivery);
    }
}

fn login(name: &str, head: u64, durable: u64, resume: Resume) -> LoggedIn {
    let profile = profile(name);
    let token = Token::random().expect("random numbers");
    LoggedIn { name: RoomName::default(), profile, token, epoch: EPOCH, head, durable, resume, count: 1 }
}

fn profile(name: &str) -> Profile {
    let nickname = Nickname::parse(name).expect("a legal name");
    Profile { nickname, avatar: Avatar::known("cat").expect("an avatar"), uid: None }
}

fn posted(offset: u64) -> Reply {
    Reply::Posted(Place { offset, at: 9 })
}

/// A record of messages from `first` on.
fn record(first: u64, bodies: &[&str]) -> Record {
    record_by("cat", first, bodies)
}

/// A record of messages from `first` on by a user with this avatar.
fn record_by(avatar: &str, first: u64, bodies: &[&str]) -> Record {
    let mut entries = BytesMut::new();
    for body in bodies {
        NewEntry { kind: Kind::Message, at: 7, username: "bob", avatar, uid: None, id: "", body }
            .pack(&mut entries);
    }
    let count = bodies.len().try_into().expect("few");
    Record { first, count, at: 7, keys: Vec::new(), entries: entries.freeze() }
}

/// A record that cannot be read.
fn broken(first: u64) -> Record {
    Record { entries: Bytes::from_static(b"x"), ..record(first, &["a"]) }
}

/// Puts records into the lobby's journal.
async fn append(stage: &Stage, records: impl IntoIterator<Item = Record>) {
    let epoch = Epoch { id: EPOCH, starts: 1 };
    let append = |record| Append { room: RoomName::default(), epoch, record, pictures: Vec::new() };
    stage.worker.journal.append(records.into_iter().map(append).collect()).await.expect("it takes them");
}

/// The offsets of the messages among what a client has heard, each with whether it is a replay.
fn said(heard: &[Value]) -> Vec<(u64, bool)> {
    let messages = heard.iter().filter(|text| text["event"] == "receiveMessage");
    messages
        .map(|text| (text["data"]["offset"].as_u64().expect("an offset"), text["data"]["replay"] == true))
        .collect()
}

/// The texts of the messages among what a client has heard, each with its sender.
fn texts(heard: &[Value]) -> Vec<(&str, &str)> {
    let messages = heard.iter().filter(|text| text["event"] == "receiveMessage");
    messages
        .filter_map(|text| Some((text["data"]["username"].as_str()?, text["data"]["msg"].as_str()?)))
        .collect()
}

fn is_nothing(next: &Next) -> bool {
    matches!(next, Next::Nothing)
}

fn ending_of(next: Next) -> Option<Ending> {
    match next {
        Next::End(ending) => Some(ending),
        Next::Nothing | Next::Read(_) => None,
    }
}

/// A limit that gives no further token while a test runs.
fn burst(burst: f64, patience: Duration) -> Option<RateLimit> {
    Some(RateLimit { rate: 1e-6, burst, patience })
}
