//! What sessions and pages read past the link: pages of the history of a room, and avatar pictures.

use bytes::Bytes;
use redis::{Cmd, Value};

use super::{
    answers::{self, BadReply},
    calls::function,
    keys::{key_of_picture, prefix},
};
use crate::{
    domain::{Picture, PictureId, RoomName},
    journal::{Entry, JournalError, Page, Range, Record, entry},
    nodes::{Partition, commands::Stored},
};

/// Above all offsets; Redis counts exactly up to here.
const MOST: u64 = 1 << 53;

/// Asks for the records of a page.
pub fn page(room: &RoomName, range: Range) -> Cmd {
    let (direction, offset, limit, max_bytes) = match range {
        Range::After { after, max_bytes } => ("after", after, usize::MAX, max_bytes),
        Range::Before { before, limit, max_bytes } => ("before", before, limit, max_bytes),
    };
    let mut cmd = function("page", [format!("{}s:{}", prefix(Partition::of(room)), room.as_str())]);
    cmd.arg(direction).arg(offset.min(MOST)).arg((limit as u64).min(MOST)).arg((max_bytes as u64).min(MOST));
    cmd
}

/// Reads the answer to [`page`].
///
/// # Errors
/// Redis has refused the call, or the answer is not one to it. A record of a wrong size is damage, as in a journal.
pub fn page_of(range: Range, reply: Value) -> Result<Result<Page, JournalError>, BadReply> {
    let records = answers::records(reply)?;
    let records = records.into_iter().map(entries);
    Ok(match range {
        Range::After { after, max_bytes } => Page::after(records, after, max_bytes),
        Range::Before { before, limit, max_bytes } => Page::before(records, before, limit, max_bytes),
    })
}

/// Asks for an avatar picture.
pub fn picture(id: &PictureId) -> Cmd {
    let mut cmd = redis::cmd("GET");
    cmd.arg(key_of_picture(id));
    cmd
}

/// Reads the answer to [`picture`]; `None` if there is no such picture.
///
/// # Errors
/// The answer is not one to it, or is another picture.
pub fn picture_of(id: &PictureId, reply: Value) -> Result<Option<Picture>, JournalError> {
    let stored = match reply {
        Value::Nil => return Ok(None),
        Value::BulkString(stored) => Bytes::from(stored),
        _ => return Err(BadReply::Unexpected("no picture").into()),
    };
    let end = stored.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let media_type = std::str::from_utf8(&stored[..end]).unwrap_or_default();
    let picture = (end > 0).then(|| Picture::stored(media_type, stored.slice(end + 1..))).flatten();
    // The id is a hash of type and bytes, so a mismatch means damage.
    let picture = picture.filter(|picture| picture.id() == *id);
    picture.map(Some).ok_or_else(|| JournalError::Damaged(format!("the avatar {id} has been changed")))
}

fn entries(stored: Stored) -> Result<Vec<Entry>, JournalError> {
    let Stored { first, count, at, entries, .. } = stored;
    entry::unpack(&Record { first, count, at, keys: Vec::new(), entries: entries.unwrap_or_default() })
}
