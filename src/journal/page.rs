//! Pages of entries, cut from whole records.

use super::{Entry, JournalError};

/// Entries of a room, in the order of their offsets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Whether there are more in the direction that was read: newer ones, or older ones.
    pub more: bool,
}

impl Page {
    /// A page of the entries behind `after`, from records in their order.
    pub(super) fn after(
        records: impl Iterator<Item = Result<Vec<Entry>, JournalError>>,
        after: u64,
        max_bytes: usize,
    ) -> Result<Self, JournalError> {
        let mut page = Self::default();
        let mut bytes = 0;
        for record in records {
            for entry in record?.into_iter().filter(|entry| entry.offset > after) {
                if bytes >= max_bytes {
                    page.more = true;
                    return Ok(page);
                }
                bytes += entry.packed_len();
                page.entries.push(entry);
            }
        }
        Ok(page)
    }

    /// A page of the entries before `before`, from records in the opposite order.
    pub(super) fn before(
        records: impl Iterator<Item = Result<Vec<Entry>, JournalError>>,
        before: u64,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Self, JournalError> {
        let mut page = Self::default();
        let mut bytes = 0;
        'records: for record in records {
            for entry in record?.into_iter().rev().filter(|entry| entry.offset < before) {
                if page.entries.len() >= limit || bytes >= max_bytes {
                    page.more = true;
                    break 'records;
                }
                bytes += entry.packed_len();
                page.entries.push(entry);
            }
        }
        page.entries.reverse();
        Ok(page)
    }
}
