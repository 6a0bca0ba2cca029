//! A model of the journal: what is durable, what is on its way, and its faults.
//!
//! It keeps the contract of `Journal`: batches become durable as a whole and in order; after an error a batch
//! may or may not be durable; a crash loses what was not durable.

use std::collections::{BTreeMap, VecDeque};

use echoroom::testing::{
    Append, Epoch, Record, RoomName,
    simulation::{Done, Entry, EpochId, Job, JournalError, Page, Range, ReservedName, RoomState, unpack},
};

use crate::{names::Names, parse, rng::Rng, trace::Trace, truth::Truth};

/// Epochs that a room keeps.
const MAX_EPOCHS: usize = 16;

/// Messages that a room keeps; older ones are let go.
const KEPT: u64 = 2000;

#[derive(Debug, Default)]
pub struct Journal {
    rooms: Vec<Room>,
    names: BTreeMap<(usize, String), ReservedName>,
    /// The epochs at the starts of the server.
    runs: Vec<EpochId>,
    /// What it has been asked, in order, and by which shard.
    pub jobs: VecDeque<(usize, Job)>,
    /// What it has done and not told yet, in order.
    pub answers: VecDeque<(usize, Done)>,
    /// The disk is full.
    pub is_full: bool,
    /// How many of a thousand jobs fail.
    pub faults: usize,
    /// Whether a job has failed since this was last set to false.
    pub had_fault: bool,
    /// Whether names were to be kept that are not.
    pub has_lost_names: bool,
    /// Whether the shard has been told that it is closed.
    pub is_closed: bool,
}

#[derive(Clone, Debug, Default)]
struct Room {
    epochs: Vec<Epoch>,
    head: u64,
    messages: u64,
    records: VecDeque<Record>,
}

impl Journal {
    pub fn new(rooms: usize, faults: usize) -> Self {
        Self { rooms: vec![Room::default(); rooms], faults, ..Self::default() }
    }

    /// The number of this run of the server.
    pub fn run(&self) -> u64 {
        self.runs.len() as u64
    }

    /// The server starts.
    pub fn begin_run(&mut self) {
        let number = self.runs.len() as u64 + 1;
        self.runs.push(EpochId { random: 7, number });
        self.is_closed = false;
    }

    /// The server crashes. What it had not been told may be durable; the rest is lost.
    pub fn crash(&mut self, rng: &mut Rng, names: &Names, truth: &mut Truth, trace: &mut Trace) {
        if rng.chance(500) && !self.is_full {
            self.work(rng, names, truth, trace);
        }
        self.jobs.clear();
        self.answers.clear();
        for room in 0..self.rooms.len() {
            truth.lose_behind(room, self.rooms[room].head);
        }
    }

    /// The last durable offset of a room.
    pub fn head(&self, room: usize) -> u64 {
        self.rooms[room].head
    }

    /// The first offset of a room that is still kept.
    pub fn first(&self, room: usize) -> u64 {
        self.rooms[room].records.front().map_or(1, |record| record.first)
    }

    /// The message that is durable at an offset of a room.
    pub fn at(&self, room: usize, offset: u64) -> Option<u32> {
        let records = &self.rooms[room].records;
        let record = records.get(records.partition_point(|record| record.last() < offset))?;
        let entries = unpack(record).ok()?;
        parse::number(&entries.iter().find(|entry| entry.offset == offset)?.body)
    }

    /// The owner for whom a nickname of a room is reserved.
    pub fn owner(&self, room: usize, key: &str, now: u64) -> Option<[u8; 16]> {
        self.names.get(&(room, key.to_owned())).filter(|name| name.until > now).map(|name| name.owner)
    }

    /// Does the next job.
    pub fn work(&mut self, rng: &mut Rng, names: &Names, truth: &mut Truth, trace: &mut Trace) {
        let Some((shard, job)) = self.jobs.pop_front() else {
            return;
        };
        let fails = !matches!(job, Job::Close) && rng.chance(self.faults);
        // A failed append may be durable.
        let is_done = !fails || rng.chance(300);
        let fault = || JournalError::Unavailable("a fault".to_owned());
        let result = |is_good: bool| if is_good { Ok(()) } else { Err(fault()) };
        let is_full = self.is_full;
        self.had_fault |= fails || is_full;
        let done = match job {
            Job::Rooms { .. } if fails => Done::Rooms(Err(fault())),
            Job::Rooms { .. } => Done::Rooms(Ok(self.kept(names))),
            Job::Open(id, _) if fails => Done::Opened(id, Err(fault())),
            Job::Open(id, name) => Done::Opened(id, Ok(self.open(&name, names))),
            Job::Append(batch) => {
                if is_done && !is_full {
                    for append in batch {
                        self.append(append, names, truth, trace);
                    }
                }
                Done::Appended(result(!fails && !is_full))
            }
            Job::Check => Done::Checked(result(!fails && !is_full)),
            Job::Sweep => Done::Swept(0, Ok(Vec::new())),
            Job::Forget(name, call) => Done::Forgot(name, call, Ok(())),
            Job::Reserve(room, reserved) => {
                if is_done && !is_full {
                    self.reserve(&room, reserved, names);
                } else {
                    self.has_lost_names = true;
                }
                Done::Reserved(result(!fails && !is_full))
            }
            Job::Close => {
                self.is_closed = true;
                Done::Closed(Ok(()))
            }
        };
        self.answers.push_back((shard, done));
    }

    fn kept(&self, names: &Names) -> Vec<(RoomName, u64)> {
        let rooms = self.rooms.iter().zip(&names.rooms);
        rooms.filter_map(|(room, name)| Some((name.clone(), room.records.back()?.at))).collect()
    }

    fn open(&self, name: &RoomName, names: &Names) -> RoomState {
        let number = names.room(name).unwrap_or(0);
        let room = &self.rooms[number];
        let reserved = self.names.range((number, String::new())..(number + 1, String::new()));
        RoomState {
            epochs: self.epochs(room),
            head: room.head,
            keys: room.records.iter().flat_map(|record| record.keys.iter().copied()).collect(),
            names: reserved.map(|(_, name)| name.clone()).collect(),
        }
    }

    /// The epochs of a room, with those of runs without a message in it.
    fn epochs(&self, room: &Room) -> Vec<Epoch> {
        let oldest = room.epochs.first().map_or(u64::MAX, |epoch| epoch.id.number);
        let recent = &self.runs[self.runs.len().saturating_sub(MAX_EPOCHS)..];
        let is_silent = |run: &&EpochId| {
            run.number > oldest && room.epochs.iter().all(|epoch| epoch.id.number != run.number)
        };
        let silent = recent.iter().filter(is_silent).map(|run| {
            let next = room.epochs.iter().find(|epoch| epoch.id.number > run.number);
            Epoch { id: *run, starts: next.map_or(room.head + 1, |next| next.starts) }
        });
        let mut epochs: Vec<_> = silent.chain(room.epochs.iter().copied()).collect();
        if let (true, Some(run)) = (epochs.is_empty(), self.runs.last()) {
            epochs.push(Epoch { id: *run, starts: room.head + 1 });
        }
        epochs.sort_by_key(|epoch| epoch.id.number);
        epochs.drain(..epochs.len().saturating_sub(MAX_EPOCHS));
        epochs
    }

    /// Whether a room still knows this epoch, and that it had so many messages: a message that was lost may have
    /// been said again at its former offset, in the next epoch.
    pub fn knows(&self, room: usize, epoch: EpochId, offset: u64) -> bool {
        let room = &self.rooms[room];
        let epochs = self.epochs(room);
        epochs.iter().position(|known| known.id == epoch).is_some_and(|index| {
            let end = epochs.get(index + 1).map_or(room.head, |next| next.starts - 1);
            offset <= end
        })
    }

    fn append(
        &mut self,
        Append { room, epoch, record, .. }: Append,
        names: &Names,
        truth: &mut Truth,
        trace: &mut Trace,
    ) {
        let Some(number) = names.room(&room) else {
            return trace.fail("a record is of a room that exists", || format!("{room}"));
        };
        let kept = &mut self.rooms[number];
        if record.first <= kept.head {
            // A repeated append.
            return trace.check(record.last() <= kept.head, "a repeated record is as it was", || {
                format!("{}..={} of room {number} at {}", record.first, record.last(), kept.head)
            });
        }
        trace.check(record.first == kept.head + 1, "offsets have no gap", || {
            format!("a record of room {number} begins at {} behind {}", record.first, kept.head)
        });
        let run = self.runs.last().copied();
        trace.check(Some(epoch.id) == run, "what is said in a run of the server is of its epoch", || {
            format!("a record of room {number} at {} is of epoch {}, in run {run:?}", record.first, epoch.id)
        });
        match unpack(&record) {
            Ok(entries) => {
                for entry in entries {
                    see(number, &entry, truth, trace);
                }
            }
            Err(error) => trace.fail("a record can be read", || error.to_string()),
        }
        if kept.epochs.iter().all(|known| known.id != epoch.id) {
            kept.epochs.push(epoch);
            kept.epochs.drain(..kept.epochs.len().saturating_sub(MAX_EPOCHS));
        }
        kept.head = record.last();
        kept.messages += u64::from(record.count);
        kept.records.push_back(record);
        while kept.messages > KEPT
            && let Some(oldest) = kept.records.pop_front()
        {
            kept.messages -= u64::from(oldest.count);
        }
    }

    fn reserve(&mut self, room: &RoomName, reserved: Vec<ReservedName>, names: &Names) {
        let Some(room) = names.room(room) else {
            return;
        };
        for name in reserved {
            let place = (room, name.key.clone());
            if name.until == 0 {
                self.names.remove(&place);
            } else {
                self.names.insert(place, name);
            }
        }
    }

    /// Reads durable entries of a room.
    pub fn read(&mut self, room: usize, range: Range, rng: &mut Rng) -> Result<Page, JournalError> {
        if rng.chance(self.faults) {
            self.had_fault = true;
            return Err(if rng.chance(500) {
                JournalError::Unavailable("a fault".to_owned())
            } else {
                JournalError::Damaged("a fault".to_owned())
            });
        }
        let records = &self.rooms[room].records;
        match range {
            Range::After { after, max_bytes } => {
                let from = records.partition_point(|record| record.last() <= after);
                Page::after(records.range(from..).map(unpack), after, max_bytes)
            }
            Range::Before { before, limit, max_bytes } => {
                let to = records.partition_point(|record| record.first < before);
                Page::before(records.range(..to).rev().map(unpack), before, limit, max_bytes)
            }
        }
    }
}

fn see(room: usize, entry: &Entry, truth: &mut Truth, trace: &mut Trace) {
    match parse::number(&entry.body) {
        Some(number) => truth.seen(room, entry.offset, number, trace),
        None => trace.fail("nothing is kept that was not said", || format!("{:?}", entry.body)),
    }
}
