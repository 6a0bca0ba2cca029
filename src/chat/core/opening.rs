//! What the journal says of rooms: which have history, where each stands, and which are forgotten.

use std::sync::Arc;

use super::{Chat, names};
use crate::{
    broadcast::RoomId,
    chat::{
        effects::Job,
        ids::Ids,
        log::RoomLog,
        messages::Rejected,
        room::{Book, Room, Waiting},
        transfer::ToShard,
    },
    domain::RoomName,
    journal::{JournalError, Record, ReservedName, RoomState},
    logging::{self, Shown},
};

/// The least and the most bytes of its newest messages that a room keeps in memory.
const TAIL_SHARE: std::ops::RangeInclusive<usize> = 4 * 1024..=256 * 1024;

/// What the log says of rooms that lose their history: a line of its own, beside that of rooms that are refused.
const FORGOTTEN: &str = "--max-rooms (ECHOROOM_MAX_ROOMS), rooms forgotten";

impl Chat {
    /// These rooms have history, each with the time of its last message.
    pub(in crate::chat) fn rooms_known(&mut self, names: Vec<(RoomName, u64)>) {
        let names = names.into_iter().filter(|(name, _)| self.common.shard_of(name) == self.id);
        for (name, at) in names.collect::<Vec<_>>() {
            if name.is_kept() {
                self.broadcaster.rooms.keep(&name, at);
            } else {
                // Older versions kept the history of these rooms.
                self.ask(Job::Forget(name, None));
            }
        }
        self.knows_rooms = true;
        // The bound may have been larger before.
        while let Some(room) = self.broadcaster.rooms.one_too_many() {
            self.forget(room);
        }
    }

    /// The journal has removed what was too old, and nothing is left of these rooms: tells each shard of its own.
    pub(in crate::chat) fn share_swept(&mut self, forgotten: Vec<RoomName>, asked_at: u64) {
        let common = Arc::clone(&self.common);
        let mut by_shard: Vec<_> = common.shards().map(|shard| (shard, Vec::new())).collect();
        for room in forgotten {
            by_shard[common.shard_of(&room).0].1.push(room);
        }
        for (shard, rooms) in by_shard {
            if shard == self.id {
                self.swept(&rooms, asked_at);
            } else {
                self.forward(shard, ToShard::Forgotten(rooms, asked_at));
            }
        }
    }

    /// Nothing is left of these rooms in the journal, because all was too old when it was asked. In some of them
    /// something may have been said since.
    pub(in crate::chat) fn swept(&mut self, forgotten: &[RoomName], asked_at: u64) {
        self.resting_ids.sweep(self.now.millis);
        self.private_ids.let_go(self.now.millis);
        for name in forgotten {
            if self.broadcaster.rooms.kept_at(name).is_some_and(|at| at >= asked_at) {
                continue;
            }
            self.broadcaster.rooms.forget(name);
            self.resting_ids.take(name);
            self.listing.forget(name);
        }
    }

    /// Forgets the history of a room that is not in memory, to make place for another room.
    pub(super) fn forget(&mut self, room: RoomName) {
        logging::refused(
            FORGOTTEN,
            format_args!(
                "room {:?} was silent longest and lost its history to make place for another",
                Shown(room.as_str())
            ),
        );
        self.counts.forgotten_rooms += 1;
        self.resting_ids.take(&room);
        self.listing.forget(&room);
        self.ask(Job::Forget(room, None));
    }

    /// Whether the journal has no message of a room, as far as that is known.
    pub(in crate::chat) fn lacks_history(&self, room: &RoomName) -> bool {
        self.knows_rooms && self.broadcaster.rooms.kept_at(room).is_none()
    }

    /// The journal has forgotten all messages of a room.
    pub(in crate::chat) fn forgot(&mut self, room: &RoomName) {
        self.broadcaster.rooms.forget(room);
        self.resting_ids.take(room);
        self.listing.forget(room);
        let id = self.broadcaster.rooms.find(room);
        if let Some(log) = id.and_then(|id| self.broadcaster.rooms.get(id)).and_then(Room::log) {
            log.forget_durable();
        }
    }

    /// Asks where a room stands in its journal, unless that has been asked, or the room keeps no history.
    pub(super) fn open_book(&mut self, id: RoomId) {
        if self.is_shared() {
            return self.open_by_link(id);
        }
        let is_closed = |room: &&mut Room| room.name.is_kept() && matches!(room.book, Book::Closed);
        let Some(room) = self.broadcaster.rooms.get(id).filter(is_closed) else {
            return;
        };
        room.book = Book::Opening(Vec::new());
        let name = room.name.clone();
        self.ask(Job::Open(id, name));
    }

    /// The name of a room in memory.
    fn name_of(&mut self, id: RoomId) -> Option<RoomName> {
        self.broadcaster.rooms.get(id).map(|room| room.name.clone())
    }

    /// The journal has told where a room stands. `unkept` are records of the room that are on their way to the
    /// journal, in order; some may be durable already.
    pub(in crate::chat) fn book_opened(
        &mut self,
        id: RoomId,
        answer: Result<RoomState, JournalError>,
        unkept: Vec<Record>,
    ) {
        // A room with waiting requests stays in memory.
        let Some(name) = self.name_of(id) else {
            return;
        };
        let fault = answer.as_ref().err().map(Rejected::from);
        let mut nearer = Vec::new();
        let book = match answer {
            Ok(state) => Book::Open(Box::new(self.log_of(id, &name, state, unkept, &mut nearer))),
            Err(_) => Book::Closed,
        };
        let Some(room) = self.room(id) else {
            return;
        };
        let Book::Opening(waiting) = std::mem::replace(&mut room.book, book) else {
            return;
        };
        self.keep_in_journal(name, nearer);
        self.handle_waiting(id, waiting, fault);
    }

    /// Handles the requests that have waited until a room is open; if it cannot be opened now, `fault` says why.
    pub(super) fn handle_waiting(&mut self, id: RoomId, waiting: Vec<Waiting>, fault: Option<Rejected>) {
        // A request may leave the room empty; the next ones need the room.
        if let Some(room) = self.broadcaster.rooms.get(id) {
            room.is_catching_up = true;
        }
        for waiting in waiting {
            match waiting {
                Waiting::Login(login) => {
                    let member = login.member;
                    let waits = match fault {
                        Some(rejected) => {
                            self.refuse_login(login.member, login.ticket, rejected);
                            false
                        }
                        None => self.login_now(id, login),
                    };
                    if !waits {
                        self.go_on_behind_login(member, fault.is_some());
                    }
                }
                Waiting::Publish(publish) => self.publish_open(id, publish),
                // Its session may have moved to another shard meanwhile.
                Waiting::Again(request) => {
                    if let Some(request) = self.redirect(request) {
                        self.handle(request);
                    }
                }
            }
        }
        if let Some(room) = self.broadcaster.rooms.get(id) {
            room.is_catching_up = false;
        }
        self.retire(id);
    }

    /// The log of a room in this state of its journal. Restores its reserved names; those whose end was moved
    /// are added to `nearer`.
    fn log_of(
        &mut self,
        id: RoomId,
        name: &RoomName,
        mut state: RoomState,
        unkept: Vec<Record>,
        nearer: &mut Vec<ReservedName>,
    ) -> RoomLog {
        let (now, most) = (self.now, self.limits.name_reservation.max(self.limits.name_hold));
        let names = std::mem::take(&mut state.names);
        if let Some(room) = self.broadcaster.rooms.get(id) {
            *nearer = names::restore(&mut room.presence, names, most, now);
        }
        // The file of the journal may have been replaced by an older one meanwhile.
        let resting = self.resting_ids.take(name).filter(|ids| ids.last_offset() <= state.head);
        let (limits, count) = (self.limits.ids, self.common.ids.clone());
        let ids = resting.unwrap_or_else(|| Ids::kept(limits, count, &state.keys, now.millis));
        let mut log = RoomLog::new(&state, ids);
        let tail_bytes = self.tail_share();
        unkept.into_iter().for_each(|record| log.resume_at(record, now.millis, tail_bytes));
        log
    }

    /// Bytes of its newest messages that a room may keep in memory.
    pub(super) fn tail_share(&self) -> usize {
        (self.limits.tail_bytes / self.broadcaster.rooms.loaded_in_all().max(1))
            .clamp(*TAIL_SHARE.start(), *TAIL_SHARE.end())
    }

    /// A record of a room is durable.
    pub(in crate::chat) fn committed(&mut self, id: RoomId, name: &RoomName, last: u64, at: u64) {
        let tail_bytes = self.tail_share();
        self.broadcaster.rooms.keep(name, at);
        if let Some(log) = self.broadcaster.rooms.get(id).and_then(|room| room.log()) {
            log.committed(last, tail_bytes);
        }
        self.retire(id);
    }
}
