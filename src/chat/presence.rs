//! The users of a room, by nickname. Callers pass the time.
//!
//! A user is a nickname and the token that owns it. It is present while one of its sessions is in the room,
//! and its nickname is held for a time after the last session dropped. Plain sessions have no nickname and
//! are not here.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ops::Bound,
    time::{Duration, Instant},
};

use super::{
    ids,
    looks::Looks,
    people::People,
    reservations::{Changes, Reservation, Reservations},
    users::{Change, User},
};
use crate::domain::{Map, MemberId, Nickname, NicknameKey, Profile, Token};

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

/// Held nicknames, found by name, by token and by end of the hold: a room may hold as many as it had users,
/// and each login looks one up.
#[derive(Debug, Default)]
struct HeldNames {
    by_name: HashMap<NicknameKey, Held>,
    /// A token holds at most one nickname.
    by_token: HashMap<Token, NicknameKey>,
    by_end: BTreeSet<(Instant, NicknameKey)>,
}

#[derive(Clone, Debug)]
struct Held {
    nickname: Nickname,
    token: Token,
    until: Instant,
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
        let names_in_use = self.users.len() + self.held.by_name.len() + self.reserved.count() + 1;
        self.looks.tidy(names_in_use, |other| {
            other == fresh
                || self.users.contains_key(other)
                || self.held.by_name.contains_key(other)
                || self.reserved.holds(other, now)
        });
    }

    /// Whether the owner of `token` may take this nickname.
    fn may_take(&self, key: &NicknameKey, token: Option<Token>, now: Instant) -> bool {
        let owner = match (self.users.get(key), self.held.by_name.get(key)) {
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
        let is_in_use = |other| self.users.contains_key(other) || self.held.by_name.contains_key(other);
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
        let held = self.held.by_name.values().map(|held| Reservation {
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
        if self.held.by_name.len() < max {
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
        self.held.by_end.last().map(|(end, _)| *end)
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
            None => self.held.by_name.contains_key(key),
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
            None => self.users.is_empty() && self.held.by_name.is_empty(),
            Some(people) => people.is_idle(),
        }
    }
}

impl HeldNames {
    fn insert(&mut self, key: NicknameKey, held: Held) {
        self.remove(&key);
        self.by_token.insert(held.token, key.clone());
        self.by_end.insert((held.until, key.clone()));
        self.by_name.insert(key, held);
    }

    fn remove(&mut self, key: &NicknameKey) {
        if let Some((key, held)) = self.by_name.remove_entry(key) {
            self.by_token.remove(&held.token);
            self.by_end.remove(&(held.until, key));
        }
    }

    fn remove_of(&mut self, token: &Token) {
        if let Some(key) = self.by_token.get(token).cloned() {
            self.remove(&key);
        }
    }

    fn remove_oldest(&mut self) {
        if let Some((_, key)) = self.by_end.first().cloned() {
            self.remove(&key);
        }
    }

    fn expire(&mut self, now: Instant) {
        while self.by_end.first().is_some_and(|(end, _)| *end <= now) {
            self.remove_oldest();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use proptest::prelude::*;

    use super::*;
    use crate::domain::Avatar;

    fn profile(name: &str) -> Profile {
        Profile {
            nickname: Nickname::parse(name).expect("a legal name"),
            avatar: Avatar::default(),
            uid: None,
        }
    }

    /// The profile of the owner of a token.
    fn profile_of(name: &str, bearer: u8) -> Profile {
        Profile { uid: Some(token(bearer).public_id()), ..profile(name) }
    }

    fn token(number: u8) -> Token {
        format!("{number:032x}").parse().expect("a token")
    }

    fn member(number: u64) -> MemberId {
        MemberId::of(number)
    }

    fn names(presence: &Presence) -> Vec<String> {
        presence.profiles().map(|profile| profile.nickname.to_string()).collect()
    }

    const SPARE: u8 = 99;

    fn login(
        presence: &mut Presence,
        number: u64,
        name: &str,
        with: Option<u8>,
        now: Instant,
    ) -> Result<(Token, Change), NameTaken> {
        presence.login(member(number), profile(name), with.map(token), token(SPARE), now)
    }

    #[test]
    fn two_tabs_are_one_user_who_arrives_and_leaves_once() {
        let (mut presence, now) = (Presence::default(), Instant::now());
        let (ann, change) = login(&mut presence, 1, "Ann", None, now).expect("free");
        assert_eq!((ann, change.arrived), (token(SPARE), Some(profile_of("Ann", SPARE))));
        let (again, change) = login(&mut presence, 2, "Ann", Some(SPARE), now).expect("hers");
        assert_eq!((again, change), (ann, Change::default()));
        assert_eq!(presence.count(), 1);
        assert_eq!(presence.logout(member(1)), None);
        assert_eq!(presence.logout(member(1)), None, "idempotent");
        assert_eq!(presence.logout(member(2)), Some(profile_of("Ann", SPARE)));
        assert!(presence.is_idle());
    }

    #[test]
    fn a_name_that_looks_alike_is_taken_without_its_token() {
        let (mut presence, now) = (Presence::default(), Instant::now());
        login(&mut presence, 1, "Ann", Some(1), now).expect("free");
        for with in [None, Some(2)] {
            assert_eq!(login(&mut presence, 2, "ＡＮＮ", with, now), Err(NameTaken));
        }
        assert!(presence.user_of(member(2)).is_none());
    }

    #[test]
    fn a_name_in_use_keeps_its_look_when_a_name_like_it_is_restored() {
        let (mut presence, now) = (Presence::default(), Instant::now());
        login(&mut presence, 1, "b0b", Some(1), now).expect("free");
        let over =
            Reservation { nickname: profile("bob").nickname, owner: token(2).owner_hash(), until: now };
        presence.restore(over);
        assert_eq!(login(&mut presence, 2, "bob", Some(3), now), Err(NameTaken));
    }

    #[test]
    fn a_name_that_looks_like_one_in_use_or_held_is_taken() {
        let (mut presence, now) = (Presence::default(), Instant::now());
        let later = now + Duration::from_secs(30);
        login(&mut presence, 1, "Alice", Some(1), now).expect("free");
        for _ in 0..3 {
            for with in [None, Some(1), Some(2)] {
                assert_eq!(login(&mut presence, 2, "AIice", with, now), Err(NameTaken), "{with:?}");
            }
        }
        presence.drop_out(member(1), now, later, 9);
        assert_eq!(login(&mut presence, 2, "A1ICE", Some(2), now), Err(NameTaken), "held");
        assert!(login(&mut presence, 3, "AIice", Some(1), now).is_ok(), "the bearer may spell it otherwise");
        assert_eq!(login(&mut presence, 2, "Alice", Some(2), now), Err(NameTaken));
        let (_, change) =
            login(&mut presence, 3, "Alice", Some(1), now).expect("its own name looks like that");
        assert_eq!(
            change,
            Change { left: Some(profile_of("AIice", 1)), arrived: Some(profile_of("Alice", 1)) }
        );
        presence.logout(member(3));
        assert!(login(&mut presence, 2, "AIice", None, now).is_ok(), "free at once");
        presence.drop_out(member(2), now, later, 9);
        assert!(login(&mut presence, 4, "Alice", None, later).is_ok(), "not held any longer");
    }

    #[test]
    fn a_dropped_users_name_is_held_for_its_bearer_and_then_free() {
        let (mut presence, now) = (Presence::default(), Instant::now());
        let later = now + Duration::from_secs(30);
        login(&mut presence, 1, "Ann", Some(1), now).expect("free");
        assert_eq!(presence.drop_out(member(1), now, later, 9), Some(profile_of("Ann", 1)));
        assert_eq!(presence.count(), 0);
        assert_eq!(login(&mut presence, 2, "ann", Some(2), now), Err(NameTaken));
        assert!(login(&mut presence, 3, "Ann", Some(1), now).is_ok());
        presence.drop_out(member(3), now, later, 9);
        assert!(login(&mut presence, 2, "ann", Some(2), later).is_ok(), "not held any longer");
        presence.logout(member(2));
        presence.expire(later);
        assert!(presence.is_idle());
    }

    #[test]
    fn a_session_that_takes_another_name_leaves_its_first() {
        let (mut presence, now) = (Presence::default(), Instant::now());
        login(&mut presence, 1, "Ann", Some(1), now).expect("free");
        login(&mut presence, 2, "Ben", Some(2), now).expect("free");
        assert_eq!(login(&mut presence, 1, "ben", Some(1), now), Err(NameTaken));
        assert_eq!(names(&presence), ["Ann", "Ben"], "a rejected login changes nothing");
        let (kept, change) = login(&mut presence, 1, "Cleo", Some(1), now).expect("free");
        assert_eq!(kept, token(1));
        assert_eq!(change, Change { left: Some(profile_of("Ann", 1)), arrived: Some(profile_of("Cleo", 1)) });
        assert!(login(&mut presence, 3, "Ann", None, now).is_ok(), "the name is free at once");
    }

    #[test]
    fn one_of_two_tabs_that_takes_another_name_is_another_user() {
        let (mut presence, now) = (Presence::default(), Instant::now());
        for tab in [1, 2] {
            login(&mut presence, tab, "Ann", Some(1), now).expect("hers");
        }
        let (fresh, change) = login(&mut presence, 2, "Cleo", Some(1), now).expect("free");
        assert_eq!((fresh, change.left), (token(SPARE), None));
        assert_eq!(names(&presence), ["Ann", "Cleo"]);
    }

    #[test]
    fn the_same_name_spelled_otherwise_is_a_new_profile() {
        let (mut presence, now) = (Presence::default(), Instant::now());
        login(&mut presence, 1, "Ann", Some(1), now).expect("free");
        let (_, change) = login(&mut presence, 1, "ANN", None, now).expect("its own");
        assert_eq!(change, Change { left: Some(profile_of("Ann", 1)), arrived: Some(profile_of("ANN", 1)) });
        assert_eq!(presence.user_of(member(1)).map(|user| user.sessions.len()), Some(1));
    }

    /// The simplest correct model: a list of sessions with their users, and of held nicknames.
    #[derive(Default)]
    struct Model {
        speaking: Vec<(u64, String, u8)>,
        held: Vec<(String, u8, u64)>,
    }

    impl Model {
        fn owner(&self, name: &str, now: u64) -> Option<u8> {
            let speaking =
                self.speaking.iter().find(|(_, other, _)| other == name).map(|(_, _, token)| *token);
            let held = self.held.iter().find(|(other, _, until)| other == name && *until > now);
            speaking.or(held.map(|(_, token, _)| *token))
        }

        fn present(&self) -> BTreeSet<String> {
            self.speaking.iter().map(|(_, name, _)| name.clone()).collect()
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Login { member: u64, name: usize },
        Logout(u64),
        Drop(u64),
        Wait(u64),
    }

    const NAMES: [&str; 4] = ["ann", "ben", "cleo", "dan"];
    const HOLD: u64 = 30;

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..8u64, 0..NAMES.len()).prop_map(|(member, name)| Step::Login { member, name }),
            1 => (0..8u64).prop_map(Step::Logout),
            2 => (0..8u64).prop_map(Step::Drop),
            1 => (1..40u64).prop_map(Step::Wait),
        ]
    }

    proptest! {
        /// Sessions 0 to 7 have the tokens 0 to 3, two each, and come and go at random.
        #[test]
        fn presence_is_what_a_simple_model_says(steps in prop::collection::vec(step(), 0..200)) {
            let start = Instant::now();
            let (mut presence, mut model, mut now) = (Presence::default(), Model::default(), 0);
            let at = |seconds| start + Duration::from_secs(seconds);
            let mut seen = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Login { member: number, name } => {
                        let (name, bearer) = (NAMES[name], (number / 2) as u8);
                        let own = model.speaking.iter().find(|(other, ..)| *other == number).cloned();
                        let stays = own.as_ref().is_some_and(|(_, other, _)| other == name);
                        let free = stays || model.owner(name, now).is_none_or(|owner| owner == bearer);
                        // Each login brings a spare token of its own, which no other session has.
                        let spare = token(100 + number as u8);
                        let logged_in = presence.login(member(number), profile(name), Some(token(bearer)), spare, at(now));
                        prop_assert_eq!(logged_in.is_ok(), free);
                        if let Ok((token, change)) = logged_in {
                            if let Some(left) = change.left {
                                prop_assert!(seen.remove(left.nickname.as_str()));
                            }
                            if let Some(arrived) = change.arrived {
                                prop_assert!(seen.insert(arrived.nickname.to_string()));
                            }
                            if !stays {
                                model.speaking.retain(|(other, ..)| *other != number);
                                let owner = u8::from_str_radix(&token.to_string(), 16).expect("small");
                                model.speaking.push((number, name.to_owned(), owner));
                            }
                            model.held.retain(|(other, held, _)| other != name && *held != bearer);
                        }
                    }
                    Step::Logout(number) | Step::Drop(number) => {
                        let own = model.speaking.iter().find(|(other, ..)| *other == number).cloned();
                        model.speaking.retain(|(other, ..)| *other != number);
                        let is_last = own.as_ref().is_some_and(|(_, name, _)| !model.present().contains(name));
                        let gone = if matches!(step, Step::Logout(_)) {
                            presence.logout(member(number))
                        } else {
                            if let Some((_, name, token)) = own.filter(|_| is_last) {
                                model.held.push((name, token, now + HOLD));
                            }
                            presence.drop_out(member(number), at(now), at(now + HOLD), 99)
                        };
                        prop_assert_eq!(gone.is_some(), is_last);
                        if let Some(left) = gone {
                            prop_assert!(seen.remove(left.nickname.as_str()));
                        }
                    }
                    Step::Wait(seconds) => {
                        now += seconds;
                        presence.expire(at(now));
                        model.held.retain(|(_, _, until)| *until > now);
                    }
                }
                let present: BTreeSet<String> = names(&presence).into_iter().collect();
                prop_assert_eq!(&present, &model.present());
                prop_assert_eq!(&present, &seen, "what the others were told is what is");
            }
        }
    }
}
