//! The users of a room that is shared with other nodes: as all nodes are told of them, and which of them have sessions
//! at this node. Callers pass the time.
//!
//! Redis decides whose a name is. This node claims a name for each of its sessions, and tells when a user has no session
//! here any more.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    time::{Duration, Instant},
};

use super::users::{Change, User};
use crate::{
    domain::{Map, MemberId, NicknameKey, Profile},
    nodes::{
        NodeName, NodeUid,
        contract::{Leave, Listed, Person},
    },
};

/// The users of one room.
#[derive(Debug, Default)]
pub(crate) struct People {
    /// Users with sessions at any node, in the order of their nicknames.
    present: BTreeMap<NicknameKey, Present>,
    /// Names that are held for users that may come back, and until when.
    held: HashMap<NicknameKey, Instant>,
    /// The names that this node has, or claims.
    here: HashMap<NicknameKey, Here>,
    by_session: Map<MemberId, NicknameKey>,
}

/// A user, as this node was told.
#[derive(Debug)]
struct Present {
    profile: Profile,
    nodes: Vec<NodeUid>,
}

/// What this node has to do with a name.
#[derive(Debug, Default)]
struct Here {
    /// The user, if it has sessions here.
    user: Option<User>,
    /// Number of claims that are not answered.
    claims: usize,
    /// Whether a claim was answered by giving the name.
    is_given: bool,
    /// Whether the name is held when it is given up here.
    holds_name: bool,
    /// Whether the reservation of the name ends when it is given up here.
    releases: bool,
}

impl People {
    // ----- what all nodes are told -----

    /// The users as they are now, see [`apply`](Self::apply). Returns what that changes. Unless all are listed, users that
    /// are not listed, or whose names are held, stay.
    pub(crate) fn replace(
        &mut self,
        people: Vec<Person>,
        listed: Listed,
        now: Instant,
        hold: Duration,
    ) -> Vec<Change> {
        self.held.clear();
        let mut gone = std::mem::take(&mut self.present);
        let mut changes = Vec::new();
        for person in people {
            let former = gone.remove_entry(&person.name.key());
            let stays = listed == Listed::Some && person.nodes.is_empty() && former.is_some();
            self.present.extend(former);
            if !stays {
                changes.push(self.apply(person, now, hold));
            }
        }
        if listed == Listed::Some {
            self.present.append(&mut gone);
        }
        let left = gone.into_values().map(|former| Change { left: Some(former.profile), arrived: None });
        changes.extend(left);
        changes.retain(|change| !change.is_none());
        changes
    }

    /// A user came, changed or went. Returns what that changes for others. A name counts as held for `hold` at most: the
    /// room stays open that long.
    pub(crate) fn apply(&mut self, person: Person, now: Instant, hold: Duration) -> Change {
        let Person { name, avatar, owner, nodes, held_for } = person;
        let (key, profile) = (name.key(), Profile { nickname: name, avatar, uid: Some(owner.uid) });
        self.held.remove(&key);
        if nodes.is_empty() {
            if !held_for.is_zero() {
                self.held.insert(key.clone(), now + held_for.min(hold));
            }
            let left = self.present.remove(&key).map(|former| former.profile);
            return Change { left, arrived: None };
        }
        let Some(known) = self.present.get_mut(&key) else {
            self.note_here(&key, &profile);
            self.present.insert(key, Present { profile: profile.clone(), nodes });
            return Change { left: None, arrived: Some(profile) };
        };
        known.nodes = nodes;
        if known.profile == profile {
            return Change::default();
        }
        let left = Some(std::mem::replace(&mut known.profile, profile.clone()));
        self.note_here(&key, &profile);
        Change { left, arrived: Some(profile) }
    }

    /// The user that has this name here looks like this now. An equal avatar stays: it may have its picture.
    fn note_here(&mut self, key: &NicknameKey, profile: &Profile) {
        let user = self.here.get_mut(key).and_then(|here| here.user.as_mut());
        if let Some(user) = user.filter(|user| user.profile != *profile) {
            user.profile = profile.clone();
        }
    }

    /// Frees the names whose hold has ended. Returns when the last of the other holds ends.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Instant> {
        self.held.retain(|_, until| *until > now);
        self.held.values().max().copied()
    }

    // ----- the sessions of this node -----

    /// The name that a session gives up if it takes the name `key`, and no other session of this node has or claims it.
    pub(crate) fn given_up_by(&self, member: MemberId, key: &NicknameKey) -> Option<NicknameKey> {
        let former = self.by_session.get(&member).filter(|former| *former != key)?;
        let here = self.here.get(former)?;
        let is_last = here.user.as_ref().is_some_and(|user| user.sessions == [member]);
        (is_last && here.claims == 0).then(|| former.clone())
    }

    /// This node claims a name for a session.
    pub(crate) fn claims(&mut self, key: &NicknameKey) {
        self.here.entry(key.clone()).or_default().claims += 1;
    }

    /// A claim is answered, and what follows from the answer is done. Returns how the name is given up if no session has
    /// it, and this node, `own`, has it: it was given by this claim, or before.
    pub(crate) fn claimed(&mut self, key: &NicknameKey, is_given: bool, own: NodeName) -> Option<Leave> {
        let here = self.here.get_mut(key)?;
        here.claims = here.claims.saturating_sub(1);
        here.is_given |= is_given;
        let was_given = here.is_given;
        self.give_up(key).filter(|_| was_given || self.is_at(key, own))
    }

    /// A session is of this user, which has this name. It must have no other name.
    pub(crate) fn add(&mut self, member: MemberId, user: User) {
        let key = user.profile.nickname.key();
        let here = self.here.entry(key.clone()).or_default();
        (here.holds_name, here.releases) = (false, false);
        match &mut here.user {
            Some(known) => {
                let mut sessions = std::mem::take(&mut known.sessions);
                if !sessions.contains(&member) {
                    sessions.push(member);
                }
                *known = User { sessions, ..user };
            }
            None => here.user = Some(User { sessions: vec![member], ..user }),
        }
        self.by_session.insert(member, key);
    }

    /// The reservation of the name of a session ends with its user's last session at this node.
    pub(crate) fn release(&mut self, member: MemberId) {
        if let Some(here) = self.by_session.get(&member).and_then(|key| self.here.get_mut(key)) {
            here.releases = true;
        }
    }

    /// Takes a session from its user. Returns how the name is given up if no session of this node has or claims it any
    /// more. Idempotent.
    pub(crate) fn take_out(&mut self, member: MemberId, holds_name: bool) -> Option<Leave> {
        let key = self.by_session.remove(&member)?;
        let here = self.here.get_mut(&key)?;
        here.holds_name = holds_name;
        let user = here.user.as_mut()?;
        user.sessions.retain(|other| *other != member);
        if user.sessions.is_empty() {
            here.user = None;
        }
        self.give_up(&key)
    }

    /// Forgets a name that no session has or claims.
    fn give_up(&mut self, key: &NicknameKey) -> Option<Leave> {
        let is_unused = |here: &Here| here.user.is_none() && here.claims == 0;
        if !self.here.get(key).is_some_and(is_unused) {
            return None;
        }
        let (key, Here { holds_name, releases, .. }) = self.here.remove_entry(key)?;
        Some(Leave { key, holds_name, releases })
    }

    /// Sets the numbers of unanswered claims anew; `claims_of` tells them. Returns how names are given up that no session
    /// has or claims.
    pub(crate) fn recount(&mut self, claims_of: impl Fn(&NicknameKey) -> usize) -> Vec<Leave> {
        self.here.iter_mut().for_each(|(key, here)| here.claims = claims_of(key));
        let keys: Vec<_> = self.here.keys().cloned().collect();
        keys.iter().filter_map(|key| self.give_up(key)).collect()
    }

    /// The user of a session.
    pub(crate) fn user_of(&self, member: MemberId) -> Option<&User> {
        self.find(self.by_session.get(&member)?)
    }

    /// The user with this name, if it has sessions at this node.
    pub(crate) fn find(&self, key: &NicknameKey) -> Option<&User> {
        self.here.get(key)?.user.as_ref()
    }

    // ----- all users -----

    /// What others see of the user with this name.
    pub(crate) fn profile_of(&self, key: &NicknameKey) -> Option<&Profile> {
        self.present.get(key).map(|present| &present.profile)
    }

    /// The nodes with sessions of this user, without the node `own`. Of the uids of a node, the newest one.
    pub(crate) fn nodes_of(&self, key: &NicknameKey, own: NodeName) -> Vec<NodeUid> {
        let nodes = self.present.get(key).map_or(&[][..], |present| &present.nodes);
        let is_newest =
            |(at, node): &(usize, &NodeUid)| !nodes[at + 1..].iter().any(|newer| newer.name() == node.name());
        let newest = nodes.iter().enumerate().filter(is_newest).map(|(_, node)| *node);
        newest.filter(|node| node.name() != own).collect()
    }

    /// Whether the node `own` has sessions of this user, as all nodes were told.
    pub(crate) fn is_at(&self, key: &NicknameKey, own: NodeName) -> bool {
        self.present.get(key).is_some_and(|present| present.nodes.iter().any(|node| node.name() == own))
    }

    /// Whether the name is held for a user that may come back.
    pub(crate) fn is_held(&self, key: &NicknameKey) -> bool {
        self.held.contains_key(key)
    }

    /// What others see of the users behind a name, or of all users, in the order of names.
    pub(crate) fn profiles_after(&self, after: Option<&NicknameKey>) -> impl Iterator<Item = &Profile> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.present.range((from, Bound::Unbounded)).map(|(_, present)| &present.profile)
    }

    /// The number of users.
    pub(crate) fn count(&self) -> usize {
        self.present.len()
    }

    /// Whether no session of this node has or claims a name, and no name is held.
    pub(crate) fn is_idle(&self) -> bool {
        self.here.is_empty() && self.held.is_empty()
    }
}

#[cfg(test)]
mod tests;
