//! Pages of entries, cut from whole records.

use super::{Entry, JournalError};

/// Entries of a room, in the order of their offsets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The entries, in ascending order of their offsets.
    pub entries: Vec<Entry>,
    /// Whether more entries exist in the direction of the read: newer ones, or older ones.
    pub more: bool,
    /// The damage that ended the page, if the next entries in the read direction are unreadable.
    pub damage: Option<JournalError>,
}

impl Page {
    /// The page, if no part of it is damaged.
    ///
    /// # Errors
    /// The page ends at a damaged record.
    pub fn whole(mut self) -> Result<Self, JournalError> {
        self.damage.take().map_or(Ok(self), Err)
    }

    /// A page of the entries after `after`, from records in ascending order.
    pub fn after(
        records: impl Iterator<Item = Result<Vec<Entry>, JournalError>>,
        after: u64,
        max_bytes: usize,
    ) -> Result<Self, JournalError> {
        let is_wanted = |entry: &Entry| entry.offset > after;
        Self::of(records.map(|record| record.map(Vec::into_iter)), is_wanted, usize::MAX, max_bytes)
    }

    /// A page of the entries before `before`, from records in descending order.
    pub fn before(
        records: impl Iterator<Item = Result<Vec<Entry>, JournalError>>,
        before: u64,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Self, JournalError> {
        let is_wanted = |entry: &Entry| entry.offset < before;
        let records = records.map(|record| record.map(|entries| entries.into_iter().rev()));
        let mut page = Self::of(records, is_wanted, limit, max_bytes)?;
        page.entries.reverse();
        Ok(page)
    }

    /// Takes the first wanted entries. A damaged record ends the page before it; without an entry before it,
    /// it is an error.
    fn of(
        records: impl Iterator<Item = Result<impl Iterator<Item = Entry>, JournalError>>,
        is_wanted: impl Fn(&Entry) -> bool,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Self, JournalError> {
        let mut page = Self::default();
        let mut bytes = 0;
        let is_full = |page: &Self, bytes| page.entries.len() >= limit || bytes >= max_bytes;
        for record in records {
            let entries = match record {
                Ok(entries) => entries,
                Err(JournalError::Damaged(_)) if is_full(&page, bytes) => {
                    page.more = true;
                    return Ok(page);
                }
                Err(damage @ JournalError::Damaged(_)) if !page.entries.is_empty() => {
                    (page.more, page.damage) = (true, Some(damage));
                    return Ok(page);
                }
                Err(error) => return Err(error),
            };
            for entry in entries.filter(&is_wanted) {
                if is_full(&page, bytes) {
                    page.more = true;
                    return Ok(page);
                }
                bytes += entry.packed_len();
                page.entries.push(entry);
            }
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{entry, tests::record};

    /// Records with two entries of 25 bytes each; the records of offsets in `broken` are damaged.
    fn records(broken: &[u64]) -> Vec<Result<Vec<Entry>, JournalError>> {
        let entries = |first| match broken.contains(&first) {
            true => Err(JournalError::Damaged(String::new())),
            false => entry::unpack(&record(first, &["", ""])),
        };
        [1, 3, 5, 7].map(entries).into()
    }

    fn offsets(page: &Page) -> Vec<u64> {
        page.entries.iter().map(|entry| entry.offset).collect()
    }

    #[test]
    fn a_page_ends_before_what_is_damaged_and_says_so() {
        let page = Page::after(records(&[5]).into_iter(), 1, 1000).expect("a page");
        assert_eq!((offsets(&page), page.more, page.damage.is_some()), (vec![2, 3, 4], true, true));
        let page = Page::before(records(&[3]).into_iter().rev(), 8, 9, 1000).expect("a page");
        assert_eq!((offsets(&page), page.more, page.damage.is_some()), (vec![5, 6, 7], true, true));
        assert!(Page::after(records(&[1]).into_iter(), 0, 1000).is_err(), "nothing can be given");
        assert!(Page::before(records(&[7]).into_iter().rev(), 9, 9, 1000).is_err());
    }

    #[test]
    fn a_page_that_is_full_is_whole_whatever_follows() {
        let page = Page::after(records(&[5]).into_iter(), 0, 100).expect("a page");
        assert_eq!((offsets(&page), page.more, page.damage), (vec![1, 2, 3, 4], true, None));
        let page = Page::before(records(&[3]).into_iter().rev(), 9, 4, 1000).expect("a page");
        assert_eq!((offsets(&page), page.more, page.damage), (vec![5, 6, 7, 8], true, None));
    }
}
