//! The users of a room, by nickname. Callers pass the time.
//!
//! A user is a nickname and the token that owns it. It is present while one of its sessions is in the room,
//! and its nickname is held for a time after the last session dropped. Plain sessions have no nickname and
//! are not here.

use std::{
    collections::{BTreeMap, HashSet},
    ops::Bound,
    time::{Duration, Instant},
};

use self::held::{Held, HeldNames};
use super::{
    ids,
    looks::Looks,
    people::People,
    reservations::{Changes, Reservation, Reservations},
    users::{Change, User},
};
use crate::domain::{Map, MemberId, Nickname, NicknameKey, Profile, Token};

mod held;

/// The users of one room.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    /// Users with sessions, in the order of their nicknames.
    users: BTreeMap<NicknameKey, User>,
    by_session: Map<MemberId, NicknameKey>,
    /// The tokens of all users in `users`.
    tokens: HashSet<Token>,
    held: HeldNames,
    reserved: Reservations,
    looks: Looks,
    /// The users, if the room is shared with other nodes: nothing else is used then.
    people: Option<Box<People>>,
}

/// The nickname, or one that looks like it, is another user's or is held for its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a user in the room has this name or one that looks like it, or has just left with it")]
pub(crate) struct NameTaken;

impl Presence {
    /// The users of a room that is shared with other nodes. From the first call on, the room is one.
    pub(crate) fn share(&mut self) -> &mut People {
        self.people.get_or_insert_default()
    }

    /// The users of a room that is shared with other nodes.
    pub(crate) fn people(&self) -> Option<&People> {
        self.people.as_deref()
    }

    /// Makes a session a user, or another user if it was one.
    ///
    /// `token` is what the session proves itself with. `spare` becomes the user's token if there is no
    /// `token`, or if another user of the room has it: a token belongs to one user.
    ///
    /// # Errors
    /// The nickname is another user's; nothing has changed.
    pub(crate) fn login(
        &mut self,
        member: MemberId,
        mut profile: Profile,
        token: Option<Token>,
        spare: Token,
        now: Instant,
    ) -> Result<(Token, Change), NameTaken> {
        let key = profile.nickname.key();
        let former = self.by_session.get(&member).cloned();
        let stays = former.as_ref() == Some(&key);
        let may_take = stays || self.may_take(&key, token, now);
        if !may_take
            || self.looks.like(&profile.nickname).any(|other| self.is_barred_by(other, member, token, now))
        {
            return Err(NameTaken);
        }
        self.looks.claim(&profile.nickname);
        self.tidy_looks(&key, now);
        let mut change = Change::default();
        if !stays {
            change.left = self.logout(member);
        }
        self.held.remove(&key);
        // An owner of a held nickname that takes another one gives up the first.
        if let Some(token) = token {
            self.held.remove_of(&token);
        }
        if let Some(user) = self.users.get_mut(&key) {
            if !stays {
                user.sessions.push(member);
            }
            profile.uid = Some(user.token.public_id());
            if user.profile != profile {
                change.left = change.left.or_else(|| Some(user.profile.clone()));
                change.arrived = Some(profile.clone());
                user.profile = profile;
            }
            let token = user.token;
            self.by_session.insert(member, key);
            return Ok((token, change));
        }
        let token = token.filter(|token| !self.tokens.contains(token)).unwrap_or(spare);
        profile.uid = Some(token.public_id());
        change.arrived = Some(profile.clone());
        self.tokens.insert(token);
        self.users.insert(
            key.clone(),
            User { profile, token, sender: ids::sender_of(&token), sessions: vec![member] },
        );
        self.by_session.insert(member, key);
        Ok((token, change))
    }

    fn tidy_looks(&mut self, fresh: &NicknameKey, now: Instant) {
        let names_in_use = self.users.len() + self.held.count() + self.reserved.count() + 1;
        self.looks.tidy(names_in_use, |other| {
            other == fresh
                || self.users.contains_key(other)
                || self.held.contains(other)
                || self.reserved.holds(other, now)
        });
    }

    /// Whether the owner of `token` may take this nickname.
    fn may_take(&self, key: &NicknameKey, token: Option<Token>, now: Instant) -> bool {
        let owner = match (self.users.get(key), self.held.get(key)) {
            (Some(user), _) => user.token,
            (None, Some(held)) if held.until > now => held.token,
            _ => {
                let owner = token.map(|token| token.owner_hash());
                return !self.reserved.is_anothers(key, owner.as_ref(), now);
            }
        };
        token == Some(owner)
    }

    /// Reserves the nickname of a session's user until `until`, unless `max` nicknames are reserved. Call
    /// when the user has shown its token.
    pub(crate) fn reserve(&mut self, member: MemberId, now: Instant, until: Instant, max: usize) -> Changes {
        let Some(user) = self.user_of(member) else {
            return Changes::default();
        };
        let reservation =
            Reservation { nickname: user.profile.nickname.clone(), owner: user.token.owner_hash(), until };
        self.reserved.reserve(reservation, now, max)
    }

    /// Ends the reservation of a nickname by the user of a session. Returns the nickname if it was reserved.
    pub(crate) fn release(&mut self, member: MemberId) -> Option<Nickname> {
        let key = self.by_session.get(&member)?;
        let owner = self.users.get(key)?.token.owner_hash();
        self.reserved.release(key, &owner)
    }

    /// Restores a reserved nickname from the journal. In a room that is read again, a name in use keeps its
    /// look: the reservation may be over.
    pub(crate) fn restore(&mut self, reservation: Reservation) {
        let is_in_use = |other| self.users.contains_key(other) || self.held.contains(other);
        if !self.looks.like(&reservation.nickname).any(is_in_use) {
            self.looks.claim(&reservation.nickname);
        }
        self.reserved.restore(reservation);
    }

    /// The nicknames to hold if all users dropped now, and until when, except reserved ones.
    pub(crate) fn names_to_hold(&self, now: Instant, hold: Duration) -> impl Iterator<Item = Reservation> {
        let present = self.users.values().map(move |user| Reservation {
            nickname: user.profile.nickname.clone(),
            owner: user.token.owner_hash(),
            until: now + hold,
        });
        let held = self.held.iter().map(|held| Reservation {
            nickname: held.nickname.clone(),
            owner: held.token.owner_hash(),
            until: held.until,
        });
        present.chain(held).filter(move |name| !self.reserved.holds(&name.nickname.key(), now))
    }

    /// Whether `other`, which looks like the wanted name, keeps it from this session: `other` is in use by
    /// another user, or by other sessions of this one, or it is held for the owner of another token.
    fn is_barred_by(
        &self,
        other: &NicknameKey,
        member: MemberId,
        token: Option<Token>,
        now: Instant,
    ) -> bool {
        match self.users.get(other) {
            Some(user) => user.sessions != [member],
            None => !self.may_take(other, token, now),
        }
    }

    /// Takes a session from its user. Returns the user's profile if that was its last session; its nickname
    /// is free at once. Idempotent.
    pub(crate) fn logout(&mut self, member: MemberId) -> Option<Profile> {
        self.take_out(member).map(|(_, user)| user.profile)
    }

    /// A session of a user dropped. If it was the last one, holds the nickname until `until` for the owner of
    /// its token, unless `max` nicknames are held already.
    pub(crate) fn drop_out(
        &mut self,
        member: MemberId,
        now: Instant,
        until: Instant,
        max: usize,
    ) -> Option<Profile> {
        let (key, user) = self.take_out(member)?;
        // First frees the nicknames whose hold has ended, so that they do not count.
        self.held.expire(now);
        if self.held.count() < max {
            self.held.insert(key, Held { nickname: user.profile.nickname.clone(), token: user.token, until });
        }
        Some(user.profile)
    }

    fn take_out(&mut self, member: MemberId) -> Option<(NicknameKey, User)> {
        let key = self.by_session.remove(&member)?;
        let user = self.users.get_mut(&key)?;
        if let Some(place) = user.sessions.iter().position(|other| *other == member) {
            user.sessions.swap_remove(place);
        }
        if !user.sessions.is_empty() {
            return None;
        }
        let (key, user) = self.users.remove_entry(&key)?;
        self.tokens.remove(&user.token);
        Some((key, user))
    }

    /// Frees the nicknames whose hold has ended. Returns when the last of the other holds ends.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Instant> {
        if let Some(people) = &mut self.people {
            return people.expire(now);
        }
        self.held.expire(now);
        self.held.last_end()
    }

    /// The user of a session.
    pub(crate) fn user_of(&self, member: MemberId) -> Option<&User> {
        match &self.people {
            None => self.users.get(self.by_session.get(&member)?),
            Some(people) => people.user_of(member),
        }
    }

    /// The user with this nickname, if it has sessions at this node.
    pub(crate) fn find(&self, key: &NicknameKey) -> Option<&User> {
        match &self.people {
            None => self.users.get(key),
            Some(people) => people.find(key),
        }
    }

    /// What others see of the user with this nickname.
    pub(crate) fn profile_of(&self, key: &NicknameKey) -> Option<&Profile> {
        match &self.people {
            None => self.users.get(key).map(|user| &user.profile),
            Some(people) => people.profile_of(key),
        }
    }

    /// Whether the nickname is held for a user that may come back.
    pub(crate) fn is_held(&self, key: &NicknameKey) -> bool {
        match &self.people {
            None => self.held.contains(key),
            Some(people) => people.is_held(key),
        }
    }

    /// What others see of the users behind a nickname, or of all users, in the order of nicknames.
    pub(crate) fn profiles_after(&self, after: Option<&NicknameKey>) -> impl Iterator<Item = &Profile> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let own = self.users.range((from, Bound::Unbounded)).map(|(_, user)| &user.profile);
        own.chain(self.people.iter().flat_map(move |people| people.profiles_after(after)))
    }

    /// What others see of the users, in the order of their nicknames.
    pub(crate) fn profiles(&self) -> impl Iterator<Item = &Profile> {
        self.profiles_after(None)
    }

    /// The number of users.
    pub(crate) fn count(&self) -> usize {
        self.people.as_ref().map_or(self.users.len(), |people| people.count())
    }

    /// Whether the room has no user and holds no nickname. A room that is shared with other nodes may have users there.
    pub(crate) fn is_idle(&self) -> bool {
        match &self.people {
            None => self.users.is_empty() && self.held.count() == 0,
            Some(people) => people.is_idle(),
        }
    }
}

#[cfg(test)]
mod tests;
