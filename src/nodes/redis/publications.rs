//! Reads what Redis publishes.

use std::collections::HashMap;

use bytes::Bytes;

use super::{
    keys,
    records::{self, Head},
    users,
};
use crate::{
    domain::RoomName,
    nodes::{
        NodeUid,
        commands::Published,
        contract::{AskId, Person},
    },
};

/// First byte of what a node shows to all.
pub(super) const SHOWN: u8 = b'S';

/// First byte of what a node tells another one.
pub(super) const WHISPERED: u8 = b'W';

/// Length of a node's uid.
const UID: usize = 16;

/// A publication cannot be read: it is of another version, or of another program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what was published on {channel:?} cannot be read: {}", String::from_utf8_lossy(beginning))]
pub struct BadPublication {
    /// The channel.
    pub channel: String,
    /// The first bytes of what was published.
    pub beginning: Vec<u8>,
}

impl BadPublication {
    fn new(channel: &[u8], payload: &[u8]) -> Self {
        let beginning = payload[..payload.len().min(100)].to_vec();
        Self { channel: String::from_utf8_lossy(channel).into_owned(), beginning }
    }
}

/// Reads the publications that come by one connection, in their order. A new connection needs a new one.
#[derive(Debug, Default)]
pub struct Publications {
    /// Records whose entries are next on their channels.
    unfinished: HashMap<Bytes, Head>,
}

impl Publications {
    /// Reads a publication. `None` if it is the first half of a record. With the room that it is about.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(
        &mut self,
        channel: &[u8],
        payload: Bytes,
    ) -> Result<Option<(RoomName, Published)>, BadPublication> {
        let bad = || BadPublication::new(channel, &payload);
        if keys::is_of_node(channel) {
            let (room, published) = whispered(&payload).ok_or_else(bad)?;
            return Ok(Some((room, published)));
        }
        let room = keys::room_of(channel).ok_or_else(bad)?;
        if let Some(head) = self.unfinished.remove(channel) {
            let record = head.with(payload.clone()).ok_or_else(bad)?;
            return Ok(Some((room, Published::Said(Box::new(record)))));
        }
        let published = match payload.first() {
            Some(b'R' | b'L') => {
                let head = Head::read(&payload).ok_or_else(bad)?;
                if head.is_followed {
                    self.unfinished.insert(Bytes::copy_from_slice(channel), head);
                    return Ok(None);
                }
                Published::Said(Box::new(head.record))
            }
            _ => read(&payload).ok_or_else(bad)?,
        };
        Ok(Some((room, published)))
    }
}

fn read(payload: &Bytes) -> Option<Published> {
    let text = || std::str::from_utf8(&payload[1..]).ok();
    match *payload.first()? {
        b'P' => person(text()?),
        b'F' => Some(Published::Forgot(text()?.parse().ok()?)),
        SHOWN => {
            let (node, payload) = from_node(payload)?;
            Some(Published::Shown { node, payload })
        }
        _ => None,
    }
}

/// The node in front of what it has published, behind the first byte.
fn from_node(payload: &Bytes) -> Option<(NodeUid, Bytes)> {
    let node = std::str::from_utf8(payload.get(1..=UID)?).ok()?;
    Some((node.parse().ok()?, payload.slice(1 + UID..)))
}

fn whispered(payload: &Bytes) -> Option<(RoomName, Published)> {
    let (node, rest) = from_node(payload).filter(|_| payload[0] == WHISPERED)?;
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let room = RoomName::stored(std::str::from_utf8(&rest[..end]).ok()?)?;
    Some((room, Published::Whispered { node, payload: rest.slice(end + 1..) }))
}

/// `<version> <node> <ask, or -> <held for>` and the user.
fn person(text: &str) -> Option<Published> {
    let (line, user) = text.split_once('\n')?;
    let mut words = line.split(' ');
    let (version, node) = (records::next(&mut words)?, records::next(&mut words)?);
    let ask = match words.next()? {
        "-" => None,
        ask => Some(AskId(ask.parse().ok()?)),
    };
    let person: Person = users::read_person(user, records::next(&mut words)?)?;
    Some(Published::Person { version, person: Box::new(person), node, ask })
}
