//! A chat that keeps what it hears, and checks that it hears each room without gap and in order.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{
    domain::{NicknameKey, OwnerHash, RoomName},
    nodes::{
        NodeUid,
        contract::{AskId, Heard, Listed, NotEntered, Person, SayId},
    },
};

/// What a node has heard.
#[derive(Debug, Default)]
pub(super) struct FakeChat {
    pub rooms: BTreeMap<RoomName, FakeRoom>,
    /// What was asked and is answered: the messages, each with its offset.
    pub accepted: HashMap<SayId, u64>,
    pub delayed: HashSet<SayId>,
    pub dropped: HashSet<SayId>,
    pub entered: HashMap<AskId, Result<OwnerHash, NotEntered>>,
    pub names_lost: Vec<(RoomName, NicknameKey)>,
    pub forgotten: HashMap<AskId, bool>,
    pub is_up: bool,
    pub resets: u64,
}

/// What a node has heard of one room.
#[derive(Debug, Default)]
pub(super) struct FakeRoom {
    pub head: u64,
    /// The bodies of what was said.
    pub said: BTreeMap<u64, String>,
    pub people: BTreeMap<NicknameKey, Person>,
    /// Users that were seen leaving.
    pub left: Vec<NicknameKey>,
    pub shown: Vec<String>,
    /// The keys of what was said before.
    pub keys: HashSet<[u8; 16]>,
    pub is_open: bool,
}

impl FakeChat {
    /// Hears what the link tells.
    pub(super) fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Opened(room, opened) => {
                let room = self.rooms.entry(room).or_default();
                self.resets += u64::from(opened.reset);
                let (head, people) = (opened.head, opened.people);
                let keys = opened.keys.iter().map(|said| said.key).collect();
                *room = FakeRoom { head, keys, is_open: true, ..FakeRoom::default() };
                people.into_iter().for_each(|person| room.set(person));
            }
            Heard::Said(name, said) => {
                let room = self.open(&name);
                assert_eq!(said.record.first, room.head + 1, "a gap in {name:?}");
                let bodies = bodies_of(&said.record.entries);
                assert_eq!(bodies.len(), said.record.count as usize);
                room.keys.extend(said.record.keys.iter().map(|said| said.key));
                room.head += u64::from(said.record.count);
                room.said.extend((said.record.first..).zip(bodies));
            }
            Heard::Accepted(name, accepted) | Heard::Repeated(name, accepted) => {
                let head = self.open(&name).head;
                for (id, offset) in accepted {
                    assert!(offset <= head, "{offset} is accepted and was not heard");
                    assert_eq!(self.accepted.insert(id, offset), None, "{id:?} is answered twice");
                }
            }
            Heard::Delayed(_, ids) => self.delayed.extend(ids),
            Heard::Dropped(_, ids) => self.dropped.extend(ids),
            Heard::Shown(name, _, payload) => {
                let shown = String::from_utf8_lossy(&payload).into_owned();
                self.open(&name).shown.push(shown);
            }
            Heard::Whispered(..) => {}
            Heard::Person(name, person, _) => self.open(&name).set(*person),
            Heard::People(name, people, listed) => self.open(&name).list(people, listed),
            Heard::Entered(name, ask, answer) => {
                self.open(&name);
                assert_eq!(self.entered.insert(ask, answer), None, "{ask:?} is answered twice");
            }
            Heard::NameLost(name, key) => self.names_lost.push((name, key)),
            Heard::Forgetting(ask, answer) => _ = self.forgotten.insert(ask, answer.unwrap_or_default()),
            Heard::Forgot(name, _) => _ = self.open(&name),
            Heard::Up(_) => self.is_up = true,
            Heard::Down(..) => self.is_up = false,
        }
    }

    fn open(&mut self, room: &RoomName) -> &mut FakeRoom {
        let room = self.rooms.get_mut(room).expect("a room that the chat has asked for");
        assert!(room.is_open, "the room is open before anything is told of it");
        room
    }
}

impl FakeRoom {
    fn list(&mut self, people: Vec<Person>, listed: Listed) {
        if listed == Listed::All {
            let is_listed = |key: &NicknameKey| {
                people.iter().any(|person| person.name.key() == *key && !person.nodes.is_empty())
            };
            let gone: Vec<_> = self.people.keys().filter(|key| !is_listed(key)).cloned().collect();
            gone.into_iter().for_each(|key| self.leave(&key));
        }
        let there = people.into_iter().filter(|person| !person.nodes.is_empty());
        there.for_each(|person| self.set(person));
    }

    fn leave(&mut self, key: &NicknameKey) {
        if self.people.remove(key).is_some() {
            self.left.push(key.clone());
        }
    }

    fn set(&mut self, person: Person) {
        if person.nodes.is_empty() {
            self.leave(&person.name.key());
        } else {
            self.people.insert(person.name.key(), person);
        }
    }

    /// The users, each with its nodes.
    pub(super) fn users(&self) -> Vec<(String, Vec<NodeUid>)> {
        let users = self.people.values().map(|person| {
            let mut nodes = person.nodes.clone();
            nodes.sort_unstable();
            (person.name.as_str().to_owned(), nodes)
        });
        users.collect()
    }
}

/// Entries of these tests are texts, each with a line end.
pub(super) fn bodies_of(entries: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(entries).lines().map(str::to_owned).collect()
}
