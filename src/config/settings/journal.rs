//! What is kept of messages, where, and for how long.

use std::{fmt, num::NonZeroUsize, path::PathBuf, str::FromStr, time::Duration};

use clap::Args;

use super::{
    ByteSize, Period, PeriodOrOff, SettingError,
    range::{self, MOST_BYTES_OF_ALL, MOST_OF_A_KIND},
    reading,
};

/// Least bytes of all rooms' messages: an empty journal's file has a tenth of that.
const LEAST_DATA_BYTES: u64 = 1 << 20;

/// What waits longer is lost too easily.
const LONGEST_COMMIT_DELAY: Duration = Duration::from_secs(60);

/// How messages are kept.
#[derive(Args, Clone, Debug)]
pub struct Journal {
    /// Where messages are kept: in a file (sqlite), or in memory until the server stops
    #[arg(
        id = "journal",
        long = "journal",
        env = "ECHOROOM_JOURNAL",
        value_name = "KIND",
        default_value = "sqlite"
    )]
    pub kind: JournalKind,

    /// Folder of the journal's file
    #[arg(long, env = "ECHOROOM_DATA_DIR", global = true, value_name = "FOLDER", default_value = "data")]
    pub data_dir: PathBuf,

    /// Newest messages of a room that are kept; a few more may stay for a while
    #[arg(long, env = "ECHOROOM_HISTORY", value_name = "COUNT", default_value = "1000",
          value_parser = reading::count::<NonZeroUsize>)]
    pub history: NonZeroUsize,

    /// Bytes of a room's messages that are kept at most; the oldest go
    #[arg(long, env = "ECHOROOM_HISTORY_BYTES", value_name = "BYTES", default_value = "64m")]
    pub history_bytes: ByteSize,

    /// How long a message is kept
    #[arg(long, env = "ECHOROOM_HISTORY_AGE", value_name = "TIME", default_value = "30d")]
    pub history_age: Period,

    /// Bytes of all rooms' messages that are kept at most; the oldest go
    #[arg(long, env = "ECHOROOM_MAX_DATA_SIZE", value_name = "BYTES", default_value = "2g")]
    pub max_data_size: ByteSize,

    /// Messages with an id of each user of a room, the newest, that are known again when they are sent again
    #[arg(long, env = "ECHOROOM_REMEMBERED_IDS", value_name = "COUNT", default_value = "128",
          value_parser = reading::count::<NonZeroUsize>)]
    pub remembered_ids: NonZeroUsize,

    /// How long they are known at least; after a restart as far as the messages are kept
    #[arg(long, env = "ECHOROOM_REMEMBER_IDS_FOR", value_name = "TIME", default_value = "3600s")]
    pub remember_ids_for: Period,

    /// Ids of all rooms in memory; more, and the oldest go before their time
    #[arg(long, env = "ECHOROOM_MAX_REMEMBERED_IDS", value_name = "COUNT", default_value = "500000",
          value_parser = reading::count::<NonZeroUsize>)]
    pub max_remembered_ids: NonZeroUsize,

    /// How long messages that are not acked, those of plain sessions, wait for more that are stored with them; 0: not
    /// at all
    #[arg(long, env = "ECHOROOM_COMMIT_DELAY", value_name = "TIME", default_value = "5ms")]
    pub commit_delay: PeriodOrOff,

    /// Bytes of the newest messages held in memory, shared by all rooms, so that who has read the journal goes on
    /// without a gap
    #[arg(long, env = "ECHOROOM_TAIL_BYTES", value_name = "BYTES", default_value = "16m")]
    pub tail_bytes: ByteSize,
}

impl Journal {
    /// Checks each of these settings alone.
    ///
    /// # Errors
    /// The first setting that is not valid.
    pub(super) fn check(&self) -> Result<(), SettingError> {
        range::count("history", self.history.get(), 1..=MOST_OF_A_KIND)?;
        range::bytes("history-bytes", self.history_bytes, 1..=MOST_BYTES_OF_ALL)?;
        range::bytes("max-data-size", self.max_data_size, LEAST_DATA_BYTES..=MOST_BYTES_OF_ALL)?;
        range::count("remembered-ids", self.remembered_ids.get(), 1..=MOST_OF_A_KIND)?;
        range::count("max-remembered-ids", self.max_remembered_ids.get(), 1..=MOST_OF_A_KIND)?;
        range::wait("commit-delay", self.commit_delay, LONGEST_COMMIT_DELAY)?;
        range::bytes("tail-bytes", self.tail_bytes, 1..=MOST_BYTES_OF_ALL)
    }
}

/// Where messages are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalKind {
    /// `sqlite`: in a file.
    Sqlite,
    /// `memory`: until the server stops.
    Memory,
}

/// Parse error of [`JournalKind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is sqlite or memory")]
pub struct JournalKindError;

impl FromStr for JournalKind {
    type Err = JournalKindError;

    fn from_str(text: &str) -> Result<Self, JournalKindError> {
        match text {
            "sqlite" => Ok(Self::Sqlite),
            "memory" => Ok(Self::Memory),
            _ => Err(JournalKindError),
        }
    }
}

impl fmt::Display for JournalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
            Self::Memory => "memory",
        })
    }
}
