//! A logger in front of another one: bounds the length of a line, keeps each on one line, and bounds the rate
//! of lines per call site.

use std::{
    collections::HashMap,
    fmt::{self, Write as _},
    hash::{BuildHasher as _, RandomState},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use log::{Level, Log, Metadata, Record};

/// Maximum characters of a line. Texts of clients are cut earlier, see [`Shown`](super::Shown).
const MAX_LINE_CHARS: usize = 2000;

/// Lines that one call site may write at once after a pause.
const BURST: u32 = 500;

/// Interval between lines after the burst.
const INTERVAL: Duration = Duration::from_millis(100);

/// Maximum number of call sites counted; the program has fewer.
const MAX_SITES: usize = 4096;

/// A logger that bounds the lines of `inner`.
pub(super) struct Throttle<L> {
    inner: L,
    hasher: RandomState,
    sites: Mutex<HashMap<u64, Site>>,
}

/// A call site that writes lines.
#[derive(Debug)]
struct Site {
    /// When the site may write a full burst again.
    full_at: Instant,
    left_out: u64,
    target: String,
    level: Level,
}

impl<L: Log> Throttle<L> {
    /// Creates a logger in front of `inner`.
    pub(super) fn new(inner: L) -> Self {
        Self { inner, hasher: RandomState::new(), sites: Mutex::default() }
    }

    fn log_at(&self, record: &Record<'_>, now: Instant) {
        if !self.inner.enabled(record.metadata()) {
            return;
        }
        // Levels below `info` are explicitly enabled, so never throttle them.
        let left_out = if record.level() <= Level::Info { self.count(record, now) } else { Some(0) };
        let Some(left_out) = left_out else { return };
        if left_out > 0 {
            self.say_left_out(left_out, record.target(), record.level());
        }
        let line = Line::of(record.args());
        self.inner.log(
            &Record::builder()
                .metadata(record.metadata().clone())
                .args(format_args!("{line}"))
                .module_path(record.module_path())
                .file(record.file())
                .line(record.line())
                .build(),
        );
    }

    /// If this line may be written, the number of lines of its site omitted before it.
    fn count(&self, record: &Record<'_>, now: Instant) -> Option<u64> {
        let place = self.hasher.hash_one((record.target(), record.file(), record.line()));
        let mut sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        if sites.len() >= MAX_SITES && !sites.contains_key(&place) {
            sites.clear();
        }
        let site = sites.entry(place).or_insert_with(|| Site {
            full_at: now,
            left_out: 0,
            target: record.target().to_owned(),
            level: record.level(),
        });
        let full_at = site.full_at.max(now) + INTERVAL;
        if full_at.saturating_duration_since(now) > INTERVAL * BURST {
            site.left_out += 1;
            return None;
        }
        site.full_at = full_at;
        Some(std::mem::take(&mut site.left_out))
    }

    /// Logs the number of omitted lines at sites without a line since.
    pub(super) fn report(&self) {
        let mut left_out = Vec::new();
        for site in self.sites.lock().unwrap_or_else(PoisonError::into_inner).values_mut() {
            if site.left_out > 0 {
                left_out.push((std::mem::take(&mut site.left_out), site.target.clone(), site.level));
            }
        }
        for (count, target, level) in left_out {
            self.say_left_out(count, &target, level);
        }
    }

    fn say_left_out(&self, count: u64, target: &str, level: Level) {
        let metadata = Metadata::builder().target(target).level(level).build();
        let words = "lines like the last ones were left out: there were too many";
        self.inner.log(&Record::builder().metadata(metadata).args(format_args!("{count} {words}")).build());
    }
}

impl<L: Log> Log for Throttle<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.inner.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        self.log_at(record, Instant::now());
    }

    fn flush(&self) {
        self.inner.flush();
    }
}

/// Formats a record as one line of bounded length.
struct Line {
    text: String,
    /// Number of characters that still fit.
    room: usize,
}

impl Line {
    fn of(args: &fmt::Arguments<'_>) -> String {
        let mut line = Self { text: String::new(), room: MAX_LINE_CHARS };
        if line.write_fmt(*args).is_err() {
            line.text.push('…');
        }
        line.text
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            self.room = self.room.checked_sub(1).ok_or(fmt::Error)?;
            if c.is_control() {
                self.text.extend(c.escape_default());
            } else {
                self.text.push(c);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A logger that stores its records.
    #[derive(Default)]
    struct Kept(Mutex<Vec<String>>);

    impl Log for Kept {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.level() <= Level::Debug
        }

        fn log(&self, record: &Record<'_>) {
            let line = format!("{} {}: {}", record.level(), record.target(), record.args());
            self.0.lock().expect("not poisoned").push(line);
        }

        fn flush(&self) {}
    }

    fn lines(throttle: &Throttle<Kept>) -> Vec<String> {
        std::mem::take(&mut throttle.inner.0.lock().expect("not poisoned"))
    }

    fn say(throttle: &Throttle<Kept>, level: Level, line: u32, text: &str, now: Instant) {
        let metadata = Metadata::builder().target("some_crate").level(level).build();
        let mut record = Record::builder();
        record.metadata(metadata).line(Some(line));
        throttle.log_at(&record.args(format_args!("{text}")).build(), now);
    }

    #[test]
    fn a_place_that_writes_too_much_is_counted_and_others_are_not_held_back() {
        let (throttle, start) = (Throttle::new(Kept::default()), Instant::now());
        for _ in 0..100_000 {
            say(&throttle, Level::Error, 1, "malformed", start);
        }
        assert_eq!(lines(&throttle).len(), BURST as usize);
        say(&throttle, Level::Info, 2, "elsewhere", start);
        assert_eq!(lines(&throttle), ["INFO some_crate: elsewhere"]);
        say(&throttle, Level::Error, 1, "malformed", start + INTERVAL);
        let left_out = "lines like the last ones were left out: there were too many";
        let said = format!("ERROR some_crate: {} {left_out}", 100_000 - BURST);
        assert_eq!(lines(&throttle), [said, "ERROR some_crate: malformed".to_owned()]);
    }

    #[test]
    fn what_was_left_out_is_told_when_the_flood_has_ended() {
        let (throttle, start) = (Throttle::new(Kept::default()), Instant::now());
        for _ in 0..BURST + 3 {
            say(&throttle, Level::Warn, 1, "again", start);
        }
        lines(&throttle);
        throttle.report();
        assert!(lines(&throttle)[0].starts_with("WARN some_crate: 3 lines"));
        throttle.report();
        assert!(lines(&throttle).is_empty());
    }

    #[test]
    fn a_line_is_one_line_of_a_bounded_length() {
        let (throttle, now) = (Throttle::new(Kept::default()), Instant::now());
        say(&throttle, Level::Info, 1, "a\nb\r\u{1b}[31m", now);
        assert_eq!(lines(&throttle), ["INFO some_crate: a\\nb\\r\\u{1b}[31m"]);
        say(&throttle, Level::Info, 1, &"x".repeat(1_000_000), now);
        let line = lines(&throttle).remove(0);
        assert!(line.chars().count() < MAX_LINE_CHARS + 50 && line.ends_with('…'), "{}", line.len());
    }

    #[test]
    fn who_asks_for_more_gets_all_of_it() {
        let (throttle, now) = (Throttle::new(Kept::default()), Instant::now());
        for _ in 0..2 * BURST {
            say(&throttle, Level::Debug, 1, "detail", now);
        }
        assert_eq!(lines(&throttle).len(), 2 * BURST as usize);
        say(&throttle, Level::Trace, 1, "more", now);
        assert!(lines(&throttle).is_empty(), "the inner logger decides what is wanted");
    }
}
