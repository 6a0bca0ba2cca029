//! Nicknames of a room that are kept for their users for days, whether the users are there or not. Callers
//! pass the time.

use std::{collections::HashMap, time::Instant};

use crate::domain::{Nickname, NicknameKey, OwnerHash};

/// The reserved nicknames of one room, at most one for each owner.
#[derive(Debug, Default)]
pub(crate) struct Reservations {
    by_name: HashMap<NicknameKey, Reservation>,
    by_owner: HashMap<OwnerHash, NicknameKey>,
}

/// A nickname that is kept for the owner of one token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reservation {
    /// The nickname as its owner spells it.
    pub nickname: Nickname,
    /// The hash of the owner's token.
    pub owner: OwnerHash,
    /// The end of the reservation.
    pub until: Instant,
}

/// Changes that the journal is to store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Nicknames that are reserved, newly or for longer.
    pub reserved: Vec<Reservation>,
    /// Nicknames that are free again.
    pub released: Vec<Nickname>,
}

impl Reservations {
    /// Whether a nickname is reserved for another owner.
    pub(crate) fn is_anothers(&self, key: &NicknameKey, owner: Option<&OwnerHash>, now: Instant) -> bool {
        self.by_name.get(key).is_some_and(|known| known.until > now && Some(&known.owner) != owner)
    }

    /// Whether a nickname is still reserved.
    pub(crate) fn holds(&self, key: &NicknameKey, now: Instant) -> bool {
        self.by_name.get(key).is_some_and(|known| known.until > now)
    }

    /// Reserves a nickname instead of another one of its owner, unless `max` are reserved. To renew a
    /// reservation is no change until a sixteenth of its time has passed.
    pub(crate) fn reserve(&mut self, reservation: Reservation, now: Instant, max: usize) -> Changes {
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
            // The reservation of another owner has expired: before that, this login would have been rejected.
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

    /// Frees a nickname of this owner. Returns it as the owner spells it.
    pub(crate) fn release(&mut self, key: &NicknameKey, owner: &OwnerHash) -> Option<Nickname> {
        self.by_name.get(key).filter(|known| known.owner == *owner)?;
        self.remove(key)
    }

    /// Restores a reservation from the journal.
    pub(crate) fn restore(&mut self, reservation: Reservation) {
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

    /// The number of reservations, including expired ones.
    pub(crate) fn count(&self) -> usize {
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
