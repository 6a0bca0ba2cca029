//! One room of a node: what of its channel the chat has been told, so that each record comes once and in order.
//!
//! [`comparing`] has what is done when Redis has told where the room stands.

use std::mem;

use super::{
    people::People,
    saying::Saying,
    tail::Tail,
    turn::{RoomCall, Turn},
};
use crate::{
    domain::RoomName,
    journal::{Epoch, EpochId, Record},
    nodes::{
        Partition,
        commands::{Appended, Command, MOST_EPOCHS, Published, Stored},
        contract::{Away, Heard, SaidRecord, SayId, ToSay},
    },
};

mod comparing;

/// Bytes of what is published while the room is compared with Redis; over that, it is compared again.
const EARLY_BYTES: usize = 4 * 1024 * 1024;

/// A room that the chat has open, or wants open.
#[derive(Debug)]
pub(super) struct Room {
    name: RoomName,
    phase: Phase,
    /// Whether the chat has been told where the room stands.
    is_told: bool,
    /// Whether members have heard what is not part of the room any more.
    is_reset: bool,
    /// Whether the chat wants it closed, once nothing is under way.
    is_closing: bool,
    epochs: Vec<Epoch>,
    head: u64,
    tail: Tail,
    /// What was published since the room was asked for.
    early: Early,
    pub saying: Saying,
    pub people: People,
}

/// How far a room is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The node has not joined its partition.
    Off,
    /// Its channel is being subscribed to.
    Subscribing,
    /// It is being asked where it stands.
    Asking,
    /// Records up to this offset are being read.
    Reading(u64),
    /// Redis is being given what it lacks.
    Healing,
    /// Redis lacks what this node cannot give; others may, until nodes append again.
    Waiting,
    /// All that is published is told.
    Live,
}

/// What is published while a room is not live.
#[derive(Debug, Default)]
struct Early {
    published: Vec<Published>,
    bytes: usize,
    is_over: bool,
}

impl Early {
    fn push(&mut self, published: Published) {
        self.bytes += match &published {
            Published::Said(record) => record.entries.as_ref().map_or(0, bytes::Bytes::len) + 256,
            _ => 256,
        };
        if self.bytes > EARLY_BYTES {
            self.published = Vec::new();
            self.is_over = true;
        } else {
            self.published.push(published);
        }
    }
}

impl Room {
    /// A room of which nothing is known yet.
    pub(super) fn new(name: RoomName) -> Self {
        Self {
            name,
            phase: Phase::Off,
            is_told: false,
            is_reset: false,
            is_closing: false,
            epochs: Vec::new(),
            head: 0,
            tail: Tail::default(),
            early: Early::default(),
            saying: Saying::default(),
            people: People::default(),
        }
    }

    /// The partition.
    pub(super) fn partition(&self) -> Partition {
        Partition::of(&self.name)
    }

    /// The number of the newest epoch that is known; 0 if none.
    pub(super) fn newest_epoch(&self) -> u64 {
        self.epochs.last().map_or(0, |epoch| epoch.id.number)
    }

    /// Whether the chat knows where the room stands.
    fn has_begun(&self) -> bool {
        self.is_told && !self.is_reset
    }

    /// The last message that is known.
    fn known(&self) -> Option<(EpochId, u64)> {
        self.epochs.last().filter(|_| self.has_begun()).map(|epoch| (epoch.id, self.head))
    }

    // ----- from the chat -----

    /// The chat wants the room open, and to be told anew where it stands.
    pub(super) fn open(&mut self, turn: &mut Turn<'_>) {
        self.is_closing = false;
        self.is_told = false;
        if self.phase == Phase::Off {
            self.subscribe(turn);
        } else if self.phase != Phase::Subscribing {
            // The answer to what was asked before may leave the users out.
            self.phase = Phase::Waiting;
            self.ask(turn);
        }
    }

    /// The chat has messages to say. It may not have heard yet that their users have lost their names.
    pub(super) fn say(&mut self, messages: Vec<ToSay>, turn: &mut Turn<'_>) {
        let is_named = |message: &ToSay| message.author.as_ref().is_none_or(|author| self.people.has(author));
        let (messages, others): (Vec<_>, Vec<_>) = messages.into_iter().partition(is_named);
        self.saying.say(messages, self.head);
        self.tell_dropped(others.into_iter().map(|message| message.id).collect(), turn);
    }

    fn tell_dropped(&self, dropped: Vec<SayId>, turn: &mut Turn<'_>) {
        if !dropped.is_empty() {
            turn.tell(Heard::Dropped(self.name.clone(), dropped));
        }
    }

    /// The chat wants the room closed.
    pub(super) fn close(&mut self) {
        self.is_closing = true;
    }

    /// Whether the room can be dropped. Its channel is not needed any more then.
    pub(super) fn is_done(&self) -> bool {
        self.is_closing && self.is_idle()
    }

    /// Whether nothing is under way for the chat.
    pub(super) fn is_idle(&self) -> bool {
        self.saying.is_idle() && self.people.is_idle()
    }

    /// Whether its channel is subscribed to, or is about to be.
    pub(super) fn is_subscribed(&self) -> bool {
        self.phase != Phase::Off
    }

    /// Sends what waits, if it may be sent.
    pub(super) fn send(&mut self, may_say: bool, turn: &mut Turn<'_>) {
        if self.phase == Phase::Live && turn.open.contains(self.partition()) {
            let saying = &self.saying;
            self.people.send(&self.name, !may_say, |author| saying.is_saying(author), turn);
            // Nothing is said under a name that another user may have by now.
            if may_say && !self.people.is_claiming_again() {
                self.saying.send(&self.name, self.known(), turn);
            }
        }
    }

    // ----- the connection -----

    /// The node has joined the partition: subscribes, and then asks where the room stands.
    pub(super) fn subscribe(&mut self, turn: &mut Turn<'_>) {
        if turn.open.contains(self.partition()) {
            self.phase = Phase::Subscribing;
            turn.subscribe(&self.name);
        }
    }

    /// What is published is heard from now on.
    pub(super) fn subscribed(&mut self, turn: &mut Turn<'_>) {
        if self.phase == Phase::Subscribing {
            self.ask(turn);
        }
    }

    /// The node is fenced: what it has asked is to be asked again by the node that it becomes.
    pub(super) fn fenced(&mut self) {
        self.disconnect_asks();
        if !matches!(self.phase, Phase::Off | Phase::Subscribing | Phase::Live) {
            self.phase = Phase::Waiting;
        }
    }

    /// The node has joined the partition as another one: compares anew. The channel stays.
    pub(super) fn rejoin(&mut self, turn: &mut Turn<'_>) {
        match self.phase {
            Phase::Off => self.subscribe(turn),
            Phase::Subscribing => {}
            _ => self.ask(turn),
        }
    }

    /// The connection is lost.
    pub(super) fn disconnect(&mut self, why: &Away, turn: &mut Turn<'_>) {
        self.people.refuse(&self.name, why, turn);
        self.disconnect_asks();
        self.phase = Phase::Off;
        self.early = Early::default();
    }

    fn disconnect_asks(&mut self) {
        self.saying.disconnect();
        self.people.disconnect();
    }

    /// Asks where the room stands. What is published meanwhile waits.
    pub(super) fn ask(&mut self, turn: &mut Turn<'_>) {
        if self.phase != Phase::Asking {
            turn.calls.forget_reads_of(&self.name);
            self.phase = Phase::Asking;
            // A room that begins anew is told with all its keys and users.
            let begins = !self.has_begun();
            let open = Command::Open {
                room: self.name.clone(),
                wants_keys: begins,
                version: if begins { 0 } else { self.people.version },
            };
            turn.call_of(&self.name, RoomCall::Open, open);
        }
    }

    /// Nodes append again: a room that waits for others to give back what Redis lacks waits no more.
    pub(super) fn wait_is_over(&mut self, turn: &mut Turn<'_>) {
        if self.phase == Phase::Waiting {
            self.ask(turn);
        }
    }

    // ----- what is published -----

    /// Something was published on the channel of the room.
    pub(super) fn published(&mut self, published: Published, turn: &mut Turn<'_>) {
        match self.phase {
            Phase::Off => {}
            Phase::Live => {
                if !self.hear(published, turn) {
                    self.ask(turn);
                }
            }
            _ => self.early.push(published),
        }
    }

    /// The room is live again: tells what was published meanwhile.
    fn go_on(&mut self, turn: &mut Turn<'_>) {
        if self.phase != Phase::Live {
            return;
        }
        let early = mem::take(&mut self.early);
        if early.is_over {
            return self.ask(turn);
        }
        let mut published = early.published.into_iter();
        while let Some(next) = published.next() {
            if self.is_known(&next) || self.hear(next, turn) {
                continue;
            }
            // It is part of what the next answer has.
            self.early = Early { published: published.collect(), ..Early::default() };
            return self.ask(turn);
        }
    }

    /// Whether what was published is part of what is known.
    fn is_known(&self, published: &Published) -> bool {
        match published {
            Published::Said(record) => record.last() <= self.head,
            Published::Person { version, .. } => *version <= self.people.version,
            Published::Shown { .. } | Published::Whispered { .. } | Published::Forgot(_) => false,
        }
    }

    /// Tells the chat. False if something is missing, or if Redis has lost something: the room must be compared.
    fn hear(&mut self, published: Published, turn: &mut Turn<'_>) -> bool {
        let name = self.name.clone();
        match published {
            Published::Said(record) => {
                if record.first != self.head + 1 || record.entries.is_none() {
                    return false;
                }
                self.apply(*record, turn);
            }
            Published::Person { version, person, node, ask } => {
                if version != self.people.version + 1 {
                    return false;
                }
                let ask = ask.filter(|_| node == turn.node);
                self.people.heard(version, &person, ask, turn);
                turn.tell(Heard::Person(name, person, ask));
                self.tell(turn);
            }
            Published::Shown { node, payload } => turn.tell(Heard::Shown(name, node, payload)),
            Published::Whispered { node, payload } => turn.tell(Heard::Whispered(name, node, payload)),
            Published::Forgot(to) => {
                self.tail.forget_to(to);
                turn.tell(Heard::Forgot(name, to));
            }
        }
        true
    }

    /// Tells the next record.
    fn apply(&mut self, stored: Stored, turn: &mut Turn<'_>) {
        let Some(entries) = stored.entries.clone() else {
            return;
        };
        if self.epochs.last().is_none_or(|epoch| epoch.id != stored.epoch) {
            self.epochs.push(Epoch { id: stored.epoch, starts: stored.first });
            let surplus = self.epochs.len().saturating_sub(MOST_EPOCHS);
            self.epochs.drain(..surplus);
        }
        let Some(epoch) = self.epochs.last().copied() else {
            return;
        };
        let own = self.saying.heard(&stored, turn);
        let record = Record {
            first: stored.first,
            count: stored.count,
            at: stored.at,
            keys: stored.keyed().collect(),
            entries,
        };
        self.head = stored.last();
        self.tail.push(turn.now, stored);
        turn.tell(Heard::Said(self.name.clone(), Box::new(SaidRecord { record, epoch, own })));
        self.saying.tell(&self.name, turn);
    }

    /// Redis has answered what became of a round.
    pub(super) fn appended(&mut self, answer: &Appended, turn: &mut Turn<'_>) {
        self.saying.answered(answer, self.head, turn);
        match answer {
            Appended::Not(_) => self.ask(turn),
            Appended::Fenced | Appended::Wait(_) => self.saying.hold(),
            Appended::At(_) | Appended::Old | Appended::Repeated(_) => {}
        }
    }

    /// Tells the answers that are due.
    pub(super) fn tell(&mut self, turn: &mut Turn<'_>) {
        self.saying.tell(&self.name, turn);
        if self.phase != Phase::Live {
            // What was said before a name was given is to be heard first.
            return;
        }
        while let Some(key) = self.people.tell(&self.name, turn) {
            let dropped = self.saying.drop_of(&key);
            self.tell_dropped(dropped, turn);
            turn.tell(Heard::NameLost(self.name.clone(), key));
        }
    }

    /// Tells those who wait that it takes long.
    pub(super) fn tell_delayed(&mut self, turn: &mut Turn<'_>) {
        let delayed = self.saying.take_delayed();
        if !delayed.is_empty() {
            turn.tell(Heard::Delayed(self.name.clone(), delayed));
        }
    }

    /// Looks after what does not come by itself: a call that was refused, and a publication that is missing.
    pub(super) fn look_after(&mut self, turn: &mut Turn<'_>) {
        self.saying.release();
        self.people.release();
        let is_live = self.phase == Phase::Live;
        if is_live && self.people.wants_list(turn.now) {
            self.people.version = 0;
            self.ask(turn);
        } else if self.phase == Phase::Waiting || (is_live && self.saying.is_unheard()) {
            self.ask(turn);
        }
    }

    /// Keeps memory within bounds.
    pub(super) fn trim(&mut self, share: usize, most: usize, turn: &Turn<'_>) {
        self.tail.trim(turn.now, share, most);
    }
}
