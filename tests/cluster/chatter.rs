//! A chat client as real ones are: it talks, comes back when its connection ends, at another node, and says again what
//! was not acked.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    recording::{PADDING, Recording, Told, identity},
    rng::Rng,
    wire::Wire,
};

/// How a chatter behaves.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Messages that may wait for their acks; 0 for one that only listens.
    pub in_flight: usize,
    /// From one message to the next, on the average.
    pub pause: Duration,
    /// Characters behind each text.
    pub padding: usize,
    /// How often of a thousand messages it goes to the next node without a farewell, and says its last message again.
    pub moves: usize,
    /// How long a node may send nothing, not even an answer to a ping, before it tries the next one.
    pub patience: Duration,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            in_flight: 4,
            pause: Duration::from_millis(8),
            padding: 0,
            moves: 0,
            patience: Duration::from_secs(2),
        }
    }
}

/// Between two pings, by which it sees whether its node answers.
const PING: Duration = Duration::from_millis(500);

/// Before it connects again.
const BACKOFF_MS: usize = 60;

/// Before it sends again what was refused.
const RETRY: Duration = Duration::from_millis(30);

/// How long it waits in the end for messages that others have heard.
const LAST_WAIT: Duration = Duration::from_secs(15);

/// What a chatter and its test tell each other.
#[derive(Default)]
struct Shared {
    /// Whether it says nothing new.
    is_quiet: AtomicBool,
    /// The last offset that it is to hear before it ends; 0 while it is to go on.
    end: AtomicU64,
    acked: AtomicU64,
    heard: AtomicU64,
    waiting: AtomicU64,
    is_in: AtomicBool,
}

/// A chatter on a thread of its own.
pub struct Chatter {
    shared: Arc<Shared>,
    thread: JoinHandle<Recording>,
}

impl Chatter {
    /// Begins in a room at the first of these nodes, and goes on to the next ones in their order.
    pub fn begin(name: String, room: &str, nodes: Vec<SocketAddr>, manner: Manner, rng: Rng) -> Self {
        let shared = Arc::<Shared>::default();
        let talk = Talk {
            shared: Arc::clone(&shared),
            manner,
            rng,
            nodes,
            node: 0,
            wire: None,
            is_in: false,
            profile: json!({"username": name, "room": room, "presence": "changes"}),
            epoch: Value::Null,
            position: None,
            last_ack: 0,
            outbox: VecDeque::new(),
            last_acked: None,
            say_at: Instant::now(),
            ping_at: Instant::now(),
            heard_at: None,
            recording: Recording { name, ..Recording::default() },
        };
        Self { shared, thread: thread::spawn(move || talk.run()) }
    }

    /// The number of messages that were acked so far.
    pub fn acked(&self) -> u64 {
        self.shared.acked.load(Ordering::SeqCst)
    }

    /// The offset of the last message that it has heard.
    pub fn heard(&self) -> u64 {
        self.shared.heard.load(Ordering::SeqCst)
    }

    /// Whether it is logged in now.
    pub fn is_in(&self) -> bool {
        self.shared.is_in.load(Ordering::SeqCst)
    }

    /// Has it say nothing new.
    pub fn quiet(&self) {
        self.shared.is_quiet.store(true, Ordering::SeqCst);
    }

    /// Whether it says nothing new and all is acked.
    pub fn is_done(&self) -> bool {
        self.shared.is_quiet.load(Ordering::SeqCst) && self.shared.waiting.load(Ordering::SeqCst) == 0
    }

    /// Has it end as soon as it has heard the message at offset `head`, which it need not hear if that never comes.
    pub fn end(&self, head: u64) {
        self.shared.end.store(head.max(1), Ordering::SeqCst);
    }

    /// What it was told, once it has ended.
    pub fn recording(self) -> Recording {
        self.thread.join().expect("a chatter does not panic")
    }
}

/// A message that is not acked.
struct Item {
    text: String,
    /// The number of its request on this connection, once it was sent there.
    ack: Option<u64>,
    send_at: Instant,
    first_sent: Option<Instant>,
}

impl Item {
    fn new(text: String) -> Self {
        Self { text, ack: None, send_at: Instant::now(), first_sent: None }
    }
}

struct Talk {
    shared: Arc<Shared>,
    manner: Manner,
    rng: Rng,
    nodes: Vec<SocketAddr>,
    node: usize,
    wire: Option<Wire>,
    is_in: bool,
    /// The username, the room, and the token as soon as there is one.
    profile: Value,
    /// The epoch of the room by its last login.
    epoch: Value,
    /// The epoch and the offset of the last message that it processed.
    position: Option<(Value, u64)>,
    last_ack: u64,
    outbox: VecDeque<Item>,
    last_acked: Option<String>,
    say_at: Instant,
    ping_at: Instant,
    /// When it heard the last message; `None` before the first one.
    heard_at: Option<Instant>,
    recording: Recording,
}

impl Talk {
    fn run(mut self) -> Recording {
        let mut ends_at = None;
        loop {
            let end = self.shared.end.load(Ordering::SeqCst);
            if end > 0 {
                let until = *ends_at.get_or_insert_with(|| Instant::now() + LAST_WAIT);
                if self.heard_to() >= end || Instant::now() > until {
                    break;
                }
            }
            if let Err(error) = self.step() {
                self.lost(&error);
            }
        }
        self.recording.unacked = self.outbox.into_iter().map(|item| item.text).collect();
        self.recording
    }

    fn heard_to(&self) -> u64 {
        self.shared.heard.load(Ordering::SeqCst)
    }

    fn step(&mut self) -> io::Result<()> {
        if self.wire.is_none() {
            self.connect()?;
        }
        if self.is_in {
            self.speak()?;
        }
        self.ping()?;
        let Some(wire) = &mut self.wire else { return Ok(()) };
        if let Some(value) = wire.read()? {
            return self.take(&value);
        }
        if wire.heard_at.elapsed() > self.manner.patience {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    fn connect(&mut self) -> io::Result<()> {
        let mut wire = Wire::open(self.nodes[self.node], "/chat", self.manner.patience)?;
        let mut data = self.profile.clone();
        if let Some((epoch, offset)) = &self.position {
            (data["epoch"], data["offset"]) = (epoch.clone(), json!(offset));
        }
        wire.send_text(&json!({"event": "login", "data": data}).to_string())?;
        self.wire = Some(wire);
        Ok(())
    }

    /// The connection has ended: the next node.
    fn lost(&mut self, error: &io::Error) {
        let code = self.wire.as_ref().and_then(|wire| wire.close_code);
        if let Some(code) = code.filter(|code| ![1001, 1012, 1013].contains(code)) {
            self.recording.oddities.push(format!("closed with {code}: {error}"));
        }
        if self.wire.is_some() {
            *self.recording.ends.entry(code.unwrap_or_default()).or_default() += 1;
        }
        self.leave();
        thread::sleep(Duration::from_millis(self.rng.below(BACKOFF_MS) as u64));
    }

    fn leave(&mut self) {
        (self.wire, self.is_in) = (None, false);
        self.shared.is_in.store(false, Ordering::SeqCst);
        self.node = (self.node + 1) % self.nodes.len();
        for item in &mut self.outbox {
            (item.ack, item.send_at) = (None, Instant::now());
        }
    }

    fn ping(&mut self) -> io::Result<()> {
        if Instant::now() < self.ping_at {
            return Ok(());
        }
        self.ping_at = Instant::now() + PING;
        self.request("ping", &json!({})).map(drop)
    }

    fn request(&mut self, event: &str, data: &Value) -> io::Result<u64> {
        self.last_ack += 1;
        match &mut self.wire {
            Some(wire) => wire.send(event, data, self.last_ack).map(|()| self.last_ack),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Says what is due.
    fn speak(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let is_quiet = self.shared.is_quiet.load(Ordering::SeqCst);
        if !is_quiet && self.outbox.len() < self.manner.in_flight && now >= self.say_at {
            if self.rng.chance(self.manner.moves) {
                return self.move_on();
            }
            self.recording.said += 1;
            let text = format!("{} {}", self.recording.name, self.recording.said);
            self.outbox.push_back(Item::new(text));
            let pause_us = usize::try_from(2 * self.manner.pause.as_micros()).unwrap_or(usize::MAX);
            self.say_at = now + Duration::from_micros(self.rng.below(pause_us.max(1)) as u64);
        }
        let padding = PADDING.to_string().repeat(self.manner.padding);
        for index in 0..self.outbox.len() {
            let item = &self.outbox[index];
            if item.ack.is_none() && item.send_at <= now {
                let data = json!({"msg": format!("{}{padding}", item.text), "id": item.text});
                let ack = self.request("sendMessage", &data)?;
                let item = &mut self.outbox[index];
                (item.ack, item.first_sent) = (Some(ack), item.first_sent.or(Some(now)));
            }
        }
        self.count_waiting();
        Ok(())
    }

    fn count_waiting(&self) {
        self.shared.waiting.store(self.outbox.len() as u64, Ordering::SeqCst);
    }

    /// Goes to the next node without a farewell, and says its last message there once more.
    fn move_on(&mut self) -> io::Result<()> {
        self.leave();
        self.recording.moves += 1;
        let again = self.last_acked.take().map(Item::new);
        self.outbox.extend(again);
        Ok(())
    }

    fn take(&mut self, value: &Value) -> io::Result<()> {
        if let Some(ack) = value["ack"].as_u64() {
            self.answered(ack, value);
            return Ok(());
        }
        let data = &value["data"];
        match value["event"].as_str().unwrap_or_default() {
            "loginSuccess" => self.logged_in(data),
            "loginError" => {
                self.refused(data);
                // Another node may let it in.
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            "receiveMessage" | "receiveImage" => self.hear(data),
            "epoch" => self.epoch_has_begun(data),
            "error" => self.recording.oddities.push(value.to_string()),
            _ => {}
        }
        Ok(())
    }

    fn logged_in(&mut self, data: &Value) {
        self.is_in = true;
        self.shared.is_in.store(true, Ordering::SeqCst);
        self.profile["token"] = data["token"].clone();
        let head = data["offset"].as_u64().unwrap_or_default();
        let (knew, recovered) = (self.position.is_some(), data["recovered"] == true);
        let missed = data["missed"].as_u64().unwrap_or_default();
        self.recording.told.push(Told::LoggedIn { knew, recovered, missed, head });
        match &mut self.position {
            // Where it left off is of this epoch now. A position that is lost stays until it hears something, so that
            // the loss is told again if the connection ends before that.
            Some((epoch, _)) if recovered => *epoch = data["epoch"].clone(),
            None if head == 0 => self.position = Some((data["epoch"].clone(), 0)),
            _ => {}
        }
        self.epoch = data["epoch"].clone();
    }

    /// What it has processed is of this epoch now, unless the server has said that it was lost.
    fn epoch_has_begun(&mut self, data: &Value) {
        if let Some((epoch, _)) = &mut self.position
            && *epoch == self.epoch
        {
            *epoch = data["epoch"].clone();
        }
        self.epoch = data["epoch"].clone();
    }

    fn hear(&mut self, data: &Value) {
        let Some((offset, text)) = identity(data) else {
            return self.recording.oddities.push(data.to_string());
        };
        let now = Instant::now();
        let is_quiet = self.shared.is_quiet.load(Ordering::SeqCst);
        if let Some(before) = self.heard_at.replace(now).filter(|_| !is_quiet) {
            self.recording.longest_silence = self.recording.longest_silence.max(now - before);
        }
        self.position = Some((self.epoch.clone(), offset));
        self.recording.told.push(Told::Heard(offset, text));
        self.shared.heard.store(offset, Ordering::SeqCst);
    }

    fn answered(&mut self, ack: u64, value: &Value) {
        let Some(index) = self.outbox.iter().position(|item| item.ack == Some(ack)) else { return };
        if let Some(offset) = value["data"]["offset"].as_u64()
            && let Some(item) = self.outbox.remove(index)
        {
            let wait = item.first_sent.map_or(Duration::ZERO, |sent| sent.elapsed());
            self.recording.longest_ack = self.recording.longest_ack.max(wait);
            self.last_acked = Some(item.text.clone());
            self.recording.told.push(Told::Acked(offset, item.text));
            self.shared.acked.fetch_add(1, Ordering::SeqCst);
            return self.count_waiting();
        }
        self.refused(&value["error"]);
        let item = &mut self.outbox[index];
        (item.ack, item.send_at) = (None, Instant::now() + RETRY);
    }

    fn refused(&mut self, error: &Value) {
        let code = error["code"].as_str().unwrap_or_default().to_owned();
        if !["journal_unavailable", "not_kept_yet", "name_taken"].contains(&code.as_str()) {
            self.recording.oddities.push(error.to_string());
        }
        *self.recording.refusals.entry(code).or_default() += 1;
    }
}
