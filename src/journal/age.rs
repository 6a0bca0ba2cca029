//! Decides whether the system clock is trusted to expire messages by age, and logs what expires.
//!
//! A wrong clock at one start must not delete history. So no message expires while the clock is in doubt:
//! after it jumped forward by more than a day, or when a server starts and the newest message is more than a
//! day old. A doubt ends when the clock has run for a day without another jump, or was set back.

use std::time::Duration;

use log::{info, warn};

/// The largest advance of the clock between two checks, and past the newest message at a start; also the
/// duration of a doubt.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The state of the check. All times in milliseconds since 1970, 0 for never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Clock {
    /// The clock at the last check, in this run of the server or an earlier one.
    pub last_seen: u64,
    /// The time at which the doubt began.
    pub doubted_since: u64,
    /// The time of the newest message when the doubt began: its age causes no second doubt.
    pub doubted_newest: u64,
}

impl Clock {
    /// Whether the clock is trusted at the time `now`. `newest` is the time of the newest message that is not
    /// later than `now`.
    pub(super) fn check(&mut self, now: u64, newest: Option<u64>, is_first: bool) -> bool {
        if self.last_seen == 0 {
            self.last_seen = newest.unwrap_or(now);
        }
        let is_later_by_days = |than: u64| now > than.saturating_add(millis(DAY));
        let has_jumped = is_later_by_days(self.last_seen);
        let was_set_back = now.saturating_add(millis(DAY)) < self.last_seen || now < self.doubted_since;
        let is_news_old = newest.is_some_and(is_later_by_days);
        let is_to_compare = was_set_back || (is_first && newest != Some(self.doubted_newest));
        if has_jumped || (is_news_old && is_to_compare) {
            self.doubted_since = now;
            self.doubted_newest = newest.unwrap_or(0);
        } else if was_set_back {
            self.doubted_since = 0;
        }
        self.last_seen = now;
        self.doubted_since == 0 || now >= self.doubted_since.saturating_add(millis(DAY))
    }
}

/// Counts of messages older than the retention age, by the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Expired {
    pub messages: u64,
    /// Rooms with at least one such message.
    pub rooms: usize,
    /// Rooms that have no other messages.
    pub emptied: usize,
}

impl Expired {
    /// Logs that the messages were deleted.
    pub(super) fn log_deleted(self, now: u64, newest: Option<u64>) {
        let Self { messages, rooms, emptied } = self;
        if messages == 0 {
            return;
        }
        let what = format!(
            "{messages} messages of {rooms} rooms were older than --history-age and were deleted, with {emptied} rooms"
        );
        match days_past(now, newest) {
            0 => info!("{what}"),
            days => warn!("{what}; the clock is {days} days past the newest message"),
        }
    }

    /// Logs that the messages are kept because the clock is in doubt.
    pub(super) fn log_kept(self, now: u64, newest: Option<u64>) {
        let Self { messages, rooms, .. } = self;
        let days = days_past(now, newest);
        warn!(
            "{messages} messages of {rooms} rooms are older than --history-age by the clock, but the clock has jumped or \
             is {days} days past the newest message. They are kept until the clock has run for a day without a jump; if \
             the clock is wrong, correct it before"
        );
    }
}

fn days_past(now: u64, newest: Option<u64>) -> u64 {
    newest.map_or(0, |newest| now.saturating_sub(newest) / millis(DAY))
}

/// A duration in milliseconds; saturates at `u64::MAX`.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600 * 1000;

    /// A time in milliseconds from a number of days since 1970.
    fn day(days: u64) -> u64 {
        days * 24 * HOUR
    }

    /// Runs a server from `from` to `to` with a check every hour; returns when it first trusted the clock.
    fn run(clock: &mut Clock, from: u64, to: u64, newest: u64) -> Option<u64> {
        let checks = (from..=to).step_by(usize::try_from(HOUR).expect("a step"));
        let mut trusted = None;
        for (index, now) in checks.enumerate() {
            if clock.check(now, Some(newest), index == 0) {
                trusted = trusted.or(Some(now));
            }
        }
        trusted
    }

    #[test]
    fn a_clock_that_runs_on_is_trusted_however_quiet_the_rooms_are() {
        let mut clock = Clock::default();
        assert!(clock.check(day(100), None, true));
        assert_eq!(run(&mut clock, day(100) + HOUR, day(160), day(100)), Some(day(100) + HOUR));
    }

    #[test]
    fn a_clock_that_is_a_month_ahead_for_one_start_costs_nothing() {
        let mut clock = Clock::default();
        assert_eq!(run(&mut clock, day(100), day(101), day(101)), Some(day(100)));
        assert_eq!(run(&mut clock, day(132), day(132), day(101)), None, "ahead");
        // A message is sent meanwhile, so the newest time is by the wrong clock.
        assert_eq!(run(&mut clock, day(132) + HOUR, day(132) + 9 * HOUR, day(132)), None);
        let right = day(101) + HOUR;
        assert_eq!(run(&mut clock, right, right, day(101)), Some(right), "set right");
    }

    #[test]
    fn a_clock_that_jumps_while_the_server_runs_is_in_doubt_for_a_day() {
        let mut clock = Clock::default();
        run(&mut clock, day(100), day(110), day(110));
        let jumped = day(150);
        assert_eq!(run(&mut clock, jumped, jumped + day(3), jumped), Some(jumped + day(1)));
    }

    #[test]
    fn a_doubt_lasts_a_day_over_all_starts_and_comes_once_for_each_newest_message() {
        let mut clock = Clock::default();
        run(&mut clock, day(100), day(100), day(100));
        // Off for ten days, then started every six hours.
        let mut trusted = Vec::new();
        for start in 0..8 {
            let now = day(110) + start * 6 * HOUR;
            trusted.push(run(&mut clock, now, now, day(100)).is_some());
        }
        assert_eq!(trusted, [false, false, false, false, true, true, true, true]);
        // A start with old messages, although the server ran yesterday.
        run(&mut clock, day(112), day(113), day(113));
        assert_eq!(run(&mut clock, day(113) + HOUR, day(113) + HOUR, day(90)), None);
    }

    #[test]
    fn a_clock_that_is_set_back_is_trusted_unless_it_is_still_ahead() {
        let mut clock = Clock::default();
        run(&mut clock, day(100), day(100), day(100));
        assert!(!clock.check(day(131), Some(day(100)), true));
        assert!(!clock.check(day(105), Some(day(100)), false), "set back, and still days ahead");
        assert!(clock.check(day(100) + HOUR, Some(day(100)), false));
        assert!(clock.check(HOUR, None, false), "1970: nothing is old by it");
        assert!(!clock.check(day(100) + 2 * HOUR, Some(day(100)), false), "forward again");
    }

    #[test]
    fn a_clock_without_an_earlier_check_is_compared_with_the_newest_message() {
        assert!(!Clock::default().check(day(100), Some(day(90)), true));
        assert!(Clock::default().check(day(100), Some(day(100) - HOUR), true));
        assert!(Clock::default().check(day(100), None, true));
    }
}
