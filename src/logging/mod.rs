//! Bounds on log lines: a client must not be able to flood a line or the log.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Write as _},
    sync::{Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use log::{LevelFilter, Log, SetLoggerError, warn};

use self::throttle::Throttle;

mod throttle;

/// Maximum characters of a client's text in a log line or a reply.
pub(crate) const MAX_SHOWN_CHARS: usize = 200;

/// Minimum interval between the lines of one setting.
const REFUSALS_EVERY: Duration = Duration::from_secs(60);

/// Rejections since the last line of each setting.
static REFUSALS: Mutex<Refusals> = Mutex::new(Refusals::new());

/// The logger of the process, once [`install`] was called.
static THROTTLE: OnceLock<Throttle<Box<dyn Log>>> = OnceLock::new();

/// Makes `inner` the process's logger, behind a `Throttle`.
///
/// # Errors
/// The process already has a logger.
pub fn install(inner: Box<dyn Log>, max_level: LevelFilter) -> Result<(), SetLoggerError> {
    log::set_logger(THROTTLE.get_or_init(|| Throttle::new(inner)))?;
    log::set_max_level(max_level);
    Ok(())
}

/// A client's text for a log line or a reply: control characters escaped, then cut to [`MAX_SHOWN_CHARS`]
/// characters. `Debug` adds quotation marks.
#[derive(Clone, Copy)]
pub(crate) struct Shown<'a>(pub &'a str);

impl Shown<'_> {
    fn write(&self, f: &mut fmt::Formatter<'_>, escapes_quotes: bool) -> fmt::Result {
        let mut room = MAX_SHOWN_CHARS;
        for c in self.0.chars() {
            let is_plain = !escapes_quotes && matches!(c, '"' | '\'' | '\\');
            let len = if is_plain { 1 } else { c.escape_debug().len() };
            match room.checked_sub(len) {
                Some(left) => room = left,
                None => return write!(f, "… ({} bytes)", self.0.len()),
            }
            if is_plain { f.write_char(c)? } else { write!(f, "{}", c.escape_debug())? }
        }
        Ok(())
    }
}

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, false)
    }
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        self.write(f, true)?;
        f.write_char('"')
    }
}

/// Logs a rejection because of a setting: the first one at once, then one line a minute for each setting,
/// with the number of rejections without a line. `setting` names the flag, as in `--max-rooms`; `what` is a
/// sentence.
pub(crate) fn refused(setting: &'static str, what: impl Display) {
    // Log after the lock is released: a logger may be slow.
    let unlogged = REFUSALS.lock().unwrap_or_else(PoisonError::into_inner).note(setting, Instant::now());
    match unlogged {
        Some(0) => warn!("{setting}: {what}"),
        Some(unlogged) => warn!("{setting}: {what} ({unlogged} more since the last line)"),
        None => {}
    }
}

/// Logs the number of unlogged rejections for settings whose last line is a minute old, and of other omitted
/// lines. Must be called regularly; otherwise the numbers wait for the next line.
pub(crate) fn report_left_out() {
    report(REFUSALS_EVERY);
}

/// Logs all those numbers, at the end.
pub(crate) fn report_all_left_out() {
    report(Duration::ZERO);
}

fn report(age: Duration) {
    let due = REFUSALS.lock().unwrap_or_else(PoisonError::into_inner).due(Instant::now(), age);
    for (setting, unlogged) in due {
        warn!("{setting}: {unlogged} more since the last line");
    }
    if let Some(throttle) = THROTTLE.get() {
        throttle.report();
    }
}

/// The rejections of each setting. Settings are constants of the program, so their number is bounded.
struct Refusals {
    by_setting: BTreeMap<&'static str, Window>,
}

/// The time since the last line of one setting.
struct Window {
    began: Instant,
    unlogged: u64,
}

impl Refusals {
    const fn new() -> Self {
        Self { by_setting: BTreeMap::new() }
    }

    /// Counts a rejection. If it gets a line, returns the number of unlogged ones before it.
    fn note(&mut self, setting: &'static str, now: Instant) -> Option<u64> {
        let Some(window) = self.by_setting.get_mut(setting) else {
            self.by_setting.insert(setting, Window { began: now, unlogged: 0 });
            return Some(0);
        };
        if now.saturating_duration_since(window.began) < REFUSALS_EVERY {
            window.unlogged += 1;
            return None;
        }
        window.began = now;
        Some(std::mem::take(&mut window.unlogged))
    }

    /// The settings with unlogged rejections whose last line is so old.
    fn due(&mut self, now: Instant, age: Duration) -> Vec<(&'static str, u64)> {
        let is_due =
            |window: &Window| window.unlogged > 0 && now.saturating_duration_since(window.began) >= age;
        let due = self.by_setting.iter_mut().filter(|(_, window)| is_due(window));
        due.map(|(setting, window)| {
            window.began = now;
            (*setting, std::mem::take(&mut window.unlogged))
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_text_is_cut_and_cannot_begin_a_line() {
        assert_eq!(Shown("http://a").to_string(), "http://a");
        assert_eq!(format!("{:?}", Shown("a\n\u{1b}[31m\"é\u{202e}")), "\"a\\n\\u{1b}[31m\\\"é\\u{202e}\"");
        let long = "é".repeat(MAX_SHOWN_CHARS);
        assert_eq!(Shown(&long).to_string(), long);
        let longer = "é".repeat(100_000);
        assert_eq!(Shown(&longer).to_string(), format!("{long}… (200000 bytes)"));
        let escaped = format!("{}… (1000 bytes)", "\\n".repeat(100));
        assert_eq!(Shown(&"\n".repeat(1000)).to_string(), escaped);
    }

    #[test]
    fn a_setting_is_named_at_once_and_then_once_a_minute_with_a_count() {
        let mut refusals = Refusals::new();
        let start = Instant::now();
        assert_eq!(refusals.note("--a", start), Some(0));
        for _ in 0..1000 {
            assert_eq!(refusals.note("--a", start + Duration::from_secs(59)), None);
        }
        assert_eq!(refusals.note("--b", start), Some(0), "another setting has its own line");
        assert_eq!(refusals.note("--a", start + REFUSALS_EVERY), Some(1000));
        assert_eq!(refusals.note("--a", start + REFUSALS_EVERY * 2), Some(0));
    }

    #[test]
    fn what_had_no_line_is_told_when_the_flood_has_ended() {
        let mut refusals = Refusals::new();
        let start = Instant::now();
        for _ in 0..3 {
            refusals.note("--a", start);
        }
        assert_eq!(refusals.due(start + Duration::from_secs(59), REFUSALS_EVERY), []);
        assert_eq!(refusals.due(start + REFUSALS_EVERY, REFUSALS_EVERY), [("--a", 2)]);
        assert_eq!(refusals.due(start + REFUSALS_EVERY * 2, Duration::ZERO), []);
    }
}
