//! Types of values that settings of several concerns have, each parsed once from the text of a flag or a variable.

use std::{fmt, str::FromStr, time::Duration};

/// Reads bytes a second: written as a [`ByteSize`], or 0 for no bound.
pub(super) fn bytes_a_second(text: &str) -> Result<u32, ByteSizeError> {
    match text.parse::<ByteSize>() {
        Ok(size) => u32::try_from(size.get()).map_err(|_| ByteSizeError::TooLarge),
        Err(ByteSizeError::Zero) => Ok(0),
        Err(error) => Err(error),
    }
}

/// A number of bytes, at least 1. Written as digits with an optional `k`, `m` or `g` (1,024 each time).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(pub(super) usize);

/// Parse error of [`ByteSize`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ByteSizeError {
    /// No digits, or a suffix other than `k`, `m` or `g`.
    #[error("a size is a number of bytes, such as 65536 or 64k or 1m or 2g")]
    Malformed,
    /// Zero: nothing would pass.
    #[error("a size is at least 1 byte")]
    Zero,
    /// More than a `usize` holds.
    #[error("the size is too large")]
    TooLarge,
}

impl ByteSize {
    /// A size of `bytes`, which must not be zero.
    ///
    /// # Errors
    /// [`ByteSizeError::Zero`].
    pub fn new(bytes: usize) -> Result<Self, ByteSizeError> {
        if bytes == 0 { Err(ByteSizeError::Zero) } else { Ok(Self(bytes)) }
    }

    /// The number of bytes.
    pub fn get(self) -> usize {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, ByteSizeError> {
        let (digits, unit) = match text.as_bytes().last() {
            Some(b'k' | b'K') => (&text[..text.len() - 1], 1024),
            Some(b'm' | b'M') => (&text[..text.len() - 1], 1024 * 1024),
            Some(b'g' | b'G') => (&text[..text.len() - 1], 1024 * 1024 * 1024),
            _ => (text, 1),
        };
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ByteSizeError::Malformed);
        }
        let count: usize = digits.parse().map_err(|_| ByteSizeError::TooLarge)?;
        Self::new(count.checked_mul(unit).ok_or(ByteSizeError::TooLarge)?)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes % (1024 * 1024 * 1024) == 0 => write!(f, "{}g", bytes / (1024 * 1024 * 1024)),
            bytes if bytes % (1024 * 1024) == 0 => write!(f, "{}m", bytes / (1024 * 1024)),
            bytes if bytes % 1024 == 0 => write!(f, "{}k", bytes / 1024),
            bytes => write!(f, "{bytes}"),
        }
    }
}

/// A length of time above zero. Written as seconds, or with the unit `ms`, `s`, `m`, `h` or `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period(pub(super) Duration);

/// Parse error of [`Period`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// No digits, or an unknown unit.
    #[error("a time is a number of seconds, such as 20, or 500ms, 20s, 5m, 12h or 30d")]
    Malformed,
    /// Zero, or more than a year.
    #[error("a time is more than 0 and at most a year")]
    OutOfRange,
}

impl Period {
    /// The longest period: a year.
    pub(super) const MAX: Duration = Duration::from_secs(365 * 24 * 3600);

    /// The length.
    pub fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, unit) = text.split_at(unit_at);
        let millis = match unit {
            "ms" => 1,
            "" | "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 24 * 3_600_000,
            _ => return Err(PeriodError::Malformed),
        };
        if digits.is_empty() {
            return Err(PeriodError::Malformed);
        }
        let count: u64 = digits.parse().map_err(|_| PeriodError::OutOfRange)?;
        let period = Duration::from_millis(count.checked_mul(millis).ok_or(PeriodError::OutOfRange)?);
        if period.is_zero() || period > Self::MAX { Err(PeriodError::OutOfRange) } else { Ok(Self(period)) }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            millis if millis % (24 * 3_600_000) == 0 => write!(f, "{}d", millis / (24 * 3_600_000)),
            millis if millis % 1000 == 0 => write!(f, "{}s", millis / 1000),
            millis => write!(f, "{millis}ms"),
        }
    }
}

/// A length of time, or `0` to switch off what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeriodOrOff(pub(super) Duration);

/// Parse error of [`PeriodOrOff`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a time is a number of seconds, such as 20, or 500ms, 20s, 5m, 12h or 30d, at most a year; 0 switches this off"
)]
pub struct PeriodOrOffError;

impl PeriodOrOff {
    /// The length; zero if it is switched off.
    pub fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for PeriodOrOff {
    type Err = PeriodOrOffError;

    fn from_str(text: &str) -> Result<Self, PeriodOrOffError> {
        let unit_at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let is_zero = unit_at > 0 && text[..unit_at].bytes().all(|digit| digit == b'0');
        if is_zero && format!("1{}", &text[unit_at..]).parse::<Period>().is_ok() {
            return Ok(Self(Duration::ZERO));
        }
        text.parse::<Period>().map(|period| Self(period.get())).map_err(|_| PeriodOrOffError)
    }
}

impl fmt::Display for PeriodOrOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_zero() { f.write_str("0") } else { Period(self.0).fmt(f) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_a_suffix_and_print_as_they_are_read() {
        for (text, bytes) in [("1", 1), ("1000", 1000), ("64k", 65536), ("2M", 2 << 20)] {
            assert_eq!(text.parse::<ByteSize>().map(ByteSize::get), Ok(bytes));
        }
        for text in ["64k", "1m", "1500"] {
            assert_eq!(text.parse::<ByteSize>().map(|size| size.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "k", "-1", "1.5k", "64kb", "0x10", " 1", "１"] {
            assert_eq!(text.parse::<ByteSize>(), Err(ByteSizeError::Malformed), "{text:?}");
        }
        assert_eq!("0".parse::<ByteSize>(), Err(ByteSizeError::Zero));
        assert_eq!("99999999999999999999m".parse::<ByteSize>(), Err(ByteSizeError::TooLarge));
    }

    #[test]
    fn a_rate_of_bytes_is_written_as_a_size_or_zero() {
        for (text, rate) in
            [("0", 0), ("1024", 1024), ("100k", 102_400), ("1M", 1 << 20), ("4294967295", u32::MAX)]
        {
            assert_eq!(bytes_a_second(text), Ok(rate), "{text}");
        }
        for text in ["4g", "4294967296"] {
            assert_eq!(bytes_a_second(text), Err(ByteSizeError::TooLarge), "{text}");
        }
        for text in ["", "-1", "k", "1kb"] {
            assert_eq!(bytes_a_second(text), Err(ByteSizeError::Malformed), "{text}");
        }
    }

    #[test]
    fn times_take_a_unit_and_print_as_they_are_read() {
        let parse = |text: &str| text.parse::<Period>();
        assert_eq!(parse("20").map(Period::get), Ok(Duration::from_secs(20)));
        assert_eq!(parse("500ms").map(|period| period.to_string()), Ok("500ms".to_owned()));
        assert_eq!(parse("2m").map(|period| period.to_string()), Ok("120s".to_owned()));
        for text in ["", "s", "1.5", "1y", "-1", "1 s"] {
            assert_eq!(parse(text), Err(PeriodError::Malformed), "{text:?}");
        }
        for text in ["0", "0ms", "99999999999999999999", "9999999999m"] {
            assert_eq!(parse(text), Err(PeriodError::OutOfRange), "{text:?}");
        }
    }

    #[test]
    fn a_time_that_may_be_off_takes_zero_too() {
        let parse = |text: &str| text.parse::<PeriodOrOff>();
        for text in ["0", "0s", "000ms", "0d"] {
            assert_eq!(
                parse(text).map(|period| (period.get(), period.to_string())),
                Ok((Duration::ZERO, "0".to_owned()))
            );
        }
        assert_eq!(parse("2m").map(|period| period.to_string()), Ok("120s".to_owned()));
        for text in ["", "off", "0x", "-0", "0 ", "2y", "400d"] {
            assert_eq!(parse(text), Err(PeriodOrOffError), "{text:?}");
        }
    }
}
