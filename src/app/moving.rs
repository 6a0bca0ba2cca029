//! `echoroom import-journal` and `export-journal`: move rooms between the journal of a server and the Redis of several
//! nodes.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    config::{Key, Settings},
    nodes::redis::{
        connecting::Options,
        moving::{self, MovingError, Tally},
    },
};

/// Interval of lines of progress.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Why nothing, or not all, was moved.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// There is no address.
    #[error("{} is not set: the address of the Redis", Key("redis"))]
    NoRedis,
    /// See there.
    #[error(transparent)]
    Moving(#[from] MovingError),
    /// The system cannot wait for answers.
    #[error("Redis cannot be asked: {0}")]
    System(std::io::Error),
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// From the journal in `--data-dir` into the Redis at `--redis`.
    Import,
    /// From the Redis at `--redis` to a new journal in `--data-dir`.
    Export,
}

/// Moves rooms, and tells lines of progress. Returns a summary in one line.
///
/// # Errors
/// One sentence: a server or a node is in use, there is something that would be overwritten, or one of both sides fails.
pub fn move_rooms(settings: &Settings, way: Move, mut tell: impl FnMut(&str)) -> Result<String, MoveError> {
    let options = Options::of(&settings.nodes).ok_or(MoveError::NoRedis)?;
    let (folder, age) = (&settings.journal.data_dir, settings.journal.history_age.get());
    let mut told_at = Instant::now();
    let mut progress = |tally: &Tally| {
        if told_at.elapsed() >= TELL_EVERY {
            told_at = Instant::now();
            tell(&sum(tally));
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(MoveError::System)?;
    let tally = match way {
        Move::Import => runtime.block_on(moving::import(&options, folder, age, &mut progress)),
        Move::Export => runtime.block_on(moving::export(&options, folder, &mut progress)),
    };
    Ok(summary(&tally?, way, folder, &options))
}

fn sum(tally: &Tally) -> String {
    let Tally { rooms, messages, bytes, names, pictures, .. } = tally;
    format!(
        "{rooms} rooms, {messages} messages ({bytes} bytes), {names} reserved names, {pictures} avatar pictures"
    )
}

fn summary(tally: &Tally, way: Move, folder: &Path, options: &Options) -> String {
    let (folder, url, sum) = (folder.display(), &options.url, sum(tally));
    let mut line = match way {
        Move::Import => format!("imported from {folder} into the Redis at {url}: {sum}"),
        Move::Export => format!("exported from the Redis at {url} to {folder}: {sum}"),
    };
    if tally.known > 0 {
        line.push_str(&format!("; {} rooms were there already", tally.known));
    }
    if tally.damaged > 0 {
        line.push_str(&format!("; {} avatar pictures are damaged and were left out", tally.damaged));
    }
    line
}
