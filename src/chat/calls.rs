//! What the server itself asks of a shard, and which answers are owed for that. Sessions ask by
//! [`Request`](super::messages::Request)s.
//!
//! A call that waits and is taken again, because the chat panicked over it, is one call.

use crate::{domain::RoomName, journal::JournalError};

/// The number of a call, by which its answer finds the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId(pub u64);

/// A call of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// To be answered once all messages are durable, no request waits, and no session moves.
    UntilIdle,
    /// To have the journal forget a room: all that was said before the call, and what is said until the journal has done
    /// so. There is nothing to do if the room has no history.
    Forget(RoomName),
    /// To keep the names of all users, and to close the journal once all messages are durable.
    Close,
}

/// The answer to a call: whether there was anything to do.
pub(crate) type Answer = Result<bool, JournalError>;

/// A room to forget.
#[derive(Debug)]
struct ToForget {
    id: CallId,
    room: RoomName,
    /// The last message that was said before and is not known to be durable; `None` if all are.
    last: Option<u64>,
}

/// A call to forget a room that waits no more.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// All that was said before is durable: the journal is to forget the room.
    Forget(CallId, RoomName),
    /// It cannot become durable now.
    Refuse(CallId, JournalError),
}

/// The calls that are not answered yet.
#[derive(Debug, Default)]
pub(super) struct Calls {
    until_idle: Vec<CallId>,
    to_forget: Vec<ToForget>,
    to_close: Vec<CallId>,
    is_closed: bool,
}

impl Calls {
    /// Takes a call for an answer once the shard has nothing to do.
    pub(super) fn until_idle(&mut self, id: CallId) {
        add_once(&mut self.until_idle, id);
    }

    /// Takes a call to forget a room, whose message at the offset `last` is not durable yet, or all are.
    pub(super) fn forget(&mut self, id: CallId, room: RoomName, last: Option<u64>) {
        if self.to_forget.iter().all(|due| due.id != id) {
            self.to_forget.push(ToForget { id, room, last });
        }
    }

    /// Takes a call to close the journal.
    pub(super) fn close(&mut self, id: CallId) {
        add_once(&mut self.to_close, id);
    }

    /// The journal is closed.
    pub(super) fn closed(&mut self) {
        self.is_closed = true;
    }

    /// Whether a room waits to be forgotten.
    pub(super) fn is_forgetting(&self) -> bool {
        !self.to_forget.is_empty()
    }

    /// The calls to forget a room that can go on. `fault` is that of the journal, if it has one; `is_unkept` tells
    /// whether a message of a room, or one before it, is not durable.
    pub(super) fn due(
        &mut self,
        fault: Option<&JournalError>,
        is_unkept: impl Fn(&RoomName, u64) -> bool,
    ) -> Vec<Due> {
        let mut due = Vec::new();
        let is_early = |call: &ToForget| call.last.is_some_and(|last| is_unkept(&call.room, last));
        self.to_forget.retain(|call| match (is_early(call), fault) {
            (false, _) => {
                due.push(Due::Forget(call.id, call.room.clone()));
                false
            }
            (true, Some(fault)) => {
                due.push(Due::Refuse(call.id, fault.clone()));
                false
            }
            (true, None) => true,
        });
        due
    }

    /// The calls that are answered now, at the end of a turn.
    pub(super) fn answered(&mut self, is_idle: impl FnOnce() -> bool) -> Vec<CallId> {
        let mut answered = Vec::new();
        if self.is_closed {
            answered.append(&mut self.to_close);
        }
        if !self.until_idle.is_empty() && !self.is_forgetting() && is_idle() {
            answered.append(&mut self.until_idle);
        }
        answered
    }
}

fn add_once(calls: &mut Vec<CallId>, id: CallId) {
    if !calls.contains(&id) {
        calls.push(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: CallId = CallId(7);

    fn tea() -> RoomName {
        RoomName::parse("tea").expect("a legal name")
    }

    #[test]
    fn a_room_is_forgotten_once_what_was_said_before_is_durable() {
        let mut calls = Calls::default();
        calls.forget(CALL, tea(), Some(3));
        assert_eq!(calls.due(None, |_, offset| offset >= 3), []);
        assert!(calls.is_forgetting());
        assert_eq!(calls.due(None, |_, offset| offset >= 4), [Due::Forget(CALL, tea())]);
        assert!(!calls.is_forgetting());
    }

    #[test]
    fn a_room_without_messages_on_their_way_is_forgotten_at_once_also_with_a_fault() {
        let mut calls = Calls::default();
        let fault = JournalError::Unavailable("the disk is full".to_owned());
        calls.forget(CALL, tea(), None);
        assert_eq!(calls.due(Some(&fault), |_, _| true), [Due::Forget(CALL, tea())]);
    }

    #[test]
    fn a_room_whose_messages_cannot_become_durable_is_not_forgotten_and_the_caller_learns_why() {
        let mut calls = Calls::default();
        let fault = JournalError::Unavailable("the disk is full".to_owned());
        calls.forget(CALL, tea(), Some(3));
        assert_eq!(calls.due(Some(&fault), |_, _| true), [Due::Refuse(CALL, fault.clone())]);
    }

    #[test]
    fn a_shard_that_forgets_a_room_is_not_idle() {
        let mut calls = Calls::default();
        calls.until_idle(CALL);
        calls.forget(CallId(8), tea(), Some(3));
        assert_eq!(calls.answered(|| true), []);
        drop(calls.due(None, |_, _| false));
        assert_eq!(calls.answered(|| false), []);
        assert_eq!(calls.answered(|| true), [CALL]);
    }

    #[test]
    fn a_call_that_is_taken_twice_is_answered_once() {
        let mut calls = Calls::default();
        (0..2).for_each(|_| calls.until_idle(CALL));
        (0..2).for_each(|_| calls.close(CallId(8)));
        (0..2).for_each(|_| calls.forget(CallId(9), tea(), None));
        assert_eq!(calls.due(None, |_, _| false).len(), 1);
        assert_eq!(calls.answered(|| true), [CALL], "the journal is not closed");
        calls.closed();
        assert_eq!(calls.answered(|| true), [CallId(8)]);
        calls.close(CallId(10));
        assert_eq!(calls.answered(|| true), [CallId(10)], "it is closed already");
    }
}
