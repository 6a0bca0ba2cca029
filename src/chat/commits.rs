//! The queue of records for the journal: one batch is being stored, the next one collects records.
//!
//! A batch that fails stays in the queue, its senders get an error, and [`Commits::retry`] gives it to the
//! journal again. While a fault is known, no batch begins otherwise.

use std::sync::Arc;

use super::position::{Asker, Place};
use crate::{
    broadcast::{Broadcast, RoomId},
    domain::RoomName,
    journal::{Append, JournalError, Record},
};

/// A broadcast whose record is not durable yet.
#[derive(Debug)]
pub(crate) struct Commit {
    /// The room of the record.
    pub room: RoomId,
    /// What the journal stores.
    pub append: Append,
    /// The acks to send once the record is durable.
    pub receipts: Vec<Receipt>,
    /// Held until the record is durable, so that messages that wait for a slow disk count in the intake.
    pub _broadcast: Arc<Broadcast>,
}

/// A member's claim to an ack for a message that is not durable yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The member that gets the ack.
    pub to: Asker,
    /// Offset and time of the message.
    pub place: Place,
}

/// Records that wait for the journal although no sender waits for them, at most.
const MOST_UNHURRIED: usize = 256;

/// Records that are not durable yet, in order.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    in_flight: Vec<Commit>,
    next: Vec<Commit>,
    /// Whether the journal has the batch in flight; false between two attempts.
    is_under_way: bool,
    /// Whether the next batch is not to wait for more.
    is_awaited: bool,
    /// Number of messages in `in_flight` and `next`.
    unkept: u64,
    fault: Option<JournalError>,
}

impl Commits {
    /// Adds the record of a finished broadcast to the next batch.
    pub(crate) fn push(&mut self, commit: Commit) {
        self.unkept += u64::from(commit.append.record.count);
        self.is_awaited |= !commit.receipts.is_empty();
        self.next.push(commit);
    }

    /// The next batch is not to wait for more.
    pub(crate) fn hurry(&mut self) {
        self.is_awaited = true;
    }

    /// The next batch may wait for more, unless it is asked for.
    pub(crate) fn take_time(&mut self) {
        self.is_awaited = false;
    }

    /// Whether there are records that the journal does not have.
    pub(crate) fn are_waiting(&self) -> bool {
        !self.next.is_empty() || (!self.in_flight.is_empty() && !self.is_under_way)
    }

    /// Whether they must not wait for more: senders wait for their acks, they have failed before, or they are many.
    pub(crate) fn are_urgent(&self) -> bool {
        self.is_awaited
            || self.next.len() >= MOST_UNHURRIED
            || (!self.in_flight.is_empty() && !self.is_under_way)
    }

    /// Whether the journal would take a batch now.
    pub(crate) fn may_begin(&self) -> bool {
        !self.is_under_way && self.fault.is_none()
    }

    /// The next batch for the journal. `None` if it has a batch, has a fault, or nothing waits.
    pub(crate) fn begin(&mut self) -> Option<Vec<Append>> {
        if self.may_begin() { self.give() } else { None }
    }

    /// Like [`begin`](Self::begin), but also while the journal has a fault; a failed batch comes first.
    pub(crate) fn retry(&mut self) -> Option<Vec<Append>> {
        if self.is_under_way { None } else { self.give() }
    }

    fn give(&mut self) -> Option<Vec<Append>> {
        if self.in_flight.is_empty() {
            self.in_flight = std::mem::take(&mut self.next);
            self.is_awaited = false;
        }
        if self.in_flight.is_empty() {
            return None;
        }
        self.is_under_way = true;
        Some(self.in_flight.iter().map(|commit| commit.append.clone()).collect())
    }

    /// The journal has made the batch durable. Returns the batch.
    pub(crate) fn done(&mut self) -> Vec<Commit> {
        self.is_under_way = false;
        self.fault = None;
        let done = std::mem::take(&mut self.in_flight);
        self.unkept -= done.iter().map(|commit| u64::from(commit.append.record.count)).sum::<u64>();
        done
    }

    /// The journal's answer to the batch is lost.
    pub(crate) fn unanswered(&mut self) {
        self.is_under_way = false;
    }

    /// Messages that have been accepted and are not durable yet.
    pub(crate) fn unkept(&self) -> u64 {
        self.unkept
    }

    /// The journal has failed. Returns the receipts, to be answered with an error; the records stay.
    pub(crate) fn failed(&mut self, error: JournalError) -> Vec<Receipt> {
        self.is_under_way = false;
        self.fault = Some(error);
        let waiting = self.in_flight.iter_mut().chain(&mut self.next);
        waiting.flat_map(|commit| std::mem::take(&mut commit.receipts)).collect()
    }

    /// Notes a fault that was met without a batch, unless one is known.
    pub(crate) fn suspect(&mut self, error: JournalError) {
        self.fault.get_or_insert(error);
    }

    /// Clears the fault: the journal has answered again, without a batch.
    pub(crate) fn recovered(&mut self) {
        self.fault = None;
    }

    /// Adds a receipt to a message that waits here. False if it does not: its broadcast is still open.
    pub(crate) fn attach(&mut self, room: RoomId, receipt: Receipt) -> bool {
        let holds = |commit: &&mut Commit| {
            let record = &commit.append.record;
            commit.room == room && (record.first..=record.last()).contains(&receipt.place.offset)
        };
        match self.in_flight.iter_mut().chain(&mut self.next).find(holds) {
            Some(commit) => commit.receipts.push(receipt),
            None => return false,
        }
        self.is_awaited = true;
        true
    }

    /// The records of a room, in order.
    pub(crate) fn records_of(&self, room: &RoomName) -> Vec<Record> {
        let commits = self.in_flight.iter().chain(&self.next);
        commits
            .filter(|commit| commit.append.room == *room)
            .map(|commit| commit.append.record.clone())
            .collect()
    }

    /// The offsets of the first and the last message of a room that are not durable; `None` if all are.
    pub(crate) fn unkept_in(&self, room: &RoomName) -> Option<(u64, u64)> {
        let commits = self.in_flight.iter().chain(&self.next);
        let mut records =
            commits.filter(|commit| commit.append.room == *room).map(|commit| &commit.append.record);
        let first = records.next()?;
        Some((first.first, records.last().unwrap_or(first).last()))
    }

    /// The known fault of the journal.
    pub(crate) fn fault(&self) -> Option<&JournalError> {
        self.fault.as_ref()
    }

    /// Whether all records are durable.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.next.is_empty()
    }
}
