//! The core of the chat: decides what becomes of each request. It has no clock, mailbox or thread.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    sync::Arc,
};

use log::debug;

use self::{moving::Moving, shared::Shared};
use super::{
    alarms::Alarms,
    commits::Commit,
    common::{ChatLimits, Common, ShardId},
    effects::{Effect, Job, Now, ToKeep},
    handing::{Decisions, Fate},
    ids::{Ids, RestingIds},
    listing::Listing,
    messages::{ChatNews, Register, Rejected, Reply, Request, RoomList, UntilKept},
    position::Asker,
    room::{Behind, Book, Room, Visit},
};
use crate::{
    broadcast::{Broadcaster, Ended, RoomId},
    connection::Ending,
    domain::{MemberId, RoomName},
    journal::{Append, JournalError},
};

mod announcing;
mod beginning_again;
mod members;
mod moving;
mod names;
mod opening;
mod private;
mod shared;
mod talking;

pub use self::beginning_again::Lost;

/// Members, order, broadcasts and presence of the rooms of one shard.
///
/// A request has effects, which its caller takes by [`effects`](Self::effects) and carries out in order.
/// Broadcasts end with the turn, or when their [`Broadcaster`] ends them.
pub(crate) struct Chat {
    id: ShardId,
    common: Arc<Common>,
    limits: ChatLimits,
    /// The time of the request that is being handled.
    now: Now,
    broadcaster: Broadcaster<Room>,
    resting_ids: RestingIds,
    /// Ids of private messages of all rooms. Nothing else of these messages is kept.
    private_ids: Ids<Arc<Fate>>,
    /// Learns whether private messages have reached their readers.
    decisions: Arc<dyn Decisions>,
    /// Sessions whose login waits for a room's journal, and what each has sent behind it.
    logging_in: HashMap<MemberId, VecDeque<Behind>>,
    moving: Moving,
    /// Whether this chat goes on where another one has panicked.
    has_begun_again: bool,
    /// The server stops: a session that registers now is dismissed, as the others were.
    is_stopping: bool,
    /// Its way to other nodes, if the rooms are shared with those.
    shared: Option<Box<Shared>>,
    /// Whether the journal has told which rooms have history.
    knows_rooms: bool,
    /// The fault of the journal, if it has one: no message is accepted then that is to be kept.
    fault: Option<JournalError>,
    listing: Listing,
    alarms: Alarms,
    effects: Vec<Effect>,
    to_keep: Vec<ToKeep>,
    counts: Counts,
}

/// What the chat has counted since it was last asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Messages that the journal could not take.
    pub not_kept: u64,
    /// Messages of this node that Redis has accepted.
    pub accepted: u64,
    /// Rooms that lost their history to make place for others.
    pub forgotten_rooms: u64,
}

impl Chat {
    /// The rooms of shard `id`: none yet. `decisions` learns what becomes of private messages.
    pub(crate) fn new(common: &Arc<Common>, id: ShardId, decisions: Arc<dyn Decisions>, now: Now) -> Self {
        let limits = common.limits;
        Self {
            id,
            common: Arc::clone(common),
            limits,
            now,
            broadcaster: Broadcaster::new(common.bound(id), Arc::clone(&common.budget)),
            private_ids: Ids::new(limits.ids, common.ids.clone()),
            resting_ids: RestingIds::default(),
            decisions,
            logging_in: HashMap::new(),
            moving: Moving::default(),
            has_begun_again: false,
            is_stopping: false,
            shared: Shared::new(common),
            knows_rooms: false,
            fault: None,
            listing: Listing::default(),
            alarms: Alarms::default(),
            effects: Vec::new(),
            to_keep: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Sets the time of what is handled next.
    pub(super) fn set_now(&mut self, now: Now) {
        self.now = now;
    }

    /// Adds the effects of what has been handled to `effects`, and returns what is to be kept.
    pub(super) fn take_effects(&mut self, effects: &mut Vec<Effect>) -> std::vec::Drain<'_, ToKeep> {
        effects.append(&mut self.effects);
        effects.extend(self.broadcaster.outgoing().map(|(worker, message)| Effect::Send(worker, message)));
        if let Some(shared) = &mut self.shared {
            effects.extend(shared.take_orders());
        }
        self.to_keep.drain(..)
    }

    /// Takes the counts.
    pub(super) fn take_counts(&mut self) -> Counts {
        mem::take(&mut self.counts)
    }

    /// Handles a request of a session, now or when the journal has told where its room stands.
    pub(super) fn request(&mut self, request: Request) {
        if !self.has_begun_again {
            self.handle(request);
        } else if let Some(request) = self.wait_for_book(request) {
            self.handle(request);
        }
    }

    fn handle(&mut self, request: Request) {
        match request {
            Request::Register(register) => self.register(register),
            Request::Unregister(message) => {
                if let Some(message) = self.wait_behind_login(message.member, message) {
                    self.unregister(message);
                }
            }
            Request::Publish(publish) => self.publish(publish),
            Request::Login(login) => self.login(login),
            Request::CaughtUp(message) => self.caught_up(message),
            Request::Post(post) => {
                if let Some(post) = self.wait_behind_login(post.member, post) {
                    self.post_or_reject(post);
                }
            }
            Request::SendPrivate(message) => {
                if let Some(message) = self.wait_behind_login(message.member, message) {
                    self.send_private_or_reject(message);
                }
            }
            Request::ListUsers(asked) => match self.list_users(&asked) {
                Ok(reply) => self.reply(asked.member, asked.ticket, reply),
                Err(rejected) => self.reject(asked.member, asked.ticket, rejected),
            },
            Request::UntilKept(UntilKept { member, ticket }) => {
                if let Some(place) = self.until_kept(member, ticket) {
                    self.reply(member, ticket, Reply::Posted(place));
                }
            }
            Request::ShowTyping(shown) => self.show_typing(shown.member, shown.typing),
            Request::Logout(logout) => {
                if let Some(logout) = self.wait_behind_login(logout.member, logout) {
                    self.logout(logout);
                }
            }
        }
    }

    fn register(&mut self, Register { member, room, worker, seat, address }: Register) {
        if self.is_stopping {
            return self.effects.push(Effect::TurnAway(seat, Ending::Restart));
        }
        let Ok(room) = room.map(|name| self.find_or_make(&name, address)).transpose() else {
            return self.effects.push(Effect::TurnAway(seat, Ending::TooManyRooms));
        };
        self.broadcaster.register(member, worker, seat, Visit { ticket: 0, address, from: None });
        if let Some(room) = room {
            self.enter(member, room);
            self.subscribe(member);
            self.open_book(room);
        }
    }

    /// Sends all broadcasts.
    pub(super) fn end_turn(&mut self) {
        let ended = self.broadcaster.end_all();
        self.keep(ended);
        if let Some(shared) = &mut self.shared {
            shared.end_turn();
        }
    }

    /// The server stops: a session that registers from now on is turned away.
    pub(super) fn stop(&mut self) {
        self.is_stopping = true;
        self.end_turn();
    }

    /// Learns of the fault of the journal, or that it has none.
    pub(super) fn set_fault(&mut self, fault: Option<&JournalError>) {
        if self.fault.as_ref() != fault {
            self.fault = fault.cloned();
        }
    }

    /// The largest rooms, and those that were asked for.
    pub(super) fn list_rooms(&mut self, asked: Vec<RoomName>) -> RoomList {
        let mut list = self.listing.list(self.now.at, self.broadcaster.rooms.iter());
        for name in asked.into_iter().filter(RoomName::is_listed) {
            let id = self.broadcaster.rooms.find(&name);
            let members = id.map_or(0, |id| self.broadcaster.rooms.members_in(id));
            let room = id.and_then(|id| self.broadcaster.rooms.get(id));
            list.asked.push(self.listing.asked(name, members, room));
        }
        list
    }

    /// How many sessions are in each room that may be listed and has some.
    pub(super) fn room_sizes(&self) -> Vec<(RoomName, u64)> {
        let rooms = self.broadcaster.rooms.iter();
        let listed = rooms.filter(|(members, room)| *members > 0 && room.name.is_listed());
        listed.map(|(members, room)| (room.name.clone(), members as u64)).collect()
    }

    /// Number of rooms with members, of rooms with members or history, and of sessions.
    pub(super) fn sizes(&self) -> (usize, usize, usize) {
        let rooms = &self.broadcaster.rooms;
        (rooms.occupied(), rooms.count(), rooms.member_count())
    }

    /// Whether a request waits for the journal of a room, or for the link.
    pub(super) fn is_awaited(&self) -> bool {
        self.is_room_awaited() || self.awaits_link()
    }

    /// Whether something waits without which the server should not end.
    pub(super) fn must_not_end(&self) -> bool {
        self.is_room_awaited() || self.holds_end_up()
    }

    fn is_room_awaited(&self) -> bool {
        self.moving.is_any_away() || self.broadcaster.rooms.iter().any(|(_, room)| room.is_awaited())
    }

    pub(super) fn reply(&mut self, member: MemberId, ticket: u64, reply: Reply) {
        self.broadcaster.tell(member, ChatNews::Reply { ticket, reply });
    }

    pub(super) fn reject(&mut self, member: MemberId, ticket: u64, rejected: Rejected) {
        self.reply(member, ticket, Reply::Rejected(rejected));
    }

    /// Answers a request that was kept.
    pub(super) fn answer(&mut self, Asker { member, worker, ticket }: Asker, reply: Reply) {
        self.broadcaster.tell_at(worker, member, ChatNews::Reply { ticket, reply });
    }

    fn ask(&mut self, job: Job) {
        self.effects.push(Effect::Ask(job));
    }

    /// What the chat keeps of a room for which there is something to do. A room may have left memory with its last
    /// member a moment before; that is logged, because anything else would be a fault.
    fn room(&mut self, id: RoomId) -> Option<&mut Room> {
        let room = self.broadcaster.rooms.get(id);
        if room.is_none() {
            debug!("{id:?} has left memory, so nothing more is done there");
        }
        room
    }

    /// Removes a room from memory if nothing is lost by that.
    fn retire(&mut self, id: RoomId) {
        if self.shared.is_some() {
            return self.retire_by_link(id);
        }
        let Some(Room { name, book, .. }) = self.broadcaster.rooms.retire(id) else {
            return;
        };
        if let Book::Open(log) = book {
            self.listing.rest(&name, log.position());
            self.resting_ids.put(name, log.ids, self.now.millis, self.common.shard_count());
        }
        // A room was made over the bound, because it always may be, or because no other one gave way.
        if let Some(room) = self.broadcaster.rooms.one_too_many() {
            self.forget(room);
        }
    }

    fn end_broadcast(&mut self, id: RoomId) {
        let ended = self.broadcaster.end(id);
        self.keep(ended);
    }

    /// Has the journal keep what is to be kept of broadcasts that have ended.
    fn keep(&mut self, ended: Ended) {
        for (id, broadcast) in ended {
            let tail_bytes = self.tail_share();
            let Some(room) = self.broadcaster.rooms.get(id) else {
                continue;
            };
            let kept = mem::take(&mut room.kept).into_record();
            if let Some((record, pictures, receipts)) = kept
                && let Book::Open(log) = &mut room.book
            {
                log.push(record.clone(), tail_bytes);
                let append = Append { room: room.name.clone(), epoch: log.epoch(), record, pictures };
                let commit = Commit { room: id, append, receipts, _broadcast: broadcast };
                self.to_keep.push(ToKeep::Record(commit));
            } else {
                self.retire(id);
            }
        }
    }
}

impl std::fmt::Debug for Chat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chat").field("rooms", &self.broadcaster.rooms.loaded()).finish_non_exhaustive()
    }
}
