//! Random commands of a few nodes to a few rooms: Redis and its model say the same at every step.

use std::{collections::BTreeMap, thread::sleep, time::Duration};

use bytes::Bytes;
use echoroom::testing::nodes::*;

use crate::{
    books::{claim, keyed, node, room},
    pair::{Pair, TooSlow},
    redis_server::Redis,
    rng::Rng,
};

/// Names, some of which look like others.
const NAMES: [&str; 7] = ["Ann", "ANN", "b0b", "bOb", "Bob", "AIice", "alice"];

const STEPS: usize = 900;

/// With more, a window would be over before anything is asked in it. For a scale of 1.
const MOST_SLACK: u64 = 40;

/// Three rooms, the first two in one partition.
pub fn rooms() -> Vec<RoomName> {
    let mut rooms = vec![room("lobby")];
    let mut others = (0..).map(|number| room(&format!("room {number}")));
    let of_lobby = Partition::of(&rooms[0]);
    rooms.extend(others.find(|other| Partition::of(other) == of_lobby));
    rooms.extend(others.find(|other| Partition::of(other) != of_lobby));
    rooms
}

/// Times that pass while the schedule runs, and bounds that are reached. On a busy machine, times are longer by a
/// scale.
fn bounds(scale: u32) -> Bounds {
    Bounds {
        lease: Duration::from_millis(1500) * scale,
        window: Duration::from_millis(110) * scale,
        burial: Duration::from_millis(140) * scale,
        history: 100_000,
        history_bytes: 2000,
        name_hold: Duration::from_millis(190) * scale,
        name_reservation: Duration::from_millis(2500) * scale,
        history_age: Duration::from_secs(3600),
        avatar_bytes: 1 << 20,
        max_rooms: 1000,
        max_bytes: 1 << 30,
        max_held_names: 2,
    }
}

/// What a node knows of a room.
#[derive(Clone, Default)]
struct Known {
    epochs: Vec<Epoch>,
    records: Vec<Stored>,
    version: u64,
}

struct Schedule {
    pair: Pair,
    rng: Rng,
    rooms: Vec<RoomName>,
    /// The uids of the nodes, each with its number.
    nodes: Vec<NodeUid>,
    next_uid: usize,
    known: BTreeMap<(usize, usize), Known>,
    seq: u64,
    runs: u64,
    /// How many per cent of the commands are about names, beside those that are so anyway.
    of_names: usize,
    scale: u32,
    /// How often each kind of answer was given.
    answers: BTreeMap<String, usize>,
}

impl Schedule {
    /// The second seed runs by RESP3, the third one on a Redis Cluster.
    fn new(seed: u64, of_names: usize, scale: u32) -> Self {
        let rooms = rooms();
        let uids: Vec<_> = (0..200).map(node).collect();
        let server = if seed == 3 { Redis::as_cluster() } else { Redis::with_functions() };
        let mut pair = Pair::on(server, bounds(scale), &rooms, &uids);
        if seed == 2 {
            pair.calls = pair.server.connect_by_resp3();
        }
        let (rng, nodes) = (Rng::new(seed), uids[..3].to_vec());
        let (known, answers) = (BTreeMap::new(), BTreeMap::new());
        Self { pair, rng, rooms, nodes, next_uid: 3, known, seq: 0, runs: 0, of_names, scale, answers }
    }

    fn run(&mut self) -> Result<(), TooSlow> {
        for _ in 0..STEPS {
            if self.pair.slack > MOST_SLACK * u64::from(self.scale) {
                return Err(TooSlow);
            }
            let at = self.rng.below(3);
            // Names are claimed in one room, where they meet.
            let place = if self.rng.below(100) < self.of_names { 0 } else { self.rng.below(3) };
            match self.rng.below(1000) {
                0..8 => self.pair.flush(),
                8..40 => sleep(Duration::from_millis(self.rng.below(300) as u64) * self.scale),
                _ => {
                    let command = self.command(at, place);
                    self.call(at, place, &command)?;
                }
            }
        }
        Ok(())
    }

    fn call(&mut self, at: usize, place: usize, command: &Command) -> Result<(), TooSlow> {
        let (answer, published) = self.pair.try_call(command)?;
        self.count(&answer);
        for (_, published) in published {
            if let Published::Said(record) = published {
                for listener in 0..3 {
                    // Some are missed.
                    if self.rng.chance(900) {
                        self.known.entry((listener, place)).or_default().records.push((*record).clone());
                    }
                }
            }
        }
        match answer {
            Answer::Position(position) => {
                let known = self.known.entry((at, place)).or_default();
                known.epochs = position.epochs;
                known.version = position.version;
            }
            Answer::Alive { is_fenced: true, .. }
            | Answer::Appended(Appended::Fenced)
            | Answer::Entered(Entered::Fenced) => self.attach(at)?,
            Answer::Alive { grave: Some(gone), .. } if self.rng.chance(700) => {
                let bury = Command::Bury { partition: Partition::of(&self.rooms[place]), gone };
                self.call(at, place, &bury)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// A node takes a new uid, in all partitions.
    fn attach(&mut self, at: usize) -> Result<(), TooSlow> {
        self.nodes[at] = node(self.next_uid % 200);
        self.next_uid += 1;
        for place in [0, 2] {
            let command = self.attaching(at, place);
            self.call(at, place, &command)?;
        }
        Ok(())
    }

    fn attaching(&mut self, at: usize, place: usize) -> Command {
        let known = self
            .known
            .iter()
            .filter(|((listener, other), _)| *listener == at && (*other == 2) == (place == 2));
        let epochs = known.flat_map(|(_, known)| &known.epochs);
        let number = epochs.map(|epoch| epoch.id.number).max().unwrap_or_default();
        self.runs += u64::from(self.rng.chance(50));
        let server = format!("run {}", self.runs);
        Command::Attach {
            partition: Partition::of(&self.rooms[place]),
            node: self.nodes[at],
            run: self.nodes[at],
            server,
            number,
        }
    }

    fn command(&mut self, at: usize, place: usize) -> Command {
        let (room, node) = (self.rooms[place].clone(), self.nodes[at]);
        let partition = Partition::of(&room);
        let is_of_name = self.rng.below(100) < self.of_names;
        match if is_of_name { 69 + self.rng.below(29) } else { self.rng.below(100) } {
            0..3 => self.attaching(at, place),
            3..12 => Command::Alive { partition, node },
            12..14 => Command::Bury { partition, gone: self.nodes[self.rng.below(3)] },
            14..24 => {
                let wants_keys = self.rng.chance(300);
                let version = self.known.entry((at, place)).or_default().version;
                Command::Open { room, wants_keys, version: if self.rng.chance(500) { version } else { 0 } }
            }
            24..29 => Command::Read { room, after: self.rng.below(30) as u64 },
            29..59 => Command::Append(Box::new(self.append(at, place))),
            59..65 => Command::Heal(Box::new(self.heal(at, place))),
            65..67 => Command::Publish { room, node, payload: Bytes::from_static(b"R\n shown") },
            67..69 => {
                let to = self.nodes[self.rng.below(3)];
                Command::Whisper { room, node, to, payload: Bytes::from_static(b"\n\0whispered") }
            }
            69..87 => {
                let ask = AskId(self.rng.below(1000) as u64);
                Command::Enter { room, node, ask: Some(ask), claim: Box::new(self.claim()) }
            }
            87..98 => {
                let key = self.name().key();
                let [holds_name, releases] = [500, 200].map(|chance| self.rng.chance(chance));
                Command::Leave { room, node, leave: Leave { key, holds_name, releases } }
            }
            _ => Command::Forget { room },
        }
    }

    /// An epoch and an offset that the node may know, true or not.
    fn known_head(&mut self, at: usize, place: usize) -> Option<(EpochId, u64)> {
        let known = self.known.entry((at, place)).or_default();
        if known.records.is_empty() || self.rng.chance(100) {
            return None;
        }
        let back = if self.rng.chance(800) { 1 } else { 1 + self.rng.below(known.records.len()) };
        let record = &known.records[known.records.len() - back];
        let beyond = if self.rng.chance(50) { self.rng.below(3) as u64 } else { 0 };
        Some((record.epoch, record.last() + beyond))
    }

    fn append(&mut self, at: usize, place: usize) -> Append {
        self.seq += 1;
        let count = 1 + self.rng.below(4) as u32;
        let keys: Vec<_> = (0..count).map(|_| [self.rng.below(14) as u8; 16]).collect();
        let keys = if self.rng.chance(400) { keyed(&keys) } else { Vec::new() };
        let len = if self.rng.chance(20) { 70_000 } else { self.rng.below(200) };
        let known = self.known_head(at, place);
        let back = if self.rng.chance(200) { self.rng.below(9) as u64 } else { 0 };
        Append {
            room: self.rooms[place].clone(),
            node: self.nodes[at],
            run: self.nodes[if self.rng.chance(50) { self.rng.below(3) } else { at }],
            seq: if self.rng.chance(100) { self.rng.below(self.seq as usize) as u64 } else { self.seq },
            known,
            looked_to: known.map_or(0, |(_, head)| head).saturating_sub(back),
            count,
            at: 1_000_000 + 7000 * self.seq,
            entries: Bytes::from(vec![b'P'; len]),
            keys,
            nonce: self.rng.next(),
        }
    }

    fn heal(&mut self, at: usize, place: usize) -> Heal {
        let known = self.known.entry((at, place)).or_default();
        let newest = known.records.len().saturating_sub(self.rng.below(8));
        let mut records = known.records[newest..].to_vec();
        for record in &mut records {
            record.entries.get_or_insert_with(|| Bytes::from(vec![b'P'; 70_000]));
        }
        let epochs = known.epochs.clone();
        Heal {
            room: self.rooms[place].clone(),
            node: self.nodes[at],
            epochs,
            records,
            over_gap: self.rng.chance(200),
        }
    }

    fn name(&mut self) -> Nickname {
        Nickname::parse(NAMES[self.rng.below(NAMES.len())]).expect("a legal name")
    }

    fn claim(&mut self) -> Claim {
        let name = NAMES[self.rng.below(NAMES.len())];
        let bearer = self.rng.chance(800).then(|| self.rng.below(4) as u32);
        let leaves = self.rng.chance(300).then(|| self.name().key());
        let avatar = Avatar::known(["fox", "cat"][self.rng.below(2)]).expect("an avatar");
        let reserves = self.rng.chance(400);
        let spare = 10 + self.rng.below(20) as u32;
        Claim { avatar, reserves, leaves, ..claim(name, bearer, spare) }
    }

    fn count(&mut self, answer: &Answer) {
        let text = format!("{answer:?}");
        let kind: String =
            text.chars().take_while(|c| c.is_alphabetic() || "({".contains(*c)).take(24).collect();
        *self.answers.entry(kind).or_default() += 1;
    }
}

/// Runs three seeds. Returns how often each kind of answer was given.
fn run(of_names: usize) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for seed in 1..=3 {
        // On a machine that stands still for a moment, model and Redis can be on different sides of a deadline.
        let mut scales = 1..20;
        let answers = loop {
            let scale = scales.next().expect("calls take less than a second");
            let mut schedule = Schedule::new(seed, of_names, scale);
            if schedule.run().is_ok() {
                break schedule.answers;
            }
        };
        for (kind, count) in answers {
            *kinds.entry(kind).or_default() += count;
        }
    }
    kinds
}

#[test]
fn redis_and_its_model_agree_on_names() {
    let kinds = run(95);
    assert!(
        ["Entered(Yes", "Entered(Taken", "Left(Some("].iter().all(|kind| kinds[*kind] > 100),
        "{kinds:?}"
    );
}

#[test]
fn redis_and_its_model_say_the_same_whatever_is_asked() {
    let kinds = run(0);
    for kind in [
        "Appended(At(",
        "Appended(Old",
        "Appended(Fenced",
        "Appended(Wait(",
        "Appended(Not(Ahead",
        "Appended(Not(Behind",
        "Appended(Not(Diverged",
        "Appended(Repeated(",
        "Entered(Yes",
        "Entered(Taken",
        "Entered(Fenced",
        "Left(Some(",
        "Left(None",
        "Records(",
        "Buried",
        "Forgot(",
        "Healed",
        "Position(Position",
    ] {
        let is_given = kinds.keys().any(|given| given.starts_with(kind));
        assert_eq!(is_given, kind != "Appended(Not(Ahead", "{kind} in {kinds:?}");
    }
}
