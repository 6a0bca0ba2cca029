//! What the link tells of messages, and of Redis.

use std::mem;

use super::showing::UNREADABLE;
use crate::{
    broadcast::Reach,
    chat::{
        calls::CallId,
        core::Chat,
        effects::{Effect, Now},
        line::Line,
        messages::{Rejected, Reply},
        position::Place,
        room::{Book, Room},
    },
    connection::Accepted,
    domain::{MemberId, RoomName},
    journal::{JournalError, entry::unpack},
    logging,
    nodes::{
        Partition,
        contract::{AskId, Away, Heard, Order, Partitions, SaidRecord, SayId},
    },
};

impl Chat {
    /// Handles what the link tells, except what [`ack`](Self::ack) answers.
    pub(in crate::chat) fn heard(&mut self, heard: Heard) {
        match heard {
            Heard::Opened(room, opened) => self.opened_by_link(&room, *opened),
            Heard::Said(room, said) => self.said(&room, *said),
            Heard::Accepted(room, said) => {
                self.counts.accepted += said.len() as u64;
                self.acked(&room, &said);
            }
            Heard::Repeated(room, said) => self.acked(&room, &said),
            Heard::Delayed(room, ids) => self.delayed(&room, &ids),
            Heard::Dropped(room, ids) => self.dropped(&room, &ids),
            Heard::Shown(room, node, packed) => self.shown(&room, node, packed),
            Heard::Person(room, person, ask) => self.person(&room, *person, ask),
            Heard::People(room, people, listed) => self.people(&room, people, listed),
            Heard::Entered(room, ask, answer) => self.entered(&room, ask, answer),
            Heard::NameLost(room, key) => self.name_lost(&room, &key),
            Heard::Whispered(room, node, packed) => self.whispered(&room, node, packed),
            Heard::Forgetting(ask, answer) => self.forgetting(ask, answer),
            Heard::Forgot(room, offset) => self.forgot_to(&room, offset),
            Heard::Up(partitions) => self.up(partitions),
            Heard::Down(partitions, away) => self.down(partitions, away),
        }
    }

    /// A record was heard: tells the members.
    fn said(&mut self, name: &RoomName, SaidRecord { record, epoch, own }: SaidRecord) {
        let own: Vec<_> = match &mut self.shared {
            Some(shared) => own.into_iter().map(|id| shared.says.heard(id)).collect(),
            None => Vec::new(),
        };
        let (Now { at, millis }, tail_bytes) = (self.now, self.tail_share());
        let Some((id, room)) = self.room_named(name) else {
            return;
        };
        room.heard_at = Some(at);
        // A room that is being opened is told where it stands behind this record.
        let Some(log) = room.log() else {
            return;
        };
        if record.first != log.head() + 1 {
            log::error!("a record of a room follows at {}, behind {}", record.first, log.head());
        }
        let begins = log.epoch().id != epoch.id;
        let entries = unpack(&record);
        log.heard(&record, epoch, entries.is_ok(), millis, tail_bytes);
        let entries = match entries {
            Ok(entries) => entries,
            Err(error) => return logging::refused(UNREADABLE, format_args!("{error}")),
        };
        if begins {
            self.add_line(id, &Line::Epoch(&epoch.id.to_string()), Reach::All, None);
        }
        let mut own = own.into_iter();
        for entry in &entries {
            let (accepted, excluded): (Option<Accepted>, Option<MemberId>) = own.next().unwrap_or_default();
            let reach = excluded.map_or(Reach::All, Reach::Exclude);
            self.add_line(id, &Line::Said(entry.offset, entry.as_new()), reach, accepted);
        }
    }

    /// These messages are in Redis, each at this offset: tells those who have sent them.
    pub(in crate::chat) fn ack(&mut self, name: &RoomName, said: &[(SayId, u64)]) {
        let id = self.broadcaster.rooms.find(name);
        for &(say, offset) in said {
            let Some(saying) = self.shared.as_ref().and_then(|shared| shared.says.get(say)) else {
                continue;
            };
            let (askers, at) = (saying.askers.clone(), saying.at);
            // A repeated message has the time of the first one.
            let log = id.and_then(|id| self.broadcaster.rooms.get(id)).and_then(Room::log);
            let first = log.zip(saying.key).and_then(|(log, key)| log.ids.find(&key));
            let place = first.filter(|place| place.offset == offset).unwrap_or(Place { offset, at });
            askers.into_iter().for_each(|to| self.answer(to, Reply::Posted(place)));
        }
    }

    /// These messages are in Redis, and those who have sent them were told.
    pub(in crate::chat) fn acked(&mut self, name: &RoomName, said: &[(SayId, u64)]) {
        let ids = said.iter().map(|(id, _)| *id);
        let due = self.shared.as_mut().map(|shared| shared.says.done(name, ids)).unwrap_or_default();
        let id = self.broadcaster.rooms.find(name);
        let log = id.and_then(|id| self.broadcaster.rooms.get(id)).and_then(Room::log);
        let place = Place { offset: log.map_or(0, |log| log.head()), at: self.now.millis };
        due.into_iter().for_each(|to| self.answer(to, Reply::Posted(place)));
        if let Some(id) = id {
            self.retire(id);
        }
    }

    /// These messages are not in Redis yet, and that will take a while.
    fn delayed(&mut self, name: &RoomName, ids: &[SayId]) {
        let askers = self.shared.as_mut().map(|shared| shared.says.delayed(name, ids)).unwrap_or_default();
        for to in askers {
            self.answer(to, Reply::Rejected(Rejected::NotKeptYet));
        }
    }

    /// These messages are not said: their users have lost their names.
    fn dropped(&mut self, name: &RoomName, ids: &[SayId]) {
        for id in ids {
            let saying = self.shared.as_ref().and_then(|shared| shared.says.get(*id));
            let askers = saying.map(|saying| saying.askers.clone()).unwrap_or_default();
            self.counts.not_kept += 1;
            askers.into_iter().for_each(|to| self.answer(to, Reply::Rejected(Rejected::Interrupted)));
        }
        self.acked(name, &ids.iter().map(|id| (*id, 0)).collect::<Vec<_>>());
    }

    // ----- forgetting -----

    /// Has the messages of a room forgotten, for a call.
    pub(in crate::chat) fn forget_by_link(&mut self, call: CallId, room: RoomName) {
        if let Some(shared) = &mut self.shared
            && !shared.forgetting.values().any(|other| *other == call)
        {
            let ask = shared.next_ask();
            shared.forgetting.insert(ask, call);
            shared.order(Order::Forget(room, ask));
        }
    }

    fn forgetting(&mut self, ask: AskId, answer: Result<bool, Away>) {
        if let Some(call) = self.shared.as_mut().and_then(|shared| shared.forgetting.remove(&ask)) {
            self.effects.push(Effect::Answer(call, answer.map_err(|away| unavailable(&away))));
        }
    }

    /// The messages of a room up to an offset are forgotten.
    fn forgot_to(&mut self, name: &RoomName, offset: u64) {
        let id = self.broadcaster.rooms.find(name);
        if let Some(log) = id.and_then(|id| self.broadcaster.rooms.get(id)).and_then(Room::log) {
            log.forget_to(offset);
        }
    }

    // ----- Redis -----

    /// Redis can be reached for these partitions.
    fn up(&mut self, partitions: Partitions) {
        if let Some(shared) = &mut self.shared {
            shared.away.remove(partitions);
            if shared.away.is_empty() {
                shared.fault = None;
            }
        }
    }

    /// Redis cannot be reached for these partitions. Requests that wait for a room there are answered.
    fn down(&mut self, partitions: Partitions, away: Away) {
        if let Some(shared) = &mut self.shared {
            shared.away.add(partitions);
            shared.fault = Some(unavailable(&away));
            let is_away = |room: &RoomName| partitions.contains(Partition::of(room));
            shared.shows.drop_in(is_away);
        }
        let names: Vec<_> = self
            .broadcaster
            .rooms
            .iter()
            .filter(|(_, room)| room.is_awaited() && partitions.contains(Partition::of(&room.name)))
            .map(|(_, room)| room.name.clone())
            .collect();
        for id in names.iter().filter_map(|name| self.broadcaster.rooms.find(name)).collect::<Vec<_>>() {
            if let Some(Book::Opening(waiting)) = self.broadcaster.rooms.get(id).map(|room| &mut room.book) {
                let waiting = mem::take(waiting);
                self.handle_waiting(id, waiting, Some(Rejected::JournalUnavailable));
            }
        }
    }
}

fn unavailable(Away(why): &Away) -> JournalError {
    JournalError::Unavailable(why.clone())
}
