//! Reserved nicknames: from the chat server to the journal and back.

use std::time::Duration;

use super::Chat;
use crate::{
    broadcast::RoomId,
    chat::{
        effects::{Job, Now},
        presence::Presence,
        reservations::{Changes, Reservation},
    },
    domain::{MemberId, Nickname, OwnerHash, RoomName},
    journal::ReservedName,
};

impl Chat {
    /// Reserves the nickname of a user that has shown its token.
    pub(super) fn reserve_name(&mut self, member: MemberId, id: RoomId) {
        let now = self.now;
        let (until, max) = (now.at + self.limits.name_reservation, self.limits.max_held_names);
        let Some(room) = self.room(id) else {
            return;
        };
        let Changes { reserved, released } = room.presence.reserve(member, now.at, until, max);
        let name = room.name.clone();
        let reserved = reserved.iter().map(|reservation| to_keep(reservation, now));
        let names = reserved.chain(released.iter().map(to_free)).collect();
        self.keep_in_journal(name, names);
    }

    /// Frees the nickname of a user that logs out.
    pub(super) fn release_name(&mut self, member: MemberId) {
        if self.is_shared() {
            return self.release_name_by_link(member);
        }
        if let Some(room) =
            self.broadcaster.rooms.room_of(member).and_then(|id| self.broadcaster.rooms.get(id))
            && let Some(released) = room.presence.release(member)
        {
            let name = room.name.clone();
            self.keep_in_journal(name, vec![to_free(&released)]);
        }
    }

    /// The server stops: the journal keeps the nicknames of all users, so that the next server holds them.
    pub(in crate::chat) fn keep_names(&mut self) {
        // Redis holds the names of a node that leaves.
        if self.is_shared() {
            return;
        }
        let (now, hold) = (self.now, self.limits.name_hold);
        let names_of = |presence: &Presence| -> Vec<_> {
            presence.names_to_hold(now.at, hold).map(|name| to_keep(&name, now)).collect()
        };
        let rooms: Vec<_> = self
            .broadcaster
            .rooms
            .iter()
            .map(|(_, room)| (room.name.clone(), names_of(&room.presence)))
            .collect();
        for (room, names) in rooms {
            self.keep_in_journal(room, names);
        }
    }

    pub(super) fn keep_in_journal(&mut self, room: RoomName, names: Vec<ReservedName>) {
        if !names.is_empty() {
            self.ask(Job::Reserve(room, names));
        }
    }
}

/// Restores the reserved nicknames of a room, for at most `most`: a clock that was ahead when they were
/// stored has put their end too far off. Returns those whose end was moved.
pub(super) fn restore(
    presence: &mut Presence,
    names: Vec<ReservedName>,
    most: Duration,
    now: Now,
) -> Vec<ReservedName> {
    let mut nearer = Vec::new();
    for ReservedName { name, owner, until, .. } in names {
        // The rules for nicknames may have become stricter since.
        let Ok(nickname) = Nickname::parse(&name) else {
            continue;
        };
        let left = Duration::from_millis(until.saturating_sub(now.millis));
        // A reservation that is over must not take the look of another name.
        if left.is_zero() {
            continue;
        }
        let reservation = Reservation { nickname, owner: OwnerHash(owner), until: now.at + left.min(most) };
        if left > most {
            nearer.push(to_keep(&reservation, now));
        }
        presence.restore(reservation);
    }
    nearer
}

fn to_keep(reservation: &Reservation, now: Now) -> ReservedName {
    let left = reservation.until.saturating_duration_since(now.at);
    let until = now.millis.saturating_add(u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
    ReservedName { owner: reservation.owner.0, until, ..to_free(&reservation.nickname) }
}

fn to_free(name: &Nickname) -> ReservedName {
    ReservedName {
        key: name.key().as_str().to_owned(),
        name: name.as_str().to_owned(),
        owner: [0; 16],
        until: 0,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::domain::{Avatar, Profile, Token};

    #[test]
    fn a_reservation_that_is_over_frees_no_look_of_another_one() {
        let (mut presence, now) = (Presence::default(), Now { at: Instant::now(), millis: 1000 });
        let nickname = |name: &str| Nickname::parse(name).expect("a legal name");
        let kept = |name: &str, until| ReservedName { owner: [1; 16], until, ..to_free(&nickname(name)) };
        restore(&mut presence, vec![kept("b0b", 2000), kept("bob", 1000)], Duration::from_secs(9), now);
        let profile = Profile { nickname: nickname("bob"), avatar: Avatar::default(), uid: None };
        let spare = Token::random().expect("random numbers");
        let login = presence.login(MemberId::of(1), profile, None, spare, now.at);
        assert!(login.is_err(), "b0b is reserved");
    }
}
