//! What a chatter was told, in its order.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

/// What a chatter was told in its room. A message is known by its text, of which each has its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is in, and is given what follows.
    LoggedIn {
        /// Whether it has said where it left off.
        knew: bool,
        /// Whether all that it missed follows.
        recovered: bool,
        /// The number of messages that do not follow.
        missed: u64,
        /// The offset of the last message.
        head: u64,
    },
    /// A message.
    Heard(u64, String),
    /// A message of its own is kept, at this offset.
    Acked(u64, String),
}

/// All of what became of a chatter.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    pub name: String,
    pub told: Vec<Told>,
    /// The number of messages that it has begun to say.
    pub said: u64,
    /// What it still waited for an ack of when it ended.
    pub unacked: Vec<String>,
    /// How often it went to the next node by itself.
    pub moves: u64,
    /// Requests and logins that were refused, by error code.
    pub refusals: BTreeMap<String, u64>,
    /// Ends of connections, by close code; 0 for those without one.
    pub ends: BTreeMap<u16, u64>,
    /// The longest time between two messages that it heard.
    pub longest_silence: Duration,
    /// The longest time from a message's first sending to its ack.
    pub longest_ack: Duration,
    /// What a client is never told by a server that works.
    pub oddities: Vec<String>,
}

/// Behind a text, what makes it longer.
pub const PADDING: char = '.';

/// The offset and the identity of a message as clients are shown it: its text without padding, or its picture.
pub fn identity(message: &Value) -> Option<(u64, String)> {
    let offset = message["offset"].as_u64()?;
    let text = message["msg"].as_str().or_else(|| message["img"].as_str())?;
    Some((offset, text.trim_end_matches(PADDING).to_owned()))
}
