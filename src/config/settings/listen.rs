//! Where the server listens, and the page that it serves.

use std::{net::IpAddr, num::NonZeroUsize, path::PathBuf};

use clap::Args;

use super::{SettingError, range, reading, socketio_path};

/// Largest number of worker threads.
const MOST_WORKERS: u64 = 1024;

/// Largest number of shards.
const MOST_SHARDS: u64 = 1024;

/// How the server listens, works and serves its page.
#[derive(Args, Clone, Debug)]
pub struct Listen {
    /// Address to listen on
    #[arg(long, env = "ECHOROOM_BIND", global = true, value_name = "ADDRESS", default_value = "0.0.0.0",
          value_parser = reading::address)]
    pub bind: IpAddr,

    /// Port to listen on; 0 picks a free one. Without it, PORT is honoured too
    #[arg(long, env = "ECHOROOM_PORT", global = true, default_value = "3000", value_parser = reading::port)]
    pub port: u16,

    /// Worker threads [default: one per core]
    #[arg(long, env = "ECHOROOM_WORKERS", value_name = "COUNT",
          value_parser = reading::count::<NonZeroUsize>)]
    pub workers: Option<NonZeroUsize>,

    /// Parts of the chat that work side by side, each with the rooms whose names fall to it [default: one per worker]
    #[arg(long, env = "ECHOROOM_SHARDS", value_name = "COUNT",
          value_parser = reading::count::<NonZeroUsize>)]
    pub shards: Option<NonZeroUsize>,

    /// Folder of the demo page
    #[arg(long, env = "ECHOROOM_STATIC_DIR", value_name = "FOLDER", default_value = "static")]
    pub static_dir: PathBuf,

    /// Path that a proxy leaves before the server's addresses, such as /app; not needed where the proxy takes it away
    #[arg(
        long,
        env = "ECHOROOM_PATH_PREFIX",
        value_name = "PATH",
        default_value = "",
        hide_default_value = true
    )]
    pub path_prefix: String,
}

impl Listen {
    /// Checks each of these settings alone.
    ///
    /// # Errors
    /// The first setting that is not valid.
    pub(super) fn check(&self) -> Result<(), SettingError> {
        let prefix = self.path_prefix.as_str();
        if !["", "/"].contains(&prefix) {
            socketio_path::check(prefix).map_err(SettingError::PathPrefix)?;
        }
        range::count("workers", self.workers.map_or(1, NonZeroUsize::get), 1..=MOST_WORKERS)?;
        range::count("shards", self.shards.map_or(1, NonZeroUsize::get), 1..=MOST_SHARDS)
    }

    /// The number of worker threads.
    pub(crate) fn worker_count(&self) -> usize {
        self.workers.or_else(|| std::thread::available_parallelism().ok()).map_or(2, NonZeroUsize::get)
    }

    /// The number of shards of the chat.
    pub(crate) fn shard_count(&self) -> usize {
        self.shards.map_or_else(|| self.worker_count(), NonZeroUsize::get)
    }
}
