//! The timestamps of msgpack, as the texts that JavaScript makes of dates.

use std::fmt;

/// The type of the extension.
pub(super) const TIMESTAMP: i8 = -1;

/// A time in milliseconds since 1970, as `Date.prototype.toJSON` writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date(i64);

impl Date {
    /// The time of a timestamp of 32, 64 or 96 bits. None if JavaScript has no such date.
    pub(super) fn of(timestamp: &[u8]) -> Option<Self> {
        /// The last date of JavaScript, in milliseconds.
        const LAST: f64 = 8.64e15;
        let (seconds, nanos) = match *timestamp {
            [a, b, c, d] => (i64::from(u32::from_be_bytes([a, b, c, d])), 0),
            [a, b, c, d, e, f, g, h] => {
                let both = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
                ((both & 0x3_ffff_ffff) as i64, (both >> 34) as u32)
            }
            [a, b, c, d, ref seconds @ ..] => {
                (i64::from_be_bytes(seconds.try_into().ok()?), u32::from_be_bytes([a, b, c, d]))
            }
            _ => return None,
        };
        let millis = (seconds as f64 * 1e3 + f64::from(nanos) / 1e6).trunc();
        (millis.abs() <= LAST).then_some(Self(millis as i64))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY: i64 = 86_400_000;
        let (days, millis) = (self.0.div_euclid(DAY), self.0.rem_euclid(DAY));
        let (year, month, day) = civil(days);
        match year {
            0..=9999 => write!(f, "{year:04}")?,
            _ => write!(f, "{}{:06}", if year < 0 { '-' } else { '+' }, year.abs())?,
        }
        let (hours, minutes, seconds) = (millis / 3_600_000, millis / 60_000 % 60, millis / 1000 % 60);
        write!(f, "-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{:03}Z", millis % 1000)
    }
}

/// Year, month and day of a number of days since 1970. Years begin in March here, so that a leap day ends its year.
fn civil(days: i64) -> (i64, i64, i64) {
    /// Days of 400 years.
    const ERA: i64 = 146_097;
    let since_march = days + 719_468;
    let (era, day) = (since_march.div_euclid(ERA), since_march.rem_euclid(ERA));
    let year = (day - day / 1460 + day / 36_524 - day / (ERA - 1)) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * from_march + 2) / 5 + 1)
}
