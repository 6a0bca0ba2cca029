//! Whether the clock is believed when it says that messages are old, and what is logged of those that go.
//!
//! A clock that is wrong for one start must not cost a journal its history. So nothing is let go for its age while the
//! clock is in doubt: after it has leapt by more than a day, or when a server starts and the newest message is more than
//! a day old. A doubt ends when the clock has gone on for a day without another leap, or has been set back.

use std::time::Duration;

use log::{info, warn};

/// What the clock may advance between two looks, and be ahead of the newest message at a start; and how long a doubt
/// lasts.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What is known of the clock. All times in milliseconds since 1970, 0 for never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Clock {
    /// What it said at the last look, of this run of the server or one before.
    pub last_seen: u64,
    /// Since when there is a doubt.
    pub doubted_since: u64,
    /// The newest message at that time: that it is old is no new reason for a doubt.
    pub doubted_newest: u64,
}

impl Clock {
    /// Whether the clock is believed, now that it says `now`. The newest message is the newest that it does not put into
    /// the future.
    pub fn look(&mut self, now: u64, newest: Option<u64>, is_first: bool) -> bool {
        if self.last_seen == 0 {
            self.last_seen = newest.unwrap_or(now);
        }
        let is_later_by_days = |than: u64| now > than.saturating_add(millis(DAY));
        let has_leapt = is_later_by_days(self.last_seen);
        let was_set_back = now.saturating_add(millis(DAY)) < self.last_seen || now < self.doubted_since;
        let is_news_old = newest.is_some_and(is_later_by_days);
        let is_to_look_again = was_set_back || (is_first && newest != Some(self.doubted_newest));
        if has_leapt || (is_news_old && is_to_look_again) {
            self.doubted_since = now;
            self.doubted_newest = newest.unwrap_or(0);
        } else if was_set_back {
            self.doubted_since = 0;
        }
        self.last_seen = now;
        self.doubted_since == 0 || now >= self.doubted_since.saturating_add(millis(DAY))
    }
}

/// Messages that are too old by the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Old {
    pub messages: u64,
    /// Rooms that have such.
    pub rooms: usize,
    /// Rooms that have nothing else.
    pub emptied: usize,
}

impl Old {
    /// They have been let go.
    pub fn log_gone(self, now: u64, newest: Option<u64>) {
        let Self { messages, rooms, emptied } = self;
        if messages == 0 {
            return;
        }
        let what = format!(
            "{messages} messages of {rooms} rooms were older than --history-age and are gone, {emptied} rooms with them"
        );
        match days_beyond(now, newest) {
            0 => info!("{what}"),
            days => warn!("{what}; the clock is {days} days beyond the newest message"),
        }
    }

    /// They stay, because the clock is in doubt.
    pub fn log_kept(self, now: u64, newest: Option<u64>) {
        let Self { messages, rooms, .. } = self;
        let days = days_beyond(now, newest);
        warn!(
            "by the clock, which has leapt or is {days} days beyond the newest message, {messages} messages of {rooms} \
             rooms are older than --history-age. They are kept until the clock has gone on for a day without a leap: set \
             it right before, if it is wrong"
        );
    }
}

fn days_beyond(now: u64, newest: Option<u64>) -> u64 {
    newest.map_or(0, |newest| now.saturating_sub(newest) / millis(DAY))
}

/// A length of time in milliseconds.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600 * 1000;

    /// In days since 1970.
    fn day(days: u64) -> u64 {
        days * 24 * HOUR
    }

    /// A server that runs from `from` to `to` and looks every hour: when it believed the clock first.
    fn run(clock: &mut Clock, from: u64, to: u64, newest: u64) -> Option<u64> {
        let looks = (from..=to).step_by(usize::try_from(HOUR).expect("a step"));
        let mut believed = None;
        for (index, now) in looks.enumerate() {
            if clock.look(now, Some(newest), index == 0) {
                believed = believed.or(Some(now));
            }
        }
        believed
    }

    #[test]
    fn a_clock_that_goes_on_is_believed_however_quiet_the_rooms_are() {
        let mut clock = Clock::default();
        assert!(clock.look(day(100), None, true));
        assert_eq!(run(&mut clock, day(100) + HOUR, day(160), day(100)), Some(day(100) + HOUR));
    }

    #[test]
    fn a_clock_that_is_a_month_ahead_for_one_start_costs_nothing() {
        let mut clock = Clock::default();
        assert_eq!(run(&mut clock, day(100), day(101), day(101)), Some(day(100)));
        assert_eq!(run(&mut clock, day(132), day(132), day(101)), None, "ahead");
        // Something is said meanwhile: newest by the wrong clock.
        assert_eq!(run(&mut clock, day(132) + HOUR, day(132) + 9 * HOUR, day(132)), None);
        let right = day(101) + HOUR;
        assert_eq!(run(&mut clock, right, right, day(101)), Some(right), "set right");
    }

    #[test]
    fn a_clock_that_leaps_while_the_server_runs_is_in_doubt_for_a_day() {
        let mut clock = Clock::default();
        run(&mut clock, day(100), day(110), day(110));
        let leapt = day(150);
        assert_eq!(run(&mut clock, leapt, leapt + day(3), leapt), Some(leapt + day(1)));
    }

    #[test]
    fn a_doubt_lasts_a_day_over_all_starts_and_comes_once_for_each_newest_message() {
        let mut clock = Clock::default();
        run(&mut clock, day(100), day(100), day(100));
        // Off for ten days, then started every six hours.
        let mut believed = Vec::new();
        for start in 0..8 {
            let now = day(110) + start * 6 * HOUR;
            believed.push(run(&mut clock, now, now, day(100)).is_some());
        }
        assert_eq!(believed, [false, false, false, false, true, true, true, true]);
        // A start on messages that are old, though the server was there yesterday.
        run(&mut clock, day(112), day(113), day(113));
        assert_eq!(run(&mut clock, day(113) + HOUR, day(113) + HOUR, day(90)), None);
    }

    #[test]
    fn a_clock_that_is_set_back_is_believed_unless_it_is_still_ahead() {
        let mut clock = Clock::default();
        run(&mut clock, day(100), day(100), day(100));
        assert!(!clock.look(day(131), Some(day(100)), true));
        assert!(!clock.look(day(105), Some(day(100)), false), "set back, and still days ahead");
        assert!(clock.look(day(100) + HOUR, Some(day(100)), false));
        assert!(clock.look(HOUR, None, false), "1970: nothing is old by it");
        assert!(!clock.look(day(100) + 2 * HOUR, Some(day(100)), false), "forward again");
    }

    #[test]
    fn a_file_that_knows_nothing_of_the_clock_is_judged_by_its_newest_message() {
        assert!(!Clock::default().look(day(100), Some(day(90)), true));
        assert!(Clock::default().look(day(100), Some(day(100) - HOUR), true));
        assert!(Clock::default().look(day(100), None, true));
    }
}
