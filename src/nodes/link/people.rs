//! What a node asks of the users of one room: names that it claims and gives up, in their order.

use std::collections::{BTreeMap, VecDeque};

use super::turn::{RoomCall, Turn};
use crate::{
    domain::{NicknameKey, OwnerHash, RoomName},
    nodes::{
        commands::{Command, Entered},
        contract::{AskId, Away, Claim, Heard, Leave, NotEntered, Owner, Person},
    },
};

/// The users of one room, as far as this node has a part in them.
#[derive(Debug, Default)]
pub(super) struct People {
    /// The version of the users that was heard last; 0 if none was.
    pub version: u64,
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
        Change { number: self.last, what, is_sent: false, answer: None }
    }

    /// Whether nothing is asked.
    pub(super) fn is_idle(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether the node has claimed a name.
    pub(super) fn has_own(&self) -> bool {
        !self.own.is_empty()
    }

    /// The connection is lost, or the node has another uid: what is not answered is asked again.
    pub(super) fn disconnect(&mut self) {
        self.is_held = false;
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

    /// Asks what was not asked yet.
    pub(super) fn send(&mut self, room: &RoomName, turn: &mut Turn<'_>) {
        if self.is_held {
            return;
        }
        for change in self.changes.iter_mut().filter(|change| !change.is_sent) {
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

    /// A user has changed, as of that version: is claimed again as it is now, if it must be.
    pub(super) fn heard(&mut self, version: u64, person: &Person) {
        self.version = version;
        if let Some(claim) = self.own.get_mut(&person.name.key()) {
            (claim.name, claim.avatar) = (person.name.clone(), person.avatar.clone());
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
            let Some(Change { what, answer: Some((_, answer)), .. }) = self.changes.pop_front() else {
                return None;
            };
            match (what, answer) {
                (What::Enter(ask, claim), Some(Entered::Yes { owner, .. })) => {
                    self.claimed(*claim, owner);
                    turn.tell(Heard::Entered(room.clone(), ask, Ok(owner)));
                }
                (What::Enter(ask, _), _) => {
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

    /// Compares what Redis has with what this node has claimed, after a lost connection: claims again what Redis has
    /// lost, and gives up what no session of this node has.
    pub(super) fn compare(&mut self, people: &[Person], turn: &Turn<'_>) {
        let is_here = |person: &&Person| person.nodes.contains(&turn.node);
        let here: BTreeMap<NicknameKey, Owner> =
            people.iter().filter(is_here).map(|person| (person.name.key(), person.owner)).collect();
        let is_asked = |key: &NicknameKey| self.changes.iter().any(|change| change.what.is_about(key));
        let is_claimed = |key: &NicknameKey, by: Option<Owner>| {
            self.changes.iter().any(|change| change.what.claims_for(key, by))
        };
        let lost = self.own.iter().filter(|(key, claim)| {
            !is_claimed(key, claim.owner)
                && here.get(*key).map(|owner| owner.hash) != claim.owner.map(|owner| owner.hash)
        });
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
