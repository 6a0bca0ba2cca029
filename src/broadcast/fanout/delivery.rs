//! Gives the subscribers of a room the lines of broadcasts that are for them.

use std::sync::Arc;

use smallvec::SmallVec;

use super::{
    subscriber::{Subscriber, Tally},
    subscriptions::Subscriptions,
};
use crate::{
    broadcast::{
        aim::{Reach, Recipients},
        batch::{AimedBatches, Batch},
        encoding::Encoding,
        lines::Broadcast,
        room_id::RoomId,
    },
    domain::MemberId,
};

impl Subscriptions {
    /// Delivers broadcasts with equal recipients.
    pub(super) fn deliver(&mut self, room: RoomId, broadcasts: &[Arc<Broadcast>]) -> Tally {
        let mut tally = Tally::default();
        let Some(recipients) = broadcasts.first().map(|broadcast| broadcast.recipients()) else {
            return tally;
        };
        let is_volatile = *recipients == Recipients::Volatile;
        if let Recipients::Only(sessions) = recipients {
            self.deliver_to(sessions, broadcasts, is_volatile, &mut tally);
        } else if broadcasts.iter().any(|broadcast| broadcast.is_aimed()) {
            self.deliver_aimed(room, broadcasts, is_volatile, &mut tally);
        } else {
            self.deliver_to_room(room, broadcasts, is_volatile, &mut tally);
        }
        if is_volatile {
            // A volatile delivery only skips; it evicts no session.
            tally.evicted.clear();
        }
        tally
    }

    /// Delivers broadcasts to each subscriber of a room, without the lines that exclude it.
    fn deliver_to_room(
        &mut self,
        room: RoomId,
        broadcasts: &[Arc<Broadcast>],
        is_volatile: bool,
        tally: &mut Tally,
    ) {
        let Some(in_room) = self.rooms.get(&room) else {
            return;
        };
        let mut excluded = Vec::new();
        for member in broadcasts.iter().flat_map(|broadcast| broadcast.excluded()) {
            // Skip sessions of other workers and evicted ones: they have no index here.
            if let Some(&index) = self.by_session.get(&member)
                && self.subscribers[index].is_in(room)
                && !std::mem::replace(&mut self.subscribers[index].is_excluded, true)
            {
                excluded.push(index);
            }
        }

        // One batch per encoding, built when a subscriber needs it.
        let mut batches: [Option<Option<Batch>>; Encoding::COUNT] = Default::default();
        for index in &in_room.subscribers {
            let subscriber = &self.subscribers[*index];
            if !subscriber.is_excluded {
                let encoding = subscriber.seat.encoding;
                let batch = &mut batches[encoding.index()];
                if let Some(batch) = batch.get_or_insert_with(|| Batch::new(broadcasts, encoding)) {
                    subscriber.deliver(batch, is_volatile, tally);
                }
            }
        }

        for index in excluded {
            let subscriber = &mut self.subscribers[index];
            subscriber.is_excluded = false;
            if let Some(batch) = Batch::for_session(subscriber.member, broadcasts, subscriber.seat.encoding) {
                subscriber.deliver(&batch, is_volatile, tally);
            }
        }
    }

    /// Delivers broadcasts whose lines are for some subscribers only. Each subscriber collects the numbers of
    /// its lines; subscribers with equal numbers and encoding share a batch.
    fn deliver_aimed(
        &mut self,
        room: RoomId,
        broadcasts: &[Arc<Broadcast>],
        is_volatile: bool,
        tally: &mut Tally,
    ) {
        let mut receiving = Vec::new();
        let reaches = broadcasts.iter().flat_map(|broadcast| broadcast.reaches());
        for (line, reach) in reaches.enumerate() {
            match reach {
                Reach::All => self.note_line(line, &[room], &[], &mut receiving, |_| true),
                Reach::Exclude(excluded) => {
                    self.note_line(line, &[room], &[], &mut receiving, |subscriber| {
                        subscriber.member != *excluded
                    })
                }
                Reach::To(aim) => {
                    let is_wanted = |subscriber: &Subscriber| {
                        subscriber.is_in(room)
                            && !aim.exclude_sessions.contains(&subscriber.member)
                            && !aim.exclude_rooms.iter().any(|excluded| subscriber.is_in(*excluded))
                    };
                    let all = aim.all.then_some(room);
                    let rooms: SmallVec<[RoomId; 2]> = all.iter().chain(&aim.to_rooms).copied().collect();
                    self.note_line(line, &rooms, &aim.to_sessions, &mut receiving, is_wanted);
                }
            }
        }

        let mut batches = AimedBatches::new(broadcasts);
        for index in receiving {
            let subscriber = &mut self.subscribers[index];
            let lines = std::mem::take(&mut subscriber.lines);
            if let Some(batch) = batches.of(lines, subscriber.seat.encoding) {
                subscriber.deliver(batch, is_volatile, tally);
            }
        }
    }

    /// Adds a line's number to the subscribers in `rooms` and `sessions` for which `is_wanted` holds. Those
    /// that had no number before are added to `receiving`.
    fn note_line(
        &mut self,
        line: usize,
        rooms: &[RoomId],
        sessions: &[MemberId],
        receiving: &mut Vec<usize>,
        is_wanted: impl Fn(&Subscriber) -> bool,
    ) {
        let in_rooms =
            rooms.iter().filter_map(|room| self.rooms.get(room)).flat_map(|room| &room.subscribers);
        let alone = sessions.iter().filter_map(|member| self.by_session.get(member));
        for &index in in_rooms.chain(alone) {
            let subscriber = &mut self.subscribers[index];
            // A subscriber in two of the rooms gets the line once.
            if subscriber.lines.last() != Some(&line) && is_wanted(subscriber) {
                if subscriber.lines.is_empty() {
                    receiving.push(index);
                }
                subscriber.lines.push(line);
            }
        }
    }

    /// Delivers broadcasts to these sessions only, and reports each success to
    /// [`Handed`](crate::broadcast::lines::Handed).
    fn deliver_to(
        &self,
        sessions: &[MemberId],
        broadcasts: &[Arc<Broadcast>],
        is_volatile: bool,
        tally: &mut Tally,
    ) {
        for member in sessions {
            if let Some(subscriber) = self.subscriber(*member)
                && let Some(batch) = Batch::new(broadcasts, subscriber.seat.encoding)
                && subscriber.deliver(&batch, is_volatile, tally)
            {
                broadcasts
                    .iter()
                    .filter_map(|broadcast| broadcast.handed())
                    .for_each(|handed| handed.note(*member));
            }
        }
    }
}
