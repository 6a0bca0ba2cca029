//! What a node has to say in one room: one round is on its way at a time, what comes meanwhile is the next one.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::turn::{About, RoomCall, Turn};
use crate::{
    domain::{NicknameKey, RoomName},
    journal::{EpochId, Keyed},
    nodes::{
        commands::{Append, Appended, Command, RoundKey, Stored},
        contract::{Heard, SayId, ToSay},
    },
};

/// Most messages of a round.
const MOST_MESSAGES: usize = 1024;

/// Bytes of a round over which no further message is added.
const MOST_BYTES: usize = 256 * 1024;

/// What a room of a node has to say.
#[derive(Debug, Default)]
pub(super) struct Saying {
    queue: VecDeque<Item>,
    round: Option<Round>,
    /// Whether nothing is sent for now.
    is_held: bool,
    /// Messages that another node has said before; told once that was heard.
    repeats: Vec<Repeat>,
}

#[derive(Debug)]
enum Item {
    Say(ToSay, Waits),
    /// Not kept, and behind what was said before.
    Show(Bytes),
}

/// Whether the chat was told that a message takes long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waits {
    is_told: bool,
}

/// A message that was said before.
#[derive(Debug)]
struct Repeat {
    message: ToSay,
    waits: Waits,
    /// The offset at which it was heard.
    heard: Option<u64>,
}

/// Messages that are on their way to Redis.
#[derive(Debug)]
struct Round {
    seq: u64,
    messages: Vec<(ToSay, Waits)>,
    /// The last offset that was heard when the round was made: until then no message was one of these.
    looked_to: u64,
    /// Whether Redis is being asked.
    is_sent: bool,
    /// The first offset, once Redis has answered.
    answered: Option<u64>,
    /// The first offset, once the record was heard.
    heard: Option<u64>,
}

impl Saying {
    /// Adds messages. The room is known up to `head`, which the chat may not have heard yet.
    pub(super) fn say(&mut self, messages: Vec<ToSay>, head: u64) {
        for mut message in messages {
            if message.key.is_none() || message.looked_to >= head {
                // From here on, what is heard is compared with what waits.
                message.looked_to = u64::MAX;
            }
            self.queue.push_back(Item::Say(message, Waits { is_told: false }));
        }
    }

    /// Adds something that is not kept.
    pub(super) fn show(&mut self, payload: Bytes) {
        self.queue.push_back(Item::Show(payload));
    }

    /// Whether nothing waits.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.round.is_none() && self.repeats.is_empty()
    }

    /// Whether a round was answered that was not heard.
    pub(super) fn is_unheard(&self) -> bool {
        self.round.as_ref().is_some_and(|round| round.answered.is_some() && round.heard.is_none())
    }

    /// The connection is lost: a round whose answer is not known is to be asked again, and what is not kept is lost.
    pub(super) fn disconnect(&mut self) {
        if let Some(round) = &mut self.round {
            // Redis may have lost what it has answered.
            (round.is_sent, round.answered) = (false, None);
        }
        self.is_held = false;
        // Redis may have lost what it found.
        self.queue_repeats();
        self.queue.retain(|item| matches!(item, Item::Say(..)));
    }

    /// The round was refused, and is to be asked again later.
    pub(super) fn refused(&mut self) {
        if let Some(round) = &mut self.round {
            round.is_sent = false;
        }
        self.is_held = true;
    }

    /// Sends nothing for now.
    pub(super) fn hold(&mut self) {
        self.is_held = true;
    }

    /// Sends again.
    pub(super) fn release(&mut self) {
        self.is_held = false;
    }

    /// What was heard is not part of the room any more.
    pub(super) fn unheard(&mut self) {
        if let Some(round) = &mut self.round {
            (round.answered, round.heard, round.is_sent) = (None, None, false);
            // Other messages may be at the offsets that were looked at.
            round.looked_to = 0;
        }
        self.queue_repeats();
    }

    fn queue_repeats(&mut self) {
        for Repeat { message, waits, .. } in self.repeats.drain(..).rev() {
            self.queue.push_front(Item::Say(message, waits));
        }
    }

    /// Whether messages of a user wait, or are on their way, and Redis takes any.
    pub(super) fn is_saying(&self, author: &NicknameKey) -> bool {
        let in_round = self.round.iter().filter(|round| round.answered.is_none() && round.heard.is_none());
        let in_round = in_round.flat_map(|round| &round.messages).map(|(message, _)| message);
        let queued = self.queue.iter().filter_map(|item| match item {
            Item::Say(message, _) => Some(message),
            Item::Show(_) => None,
        });
        !self.is_held && in_round.chain(queued).any(|message| message.is_by(author))
    }

    /// Drops the messages of a user that are not on their way, and returns them.
    pub(super) fn drop_of(&mut self, author: &NicknameKey) -> Vec<SayId> {
        let mut dropped = Vec::new();
        let mut is_other = |message: &ToSay| {
            let is_other = !message.is_by(author);
            dropped.extend((!is_other).then_some(message.id));
            is_other
        };
        if let Some(round) = self.round.as_mut().filter(|round| !round.is_sent && round.heard.is_none()) {
            round.messages.retain(|(message, _)| is_other(message));
        }
        self.queue.retain(|item| match item {
            Item::Say(message, _) => is_other(message),
            Item::Show(_) => true,
        });
        self.round.take_if(|round| round.messages.is_empty());
        dropped
    }

    /// The messages that wait, of which the chat was not told yet.
    pub(super) fn take_delayed(&mut self) -> Vec<SayId> {
        let in_round = self.round.iter_mut().flat_map(|round| &mut round.messages);
        let queued = self.queue.iter_mut().filter_map(|item| match item {
            Item::Say(message, waits) => Some((message, waits)),
            Item::Show(_) => None,
        });
        let all = in_round.map(|(message, waits)| (message, waits)).chain(queued);
        all.filter_map(|(message, waits)| {
            (!std::mem::replace(&mut waits.is_told, true)).then_some(message.id)
        })
        .collect()
    }

    /// Sends what may be sent; `known` is the last message that the node knows of the room.
    pub(super) fn send(&mut self, room: &RoomName, known: Option<(EpochId, u64)>, turn: &mut Turn<'_>) {
        if self.is_held {
            return;
        }
        while self.round.is_none() {
            match self.queue.front() {
                None => return,
                Some(Item::Say(..)) => {
                    self.round = Some(self.next_round(known.map_or(0, |known| known.1), turn))
                }
                Some(Item::Show(_)) => {
                    if let Some(Item::Show(payload)) = self.queue.pop_front() {
                        let (room, node) = (room.clone(), turn.node);
                        turn.call(About::Nothing, Command::Publish { room, node, payload });
                    }
                }
            }
        }
        if let Some(round) = self.round.as_mut().filter(|round| !round.is_sent && round.answered.is_none()) {
            round.is_sent = true;
            let append = Command::Append(Box::new(round.append(room, known, turn)));
            turn.call_of(room, RoomCall::Append, append);
        }
    }

    fn next_round(&mut self, mut looked_to: u64, turn: &mut Turn<'_>) -> Round {
        let (mut messages, mut bytes) = (Vec::new(), 0);
        while messages.len() < MOST_MESSAGES
            && bytes < MOST_BYTES
            && let Some(Item::Say(..)) = self.queue.front()
            && let Some(Item::Say(message, waits)) = self.queue.pop_front()
        {
            bytes += message.entry.len();
            looked_to = looked_to.min(message.looked_to);
            messages.push((message, waits));
        }
        *turn.last_seq += 1;
        Round { seq: *turn.last_seq, messages, looked_to, is_sent: false, answered: None, heard: None }
    }

    /// A record was heard. If it is the round of this node, returns its messages; else messages that wait and are said
    /// in it are not said again.
    pub(super) fn heard(&mut self, record: &Stored, turn: &Turn<'_>) -> Vec<SayId> {
        let is_own = |round: &&mut Round| record.run == turn.run && record.seq == round.seq;
        self.find_repeats(record);
        let Some(round) = self.round.as_mut().filter(is_own) else {
            return Vec::new();
        };
        round.heard = Some(record.first);
        round.messages.iter().map(|(message, _)| message.id).collect()
    }

    /// Finds messages that wait, and are said in a record.
    fn find_repeats(&mut self, record: &Stored) {
        if record.keys.is_empty() {
            return;
        }
        for repeat in &mut self.repeats {
            let said = record.keyed().find(|said| Some(said.key) == repeat.message.key);
            repeat.heard = said.map(|said| said.offset).or(repeat.heard);
        }
        self.drop_known(&record.keyed().collect::<Vec<_>>());
    }

    /// The chat is told that the room stands at `head`, with messages that have these keys: what this node has said up to
    /// there is part of that, and is not heard apart.
    pub(super) fn begun(&mut self, head: u64, keys: &[Keyed]) {
        for repeat in &mut self.repeats {
            let said = keys.iter().find(|said| Some(said.key) == repeat.message.key);
            repeat.heard = said.map(|said| said.offset).or(repeat.heard);
        }
        if let Some(round) = &mut self.round {
            round.find_in(head);
        }
        self.drop_known(keys);
    }

    /// Messages that wait and have one of these keys are not said again: they were said before, and heard.
    fn drop_known(&mut self, keys: &[Keyed]) {
        if keys.is_empty() || self.queue.is_empty() {
            return;
        }
        let offset_of = |key: &Option<[u8; 16]>| {
            key.and_then(|key| keys.iter().find(|said| said.key == key)).map(|said| said.offset)
        };
        for item in std::mem::take(&mut self.queue) {
            match item {
                Item::Say(message, waits) if let Some(offset) = offset_of(&message.key) => {
                    self.repeats.push(Repeat { message, waits, heard: Some(offset) });
                }
                item => self.queue.push_back(item),
            }
        }
    }

    /// Redis has answered what became of the round. Unless it was appended, it is to be asked again.
    pub(super) fn answered(&mut self, answer: &Appended, head: u64, turn: &mut Turn<'_>) {
        let Some(round) = self.round.as_mut() else {
            return;
        };
        round.is_sent = false;
        match answer {
            Appended::At(first) => {
                round.answered = Some(*first);
                round.find_in(head);
            }
            Appended::Old => {
                *turn.last_seq += 1;
                round.seq = *turn.last_seq;
            }
            Appended::Repeated(places) => {
                let messages = std::mem::take(&mut round.messages);
                for (index, (message, waits)) in messages.into_iter().enumerate() {
                    match places.iter().find(|(place, _)| usize::from(*place) == index) {
                        Some((_, offset)) => {
                            let heard = Some(*offset).filter(|offset| *offset <= head);
                            self.repeats.push(Repeat { message, waits, heard });
                        }
                        None => round.messages.push((message, waits)),
                    }
                }
                if round.messages.is_empty() {
                    self.round = None;
                }
            }
            Appended::Fenced | Appended::Wait(_) | Appended::Not(_) => {}
        }
    }

    /// Tells the chat which messages are in Redis and were heard.
    pub(super) fn tell(&mut self, room: &RoomName, turn: &mut Turn<'_>) {
        if let Some(first) =
            self.round.as_ref().and_then(|round| round.answered.filter(|_| round.heard.is_some()))
            && let Some(round) = self.round.take()
        {
            let messages = round.messages.into_iter().map(|(message, _)| message.id);
            turn.tell(Heard::Accepted(room.clone(), messages.zip(first..).collect()));
        }
        let was_heard = |repeat: &mut Repeat| repeat.heard.is_some();
        let repeated = self.repeats.extract_if(.., was_heard);
        let repeated: Vec<_> =
            repeated.filter_map(|repeat| Some((repeat.message.id, repeat.heard?))).collect();
        if !repeated.is_empty() {
            turn.tell(Heard::Repeated(room.clone(), repeated));
        }
    }
}

impl Round {
    /// Counts the round as heard if it is appended before `head`, up to which the chat knows the room.
    fn find_in(&mut self, head: u64) {
        let is_known = |first: &u64| first + self.messages.len() as u64 <= head + 1;
        self.heard = self.heard.or(self.answered.filter(is_known));
    }

    fn append(&self, room: &RoomName, known: Option<(EpochId, u64)>, turn: &mut Turn<'_>) -> Append {
        let mut entries = BytesMut::new();
        let mut keys = Vec::new();
        for (index, (message, _)) in (0..).zip(&self.messages) {
            entries.extend_from_slice(&message.entry);
            keys.extend(message.key.map(|key| RoundKey { key, index, at: message.at }));
        }
        Append {
            room: room.clone(),
            node: turn.node,
            run: turn.run,
            seq: self.seq,
            known,
            looked_to: self.looked_to,
            count: u32::try_from(self.messages.len()).unwrap_or(u32::MAX),
            at: self.messages.last().map_or(0, |(message, _)| message.at),
            entries: entries.freeze(),
            keys,
            nonce: (turn.random)(),
        }
    }
}
