//! The rooms about which the journal is being asked where they stand.
//!
//! Answers may come in another order than the journal gave them in, and a chat that begins again asks once more
//! while it waits for an answer. An answer that is older than what was said since would give out offsets twice.
//! So a room opens when all answers about it have come, with the newest of them, and with the records that were
//! not durable when it was asked: until then nothing more is said in the room.

use std::collections::HashMap;

use crate::{
    broadcast::RoomId,
    journal::{JournalError, Record, RoomState},
};

/// The questions to the journal that wait for an answer.
#[derive(Debug, Default)]
pub(super) struct Openings(HashMap<RoomId, Opening>);

/// One room that is being opened.
#[derive(Debug)]
struct Opening {
    /// Number of answers to come.
    awaited: usize,
    /// The records that were not durable when the journal was first asked.
    unkept: Vec<Record>,
    /// The newest answer so far.
    newest: Option<RoomState>,
}

impl Openings {
    /// The journal is asked about a room, which has these records on their way to it.
    pub(super) fn asked(&mut self, id: RoomId, unkept: Vec<Record>) {
        self.0.entry(id).or_insert(Opening { awaited: 0, unkept, newest: None }).awaited += 1;
    }

    /// The journal has answered. Returns where the room stands once that was the last answer.
    pub(super) fn answered(
        &mut self,
        id: RoomId,
        answer: Result<RoomState, JournalError>,
    ) -> Option<(Result<RoomState, JournalError>, Vec<Record>)> {
        let opening = self.0.get_mut(&id)?;
        let mut fault = None;
        match answer {
            Ok(state) if opening.newest.as_ref().is_none_or(|newest| newest.head <= state.head) => {
                opening.newest = Some(state);
            }
            Ok(_) => {}
            Err(error) => fault = Some(error),
        }
        self.one_less(id)
            .and_then(|Opening { unkept, newest, .. }| Some((newest.map(Ok).or(fault.map(Err))?, unkept)))
    }

    /// An answer is lost.
    pub(super) fn lost(&mut self, id: RoomId) {
        // The chat asks again.
        drop(self.one_less(id));
    }

    /// One answer less is to come. Returns the room if that was the last.
    fn one_less(&mut self, id: RoomId) -> Option<Opening> {
        let opening = self.0.get_mut(&id)?;
        opening.awaited -= 1;
        if opening.awaited == 0 { self.0.remove(&id) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(head: u64) -> RoomState {
        RoomState { epochs: Vec::new(), head, keys: Vec::new(), names: Vec::new() }
    }

    fn fault() -> JournalError {
        JournalError::Unavailable("as it was told".to_owned())
    }

    #[test]
    fn a_room_opens_with_the_newest_of_all_answers_in_whichever_order_they_come() {
        for order in [[3, 5], [5, 3]] {
            let (mut openings, id) = (Openings::default(), RoomId::next());
            openings.asked(id, Vec::new());
            openings.asked(id, Vec::new());
            assert_eq!(openings.answered(id, Ok(state(order[0]))), None);
            assert_eq!(openings.answered(id, Ok(state(order[1]))), Some((Ok(state(5)), Vec::new())));
            assert_eq!(openings.answered(id, Ok(state(7))), None, "nothing was asked");
        }
    }

    #[test]
    fn an_answer_that_is_lost_is_not_waited_for_and_a_fault_counts_if_no_other_answer_has_come() {
        let (mut openings, id) = (Openings::default(), RoomId::next());
        openings.asked(id, Vec::new());
        openings.lost(id);
        openings.asked(id, Vec::new());
        assert_eq!(openings.answered(id, Err(fault())), Some((Err(fault()), Vec::new())));
        openings.asked(id, Vec::new());
        openings.asked(id, Vec::new());
        assert_eq!(openings.answered(id, Ok(state(1))), None);
        assert_eq!(openings.answered(id, Err(fault())), Some((Ok(state(1)), Vec::new())));
    }
}
