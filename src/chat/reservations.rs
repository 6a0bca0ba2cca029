//! Names of a room that are kept for their users for days, whether the users are there or not. A plain struct that is
//! told the time.

use std::{collections::HashMap, time::Instant};

use crate::domain::{Nickname, NicknameKey, OwnerHash};

/// The reserved names of one room. An owner has one of them at a time.
#[derive(Debug, Default)]
pub struct Reservations {
    by_name: HashMap<NicknameKey, Reservation>,
    by_owner: HashMap<OwnerHash, NicknameKey>,
}

/// A name that is kept for the bearer of one token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The name as its owner spells it.
    pub nickname: Nickname,
    /// The hash of the owner's token.
    pub owner: OwnerHash,
    /// How long it is kept.
    pub until: Instant,
}

/// What has changed and is to be kept in the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Names that are reserved, or for longer.
    pub reserved: Vec<Reservation>,
    /// Names that are free.
    pub released: Vec<Nickname>,
}

impl Reservations {
    /// Whether a name is reserved, and not for this owner.
    pub fn is_anothers(&self, key: &NicknameKey, owner: Option<&OwnerHash>, now: Instant) -> bool {
        self.by_name.get(key).is_some_and(|known| known.until > now && Some(&known.owner) != owner)
    }

    /// Whether a name is reserved for its owner still.
    pub fn holds(&self, key: &NicknameKey, now: Instant) -> bool {
        self.by_name.get(key).is_some_and(|known| known.until > now)
    }

    /// Reserves a name, in place of another one of its owner, unless `max` are reserved. A reservation that goes on is
    /// only worth a change once a sixteenth of its time has gone by.
    pub fn reserve(&mut self, reservation: Reservation, now: Instant, max: usize) -> Changes {
        let mut changes = Changes::default();
        let Reservation { nickname, owner, until } = &reservation;
        let key = nickname.key();
        if let Some(other) = self.by_owner.get(owner).filter(|other| **other != key).cloned() {
            changes.released.extend(self.remove(&other));
        }
        let is_full = self.by_name.len() >= max;
        match self.by_name.get_mut(&key) {
            Some(known) if known.owner == *owner => {
                let left = known.until.saturating_duration_since(now);
                let whole = until.saturating_duration_since(now);
                if left >= whole - whole / 16 && known.nickname == *nickname {
                    return changes;
                }
                *known = reservation.clone();
            }
            // Its time is over, or it would not be this owner's now.
            Some(_) => {
                self.remove(&key);
                self.insert(key, reservation.clone());
            }
            None if is_full => return changes,
            None => self.insert(key, reservation.clone()),
        }
        changes.reserved.push(reservation);
        changes
    }

    /// Frees a name if it is this owner's. Gives back how it was spelled.
    pub fn release(&mut self, key: &NicknameKey, owner: &OwnerHash) -> Option<Nickname> {
        self.by_name.get(key).filter(|known| known.owner == *owner)?;
        self.remove(key)
    }

    /// Takes in what the journal has kept.
    pub fn restore(&mut self, reservation: Reservation) {
        let key = reservation.nickname.key();
        self.remove(&key);
        self.insert(key, reservation);
    }

    fn insert(&mut self, key: NicknameKey, reservation: Reservation) {
        self.by_owner.insert(reservation.owner, key.clone());
        self.by_name.insert(key, reservation);
    }

    fn remove(&mut self, key: &NicknameKey) -> Option<Nickname> {
        let known = self.by_name.remove(key)?;
        if self.by_owner.get(&known.owner) == Some(key) {
            self.by_owner.remove(&known.owner);
        }
        Some(known.nickname)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.by_name.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::Token;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    fn owner(number: u8) -> OwnerHash {
        format!("{number:032x}").parse::<Token>().expect("a token").owner_hash()
    }

    fn name(text: &str) -> Nickname {
        Nickname::parse(text).expect("a legal name")
    }

    fn reservation(text: &str, number: u8, until: Instant) -> Reservation {
        Reservation { nickname: name(text), owner: owner(number), until }
    }

    #[test]
    fn a_reserved_name_is_its_owners_until_its_time_is_over() {
        let (mut names, now) = (Reservations::default(), Instant::now());
        let changes = names.reserve(reservation("Ann", 1, now + DAY), now, 9);
        assert_eq!(changes.reserved, [reservation("Ann", 1, now + DAY)]);
        let key = name("ANN").key();
        assert!(!names.is_anothers(&key, Some(&owner(1)), now));
        assert!(names.is_anothers(&key, Some(&owner(2)), now) && names.is_anothers(&key, None, now));
        assert!(!names.is_anothers(&key, None, now + DAY));
        let changes = names.reserve(reservation("Ann", 2, now + 2 * DAY), now + DAY, 9);
        assert_eq!(changes.reserved.len(), 1, "another may have it then");
        assert_eq!((names.count(), names.by_owner.len()), (1, 1));
    }

    #[test]
    fn an_owner_has_one_name_at_a_time() {
        let (mut names, now) = (Reservations::default(), Instant::now());
        names.reserve(reservation("Ann", 1, now + DAY), now, 9);
        let changes = names.reserve(reservation("Cleo", 1, now + DAY), now, 9);
        assert_eq!(changes.released, [name("Ann")]);
        assert!(!names.holds(&name("Ann").key(), now) && names.holds(&name("Cleo").key(), now));
    }

    #[test]
    fn when_as_many_as_may_be_are_reserved_the_newcomer_gets_none_and_the_others_stay() {
        let (mut names, now) = (Reservations::default(), Instant::now());
        names.reserve(reservation("Ann", 1, now + DAY), now, 1);
        assert_eq!(names.reserve(reservation("Ben", 2, now + DAY), now, 1), Changes::default());
        assert!(names.holds(&name("Ann").key(), now));
        let later = names.reserve(reservation("Ann", 1, now + 2 * DAY), now, 1);
        assert_eq!(later.reserved.len(), 1, "an old one goes on");
    }

    #[test]
    fn a_reservation_that_goes_on_is_written_again_only_after_a_while() {
        let (mut names, now) = (Reservations::default(), Instant::now());
        let at = |hours: u32| now + Duration::from_secs(3600) * hours;
        names.reserve(reservation("Ann", 1, at(24)), now, 9);
        assert_eq!(names.reserve(reservation("Ann", 1, at(25)), at(1), 9), Changes::default());
        assert_eq!(names.reserve(reservation("Ann", 1, at(26)), at(2), 9).reserved.len(), 1);
    }

    #[test]
    fn only_its_owner_frees_a_name() {
        let (mut names, now) = (Reservations::default(), Instant::now());
        names.reserve(reservation("Ann", 1, now + DAY), now, 9);
        assert_eq!(names.release(&name("Ann").key(), &owner(2)), None);
        assert_eq!(names.release(&name("Ann").key(), &owner(1)), Some(name("Ann")));
        assert_eq!((names.count(), names.by_owner.len()), (0, 0));
    }
}
