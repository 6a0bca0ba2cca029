//! Ranges of numbers: the least and the most that a setting may be.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    ByteSize, Period, PeriodOrOff,
    error::{Amount, Key, SettingError},
};

/// Largest message, payload or queue of one session. Lengths of texts in the journal have 32 bits.
pub(super) const MOST_BYTES_OF_ONE: u64 = 1 << 30;

/// Largest total of all sessions or rooms: more than a machine has, and small enough that sums do not overflow.
pub(super) const MOST_BYTES_OF_ALL: u64 = 1 << 50;

/// Largest number of sessions, rooms or messages.
pub(super) const MOST_OF_A_KIND: u64 = 100_000_000;

/// Shortest time of a timer. One that fires more often would keep its thread busy.
const SHORTEST_MILLIS: u64 = 10;

/// Checks a number of things.
///
/// # Errors
/// The number is out of the range.
pub(super) fn count(
    flag: &'static str,
    value: usize,
    range: RangeInclusive<u64>,
) -> Result<(), SettingError> {
    // `usize` is at most 64 bits wide.
    in_range(flag, value as u64, range, Amount::Count)
}

/// Checks a number of bytes.
///
/// # Errors
/// The size is out of the range.
pub(super) fn bytes(
    flag: &'static str,
    size: ByteSize,
    range: RangeInclusive<u64>,
) -> Result<(), SettingError> {
    in_range(flag, size.get() as u64, range, Amount::Bytes)
}

/// Checks the time of a timer. Its type has the upper bound.
///
/// # Errors
/// The time is too short.
pub(super) fn timer(flag: &'static str, period: Period) -> Result<(), SettingError> {
    timer_up_to(flag, period, Period::MAX.as_millis() as u64)
}

/// Checks the time of a timer.
///
/// # Errors
/// The time is too short, or longer than `longest` milliseconds.
pub(super) fn timer_up_to(flag: &'static str, period: Period, longest: u64) -> Result<(), SettingError> {
    let millis = u64::try_from(period.get().as_millis()).unwrap_or(u64::MAX);
    in_range(flag, millis, SHORTEST_MILLIS..=longest, Amount::Millis)
}

/// Checks a time that something waits, which may be 0.
///
/// # Errors
/// The time is longer than `longest`.
pub(super) fn wait(flag: &'static str, wait: PeriodOrOff, longest: Duration) -> Result<(), SettingError> {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    in_range(flag, millis(wait.get()), 0..=millis(longest), Amount::Millis)
}

/// The least and the most that a time may be.
pub(super) struct Bounds {
    /// The least.
    pub least: Duration,
    /// The most.
    pub most: Duration,
}

/// Checks a time that has bounds of its own.
///
/// # Errors
/// The time is out of the bounds.
pub(super) fn time(flag: &'static str, time: Duration, bounds: Bounds) -> Result<(), SettingError> {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    in_range(flag, millis(time), millis(bounds.least)..=millis(bounds.most), Amount::Millis)
}

fn in_range(
    flag: &'static str,
    value: u64,
    range: RangeInclusive<u64>,
    unit: fn(u64) -> Amount,
) -> Result<(), SettingError> {
    if range.contains(&value) {
        return Ok(());
    }
    let (least, most) = (unit(*range.start()), unit(*range.end()));
    Err(SettingError::OutOfRange { key: Key(flag), value: unit(value), least, most })
}
