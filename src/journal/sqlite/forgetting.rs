//! Collects rooms to forget. A server at its bound of rooms forgets one for each new room, and one
//! transaction with a flush for each of them would delay appends.

use std::collections::HashMap;

use super::{Answer, Write};
use crate::{domain::RoomName, journal::JournalError};

/// Maximum number of rooms forgotten in one transaction.
const MAX_ROOMS: usize = 256;

/// The rooms to forget, with the requests to answer.
#[derive(Default)]
pub(super) struct Forgetting(HashMap<RoomName, Vec<Answer<()>>>);

impl Forgetting {
    pub(super) fn add(&mut self, room: RoomName, answer: Answer<()>) {
        self.0.entry(room).or_default().push(answer);
    }

    /// Whether no room is to be forgotten.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rooms to forget.
    pub(super) fn rooms(&self) -> Vec<RoomName> {
        self.0.keys().cloned().collect()
    }

    /// Whether the rooms must be forgotten before `job` runs.
    pub(super) fn come_before(&self, job: &Write) -> bool {
        if self.0.is_empty() {
            return false;
        }
        match job {
            Write::AreYouThere(_) | Write::Check(_) => false,
            Write::Forget(..) => self.0.len() >= MAX_ROOMS,
            Write::Open(room, _) | Write::Reserve(room, ..) => self.0.contains_key(room),
            Write::Append(batch, _) => batch.iter().any(|append| self.0.contains_key(&append.room)),
            Write::Rooms(_) | Write::Sweep(_) | Write::Close(_) => true,
        }
    }

    /// Answers all requests with `outcome`. A caller may have dropped its future.
    pub(super) fn answer(&mut self, outcome: &Result<(), JournalError>) {
        for answer in self.0.drain().flat_map(|(_, answers)| answers) {
            let _ = answer.send(outcome.clone());
        }
    }
}
