//! Records as Redis keeps and publishes them: a head, and the entries apart.
//!
//! The head is `R` (`L` if the entries are too large to be published), first offset, epoch, number of messages, time, run,
//! number of the round as 16 hexadecimal digits, and length of the entries; a space between, a line break at the end, and
//! the packed keys behind it.

use std::str::FromStr;

use bytes::Bytes;

use crate::{
    journal::{Epoch, Keyed},
    nodes::commands::{RoundKey, Stored},
};

/// Bytes of a packed key: the key, two for the index, six for the time.
pub(super) const KEY: usize = 24;

/// Packs the keys of a round.
pub(super) fn pack_keys(keys: &[RoundKey]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(keys.len() * KEY);
    for key in keys {
        packed.extend_from_slice(&key.key);
        packed.extend_from_slice(&key.index.to_be_bytes());
        packed.extend_from_slice(&key.at.to_be_bytes()[2..]);
    }
    packed
}

/// Reads packed keys.
pub(super) fn unpack_keys(packed: &[u8]) -> Option<Vec<RoundKey>> {
    let read = |packed: &[u8]| {
        let mut at = [0; 8];
        at[2..].copy_from_slice(&packed[18..]);
        let key = packed[..16].try_into().ok()?;
        Some(RoundKey {
            key,
            index: u16::from_be_bytes([packed[16], packed[17]]),
            at: u64::from_be_bytes(at),
        })
    };
    if packed.len().is_multiple_of(KEY) { packed.chunks_exact(KEY).map(read).collect() } else { None }
}

/// Reads the packed keys of the record with this id in the stream of keys.
pub(super) fn keyed(id: &[u8], packed: &[u8]) -> Option<Vec<Keyed>> {
    let (last, count): (u64, u64) = pair(std::str::from_utf8(id).ok()?, '-')?;
    let first = (last + 1).checked_sub(count)?;
    let keys = unpack_keys(packed)?.into_iter();
    Some(keys.map(|key| Keyed { key: key.key, offset: first + u64::from(key.index), at: key.at }).collect())
}

/// The number of a round, as long as all others: functions compare them as texts.
pub(super) fn seq_text(seq: u64) -> String {
    format!("{seq:016x}")
}

/// The head of a record from behind its epoch on: what functions do not decide.
pub(super) fn tail(
    (count, at): (u32, u64),
    run: impl std::fmt::Display,
    seq: u64,
    len: usize,
    keys: &[u8],
) -> Vec<u8> {
    let mut tail = format!(" {count} {at} {run} {} {len}\n", seq_text(seq)).into_bytes();
    tail.extend_from_slice(keys);
    tail
}

/// A record whose entries are apart.
#[derive(Debug)]
pub(super) struct Head {
    /// The record without its entries.
    pub record: Stored,
    /// The length of the entries.
    pub len: usize,
    /// Whether the entries are published, too.
    pub is_followed: bool,
}

impl Head {
    /// Reads a head; `None` if it is none.
    pub(super) fn read(head: &[u8]) -> Option<Self> {
        let end = head.iter().position(|byte| *byte == b'\n')?;
        let line = std::str::from_utf8(&head[..end]).ok()?;
        let is_followed = line.starts_with('R');
        let mut words = line.strip_prefix(['R', 'L'])?.split(' ');
        let record = Stored {
            first: next(&mut words)?,
            epoch: next(&mut words)?,
            count: next(&mut words)?,
            at: next(&mut words)?,
            run: next(&mut words)?,
            seq: u64::from_str_radix(words.next()?, 16).ok()?,
            keys: unpack_keys(&head[end + 1..])?,
            entries: None,
        };
        let len = next(&mut words)?;
        let is_whole = record.count > 0 && record.first > 0 && words.next().is_none();
        is_whole.then_some(Self { record, len, is_followed })
    }

    /// The whole record; `None` if these are not its entries.
    pub(super) fn with(self, entries: Bytes) -> Option<Stored> {
        (entries.len() == self.len).then(|| Stored { entries: Some(entries), ..self.record })
    }
}

/// Parses the next word.
pub(super) fn next<'a, T: FromStr>(words: &mut impl Iterator<Item = &'a str>) -> Option<T> {
    words.next()?.parse().ok()
}

fn pair<T: FromStr, U: FromStr>(text: &str, between: char) -> Option<(T, U)> {
    let (one, other) = text.split_once(between)?;
    Some((one.parse().ok()?, other.parse().ok()?))
}

/// Epochs as they stand in the hash of a room.
pub(super) fn epochs_text(epochs: &[Epoch]) -> String {
    epochs.iter().map(|epoch| format!("{}:{};", epoch.id, epoch.starts)).collect()
}

/// Reads what [`epochs_text`] writes.
pub(super) fn read_epochs(text: &str) -> Option<Vec<Epoch>> {
    let epoch = |text: &str| pair(text, ':').map(|(id, starts)| Epoch { id, starts });
    text.split_terminator(';').map(epoch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::EpochId;

    fn key(number: u8) -> RoundKey {
        RoundKey { key: [number; 16], index: 0x0102 + u16::from(number), at: 0x0605_0403_0201 }
    }

    #[test]
    fn a_head_is_read_as_it_was_written() {
        let epoch = EpochId { random: 5, number: 6 };
        let keys = [key(b'\n'), key(7)];
        let run = "n001AAAABBBBCCCC".parse().expect("a uid");
        let tail = tail((2, 99), run, 255, 4, &pack_keys(&keys));
        let head = [format!("R10 {epoch}").as_bytes(), &tail].concat();
        let record =
            Head::read(&head).and_then(|head| head.with(Bytes::from_static(b"ABCD"))).expect("a head");
        let expected = Stored {
            first: 10,
            count: 2,
            at: 99,
            epoch,
            run,
            seq: 255,
            keys: keys.into(),
            entries: Some(Bytes::from_static(b"ABCD")),
        };
        assert_eq!(record, expected);
        assert!(Head::read(&head).is_some_and(|head| head.with(Bytes::from_static(b"ABC")).is_none()));
    }

    #[test]
    fn damaged_heads_are_no_heads_and_no_panic() {
        let tail = tail((2, 99), "n001AAAABBBBCCCC", 255, 4, &pack_keys(&[key(1)]));
        let head = [b"R10 0000000000000005-6", &tail[..]].concat();
        for len in 0..head.len() {
            let is_cut_before_its_keys = head[len - usize::from(len > 0)] == b'\n';
            assert_eq!(Head::read(&head[..len]).is_some(), is_cut_before_its_keys, "cut at {len}");
        }
        for at in 0..head.len() {
            let mut other = head.clone();
            other[at] ^= 0x80;
            let _ = Head::read(&other);
        }
        assert!(
            Head::read(b"R0 0000000000000005-6 1 9 n001AAAABBBBCCCC 00 4\n").is_none(),
            "offsets begin at 1"
        );
        assert!(Head::read(b"R1 0000000000000005-6 0 9 n001AAAABBBBCCCC 00 4\n").is_none(), "no message");
    }

    #[test]
    fn epochs_are_read_as_they_were_written() {
        let epochs =
            [(1, 1), (9, 30)].map(|(random, starts)| Epoch { id: EpochId { random, number: 2 }, starts });
        assert_eq!(read_epochs(&epochs_text(&epochs)), Some(epochs.into()));
        assert_eq!(read_epochs(""), Some(Vec::new()));
        assert_eq!(read_epochs("x"), None);
    }
}
