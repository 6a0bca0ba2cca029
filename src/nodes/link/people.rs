//! What a node asks of the users of one room: names that it claims and gives up, in their order.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

use super::{
    doubt::Doubt,
    turn::{RoomCall, Turn},
};
use crate::{
    domain::{NicknameKey, OwnerHash, RoomName},
    nodes::{
        commands::{Command, Entered},
        contract::{AskId, Author, Away, Claim, Heard, Leave, Listed, NotEntered, Owner, Person},
    },
};

/// The users of one room, as far as this node has a part in them.
#[derive(Debug, Default)]
pub(super) struct People {
    /// The version of the users that was heard last; 0 if none was.
    pub version: u64,
    doubt: Doubt,
    /// What is asked and not answered, oldest first.
    changes: VecDeque<Change>,
    last: u64,
    /// Whether nothing is asked for now.
    is_held: bool,
    /// The names that this node has claimed for its users.
    own: BTreeMap<NicknameKey, Claim>,
}

#[derive(Debug)]
struct Change {
    number: u64,
    what: What,
    is_sent: bool,
    /// The version at which the answer is told, and the answer.
    answer: Option<(u64, Option<Entered>)>,
    /// Whether a name that Redis has lost was not claimed again because this decides about it. If it is refused, the name
    /// is still to be claimed.
    keeps: bool,
}

#[derive(Debug)]
enum What {
    Enter(AskId, Box<Claim>),
    /// The node claims a name of its users again, which Redis has lost.
    Again(Box<Claim>),
    Leave(Leave),
}

impl What {
    /// Whether it decides about a name of this owner: a claim of another one does not.
    fn claims_for(&self, key: &NicknameKey, owner: Option<Owner>) -> bool {
        match self {
            Self::Enter(_, claim) => {
                (claim.name.key() == *key && claim.owner == owner) || claim.leaves.as_ref() == Some(key)
            }
            Self::Again(_) | Self::Leave(_) => self.is_about(key),
        }
    }

    /// The names that it is about.
    fn is_about(&self, key: &NicknameKey) -> bool {
        match self {
            Self::Enter(_, claim) => claim.name.key() == *key || claim.leaves.as_ref() == Some(key),
            Self::Again(claim) => claim.name.key() == *key,
            Self::Leave(leave) => leave.key == *key,
        }
    }
}

impl People {
    /// Claims a name.
    pub(super) fn enter(&mut self, ask: AskId, claim: Box<Claim>) {
        self.add(What::Enter(ask, claim));
    }

    /// Gives a name up.
    pub(super) fn leave(&mut self, leave: Leave) {
        self.add(What::Leave(leave));
    }

    fn add(&mut self, what: What) {
        let change = self.change(what);
        self.changes.push_back(change);
    }

    fn change(&mut self, what: What) -> Change {
        self.last += 1;
        Change { number: self.last, what, is_sent: false, answer: None, keeps: false }
    }

    /// Whether nothing is asked.
    pub(super) fn is_idle(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether this user has its name at this node.
    pub(super) fn has(&self, author: &Author) -> bool {
        let owner = self.own.get(&author.key).and_then(|claim| claim.owner);
        owner.is_some_and(|owner| owner.uid == author.uid)
    }

    /// Whether the node has claimed a name.
    pub(super) fn has_own(&self) -> bool {
        !self.own.is_empty()
    }

    /// The connection is lost, or the node has another uid: what is not answered is asked again.
    pub(super) fn disconnect(&mut self) {
        self.is_held = false;
        self.doubt.disconnect();
        // Redis may have lost changes, and counted others with their versions.
        self.version = 0;
        for change in &mut self.changes {
            change.is_sent = false;
            change.answer = None;
        }
    }

    /// Redis cannot be reached: those who want a name are told. What they asked is not asked again.
    pub(super) fn refuse(&mut self, room: &RoomName, why: &Away, turn: &mut Turn<'_>) {
        let mut kept = VecDeque::new();
        for change in self.changes.drain(..) {
            match change.what {
                What::Enter(ask, claim) => {
                    turn.tell(Heard::Entered(room.clone(), ask, Err(why.clone().into())));
                    // It may have been given before the connection was lost.
                    let key = claim.name.key();
                    if change.is_sent && !self.own.contains_key(&key) {
                        let leave = Leave { key, holds_name: false, releases: false };
                        kept.push_back(Change {
                            what: What::Leave(leave),
                            is_sent: false,
                            answer: None,
                            ..change
                        });
                    }
                }
                What::Again(_) | What::Leave(_) => kept.push_back(change),
            }
        }
        self.changes = kept;
    }

    /// Asks what was not asked yet. While nothing is appended because Redis may have lost something, only names are claimed
    /// that users had before: other nodes must have the time for that, too. A name is not given up before what was said
    /// under it: `is_saying` tells whether something waits.
    pub(super) fn send(
        &mut self,
        room: &RoomName,
        is_waiting: bool,
        is_saying: impl Fn(&NicknameKey) -> bool,
        turn: &mut Turn<'_>,
    ) {
        if self.is_held {
            return;
        }
        let may_ask = |change: &&mut Change| match &change.what {
            What::Again(_) => true,
            _ if change.is_sent => true,
            _ if is_waiting => false,
            What::Enter(_, claim) => !claim.leaves.as_ref().is_some_and(&is_saying),
            What::Leave(leave) => !is_saying(&leave.key),
        };
        for change in self.changes.iter_mut().take_while(may_ask).filter(|change| !change.is_sent) {
            change.is_sent = true;
            let (room_name, node) = (room.clone(), turn.node);
            let command = match &change.what {
                What::Enter(ask, claim) => {
                    Command::Enter { room: room_name, node, ask: Some(*ask), claim: claim.clone() }
                }
                What::Again(claim) => {
                    Command::Enter { room: room_name, node, ask: None, claim: claim.clone() }
                }
                What::Leave(leave) => Command::Leave { room: room_name, node, leave: leave.clone() },
            };
            turn.call_of(room, RoomCall::Change(change.number), command);
        }
    }

    /// Redis has answered a claim. False if the node is fenced.
    pub(super) fn entered(&mut self, number: u64, answer: Entered) -> bool {
        let version = match answer {
            Entered::Yes { version, .. } => version,
            Entered::Taken => 0,
            Entered::Fenced => return false,
        };
        self.answered(number, version, Some(answer));
        true
    }

    /// Redis has answered that a user is gone from this node, as of that version.
    pub(super) fn left(&mut self, number: u64, version: u64) {
        self.answered(number, version, None);
    }

    fn answered(&mut self, number: u64, version: u64, entered: Option<Entered>) {
        if let Some(change) = self.changes.iter_mut().find(|change| change.number == number) {
            change.answer = Some((version, entered));
        }
    }

    /// Redis has refused a change for now. It is asked again, except a claim: the session that waits for it is told.
    pub(super) fn refused(&mut self, number: u64, room: &RoomName, why: &Away, turn: &mut Turn<'_>) {
        let Some(at) = self.changes.iter().position(|change| change.number == number) else {
            return;
        };
        match &self.changes[at].what {
            What::Enter(ask, _) => {
                turn.tell(Heard::Entered(room.clone(), *ask, Err(why.clone().into())));
                if self.changes[at].keeps {
                    self.doubt.lacks_own(turn.now);
                }
                self.changes.remove(at);
            }
            What::Again(_) | What::Leave(_) => {
                self.changes[at].is_sent = false;
                self.is_held = true;
            }
        }
    }

    /// Asks again.
    pub(super) fn release(&mut self) {
        self.is_held = false;
    }

    /// A user has changed, as of that version: is claimed again as it is now, if it must be. What was stuck in an old
    /// connection may have changed it: then that is undone.
    pub(super) fn heard(&mut self, version: u64, person: &Person, ask: Option<AskId>, turn: &Turn<'_>) {
        self.version = version;
        self.doubt.told(version);
        let (key, is_here) = (person.name.key(), person.nodes.contains(&turn.node));
        let is_given = |what: &What| match what {
            What::Enter(own, claim) => Some(*own) == ask && claim.name.key() == key && is_here,
            What::Again(_) | What::Leave(_) => false,
        };
        if let Some(change) = self.changes.iter_mut().find(|change| is_given(&change.what)) {
            // The answer says nothing else, and may be lost.
            change.answer = Some((version, Some(Entered::Yes { version, owner: person.owner.hash })));
        }
        if let Some(claim) = self.own.get_mut(&key) {
            (claim.name, claim.avatar) = (person.name.clone(), person.avatar.clone());
        }
        if self.changes.iter().any(|change| change.what.is_about(&key)) {
            return;
        }
        match self.own.get(&key) {
            Some(claim) if !is_here => {
                let change = self.change(What::Again(Box::new(claim.clone())));
                self.changes.push_front(change);
            }
            None if is_here => self.add(What::Leave(Leave { key, holds_name: true, releases: false })),
            _ => {}
        }
    }

    /// Whether names are claimed again that Redis has lost.
    pub(super) fn is_claiming_again(&self) -> bool {
        self.changes.iter().any(|change| matches!(change.what, What::Again(_)))
    }

    /// Tells the answers whose changes were heard, in the order in which they were asked for, up to one by which users of
    /// this node have lost a name: returns that. To be called again then.
    pub(super) fn tell(&mut self, room: &RoomName, turn: &mut Turn<'_>) -> Option<NicknameKey> {
        let is_heard = |change: &Change, heard| change.answer.is_some_and(|(version, _)| version <= heard);
        while let Some(next) = self.changes.front().filter(|change| is_heard(change, self.version)) {
            if let Some(key) = self.taken_over(next) {
                // Its user lost it while Redis could not be reached, and has not claimed it again yet.
                self.own.remove(&key);
                return Some(key);
            }
            let Some(Change { what, answer: Some((_, answer)), keeps, .. }) = self.changes.pop_front() else {
                return None;
            };
            match (what, answer) {
                (What::Enter(ask, claim), Some(Entered::Yes { owner, .. })) => {
                    self.claimed(*claim, owner);
                    turn.tell(Heard::Entered(room.clone(), ask, Ok(owner)));
                }
                (What::Enter(ask, _), _) => {
                    if keeps {
                        self.doubt.lacks_own(turn.now);
                    }
                    turn.tell(Heard::Entered(room.clone(), ask, Err(NotEntered::Taken)));
                }
                (What::Again(claim), Some(Entered::Taken)) => {
                    let key = claim.name.key();
                    self.own.remove(&key);
                    return Some(key);
                }
                (What::Leave(leave), _) => _ = self.own.remove(&leave.key),
                (What::Again(_), _) => {}
            }
        }
        None
    }

    /// The name that a claim has given to another user than the one of this node that has it.
    fn taken_over(&self, change: &Change) -> Option<NicknameKey> {
        let (What::Enter(_, claim), Some((_, Some(Entered::Yes { owner, .. })))) =
            (&change.what, &change.answer)
        else {
            return None;
        };
        let key = claim.name.key();
        let has = self.own.get(&key)?.owner.map(|own| own.hash);
        (has != Some(*owner)).then_some(key)
    }

    fn claimed(&mut self, claim: Claim, owner: OwnerHash) {
        if let Some(former) = &claim.leaves {
            self.own.remove(former);
        }
        let owner = claim.owner.filter(|own| own.hash == owner).unwrap_or(claim.spare);
        // To be claimed again as it is.
        let claim = Claim { owner: Some(owner), spare: owner, reserves: false, leaves: None, ..claim };
        self.own.insert(claim.name.key(), claim);
    }

    /// Redis has listed the users. `is_saying` tells whether messages of a user wait. Returns which users the list has.
    pub(super) fn listed(
        &mut self,
        version: u64,
        people: &[Person],
        is_saying: impl Fn(&NicknameKey) -> bool,
        turn: &Turn<'_>,
    ) -> Listed {
        self.version = version;
        self.doubt.listed(version, turn.now, turn.lease);
        self.compare(people, is_saying, turn);
        if self.is_claiming_again() {
            self.doubt.lacks_own(turn.now);
        }
        if self.doubt.is_any() { Listed::Some } else { Listed::All }
    }

    /// Whether a list is to be asked for that has all users, after one that may not. True once.
    pub(super) fn wants_list(&mut self, now: Instant) -> bool {
        !self.is_claiming_again() && self.doubt.end(now)
    }

    /// Compares what Redis has with what this node has claimed, after a lost connection: claims again what Redis has
    /// lost, and gives up what no session of this node has.
    fn compare(&mut self, people: &[Person], is_saying: impl Fn(&NicknameKey) -> bool, turn: &Turn<'_>) {
        let is_here = |person: &&Person| person.nodes.contains(&turn.node);
        let here: BTreeMap<NicknameKey, Owner> =
            people.iter().filter(is_here).map(|person| (person.name.key(), person.owner)).collect();
        let is_lost = |key: &NicknameKey, claim: &Claim| {
            here.get(key).map(|owner| owner.hash) != claim.owner.map(|owner| owner.hash)
        };
        let missing: Vec<_> = self.own.iter().filter(|(key, claim)| is_lost(key, claim)).collect();
        for change in self.changes.iter_mut().filter(|change| matches!(change.what, What::Enter(..))) {
            change.keeps |= missing.iter().any(|(key, claim)| change.what.claims_for(key, claim.owner));
        }
        let is_asked = |key: &NicknameKey| self.changes.iter().any(|change| change.what.is_about(key));
        let is_claimed = |key: &NicknameKey, by: Option<Owner>| {
            self.changes.iter().any(|change| {
                // What was said under a name is said while its user has it.
                let is_behind = matches!(change.what, What::Leave(_)) && !change.is_sent && is_saying(key);
                !is_behind && change.what.claims_for(key, by)
            })
        };
        let lost = missing.into_iter().filter(|(key, claim)| !is_claimed(key, claim.owner));
        let lost: Vec<_> = lost.map(|(_, claim)| Box::new(claim.clone())).collect();
        let surplus = here.into_keys().filter(|key| !is_asked(key) && !self.own.contains_key(key));
        let surplus: Vec<_> = surplus.collect();
        // Before others ask for the names.
        lost.into_iter().for_each(|claim| {
            let change = self.change(What::Again(claim));
            self.changes.push_front(change);
        });
        for key in surplus {
            self.add(What::Leave(Leave { key, holds_name: true, releases: false }));
        }
    }
}
