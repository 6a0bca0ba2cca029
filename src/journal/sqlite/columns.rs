//! Values of columns: row ids of records, checksums, numbers.

/// A row of `rounds`, the table of records, has the id `room << OFFSET_BITS | first offset`.
pub(super) const OFFSET_BITS: u32 = 40;

/// The row id of a record.
pub(super) fn record_id(room: i64, offset: u64) -> i64 {
    let offset = i64::try_from(offset).unwrap_or(i64::MAX).min((1 << OFFSET_BITS) - 1);
    room << OFFSET_BITS | offset
}

/// The first offset of a record, from its row id.
pub(super) fn offset_of(id: i64) -> u64 {
    (id & ((1 << OFFSET_BITS) - 1)).unsigned_abs()
}

/// The room of a record, from its row id.
pub(super) fn room_of(id: i64) -> i64 {
    id >> OFFSET_BITS
}

/// CRC-32 of a record's row, to detect changed rows.
pub(super) fn checksum(id: i64, count: u32, at: i64, keys: &[u8], entries: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    for bytes in [&id.to_le_bytes()[..], &count.to_le_bytes(), &at.to_le_bytes(), keys, entries] {
        sum.update(bytes);
    }
    sum.finalize()
}

/// Converts a number to SQLite's type; saturates at `i64::MAX`, which no counter reaches.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
