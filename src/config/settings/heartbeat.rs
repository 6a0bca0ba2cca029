//! Pings of sessions.

use clap::Args;

use super::{Period, SettingError, range};

/// How often sessions are pinged, and how long they may be silent.
#[derive(Args, Clone, Debug)]
pub struct Heartbeat {
    /// How often a session is pinged
    #[arg(long, env = "ECHOROOM_PING_INTERVAL", value_name = "TIME", default_value = "25s")]
    pub ping_interval: Period,

    /// How long a pinged session may be silent before it is closed with 1001
    #[arg(long, env = "ECHOROOM_PING_TIMEOUT", value_name = "TIME", default_value = "20s")]
    pub ping_timeout: Period,
}

impl Heartbeat {
    /// Checks each of these settings alone.
    ///
    /// # Errors
    /// The first setting that is not valid.
    pub(super) fn check(&self) -> Result<(), SettingError> {
        range::timer("ping-interval", self.ping_interval)?;
        range::timer("ping-timeout", self.ping_timeout)
    }
}
