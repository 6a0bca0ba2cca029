//! A Redis with the links of all nodes, which does what it is ordered and tells what each node hears.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use bytes::{Bytes, BytesMut};

use crate::{
    domain::{NicknameKey, OwnerHash, RoomName},
    journal::{Epoch, EpochId, Keyed, Record},
    nodes::{
        NodeUid,
        contract::{
            AskId, Claim, Heard, Leave, NotEntered, Opened, Order, Owner, Person, SaidRecord, SayId, ToSay,
        },
    },
};

/// How long the name of a user that has dropped is held.
pub(super) const HOLD: Duration = Duration::from_secs(30);

/// What is told to a node, by its place.
type Told = Vec<(usize, Heard)>;

#[derive(Debug, Default)]
pub(super) struct Redis {
    pub nodes: Vec<NodeUid>,
    pub rooms: HashMap<RoomName, Room>,
    /// The number of the epochs that begin from now on.
    pub epoch: u64,
}

#[derive(Debug, Default)]
pub(super) struct Room {
    pub epochs: Vec<Epoch>,
    pub records: Vec<Record>,
    pub keys: Vec<Keyed>,
    pub people: BTreeMap<NicknameKey, Person>,
    /// The nodes that have it open.
    pub open_at: BTreeSet<usize>,
}

impl Room {
    fn head(&self) -> u64 {
        self.records.last().map_or(0, Record::last)
    }

    pub(super) fn opened(&self, reset: bool) -> Box<Opened> {
        Box::new(Opened {
            epochs: self.epochs.clone(),
            head: self.head(),
            keys: self.keys.clone(),
            people: self.people.values().cloned().collect(),
            reset,
        })
    }

    fn tell(&self, heard: impl Fn(usize) -> Heard) -> Told {
        self.open_at.iter().map(|node| (*node, heard(*node))).collect()
    }
}

impl Redis {
    /// Does what a node has ordered. Returns what is heard by that.
    pub(super) fn take(&mut self, node: usize, order: Order) -> Told {
        let (uid, epoch) = (self.nodes[node], self.epoch);
        let Some(name) = order.room().cloned() else {
            return Vec::new();
        };
        let room = self.rooms.entry(name.clone()).or_default();
        match order {
            Order::Open(_) => {
                room.open_at.insert(node);
                vec![(node, Heard::Opened(name, room.opened(false)))]
            }
            Order::Close(_) => {
                assert!(room.open_at.remove(&node), "{name:?} is open");
                Vec::new()
            }
            Order::Say(_, says) => {
                assert!(room.open_at.contains(&node), "{name:?} is open");
                room.say(&name, node, epoch, says)
            }
            Order::Show(_, packed) => room.tell(|_| Heard::Shown(name.clone(), uid, packed.clone())),
            Order::Enter(_, ask, claim) => room.enter(&name, node, uid, ask, *claim),
            Order::Leave(_, leave) => room.leave(&name, uid, leave, None),
            Order::Whisper(_, to, packed) => {
                let to = self.nodes.iter().position(|other| *other == to).expect("a node");
                vec![(to, Heard::Whispered(name, uid, packed))]
            }
            Order::Forget(_, ask) => {
                let had_any = !room.records.is_empty();
                room.keys.clear();
                let head = room.head();
                let mut told = room.tell(|_| Heard::Forgot(name.clone(), head));
                told.push((node, Heard::Forgetting(ask, Ok(had_any))));
                told
            }
            Order::KeepPicture(_) | Order::Sizes(_) => Vec::new(),
        }
    }
}

impl Room {
    fn say(&mut self, name: &RoomName, node: usize, epoch: u64, says: Vec<ToSay>) -> Told {
        let mut told = Told::new();
        let known = |say: &ToSay| {
            self.keys.iter().find(|known| Some(known.key) == say.key).map(|known| (say.id, known.offset))
        };
        let repeated: Vec<_> = says.iter().filter_map(known).collect();
        let fresh: Vec<_> =
            says.into_iter().filter(|say| repeated.iter().all(|(id, _)| *id != say.id)).collect();
        if let Some(last) = fresh.last() {
            let first = self.head() + 1;
            if self.epochs.last().is_none_or(|last| last.id.number != epoch) {
                let random = 1000 + epoch;
                self.epochs.push(Epoch { id: EpochId { random, number: epoch }, starts: first });
            }
            let placed: Vec<(SayId, u64)> = fresh.iter().map(|say| say.id).zip(first..).collect();
            let keyed = fresh.iter().zip(first..);
            let keys: Vec<_> = keyed
                .filter_map(|(say, offset)| say.key.map(|key| Keyed { key, offset, at: say.at }))
                .collect();
            let mut entries = BytesMut::new();
            fresh.iter().for_each(|say| entries.extend_from_slice(&say.entry));
            let record = Record {
                first,
                count: fresh.len() as u32,
                at: last.at,
                keys: keys.clone(),
                entries: entries.freeze(),
            };
            self.keys.extend(keys);
            self.records.push(record.clone());
            let epoch = *self.epochs.last().expect("begun above");
            let own: Vec<_> = fresh.iter().map(|say| say.id).collect();
            told.extend(self.tell(|to| {
                let own = if to == node { own.clone() } else { Vec::new() };
                Heard::Said(name.clone(), Box::new(SaidRecord { record: record.clone(), epoch, own }))
            }));
            told.push((node, Heard::Accepted(name.clone(), placed)));
        }
        if !repeated.is_empty() {
            told.push((node, Heard::Repeated(name.clone(), repeated)));
        }
        told
    }

    fn enter(&mut self, name: &RoomName, node: usize, uid: NodeUid, ask: AskId, claim: Claim) -> Told {
        let key = claim.name.key();
        let bears = |owner: OwnerHash| claim.owner.is_some_and(|own| own.hash == owner);
        let known = self.people.get(&key);
        if known.is_some_and(|known| !bears(known.owner.hash)) {
            return vec![(node, Heard::Entered(name.clone(), ask, Err(NotEntered::Taken)))];
        }
        let is_anothers = |owner: &Owner| {
            let others = self.people.iter().filter(|(other, _)| **other != key);
            let mut others = others.filter(|(other, _)| Some(*other) != claim.leaves.as_ref());
            others.any(|(_, person)| person.owner.hash == owner.hash && !person.nodes.is_empty())
        };
        let owner = claim.owner.filter(|owner| !is_anothers(owner)).unwrap_or(claim.spare);
        let mut told = Told::new();
        if let Some(key) = claim.leaves {
            let leave = Leave { key, holds_name: false, releases: false };
            told.extend(self.leave(name, uid, leave, Some((node, ask))));
        }
        let nodes = self.people.get(&key).map(|known| known.nodes.clone()).unwrap_or_default();
        let mut person =
            Person { name: claim.name, avatar: claim.avatar, owner, nodes, held_for: Duration::ZERO };
        if !person.nodes.contains(&uid) {
            person.nodes.push(uid);
        }
        if self.people.get(&key) != Some(&person) {
            self.people.insert(key, person.clone());
            told.extend(self.tell_person(name, &person, Some((node, ask))));
        }
        told.push((node, Heard::Entered(name.clone(), ask, Ok(owner.hash))));
        told
    }

    fn leave(&mut self, name: &RoomName, uid: NodeUid, leave: Leave, by: Option<(usize, AskId)>) -> Told {
        let Some(person) = self.people.get_mut(&leave.key).filter(|person| person.nodes.contains(&uid))
        else {
            return Told::new();
        };
        person.nodes.retain(|node| *node != uid);
        if person.nodes.is_empty() && leave.holds_name {
            person.held_for = HOLD;
        }
        let person = person.clone();
        if person.nodes.is_empty() && !leave.holds_name {
            self.people.remove(&leave.key);
        }
        self.tell_person(name, &person, by)
    }

    fn tell_person(&self, name: &RoomName, person: &Person, by: Option<(usize, AskId)>) -> Told {
        self.tell(|to| {
            let ask = by.filter(|(node, _)| *node == to).map(|(_, ask)| ask);
            Heard::Person(name.clone(), Box::new(person.clone()), ask)
        })
    }
}

/// A record whose bytes are no entries.
pub(super) fn damaged(first: u64) -> Record {
    Record { first, count: 1, at: 1, keys: Vec::new(), entries: Bytes::from_static(b"damage") }
}
