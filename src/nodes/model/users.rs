//! The users of a room.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    domain::{Look, NicknameKey, OwnerHash},
    nodes::{
        Bounds, NodeUid,
        bounds::{VERSIONS, millis},
        commands::{Entered, Published},
        contract::{AskId, Claim, Leave, Owner, Person},
    },
};

#[derive(Clone, Debug, Default)]
pub(super) struct Users {
    pub version: u64,
    /// Users that are present, and those whose names are held.
    users: BTreeMap<NicknameKey, User>,
    /// The owners of reserved names, with the ends of the reservations.
    reserved: BTreeMap<NicknameKey, (OwnerHash, u64)>,
    looks: BTreeMap<Look, NicknameKey>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct User {
    person: Person,
    held_until: u64,
}

impl User {
    fn is_present(&self) -> bool {
        !self.person.nodes.is_empty()
    }
}

/// What changes the users, when, and what is published of that.
pub(super) struct Cause<'a> {
    now: u64,
    node: NodeUid,
    ask: Option<AskId>,
    number: u64,
    bounds: &'a Bounds,
    pub published: Vec<Published>,
}

impl<'a> Cause<'a> {
    pub(super) fn new(now: u64, node: NodeUid, ask: Option<AskId>, number: u64, bounds: &'a Bounds) -> Self {
        Self { now, node, ask, number, bounds, published: Vec::new() }
    }
}

impl Users {
    pub(super) fn deadlines(&self) -> BTreeSet<u64> {
        let held = self.users.values().map(|user| user.held_until);
        held.chain(self.reserved.values().map(|(_, until)| *until)).collect()
    }

    /// The users with sessions at a node.
    pub(super) fn at(&self, node: &NodeUid) -> Vec<NicknameKey> {
        let here = self.users.iter().filter(|(_, user)| user.person.nodes.contains(node));
        here.map(|(key, _)| key.clone()).collect()
    }

    /// Users and held names.
    pub(super) fn people(&self, now: u64) -> Vec<Person> {
        let known = self.users.values().filter(|user| user.is_present() || user.held_until > now);
        let held_for = |user: &User| Duration::from_millis(user.held_until.saturating_sub(now));
        known.map(|user| Person { held_for: held_for(user), ..user.person.clone() }).collect()
    }

    fn expire(&mut self, now: u64) {
        self.users.retain(|_, user| user.is_present() || user.held_until > now);
        self.reserved.retain(|_, (_, until)| *until > now);
        let Self { users, reserved, looks, .. } = self;
        looks.retain(|_, key| users.contains_key(key) || reserved.contains_key(key));
    }

    /// The owner of a name that is in use or reserved.
    fn owner_of(&self, key: &NicknameKey) -> Option<OwnerHash> {
        let user = self.users.get(key).map(|user| user.person.owner.hash);
        user.or_else(|| self.reserved.get(key).map(|(owner, _)| *owner))
    }

    pub(super) fn enter(&mut self, cause: &mut Cause<'_>, claim: &Claim) -> Entered {
        self.expire(cause.now);
        let key = claim.name.key();
        if self.is_taken(cause.node, &key, claim) {
            return Entered::Taken;
        }
        for look in claim.name.looks() {
            self.looks.insert(look, key.clone());
        }
        if let Some(former) = claim.leaves.as_ref().filter(|former| **former != key) {
            self.take_out(cause, former, false);
        }
        let owner = self.owner_to_be(cause, &key, claim);
        self.come(cause, &key, owner, claim);
        if claim.reserves {
            self.reserve(cause, key, owner.hash);
        }
        Entered::Yes { version: self.version, owner: owner.hash }
    }

    fn is_taken(&self, node: NodeUid, key: &NicknameKey, claim: &Claim) -> bool {
        let claimants = [claim.owner.map(|owner| owner.hash), Some(claim.spare.hash)];
        let is_anothers =
            |key: &NicknameKey| self.owner_of(key).is_some_and(|owner| !claimants.contains(&Some(owner)));
        let bars = |other: &NicknameKey| match self.users.get(other).filter(|user| user.is_present()) {
            Some(user) => claim.leaves.as_ref() != Some(other) || user.person.nodes != [node],
            None => is_anothers(other),
        };
        let alike = claim.name.looks().filter_map(|look| self.looks.get(&look));
        is_anothers(key) || alike.filter(|other| *other != key).any(bars)
    }

    /// Who the claimant is with this name. An owner has one name that is present or held.
    fn owner_to_be(&mut self, cause: &mut Cause<'_>, key: &NicknameKey, claim: &Claim) -> Owner {
        let mut comes_as = claim.spare;
        if let Some(owner) = claim.owner {
            comes_as = owner;
            let is_theirs =
                |(other, user): &(&NicknameKey, &User)| *other != key && user.person.owner.hash == owner.hash;
            if let Some((other, user)) =
                self.users.iter().find(is_theirs).map(|(k, u)| (k.clone(), u.clone()))
            {
                if user.is_present() {
                    comes_as = claim.spare;
                } else {
                    self.users.remove(&other);
                    self.tell(cause, user.person, 0);
                }
            }
        }
        match self.users.get(key) {
            Some(user) if user.is_present() => user.person.owner,
            _ => comes_as,
        }
    }

    fn come(&mut self, cause: &mut Cause<'_>, key: &NicknameKey, owner: Owner, claim: &Claim) {
        let before = self.users.get(key);
        let mut nodes = before.map_or_else(Vec::new, |user| user.person.nodes.clone());
        if !nodes.contains(&cause.node) {
            nodes.push(cause.node);
        }
        let (name, avatar) = (claim.name.clone(), claim.avatar.clone());
        let person = Person { name, avatar, owner, nodes, held_for: Duration::ZERO };
        let user = User { person: person.clone(), held_until: 0 };
        // What a session asks for is published though it changes nothing: its node has then heard all that was said before.
        if cause.ask.is_some() || before.is_none_or(|before| !before.person.shows(&person)) {
            self.tell(cause, person, 0);
        }
        self.users.insert(key.clone(), user);
    }

    fn reserve(&mut self, cause: &Cause<'_>, key: NicknameKey, owner: OwnerHash) {
        let time = millis(cause.bounds.name_reservation);
        if time == 0 {
            return;
        }
        self.reserved.retain(|other, (theirs, _)| *other == key || *theirs != owner);
        let is_full = self.reserved.len() >= cause.bounds.max_held_names;
        if self.reserved.contains_key(&key) || !is_full {
            self.reserved.insert(key, (owner, cause.now + time));
        }
    }

    pub(super) fn leave(&mut self, cause: &mut Cause<'_>, leave: &Leave) -> Option<u64> {
        let owner = self.users.get(&leave.key)?.person.owner.hash;
        let version = self.take_out(cause, &leave.key, leave.holds_name)?;
        if leave.releases && self.reserved.get(&leave.key).is_some_and(|(theirs, _)| *theirs == owner) {
            self.reserved.remove(&leave.key);
        }
        Some(version)
    }

    /// Takes the node out of a user. Returns the version after that; `None` if the user was not there.
    pub(super) fn take_out(&mut self, cause: &mut Cause<'_>, key: &NicknameKey, holds: bool) -> Option<u64> {
        let user = self.users.get_mut(key)?;
        let at = user.person.nodes.iter().position(|node| *node == cause.node)?;
        user.person.nodes.remove(at);
        let person = user.person.clone();
        if user.is_present() {
            return Some(self.tell(cause, person, 0));
        }
        let hold = millis(cause.bounds.name_hold);
        let is_held = |user: &&User| !user.is_present() && user.held_until > cause.now;
        let held = self.users.values().filter(is_held).count();
        if holds && hold > 0 && held < cause.bounds.max_held_names {
            self.users.insert(key.clone(), User { person: person.clone(), held_until: cause.now + hold });
            return Some(self.tell(cause, person, hold));
        }
        self.users.remove(key);
        Some(self.tell(cause, person, 0))
    }

    fn tell(&mut self, cause: &mut Cause<'_>, person: Person, held_for: u64) -> u64 {
        self.version = (self.version + 1).max(cause.number * VERSIONS);
        let person = Box::new(Person { held_for: Duration::from_millis(held_for), ..person });
        cause.published.push(Published::Person {
            version: self.version,
            person,
            node: cause.node,
            ask: cause.ask,
        });
        self.version
    }
}

impl Person {
    /// Whether others see no difference.
    fn shows(&self, other: &Self) -> bool {
        (&self.name, &self.avatar, self.owner, &self.nodes)
            == (&other.name, &other.avatar, other.owner, &other.nodes)
    }
}
