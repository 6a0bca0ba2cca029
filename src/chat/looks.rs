//! Maps looks to nicknames: a room has no two names in use that could be taken for each other.

use std::collections::HashMap;

use crate::domain::{Look, Nickname, NicknameKey};

/// Looks in the map beside four for each name in use, before those of unused names are dropped.
const SPARE: usize = 64;

/// The looks of the names that are, or have been, in use in one room.
#[derive(Debug, Default)]
pub(super) struct Looks(HashMap<Look, NicknameKey>);

impl Looks {
    /// Other names with a look of `name`; some may be out of use.
    pub(super) fn like<'a>(&'a self, name: &Nickname) -> impl Iterator<Item = &'a NicknameKey> {
        let key = name.key();
        name.looks().filter_map(|look| self.0.get(&look)).filter(move |other| **other != key)
    }

    /// Claims the looks of a name that comes into use.
    pub(super) fn claim(&mut self, name: &Nickname) {
        for look in name.looks() {
            self.0.insert(look, name.key());
        }
    }

    /// Drops the looks of unused names once the map is over its bound.
    pub(super) fn tidy(&mut self, names_in_use: usize, is_in_use: impl Fn(&NicknameKey) -> bool) {
        if self.0.len() > SPARE + 4 * names_in_use {
            self.0.retain(|_, key| is_in_use(key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_out_of_use_do_not_pile_up() {
        let mut looks = Looks::default();
        for number in 0..1000 {
            looks.claim(&Nickname::parse(&format!("Ann{number}")).expect("a legal name"));
            looks.tidy(1, |_| false);
            assert!(looks.0.len() <= SPARE + 4);
        }
    }
}
