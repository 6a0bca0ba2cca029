//! Observes a session from outside, for lessons that show one: its backlog, its lines in the log, and how it
//! ended.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use log::Level;
use serde::{Serialize, Serializer};
use tokio::sync::mpsc;

use crate::connection::{Backlog, Ending};

/// Lines that may wait for the reader of a session's log; further ones are left out and counted.
const MOST_LINES: usize = 64;

/// The method of a session's actor that writes a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// The actor has started.
    Started,
    /// The actor handles what its client has sent.
    Handle,
    /// The actor has ended.
    Stopped,
}

/// A line of a session's log.
#[derive(Clone, Debug, Serialize)]
pub struct LogLine {
    /// The method that writes it.
    pub method: Method,
    /// Its level in the log.
    #[serde(serialize_with = "level_name")]
    pub level: Level,
    /// Its text, with the id of the session.
    pub line: String,
}

fn level_name<S: Serializer>(level: &Level, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(level.as_str())
}

/// Observes one session, which may live on another thread.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    seen: Arc<Mutex<Seen>>,
    log: Option<LogWriter>,
}

#[derive(Debug, Default)]
struct Seen {
    backlog: Option<Backlog>,
    ended: Option<Ending>,
}

#[derive(Clone, Debug)]
struct LogWriter {
    lines: mpsc::Sender<LogLine>,
    left_out: Arc<AtomicU64>,
}

/// Gets the lines that a session writes to the log.
#[derive(Debug)]
pub struct LogReader {
    lines: mpsc::Receiver<LogLine>,
    left_out: Arc<AtomicU64>,
}

impl LogReader {
    /// The next line; `None` after the last one of the session.
    pub async fn next(&mut self) -> Option<LogLine> {
        self.lines.recv().await
    }

    /// Lines that were left out since the last call.
    pub fn take_left_out(&self) -> u64 {
        self.left_out.swap(0, Ordering::Relaxed)
    }
}

impl Watch {
    /// A watch that gets the session's log lines, too.
    pub fn with_log() -> (Self, LogReader) {
        let (lines, reader) = mpsc::channel(MOST_LINES);
        let left_out = Arc::new(AtomicU64::new(0));
        let log = LogWriter { lines, left_out: Arc::clone(&left_out) };
        (Self { seen: Arc::default(), log: Some(log) }, LogReader { lines: reader, left_out })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session has begun, with this backlog.
    pub fn begun(&self, backlog: Backlog) {
        self.seen().backlog = Some(backlog);
    }

    /// The session has ended.
    pub fn ended(&self, ending: Ending) {
        self.seen().ended = Some(ending);
    }

    /// Passes on a line that the session has logged; calls `line` only if there is a reader.
    pub fn logged(&self, line: impl FnOnce() -> LogLine) {
        let Some(log) = &self.log else { return };
        if log.lines.try_send(line()).is_err() {
            log.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The session's backlog in bytes; `None` before the session has begun.
    pub fn waiting_bytes(&self) -> Option<usize> {
        self.seen().backlog.as_ref().map(Backlog::bytes)
    }

    /// How the session ended; `None` while it has not.
    pub fn ending(&self) -> Option<Ending> {
        self.seen().ended.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn lines_over_the_bound_are_left_out_and_counted() {
        let (watch, mut reader) = Watch::with_log();
        let line =
            |number: usize| LogLine { method: Method::Handle, level: Level::Debug, line: number.to_string() };
        for number in 0..MOST_LINES + 3 {
            watch.logged(|| line(number));
        }
        drop(watch);
        let mut read = 0;
        while let Some(line) = reader.next().await {
            assert_eq!(line.line, read.to_string());
            read += 1;
        }
        assert_eq!((read, reader.take_left_out(), reader.take_left_out()), (MOST_LINES, 3, 0));
    }
}
