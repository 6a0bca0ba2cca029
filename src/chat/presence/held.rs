//! Nicknames that are held for users who may come back. Callers pass the time.

use std::{
    collections::{BTreeSet, HashMap},
    time::Instant,
};

use crate::domain::{Nickname, NicknameKey, Token};

/// Held nicknames, found by name, by token and by end of the hold: a room may hold as many as it had users,
/// and each login looks one up.
#[derive(Debug, Default)]
pub(super) struct HeldNames {
    by_name: HashMap<NicknameKey, Held>,
    /// A token holds at most one nickname.
    by_token: HashMap<Token, NicknameKey>,
    by_end: BTreeSet<(Instant, NicknameKey)>,
}

/// A nickname that is held.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub nickname: Nickname,
    pub token: Token,
    pub until: Instant,
}

impl HeldNames {
    /// The number of held nicknames, also of those whose hold has ended since the last [`expire`](Self::expire).
    pub(super) fn count(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn contains(&self, key: &NicknameKey) -> bool {
        self.by_name.contains_key(key)
    }

    pub(super) fn get(&self, key: &NicknameKey) -> Option<&Held> {
        self.by_name.get(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Held> {
        self.by_name.values()
    }

    /// When the last hold ends.
    pub(super) fn last_end(&self) -> Option<Instant> {
        self.by_end.last().map(|(end, _)| *end)
    }

    /// Holds a nickname, in place of any other hold of it.
    pub(super) fn insert(&mut self, key: NicknameKey, held: Held) {
        self.remove(&key);
        self.by_token.insert(held.token, key.clone());
        self.by_end.insert((held.until, key.clone()));
        self.by_name.insert(key, held);
    }

    pub(super) fn remove(&mut self, key: &NicknameKey) {
        if let Some((key, held)) = self.by_name.remove_entry(key) {
            self.by_token.remove(&held.token);
            self.by_end.remove(&(held.until, key));
        }
    }

    /// Frees the nickname that is held for a token.
    pub(super) fn remove_of(&mut self, token: &Token) {
        if let Some(key) = self.by_token.get(token).cloned() {
            self.remove(&key);
        }
    }

    fn remove_oldest(&mut self) {
        if let Some((_, key)) = self.by_end.first().cloned() {
            self.remove(&key);
        }
    }

    /// Frees the nicknames whose hold has ended.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.by_end.first().is_some_and(|(end, _)| *end <= now) {
            self.remove_oldest();
        }
    }
}
