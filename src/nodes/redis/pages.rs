//! Pages of the history of a room, for sessions.

use redis::{Cmd, Value};

use super::{
    answers::{self, BadReply},
    calls::function,
    keys::prefix,
};
use crate::{
    domain::RoomName,
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

fn entries(stored: Stored) -> Result<Vec<Entry>, JournalError> {
    let Stored { first, count, at, entries, .. } = stored;
    entry::unpack(&Record { first, count, at, keys: Vec::new(), entries: entries.unwrap_or_default() })
}
