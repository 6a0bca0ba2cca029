//! A link whose decisions are the test's.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use echoroom::{
    config::Settings,
    testing::{
        RoomName,
        nodes::{
            Answer, Append, Bounds, Command, Decide, NodeUid, Options, Order, Partition, Parts, Published,
            RedisLink, Refused, SayId, ToSay,
            link::{CallId, Input, Output},
        },
    },
};

use crate::redis_server::PATIENCE;

/// Tells the test each input, and makes one call or subscription of each order.
struct Recorder {
    inputs: Sender<Input>,
    calls: u64,
    wakes_at: Option<Instant>,
}

pub fn node() -> NodeUid {
    "tea1ABCDEFGHIJKL".parse().expect("a uid")
}

pub fn room() -> RoomName {
    RoomName::parse("tea").expect("a name")
}

fn append(room: RoomName, messages: &[ToSay]) -> Command {
    Command::Append(Box::new(Append {
        room,
        node: node(),
        run: node(),
        seq: 1,
        known: None,
        looked_to: 0,
        count: messages.len().try_into().expect("a few"),
        at: 1,
        entries: messages.iter().flat_map(|message| message.entry.to_vec()).collect(),
        keys: Vec::new(),
        nonce: 1,
    }))
}

impl Decide for Recorder {
    fn handle(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        self.calls += 1;
        let id = CallId(self.calls);
        match &input {
            Input::Up { server } => {
                let partition = Partition::of(&room());
                let (node, run, server) = (node(), node(), server.clone());
                out.push(Output::Call(id, Command::Attach { partition, node, run, server, number: 0 }));
            }
            Input::Order(Order::Open(room)) => out.push(Output::Subscribe(room.clone())),
            Input::Order(Order::Close(room)) => out.push(Output::Unsubscribe(room.clone())),
            Input::Order(Order::Say(room, messages)) => {
                out.push(Output::Call(id, append(room.clone(), messages)));
            }
            Input::Order(Order::Show(room, payload)) => {
                let (room, payload) = (room.clone(), payload.clone());
                out.push(Output::Call(id, Command::Publish { room, node: node(), payload }));
            }
            Input::Order(Order::KeepPicture(picture)) => {
                out.push(Output::Call(id, Command::KeepPicture { picture: picture.clone() }));
            }
            Input::Order(Order::Whisper(room, to, _)) => {
                out.push(Output::SubscribeNode(Partition::of(room), *to));
                self.wakes_at = Some(now + Duration::from_millis(20));
            }
            Input::Wake => self.wakes_at = None,
            Input::Stop => out.push(Output::Left),
            _ => {}
        }
        // A test that has ended does not listen any more.
        let _ = self.inputs.send(input);
    }

    fn next_wake(&self) -> Option<Instant> {
        self.wakes_at
    }
}

/// A link, and what it is told.
pub struct Linked {
    pub link: RedisLink,
    inputs: Receiver<Input>,
}

/// How to connect to the Redis at `url`.
pub fn options(url: &str, acks: &str) -> Options {
    let settings = Settings::default().with(|s| {
        s.nodes.redis = Some(url.parse().expect("an address"));
        s.nodes.redis_acks = Some(acks.parse().expect("acks"));
    });
    Options::of(&settings.nodes).expect("with Redis")
}

impl Linked {
    pub fn to(url: &str, acks: &str) -> Self {
        let (sender, inputs) = channel();
        let recorder = Recorder { inputs: sender, calls: 0, wakes_at: None };
        let parts = Arc::new(Parts::new(0));
        let link = RedisLink::start(&parts, options(url, acks), Bounds::default(), recorder, |_| {});
        Self { link: link.expect("a thread"), inputs }
    }

    /// What `pick` gives of the first input from now on for which it gives something.
    pub fn wait_for<T>(&self, what: &str, mut pick: impl FnMut(Input) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let input = self.inputs.recv_timeout(left).unwrap_or_else(|_| panic!("no {what}"));
            if let Some(picked) = pick(input) {
                return picked;
            }
        }
    }

    pub fn up(&self) -> String {
        let server = self.wait_for("Up", |input| match input {
            Input::Up { server } => Some(server),
            _ => None,
        });
        assert!(self.link.status().is_up);
        server
    }

    pub fn down(&self) -> String {
        self.wait_for("Down", |input| match input {
            Input::Down(why) => Some(why.to_string()),
            _ => None,
        })
    }

    /// Appends a message, and waits for the answer.
    pub fn say(&self) -> Result<Answer, Refused> {
        let message = ToSay {
            id: SayId(1),
            entry: Bytes::from_static(b"hello"),
            key: None,
            looked_to: 0,
            at: 1,
            author: None,
        };
        self.link.order(Order::Say(room(), vec![message]));
        self.wait_for("an answer", |input| match input {
            Input::Answered(_, Ok(Answer::Attached { .. })) => None,
            Input::Answered(_, answer) => Some(answer),
            _ => None,
        })
    }

    pub fn refusal(&self) -> String {
        self.say().expect_err("it is refused").to_string()
    }

    /// Subscribes to the channel of the room.
    pub fn open(&self) {
        self.link.order(Order::Open(room()));
        self.wait_for("a confirmation", |input| matches!(input, Input::Subscribed(_)).then_some(()));
    }

    pub fn show(&self, text: &'static str) {
        self.link.order(Order::Show(room(), Bytes::from_static(text.as_bytes())));
    }

    /// Publishes something and hears it.
    pub fn show_and_hear(&self, text: &'static str) {
        self.show(text);
        let heard = self.wait_for("a publication", |input| match input {
            Input::Published(from, Published::Shown { node, payload }) => Some((from, node, payload)),
            _ => None,
        });
        assert_eq!(heard, (room(), node(), Bytes::from_static(text.as_bytes())));
    }
}
