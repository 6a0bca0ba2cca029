//! Rooms that are to be forgotten, gathered: a server that is full of rooms forgets one for each that is made, and a
//! transaction with its flush for each would keep what is said waiting.

use std::collections::HashMap;

use super::{Answer, Write};
use crate::{domain::RoomName, journal::JournalError};

/// Rooms that are forgotten in one transaction at most.
const MAX_ROOMS: usize = 256;

/// See the module's text.
#[derive(Default)]
pub(super) struct Forgetting(HashMap<RoomName, Vec<Answer<()>>>);

impl Forgetting {
    pub fn add(&mut self, room: RoomName, answer: Answer<()>) {
        self.0.entry(room).or_default().push(answer);
    }

    pub fn rooms(&self) -> Vec<RoomName> {
        self.0.keys().cloned().collect()
    }

    /// Whether they must be forgotten before this is done.
    pub fn come_before(&self, job: &Write) -> bool {
        if self.0.is_empty() {
            return false;
        }
        match job {
            Write::Check(_) => false,
            Write::Forget(..) => self.0.len() >= MAX_ROOMS,
            Write::Open(room, _) | Write::Reserve(room, ..) => self.0.contains_key(room),
            Write::Append(batch, _) => batch.iter().any(|append| self.0.contains_key(&append.room)),
            Write::Rooms(_) | Write::Sweep(_) | Write::Close(_) => true,
        }
    }

    /// They have been forgotten, or not. Those who asked may have left.
    pub fn answer(&mut self, outcome: &Result<(), JournalError>) {
        for answer in self.0.drain().flat_map(|(_, answers)| answers) {
            let _ = answer.send(outcome.clone());
        }
    }
}
