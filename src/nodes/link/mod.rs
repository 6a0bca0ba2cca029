//! Decides what a node asks of Redis, and tells the chat what is said in the rooms that are open. It has no clock,
//! socket or thread: [`redis`](super::redis) has one link for each server of Redis and does what it wants done.
//!
//! [`joining`] has the node's place among the others; [`room`] keeps the records of a room without gap and in order;
//! [`saying`] has what is on its way to Redis, [`people`] the names, [`tail`] what is given back when Redis has lost it.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    time::{Duration, Instant},
};

pub use self::turn::{CallId, Output};
use self::{
    joining::Joining,
    pictures::Pictures,
    room::Room,
    sizes::Sizes,
    sweeping::Sweeping,
    turn::{About, Calls, RoomCall, Turn},
};
use super::{
    NodeName, NodeUid,
    commands::{Answer, Appended, Healed, Published, Refused, Swept},
    contract::{Away, Heard, Order, Partitions},
};
use crate::domain::RoomName;

mod doubt;
mod joining;
mod orders;
mod people;
mod pictures;
mod room;
mod saying;
mod sizes;
mod sweeping;
mod tail;
#[cfg(test)]
mod tests;
mod turn;

/// How often a link looks after what is not asked for by itself.
const TICK: Duration = Duration::from_millis(500);

/// After how long those who wait for an answer are told that it takes long.
const DELAYED_AFTER: Duration = Duration::from_secs(5);

/// The least and the most bytes of its newest messages that a room keeps if they are not young.
const TAIL_SHARE: std::ops::RangeInclusive<usize> = 4 * 1024..=256 * 1024;

/// What a link is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// A connection to this run of Redis is there: `run_id+master_replid`.
    Up {
        /// The run of Redis, and the history of its data.
        server: String,
    },
    /// The connection is lost, with all that was under way on it.
    Down(Away),
    /// The chat asks for something.
    Order(Order),
    /// Redis has answered a call, or has refused it for now.
    Answered(CallId, Result<Answer, Refused>),
    /// The channel of a room is subscribed to: what is published from now on is heard.
    Subscribed(RoomName),
    /// Something was published on the channel of a room, or for this node about a room.
    Published(RoomName, Published),
    /// The time that was asked for has come.
    Wake,
    /// What the links of this node to other servers have.
    Others(Share),
    /// The server stops: the link leaves once all that waits is in Redis.
    Stop,
}

/// What a link has of that which is bounded over all links of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Open rooms.
    pub rooms: usize,
    /// What there is in Redis.
    pub swept: Swept,
}

/// What a link is made of.
pub struct Setup {
    /// The name of the node.
    pub name: NodeName,
    /// The partitions of the server of Redis.
    pub partitions: Partitions,
    /// The lease of a node.
    pub lease: Duration,
    /// Bytes of the newest messages of all rooms that are kept, to give back what Redis has lost.
    pub tail_bytes: usize,
    /// Random numbers, for uids and epochs.
    pub random: Box<dyn FnMut() -> u64 + Send>,
}

/// The link of a node to one server of Redis.
pub struct Link {
    joining: Joining,
    calls: Calls,
    /// In the order of their names, so that an input always has one outcome.
    rooms: BTreeMap<RoomName, Room>,
    pictures: Pictures,
    sizes: Sizes,
    sweeping: Sweeping,
    others: Share,
    tail_bytes: usize,
    random: Box<dyn FnMut() -> u64 + Send>,
    last_seq: u64,
    /// How many confirmations of subscriptions are to come: a room may be closed and opened before the first.
    unconfirmed: HashMap<RoomName, u32>,
    /// Why Redis refuses to take anything, although it can be reached.
    refusal: Option<Away>,
    /// When those who wait are told that it takes long.
    delayed_at: Option<Instant>,
    tick_at: Option<Instant>,
    is_stopping: bool,
}

impl Link {
    /// A link that is not connected.
    pub fn new(setup: Setup) -> Self {
        let Setup { name, partitions, lease, tail_bytes, mut random } = setup;
        Self {
            joining: Joining::new(name, partitions, lease, &mut *random),
            calls: Calls::default(),
            rooms: BTreeMap::new(),
            pictures: Pictures::default(),
            sizes: Sizes::new(),
            sweeping: Sweeping::default(),
            others: Share::default(),
            tail_bytes,
            random,
            last_seq: 0,
            unconfirmed: HashMap::new(),
            refusal: None,
            delayed_at: None,
            tick_at: None,
            is_stopping: false,
        }
    }

    /// The node, until it is fenced.
    pub fn node(&self) -> NodeUid {
        self.joining.node()
    }

    /// When [`Input::Wake`] is due; `None` if not by itself.
    pub fn next_wake(&self) -> Option<Instant> {
        [self.tick_at, self.joining.next_wake(), self.delayed_at, self.sweeping.next_wake()]
            .into_iter()
            .flatten()
            .min()
    }

    /// What the other links of the node are told with [`Input::Others`].
    pub fn share(&self) -> Share {
        Share { rooms: self.rooms.len(), swept: self.sweeping.all() }
    }

    /// Handles an input, and adds what is to be done to `out`.
    pub fn handle(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Up { server } => self.up(server, now, out),
            Input::Down(why) => self.down(&why, now, out),
            Input::Order(order) => self.order(order, now, out),
            Input::Answered(call, answer) => self.answered(call, answer, now, out),
            Input::Subscribed(room) => self.subscribed(&room, now, out),
            Input::Published(room, published) => {
                self.with_room(&room, now, out, |room, turn| room.published(published, turn));
            }
            Input::Wake => self.wake(now, out),
            Input::Others(others) => self.others = others,
            Input::Stop => self.is_stopping = true,
        }
        self.leave_if_done(now, out);
    }

    fn turn<'a>(&'a mut self, now: Instant, out: &'a mut Vec<Output>) -> (Turn<'a>, Parts<'a>) {
        let turn = Turn {
            now,
            node: self.joining.node(),
            run: self.joining.run(),
            open: self.joining.open(),
            lease: self.joining.lease(),
            calls: &mut self.calls,
            random: &mut *self.random,
            last_seq: &mut self.last_seq,
            unconfirmed: &mut self.unconfirmed,
            out,
        };
        (
            turn,
            Parts {
                joining: &mut self.joining,
                rooms: &mut self.rooms,
                pictures: &mut self.pictures,
                sizes: &mut self.sizes,
                sweeping: &mut self.sweeping,
            },
        )
    }

    /// Does something with a room, and then sends what may be sent there. A room that is not open any more has no part
    /// in it.
    fn with_room(
        &mut self,
        name: &RoomName,
        now: Instant,
        out: &mut Vec<Output>,
        act: impl FnOnce(&mut Room, &mut Turn<'_>),
    ) {
        let share = self.tail_share();
        let most = self.tail_bytes.max(share);
        let (mut turn, parts) = self.turn(now, out);
        let Some(room) = parts.rooms.get_mut(name) else {
            return;
        };
        act(room, &mut turn);
        room.tell(&mut turn);
        room.send(!parts.joining.is_waiting(room.partition(), now), &mut turn);
        room.trim(share, most, &turn);
        if room.is_done() {
            if room.is_subscribed() {
                turn.out.push(Output::Unsubscribe(name.clone()));
            }
            parts.rooms.remove(name);
        }
    }

    fn with_each_room(
        &mut self,
        now: Instant,
        out: &mut Vec<Output>,
        mut act: impl FnMut(&mut Room, &mut Turn<'_>),
    ) {
        let names: Vec<_> = self.rooms.keys().cloned().collect();
        for name in names {
            self.with_room(&name, now, out, &mut act);
        }
    }

    /// Bytes of its newest messages that a room keeps.
    fn tail_share(&self) -> usize {
        let rooms = self.rooms.len() + self.others.rooms;
        (self.tail_bytes / rooms.max(1)).clamp(*TAIL_SHARE.start(), *TAIL_SHARE.end())
    }

    // ----- Redis -----

    fn subscribed(&mut self, room: &RoomName, now: Instant, out: &mut Vec<Output>) {
        if let Some(count) = self.unconfirmed.get_mut(room) {
            *count -= 1;
            if *count == 0 {
                self.unconfirmed.remove(room);
                self.with_room(room, now, out, Room::subscribed);
            }
        }
    }

    fn answered(
        &mut self,
        call: CallId,
        answer: Result<Answer, Refused>,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        let Some(about) = self.calls.answered(call) else {
            return;
        };
        match about {
            About::Nothing => {}
            About::Sweep(partition) => {
                if let Ok(Answer::Swept(swept)) = answer {
                    self.sweeping.swept(partition, swept);
                }
            }
            About::Sizes => {
                let is_fenced = matches!(answer, Ok(Answer::Sized { is_fenced: true }));
                self.sizes.answered(answer.is_ok() && !is_fenced);
                if is_fenced {
                    self.fenced(now, out);
                }
            }
            About::Picture(id) => match answer {
                Ok(_) => self.pictures.kept(&id),
                Err(Refused(why)) => self.refused(Away(why), out),
            },
            About::Room(room, call) => match answer {
                Ok(answer) => {
                    if matches!(call, RoomCall::Append | RoomCall::Heal | RoomCall::Change(_)) {
                        self.taken(now, out);
                    }
                    self.room_answered(&room, call, answer, now, out);
                }
                Err(Refused(why)) => self.room_refused(&room, &call, Away(why), now, out),
            },
            about => self.joining_answered(&about, answer, now, out),
        }
    }

    fn room_answered(
        &mut self,
        name: &RoomName,
        call: RoomCall,
        answer: Answer,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        match (call, answer) {
            (RoomCall::Open, Answer::Position(position)) => {
                let wait = position.wait;
                self.with_room(name, now, out, |room, turn| room.position(*position, turn));
                self.wait_in_room(name, wait, now);
            }
            (RoomCall::Read, Answer::Records(records)) => {
                self.with_room(name, now, out, |room, turn| room.records(records, turn));
            }
            (RoomCall::Heal, Answer::Healed(healed)) => {
                match healed {
                    Healed::Fenced => self.fenced(now, out),
                    // Compared again with the next tick, and not at once: that might be for ever.
                    Healed::Diverged => self.with_room(name, now, out, |room, _| room.refused()),
                    Healed::To(_) => self.with_room(name, now, out, Room::healed),
                }
            }
            (RoomCall::Append, Answer::Appended(appended)) => self.appended(name, appended, now, out),
            (RoomCall::Change(number), Answer::Entered(entered)) => {
                let mut is_fenced = false;
                self.with_room(name, now, out, |room, _| is_fenced = !room.people.entered(number, entered));
                if is_fenced {
                    self.fenced(now, out);
                }
            }
            (RoomCall::Change(number), Answer::Left(version)) => {
                let version = version.unwrap_or_default();
                self.with_room(name, now, out, |room, _| room.people.left(number, version));
            }
            (RoomCall::Forget(ask), Answer::Forgot(was_there)) => {
                out.push(Output::Tell(Heard::Forgetting(ask, Ok(was_there))));
            }
            // An answer of another kind cannot be: what reads it checks that.
            _ => {}
        }
    }

    fn appended(&mut self, name: &RoomName, appended: Appended, now: Instant, out: &mut Vec<Output>) {
        self.with_room(name, now, out, |room, turn| room.appended(&appended, turn));
        match appended {
            Appended::Fenced => self.fenced(now, out),
            Appended::Wait(wait) => self.wait_in_room(name, wait, now),
            _ => {}
        }
    }

    /// Redis has refused a call for now.
    fn room_refused(
        &mut self,
        name: &RoomName,
        call: &RoomCall,
        why: Away,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        self.refused(why.clone(), out);
        match call {
            RoomCall::Forget(ask) => out.push(Output::Tell(Heard::Forgetting(*ask, Err(why)))),
            RoomCall::Change(number) => {
                self.with_room(name, now, out, |room, turn| room.people.refused(*number, name, &why, turn));
            }
            RoomCall::Append => self.with_room(name, now, out, |room, _| room.saying.refused()),
            RoomCall::Open | RoomCall::Read | RoomCall::Heal => {
                self.with_room(name, now, out, |room, _| room.refused());
            }
        }
        self.tell_delayed(now, out);
    }

    /// Redis takes nothing for now.
    fn refused(&mut self, why: Away, out: &mut Vec<Output>) {
        if self.refusal.is_none() {
            self.refusal = Some(why.clone());
            out.push(Output::Tell(Heard::Down(self.joining.partitions(), why)));
        }
    }

    /// Redis has taken something.
    fn taken(&mut self, now: Instant, out: &mut Vec<Output>) {
        if self.refusal.take().is_some() {
            out.push(Output::Tell(Heard::Up(self.joining.partitions())));
            self.with_each_room(now, out, |room, turn| room.look_after(turn));
            self.ask_for_pictures(now, out);
        }
    }

    /// Asks again for all pictures that Redis has not taken.
    fn ask_for_pictures(&mut self, now: Instant, out: &mut Vec<Output>) {
        let (mut turn, parts) = self.turn(now, out);
        parts.pictures.ask_again(&mut turn);
    }

    /// Tells those who wait that it takes long.
    fn tell_delayed(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.with_each_room(now, out, |room, turn| room.tell_delayed(turn));
    }

    fn wake(&mut self, now: Instant, out: &mut Vec<Output>) {
        if self.delayed_at.take_if(|at| *at <= now).is_some() {
            self.tell_delayed(now, out);
        }
        if self.joining.end_waits(now) {
            self.with_each_room(now, out, |room, turn| {
                room.saying.release();
                room.wait_is_over(turn);
            });
        }
        if self.tick_at.take_if(|at| *at <= now).is_some() {
            self.tick_at = Some(now + TICK);
            self.with_each_room(now, out, |room, turn| room.look_after(turn));
        }
        self.look_after_joining(now, out);
        let others = self.others.swept;
        let (mut turn, parts) = self.turn(now, out);
        parts.sweeping.look_after(others, &mut turn);
    }

    /// Leaves, if the server stops and nothing waits.
    fn leave_if_done(&mut self, now: Instant, out: &mut Vec<Output>) {
        if !self.is_stopping || self.rooms.values().any(|room| !room.is_idle() || room.people.has_own()) {
            return;
        }
        let (mut turn, parts) = self.turn(now, out);
        parts.joining.leave(&mut turn);
        if !self.calls.is_any() {
            out.push(Output::Left);
            self.is_stopping = false;
        }
    }
}

/// What of a link a turn is about.
struct Parts<'a> {
    joining: &'a mut Joining,
    rooms: &'a mut BTreeMap<RoomName, Room>,
    pictures: &'a mut Pictures,
    sizes: &'a mut Sizes,
    sweeping: &'a mut Sweeping,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("node", &self.node())
            .field("rooms", &self.rooms)
            .field("joining", &self.joining)
            .finish_non_exhaustive()
    }
}
