//! The chat with what it has on its way to the journal: what an actor runs, and what a test can run without
//! one. It has no clock, mailbox or thread.
//!
//! The [`Chat`] may panic: its effects count only once it has handled an input as a whole, and what has been
//! said and not kept yet is not in it, but in the [`Keeper`]. So a panic loses the input that it came from,
//! and the broadcasts that were still open; [`Shard::begin_again`] makes a new chat of the rest.

use std::{mem, net::IpAddr, sync::Arc, time::Instant};

use log::warn;

use super::{
    calls::{Call, CallId, Calls, Due},
    commits::{Commit, Receipt},
    common::{Common, ShardId},
    core::{Chat, Counts, Lost},
    effects::{Done, Effect, Input, Job, Now, ToKeep},
    handing::Decisions,
    keeper::Keeper,
    messages::{Rejected, Reply, RoomList, Summary},
    openings::Openings,
};
use crate::{
    broadcast::RoomId,
    domain::RoomName,
    journal::{Damage, JournalError, RoomState},
    nodes::contract::Heard,
};

/// One chat, and its keeper.
#[derive(Debug)]
pub struct Shard {
    make: Make,
    chat: Chat,
    keeper: Keeper,
    openings: Openings,
    calls: Calls,
}

/// What a chat is made of.
#[derive(Debug)]
struct Make {
    common: Arc<Common>,
    id: ShardId,
    decisions: Arc<dyn Decisions>,
}

impl Make {
    fn chat(&self, now: Now) -> Chat {
        Chat::new(&self.common, self.id, Arc::clone(&self.decisions), now)
    }
}

/// The sizes of a chat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Rooms with members.
    pub rooms: usize,
    /// Rooms with members or history.
    pub kept_rooms: usize,
    /// Sessions, in rooms or not.
    pub members: usize,
    /// Messages that were accepted and are not durable yet.
    pub unkept: u64,
}

impl Figures {
    /// The figures that the metrics show: rooms, kept rooms, messages that are not durable.
    pub(crate) fn gauges(self) -> [i64; 3] {
        let gauge = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        [gauge(self.rooms), gauge(self.kept_rooms), i64::try_from(self.unkept).unwrap_or(i64::MAX)]
    }
}

impl Shard {
    /// A shard without rooms, see [`Chat::new`].
    pub fn new(common: Arc<Common>, id: ShardId, decisions: Arc<dyn Decisions>, now: Now) -> Self {
        let keeper = Keeper::new(common.limits.commit_delay);
        let make = Make { common, id, decisions };
        let (openings, calls) = (Openings::default(), Calls::default());
        Self { chat: make.chat(now), make, keeper, openings, calls }
    }

    /// Begins: asks the journal which rooms it has, unless the rooms are shared with other nodes.
    pub fn start(&mut self, effects: &mut Vec<Effect>) {
        if self.chat.is_shared() {
            return;
        }
        // One shard for all: the journal removes what is too old in all rooms.
        self.keeper.start(self.make.id == ShardId(0));
        self.ask(effects);
    }

    /// Handles an input, and adds what is to be done to `effects`. After a panic, `effects` has what is to be
    /// done nevertheless.
    pub fn handle(&mut self, now: Now, input: Input, effects: &mut Vec<Effect>) {
        self.chat.set_now(now);
        self.chat.set_fault(self.keeper.fault());
        let ends_turn = input.ends_turn();
        if input.hurries() {
            self.keeper.hurry();
        }
        match input {
            Input::Request(request) => self.chat.request_of_session(request),
            Input::FromShard(message) => self.chat.take_from_shard(message),
            Input::Decided(decided) => self.chat.decided(decided),
            Input::TurnEnded => {}
            Input::Wake => {
                self.keeper.wake(now.at);
                self.chat.ring();
            }
            Input::Done(done) => self.done(now, done, effects),
            Input::Stop => self.chat.stop(),
            Input::Call(id, call) => self.call(id, call, effects),
            Input::Heard(heard) => self.heard(heard, effects),
        }
        if ends_turn {
            self.end_turn(now, effects);
        } else {
            self.take_over(effects);
        }
        self.ask(effects);
    }

    /// Goes on after a panic: makes a new chat of what is left of the old one. `lost` is what is to be done about
    /// the input that panicked.
    pub fn begin_again(&mut self, now: Now, lost: Lost, effects: &mut Vec<Effect>) {
        let broken = mem::replace(&mut self.chat, self.make.chat(now));
        self.chat.begin_again(broken.rest(), &lost);
        match lost {
            Lost::Batch => self.keeper.give_again(),
            Lost::Upkeep => self.keeper.keep_up(now.at),
            Lost::PlacesIn(room) => self.openings.lost(room),
            Lost::Stop => self.chat.stop(),
            Lost::Closed => self.calls.closed(),
            Lost::Forgot(room, call, answer) => self.forgot(&room, call, answer, effects),
            Lost::Call(id, call) => self.call(id, call, effects),
            Lost::Heard(heard) => self.heard(*heard, effects),
            _ => {}
        }
        if !self.chat.is_shared() {
            self.keeper.start_again();
        }
        self.end_turn(now, effects);
        self.ask(effects);
    }

    /// Sends all broadcasts, gives the journal the next batch, and goes on with the calls.
    fn end_turn(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.chat.end_turn();
        self.take_over(effects);
        self.keeper.commit_next(now.at);
        self.go_on_with_calls(effects);
    }

    /// Takes a call of the server.
    fn call(&mut self, id: CallId, call: Call, effects: &mut Vec<Effect>) {
        // The caller waits.
        self.keeper.hurry();
        match call {
            Call::UntilIdle => self.calls.until_idle(id),
            Call::Forget(room) if self.chat.is_shared() => self.chat.forget_by_link(id, room),
            Call::Forget(room) => {
                // What was said before belongs to it.
                self.chat.end_turn();
                self.take_over(effects);
                let last = self.keeper.unkept_in(&room).map(|(_, last)| last);
                self.calls.forget(id, room, last);
            }
            Call::Close => {
                self.chat.keep_names();
                self.keeper.close();
                self.calls.close(id);
            }
        }
    }

    /// Answers the calls that are done, and asks the journal to forget rooms whose messages it has.
    fn go_on_with_calls(&mut self, effects: &mut Vec<Effect>) {
        let keeper = &self.keeper;
        let is_unkept =
            |room: &RoomName, offset| keeper.unkept_in(room).is_some_and(|(first, _)| first <= offset);
        effects.extend(self.calls.due(keeper.fault(), is_unkept).into_iter().map(|due| match due {
            Due::Forget(id, room) if self.chat.lacks_history(&room) => Effect::Answer(id, Ok(false)),
            Due::Forget(id, room) => Effect::Ask(Job::Forget(room, Some(id))),
            Due::Refuse(id, fault) => Effect::Answer(id, Err(fault)),
        }));
        let is_idle = || keeper.is_idle() && !self.chat.is_awaited();
        effects.extend(self.calls.answered(is_idle).into_iter().map(|id| Effect::Answer(id, Ok(true))));
    }

    /// Handles what the link tells.
    fn heard(&mut self, heard: Heard, effects: &mut Vec<Effect>) {
        if let Heard::Accepted(room, said) | Heard::Repeated(room, said) = &heard {
            self.chat.ack(room, said);
            // From here on, a panic loses no ack.
            self.take_over(effects);
        }
        self.chat.heard(heard);
    }

    fn done(&mut self, now: Now, done: Done, effects: &mut Vec<Effect>) {
        match done {
            Done::Rooms(answer) => {
                let known = answer.map(|names| self.chat.rooms_known(names));
                self.keeper.probed(known, now.at);
            }
            Done::Opened(room, answer) => self.opened(room, answer),
            Done::Appended(Ok(())) => self.committed(effects),
            Done::Appended(Err(error)) => self.failed(error, now.at),
            Done::Checked(answer) => self.keeper.checked(answer, now.at),
            Done::Swept(asked_at, answer) => {
                self.keeper.swept(now.at);
                match answer {
                    Ok(forgotten) => self.chat.share_swept(forgotten, asked_at),
                    Err(error) => warn!("old messages cannot be let go: {error}"),
                }
            }
            Done::Forgot(room, call, answer) => self.forgot(&room, call, answer, effects),
            Done::Reserved(Err(error)) => warn!("reserved names are not kept: {error}"),
            Done::Reserved(Ok(())) => {}
            Done::Closed(answer) => {
                self.calls.closed();
                if let Err(error) = answer {
                    warn!("the journal is not closed as it should be: {error}");
                }
            }
        }
    }

    /// The journal has forgotten a room, or could not.
    fn forgot(
        &mut self,
        room: &RoomName,
        call: Option<CallId>,
        answer: Result<(), JournalError>,
        effects: &mut Vec<Effect>,
    ) {
        match &answer {
            Ok(()) => self.chat.forgot(room),
            Err(error) => {
                warn!("the history of a room cannot be let go: {error}");
                // A known fault is tried again in its time.
                if self.keeper.fault().is_none() {
                    self.keeper.probe(false);
                }
            }
        }
        effects.extend(call.map(|id| Effect::Answer(id, answer.map(|()| true))));
    }

    /// The journal has told where a room stands.
    fn opened(&mut self, room: RoomId, answer: Result<RoomState, JournalError>) {
        // The journals of other rooms need not be damaged.
        if matches!(answer, Err(JournalError::Unavailable(_))) {
            self.keeper.probe(false);
        }
        let Some((answer, unkept)) = self.openings.answered(room, answer) else {
            return;
        };
        self.chat.book_opened(room, answer, unkept);
    }

    /// The journal has made a batch durable.
    fn committed(&mut self, effects: &mut Vec<Effect>) {
        let mut done = self.keeper.committed();
        for Receipt { to, place } in done.iter_mut().flat_map(|commit| commit.receipts.drain(..)) {
            self.chat.answer(to, Reply::Posted(place));
        }
        // From here on, a panic loses no ack.
        self.take_over(effects);
        for Commit { room, append, .. } in done {
            self.chat.committed(room, &append.room, append.record.last(), append.record.at);
        }
    }

    /// Accepts no message until the journal works again. Messages that were relayed stay in memory and are
    /// tried again; their senders are told that they are not kept yet.
    fn failed(&mut self, error: JournalError, now: Instant) {
        for Receipt { to, .. } in self.keeper.failed(error, now) {
            self.chat.answer(to, Reply::Rejected(Rejected::NotKeptYet));
        }
    }

    /// Takes over what the chat has done: what was said and what is kept of it belong together.
    fn take_over(&mut self, effects: &mut Vec<Effect>) {
        let mut unknown = Vec::new();
        let before = effects.len();
        for to_keep in self.chat.take_effects(effects) {
            match to_keep {
                ToKeep::Record(commit) => self.keeper.keep(commit),
                ToKeep::Ack(room, receipt) if !self.keeper.owe(room, receipt) => unknown.push(receipt),
                ToKeep::Ack(..) => {}
            }
        }
        if !unknown.is_empty() {
            for Receipt { to, .. } in unknown {
                self.chat.answer(to, Reply::Rejected(Rejected::NotKeptYet));
            }
            drop(self.chat.take_effects(effects));
        }
        for effect in &effects[before..] {
            if let Effect::Ask(Job::Open(id, name)) = effect {
                self.openings.asked(*id, self.keeper.records_of(name));
            }
        }
    }

    /// Asks the journal what the chat and the keeper want to know.
    fn ask(&mut self, effects: &mut Vec<Effect>) {
        self.keeper.close_if_idle(|| self.chat.must_not_end() || self.calls.is_forgetting());
        effects.extend(self.keeper.jobs().map(Effect::Ask));
    }

    /// When [`Input::Wake`] is due; `None` if not by itself.
    pub fn next_wake(&self) -> Option<Instant> {
        self.chat.next_alarm().into_iter().chain(self.keeper.next_wake()).min()
    }

    /// Whether a client at this address may enter a room, which is made if it does not exist.
    pub(crate) fn may_enter(
        &mut self,
        now: Now,
        room: &RoomName,
        address: Option<IpAddr>,
    ) -> Result<(), Rejected> {
        self.chat.set_now(now);
        self.chat.may_enter(room, address)
    }

    /// The largest rooms, and those that are asked for.
    pub(crate) fn list_rooms(&mut self, now: Now, asked: Vec<RoomName>) -> RoomList {
        self.chat.set_now(now);
        self.chat.list_rooms(asked)
    }

    /// How many sessions are in each room that may be listed and has some.
    pub(crate) fn room_sizes(&self) -> Vec<(RoomName, u64)> {
        self.chat.room_sizes()
    }

    /// The fault of the journal, or of the link to other nodes, if it has one.
    pub(crate) fn fault(&self) -> Option<&JournalError> {
        self.keeper.fault().or_else(|| self.chat.fault_of_link())
    }

    /// The sizes.
    pub fn figures(&self) -> Figures {
        let (rooms, kept_rooms, members) = self.chat.sizes();
        Figures { rooms, kept_rooms, members, unkept: self.keeper.unkept() + self.chat.unsaid() }
    }

    /// The numbers that health shows, with the damage that the journal has met.
    pub(crate) fn summary(&self, journal_damage: Option<Damage>) -> Summary {
        let Figures { rooms, kept_rooms, members, .. } = self.figures();
        Summary { rooms, kept_rooms, members, journal_fault: self.fault().cloned(), journal_damage }
    }

    /// What was counted since this was last called.
    pub(crate) fn take_counts(&mut self) -> Counts {
        self.chat.take_counts()
    }
}

#[cfg(test)]
mod tests;
