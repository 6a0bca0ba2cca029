//! What has been said: the one order of each room, by which all that clients are told is judged.

use crate::trace::Trace;

/// A message that a client has sent, by its number. All its requests have one number.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// The session that sent it first.
    pub session: u64,
    pub kind: Kind,
    /// The key of the reader's nickname, of a private message.
    pub to: usize,
    /// The key of the sender's nickname, when it was sent.
    pub from: usize,
    /// Its room, once that is known.
    pub room: Option<usize>,
    /// Its offset; 0 while it has none.
    pub offset: u64,
    /// The step at which the shard took its request; 0 for not yet.
    pub taken: u64,
    /// Whether the moment at which it was said is not known: it was requested twice, or waited for a journal.
    pub is_vague: bool,
    /// The last run of the server in which a session of the reader was handed it; 0 for none.
    pub handed_in: u64,
    /// The number of panics of shards before it was first sent, of a private message.
    pub sent_after: Option<u64>,
    /// The run of the server in which it is on its way to the reader's sessions; 0 for none.
    pub on_its_way_in: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Binary,
    Private,
}

/// All messages, and what each room has at which offset.
#[derive(Debug, Default)]
pub struct Truth {
    messages: Vec<Message>,
    rooms: Vec<Vec<u32>>,
}

/// Stands for an offset whose message is not known yet.
const UNKNOWN: u32 = u32::MAX;

impl Truth {
    pub fn new(rooms: usize) -> Self {
        Self { messages: Vec::new(), rooms: vec![Vec::new(); rooms] }
    }

    /// Numbers a new message.
    pub fn add(&mut self, message: Message) -> u32 {
        self.messages.push(message);
        u32::try_from(self.messages.len() - 1).expect("few messages")
    }

    pub fn message(&mut self, number: u32) -> &mut Message {
        &mut self.messages[number as usize]
    }

    /// Whether there is such a message.
    pub fn knows(&self, number: u32) -> bool {
        (number as usize) < self.messages.len()
    }

    /// The number of messages.
    pub fn count(&self) -> usize {
        self.messages.len()
    }

    /// The last known offset of a room.
    pub fn head(&self, room: usize) -> u64 {
        self.rooms[room].len() as u64
    }

    /// The message at an offset of a room, if that is known.
    pub fn at(&self, room: usize, offset: u64) -> Option<u32> {
        let index = usize::try_from(offset.checked_sub(1)?).ok()?;
        self.rooms[room].get(index).copied().filter(|number| *number != UNKNOWN)
    }

    /// A message was seen at an offset of a room: the offset must be its own, there and everywhere.
    pub fn seen(&mut self, room: usize, offset: u64, number: u32, trace: &mut Trace) {
        if !self.knows(number) || offset == 0 {
            return trace
                .fail("nothing is told that was not said", || format!("message {number} at {offset}"));
        }
        let message = &mut self.messages[number as usize];
        if *message.room.get_or_insert(room) != room {
            return trace.fail("a message stays in its room", || {
                format!("message {number} of room {:?} was seen in room {room}", message.room)
            });
        }
        if message.offset != 0 && message.offset != offset {
            return trace.fail("a message is said once", || {
                format!("message {number} of room {room} was seen at {} and at {offset}", message.offset)
            });
        }
        message.offset = offset;
        let log = &mut self.rooms[room];
        let index = offset as usize - 1;
        if index >= log.len() {
            if index > log.len() + 100_000 {
                return trace.fail("offsets have no gap", || {
                    format!("offset {offset} of room {room} behind {}", log.len())
                });
            }
            log.resize(index + 1, UNKNOWN);
        }
        let known = log[index];
        if known == UNKNOWN {
            log[index] = number;
        } else if known != number {
            trace.fail("all have one order", || {
                format!("offset {offset} of room {room} was message {known}, and was seen as {number}")
            });
        }
    }

    /// What a room had behind this offset is lost.
    pub fn lose_behind(&mut self, room: usize, head: u64) {
        let from = (head as usize).min(self.rooms[room].len());
        for number in self.rooms[room].drain(from..) {
            if number != UNKNOWN {
                self.messages[number as usize].offset = 0;
            }
        }
    }
}
