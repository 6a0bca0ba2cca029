//! A storm of panics in all shared parts, while clients of all doors go on: what was acked is kept in its place and
//! once, all hear one order without gaps, and every client is served or told.
//!
//! `PANICS=1000 CLIENTS=200` has so many; without them the storm is a test among others.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use self::{
    clients::{Chatter, Door, relay, speak},
    link::POLLED,
};
use crate::{
    client::Client,
    program::Program,
    talker::{Acked, Talker, check},
};

mod clients;
mod link;

/// The parts that panic, in turn.
const PARTS: [&str; 7] = [
    "chat-server-0",
    "fan-out-0",
    "socketio-rooms",
    "journal-writer",
    "chat-server-1",
    "fan-out-1",
    "journal-reader",
];

/// Panics on whose way the acks are: the next durable ack is waited for.
const TIMED: [&str; 3] = ["chat-server-0", "chat-server-1", "journal-writer"];

/// Time between two panics.
const PERIOD: Duration = Duration::from_millis(50);

/// Clients in one room.
const CROWD: usize = 10;

/// The close code of a session that is to come back.
const RESTART: u16 = 1012;

/// What the clients and the panics know of each other.
pub struct Storm {
    server: SocketAddr,
    is_over: AtomicBool,
    acks: AtomicUsize,
    /// Panics after which no message was acked yet that was sent behind them.
    open: Mutex<Vec<Instant>>,
    waits: Mutex<Vec<Duration>>,
    /// How often connections ended with each code.
    codes: Mutex<BTreeMap<u16, usize>>,
}

impl Storm {
    fn new(server: SocketAddr) -> Self {
        Self {
            server,
            is_over: AtomicBool::new(false),
            acks: AtomicUsize::new(0),
            open: Mutex::default(),
            waits: Mutex::default(),
            codes: Mutex::default(),
        }
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// A message was acked that was sent at that time.
    fn acked(&self, sent: Instant) {
        self.acks.fetch_add(1, Ordering::SeqCst);
        let over = lock(&self.open).extract_if(.., |panicked| *panicked <= sent).collect::<Vec<_>>();
        lock(&self.waits).extend(over.into_iter().map(|panicked| panicked.elapsed()));
    }

    /// A connection has ended, with this close code or with none.
    fn closed(&self, code: u16) {
        *lock(&self.codes).entry(code).or_default() += 1;
    }

    fn panic_all(&self, panics: usize) {
        for part in PARTS.iter().cycle().take(panics) {
            let answer = Client::post(self.server, &format!("/poison/{part}"));
            assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
            if TIMED.contains(part) {
                lock(&self.open).push(Instant::now());
            }
            thread::sleep(PERIOD);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn number_of(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

/// What a chatter knows in the end.
struct Told {
    name: String,
    runs: Vec<Vec<Acked>>,
    acked: Vec<Acked>,
}

/// All clients go on while the parts panic. Returns what the users of each room know.
fn rage(storm: &Storm, panics: usize, clients: usize) -> BTreeMap<String, Vec<Told>> {
    let told: Mutex<BTreeMap<String, Vec<Told>>> = Mutex::default();
    thread::scope(|scope| {
        for number in 0..clients {
            let told = &told;
            scope.spawn(move || {
                let room = format!("storm-{}", number / CROWD);
                let door = match number % CROWD {
                    0..4 => Door::Chat,
                    4..6 => Door::WebSocket,
                    6..8 => Door::Polling,
                    8 => return speak(storm, number, &room),
                    _ => return relay(storm, number),
                };
                let mut chatter = Chatter::new(storm, door, number, room.clone());
                chatter.talk();
                let Chatter { runs, acked, .. } = chatter;
                let name = format!("u{number} ");
                lock(told).entry(room).or_default().push(Told { name, runs, acked });
            });
        }
        storm.panic_all(panics);
        storm.is_over.store(true, Ordering::SeqCst);
    });
    told.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// What a user heard is what is kept, in its order, and without gaps but for the user's own messages.
fn check_heard(kept: &[Acked], Told { name, runs, .. }: &Told) {
    let text_at = |offset: u64| {
        let index = kept.binary_search_by_key(&offset, |(offset, _)| *offset);
        &kept[index.unwrap_or_else(|_| panic!("{name} heard {offset}, which is lost"))].1
    };
    for run in runs {
        for (offset, text) in run {
            assert_eq!(text_at(*offset), text, "{name} heard something else at {offset}");
        }
        for pair in run.windows(2) {
            for missing in pair[0].0 + 1..pair[1].0 {
                let text = text_at(missing);
                assert!(text.starts_with(name.as_str()), "{name} did not hear {missing} {text}");
            }
        }
    }
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() - 1) * percent / 100]
}

#[test]
fn in_a_storm_of_panics_nothing_acked_is_lost_or_twice_and_every_client_is_served_or_told() {
    let (panics, clients) = (number_of("PANICS", 600), number_of("CLIENTS", 60));
    let flags = [
        ["--relay", "on"],
        ["--rate", "0"],
        ["--max-restarts", "100000"],
        ["--history", "1000000"],
        ["--history-bytes", "1g"],
        // Clients that poll are asked before they take it for an end.
        ["--ping-interval", "3s"],
    ];
    let mut program = Program::start(flags.concat().as_slice());
    let storm = Storm::new(program.address);
    let told = rage(&storm, panics, clients);
    for (room, users) in &told {
        let mut reader =
            Talker::login_with(program.address, &serde_json::json!({"username": "reader", "room": room}));
        let kept = reader.history();
        let acked: Vec<_> = users.iter().flat_map(|user| user.acked.iter().cloned()).collect();
        assert!(!acked.is_empty(), "{room}");
        check(&kept, &acked, room);
        users.iter().for_each(|user| check_heard(&kept, user));
    }
    let codes = lock(&storm.codes).clone();
    assert!(codes.keys().all(|code| [POLLED, RESTART].contains(code)), "{codes:?}");
    let mut waits = lock(&storm.waits).clone();
    waits.sort_unstable();
    eprintln!(
        "{panics} panics, {clients} clients, {} acks; from a panic of the chat or the writer to the next ack p50 {:?}, \
         p99 {:?}, at most {:?}; connections ended with {codes:?}",
        storm.acks.load(Ordering::SeqCst),
        percentile(&waits, 50),
        percentile(&waits, 99),
        waits.last(),
    );
    assert_eq!(lock(&storm.open).len(), 0, "no ack came behind the last panics");
    let health = Client::get(program.address, "/health");
    assert!(health.starts_with("HTTP/1.1 200 "), "{health}");
    let restarts = program.log().iter().filter(|line| line.contains("has panicked and begins again")).count();
    assert!(restarts > panics / 2, "{restarts} parts began again");
    program.signal(rustix::process::Signal::TERM);
    assert_eq!(program.exit_code(), Some(0));
}
