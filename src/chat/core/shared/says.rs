//! Messages that were handed in to the link, or are to be, and are not known to be in Redis.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;

use crate::{
    chat::{ids::Key, position::Asker},
    connection::Accepted,
    domain::{Map, MemberId, RoomName},
    nodes::contract::{Author, Order, SayId, ToSay},
};

/// The messages that wait, of all rooms.
#[derive(Debug, Default)]
pub(super) struct Says {
    messages: Map<SayId, Saying>,
    rooms: HashMap<RoomName, InRoom>,
    /// Rooms with messages to hand in, in the order of the first ones.
    to_hand_in: Vec<RoomName>,
}

/// A message that waits.
#[derive(Debug)]
pub(super) struct Saying {
    /// Those who are answered when it is in Redis. None for a guest.
    pub askers: Vec<Asker>,
    /// Held until the message is heard, and then until its broadcast is delivered.
    pub accepted: Option<Accepted>,
    /// The session that does not get the message.
    pub excluded: Option<MemberId>,
    /// The name of the user who says it; `None` for a guest.
    pub author: Option<Author>,
    /// The key, if its client gave it an id.
    pub key: Option<Key>,
    /// The last message that was heard when this one was taken: none up to that one has the key.
    pub looked_to: u64,
    /// When it was sent, in milliseconds since 1970.
    pub at: u64,
}

impl Saying {
    /// A message of a guest, which does not get it.
    pub(super) fn of_guest(member: MemberId, accepted: Accepted) -> Self {
        let (askers, accepted) = (Vec::new(), Some(accepted));
        Self { askers, accepted, excluded: Some(member), author: None, key: None, looked_to: 0, at: 0 }
    }

    /// A message of a user, which `asker` waits for.
    pub(super) fn of_user(asker: Asker, accepted: Accepted) -> Self {
        let (askers, accepted) = (vec![asker], Some(accepted));
        Self { askers, accepted, excluded: None, author: None, key: None, looked_to: 0, at: 0 }
    }
}

/// The messages of one room that wait, at least one.
#[derive(Debug, Default)]
struct InRoom {
    /// What is to be handed in at the end of the turn.
    round: Vec<ToSay>,
    waiting: BTreeSet<SayId>,
    by_key: HashMap<Key, SayId>,
    /// Those who wait for all messages up to one.
    until: Vec<(SayId, Asker)>,
}

impl Says {
    /// Adds a message, to be handed in at the end of the turn. `id` must be greater than those before.
    pub(super) fn add(&mut self, room: &RoomName, id: SayId, entry: Bytes, saying: Saying) {
        let in_room = self.rooms.entry(room.clone()).or_default();
        if in_room.round.is_empty() {
            self.to_hand_in.push(room.clone());
        }
        let (key, looked_to, at, author) = (saying.key, saying.looked_to, saying.at, saying.author.clone());
        in_room.round.push(ToSay { id, entry, key, looked_to, at, author });
        in_room.waiting.insert(id);
        if let Some(key) = key {
            in_room.by_key.insert(key, id);
        }
        self.messages.insert(id, saying);
    }

    /// The message with this key, if it waits.
    pub(super) fn find(&mut self, room: &RoomName, key: &Key) -> Option<&mut Saying> {
        self.messages.get_mut(self.rooms.get(room)?.by_key.get(key)?)
    }

    /// Has a session answered when all messages of a room that wait now are in Redis. False if none wait.
    pub(super) fn wait_for_all(&mut self, room: &RoomName, asker: Asker) -> bool {
        let in_room = self.rooms.get_mut(room);
        let Some((in_room, last)) = in_room.and_then(|room| Some((&mut room.until, *room.waiting.last()?)))
        else {
            return false;
        };
        in_room.push((last, asker));
        true
    }

    /// What is to be handed in of a room.
    pub(super) fn take_round(&mut self, room: &RoomName) -> Option<Order> {
        if self.rooms.get(room)?.round.is_empty() {
            return None;
        }
        let place = self.to_hand_in.iter().position(|other| other == room)?;
        let room = self.to_hand_in.remove(place);
        self.round_of(room)
    }

    /// What is to be handed in of all rooms.
    pub(super) fn take_rounds(&mut self) -> Vec<Order> {
        let rooms = std::mem::take(&mut self.to_hand_in);
        rooms.into_iter().filter_map(|room| self.round_of(room)).collect()
    }

    fn round_of(&mut self, room: RoomName) -> Option<Order> {
        let round = std::mem::take(&mut self.rooms.get_mut(&room)?.round);
        Some(Order::Say(room, round))
    }

    /// A message was heard. Returns its share of the session's intake, and the session that does not get it.
    pub(super) fn heard(&mut self, id: SayId) -> (Option<Accepted>, Option<MemberId>) {
        self.messages.get_mut(&id).map_or((None, None), |saying| (saying.accepted.take(), saying.excluded))
    }

    /// A message that waits.
    pub(super) fn get(&self, id: SayId) -> Option<&Saying> {
        self.messages.get(&id)
    }

    /// These messages are in Redis and those who sent them are told. Returns the sessions that have waited for all up to
    /// one of them.
    pub(super) fn done(&mut self, room: &RoomName, ids: impl Iterator<Item = SayId>) -> Vec<Asker> {
        let Some(in_room) = self.rooms.get_mut(room) else {
            return Vec::new();
        };
        for id in ids {
            in_room.waiting.remove(&id);
            if let Some(key) = self.messages.remove(&id).and_then(|saying| saying.key) {
                in_room.by_key.remove(&key);
            }
        }
        let first = in_room.waiting.first().copied();
        let is_due = |(last, _): &mut (SayId, Asker)| first.is_none_or(|first| *last < first);
        let due = in_room.until.extract_if(.., is_due).map(|(_, asker)| asker).collect();
        if first.is_none() {
            self.rooms.remove(room);
        }
        due
    }

    /// These messages stay for a while. Returns those who wait for them, and for all of the room: they wait no more.
    pub(super) fn delayed(&mut self, room: &RoomName, ids: &[SayId]) -> Vec<Asker> {
        let mut askers = Vec::new();
        for id in ids {
            if let Some(saying) = self.messages.get_mut(id) {
                askers.append(&mut saying.askers);
            }
        }
        let until = self.rooms.get_mut(room).map(|in_room| std::mem::take(&mut in_room.until));
        askers.extend(until.into_iter().flatten().map(|(_, asker)| asker));
        askers
    }

    /// Whether messages of a room wait.
    pub(super) fn waits_in(&self, room: &RoomName) -> bool {
        self.rooms.contains_key(room)
    }

    /// The rooms of which messages wait.
    pub(super) fn rooms(&self) -> impl Iterator<Item = &RoomName> {
        self.rooms.keys()
    }

    /// Whether no message waits.
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Number of messages that wait.
    pub(super) fn count(&self) -> u64 {
        self.messages.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::WorkerId;

    fn room(name: &str) -> RoomName {
        RoomName::parse(name).expect("a legal name")
    }

    fn asker(ticket: u64) -> Asker {
        Asker { member: MemberId::of(1), worker: WorkerId(0), ticket }
    }

    fn saying(number: u64) -> Saying {
        let key = Some([number as u8; 16]);
        Saying {
            askers: vec![asker(number)],
            accepted: None,
            excluded: None,
            author: None,
            key,
            looked_to: 0,
            at: number,
        }
    }

    fn says(rooms: &[(&str, u64)]) -> Says {
        let mut says = Says::default();
        for (name, number) in rooms {
            says.add(&room(name), SayId(*number), Bytes::new(), saying(*number));
        }
        says
    }

    /// Which messages are handed in, by their rooms.
    fn handed_in(orders: impl IntoIterator<Item = Order>) -> Vec<(String, Vec<u64>)> {
        let rounds = orders.into_iter().filter_map(|order| match order {
            Order::Say(room, round) => {
                Some((room.as_str().to_owned(), round.iter().map(|said| said.id.0).collect()))
            }
            _ => None,
        });
        rounds.collect()
    }

    #[test]
    fn the_messages_of_a_turn_are_one_round_of_each_room_and_are_handed_in_once() {
        let mut says = says(&[("a", 1), ("b", 2), ("a", 3)]);
        assert_eq!(handed_in(says.take_round(&room("b"))), [("b".to_owned(), vec![2])]);
        assert_eq!(handed_in(says.take_rounds()), [("a".to_owned(), vec![1, 3])]);
        assert!(says.take_rounds().is_empty() && says.take_round(&room("a")).is_none());
        assert_eq!((says.count(), says.waits_in(&room("b"))), (3, true));
    }

    #[test]
    fn who_waits_for_all_messages_is_answered_with_the_last_one_that_waited_then() {
        let mut says = says(&[("a", 1), ("a", 2)]);
        assert!(says.wait_for_all(&room("a"), asker(9)));
        says.add(&room("a"), SayId(3), Bytes::new(), saying(3));
        assert_eq!(says.done(&room("a"), [SayId(2)].into_iter()), []);
        assert_eq!(says.done(&room("a"), [SayId(1)].into_iter()), [asker(9)]);
        assert_eq!(says.done(&room("a"), [SayId(3)].into_iter()), []);
        assert!(says.is_empty() && !says.waits_in(&room("a")));
        assert!(!says.wait_for_all(&room("a"), asker(9)));
    }

    #[test]
    fn a_message_that_is_delayed_stays_and_those_who_waited_are_told_once() {
        let mut says = says(&[("a", 1), ("a", 2)]);
        says.wait_for_all(&room("a"), asker(9));
        assert_eq!(says.delayed(&room("a"), &[SayId(1)]), [asker(1), asker(9)]);
        assert_eq!(says.delayed(&room("a"), &[SayId(1)]), []);
        assert_eq!(says.count(), 2);
        assert!(says.find(&room("a"), &[1; 16]).is_some(), "it is known by its key");
        says.done(&room("a"), [SayId(1)].into_iter());
        assert!(says.find(&room("a"), &[1; 16]).is_none());
    }
}
