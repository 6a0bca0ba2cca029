//! Ids of entries of a stream of Redis, which are the offsets of events there.

use std::{fmt, str::FromStr};

/// Bits of the number within a millisecond.
const NUMBER_BITS: u32 = 20;

/// The id of an entry: the time in milliseconds, and a number within that. Later entries have greater ids.
///
/// Both are one number here, so numbers beyond a million in one millisecond do not fit, nor times beyond the year 2248.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StreamId(u64);

/// A text is not an id of an entry, or one that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not the id of an entry of a stream")]
pub(crate) struct BadStreamId;

impl StreamId {
    /// The id with this number.
    pub(crate) fn of(number: u64) -> Self {
        Self(number)
    }

    /// The id as one number, which keeps the order.
    pub(crate) fn number(self) -> u64 {
        self.0
    }
}

impl FromStr for StreamId {
    type Err = BadStreamId;

    fn from_str(text: &str) -> Result<Self, BadStreamId> {
        let part = |text: &str, bits: u32| {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let number: u64 = text.parse().ok().filter(|_| is_number).ok_or(BadStreamId)?;
            if number >> bits == 0 { Ok(number) } else { Err(BadStreamId) }
        };
        let (time, number) = text.split_once('-').ok_or(BadStreamId)?;
        Ok(Self(part(time, 64 - NUMBER_BITS)? << NUMBER_BITS | part(number, NUMBER_BITS)?))
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0 >> NUMBER_BITS, self.0 & ((1 << NUMBER_BITS) - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_keeps_its_text_and_its_order() {
        let ids = ["0-0", "0-1", "1-0", "1795690800985-0", "1795690800985-17", "1795690800986-0"];
        let numbers: Vec<StreamId> = ids.iter().map(|id| id.parse().expect("an id")).collect();
        assert!(numbers.is_sorted());
        assert_eq!(numbers.iter().map(ToString::to_string).collect::<Vec<_>>(), ids);
    }

    #[test]
    fn what_is_no_id_or_does_not_fit_is_refused() {
        for text in
            ["", "-", "1", "1-", "-1", "+1-1", "1-1-1", "x-1", "1-1048576", "17592186044416-0", "1--1"]
        {
            assert_eq!(text.parse::<StreamId>(), Err(BadStreamId), "{text:?}");
        }
    }
}
