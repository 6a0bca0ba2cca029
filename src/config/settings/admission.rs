//! Which sessions are admitted, in all and from one address.

use std::num::{NonZeroU32, NonZeroUsize};

use clap::Args;

use super::{
    Network, PerAddress, SettingError,
    range::{self, MOST_OF_A_KIND},
    reading,
};

/// How many sessions there may be, and how fast they may be asked for.
#[derive(Args, Clone, Debug)]
pub struct Admission {
    /// Sessions at a time; more get 503
    #[arg(long, env = "ECHOROOM_MAX_SESSIONS", value_name = "COUNT", default_value = "100000",
          value_parser = reading::count::<NonZeroUsize>)]
    pub max_sessions: NonZeroUsize,

    /// Sessions at a time from one address (of IPv6, from one network of 64 bits); more get 503. A bare number holds for
    /// every address, public:1000 for public addresses only; 0 is no limit
    #[arg(
        long,
        env = "ECHOROOM_MAX_SESSIONS_PER_ADDRESS",
        value_name = "COUNT",
        default_value = "public:1000"
    )]
    pub max_sessions_per_address: PerAddress,

    /// Sessions a second that one address may ask for, at any door, granted or not; more get 429. As
    /// --max-sessions-per-address
    #[arg(long, env = "ECHOROOM_HANDSHAKE_RATE", value_name = "COUNT", default_value = "public:50")]
    pub handshake_rate: PerAddress,

    /// Sessions that it may ask for at once after a pause
    // By default enough for a room full of Socket.IO clients behind one address that come back after a restart: each asks
    // twice.
    #[arg(long, env = "ECHOROOM_HANDSHAKE_BURST", value_name = "COUNT", default_value = "2000",
          value_parser = reading::count::<NonZeroU32>)]
    pub handshake_burst: NonZeroU32,

    /// Address or network (10.0.0.0/8) of a proxy whose X-Forwarded-For is believed; what it sends is never of this
    /// machine; repeatable
    #[arg(long, env = "ECHOROOM_TRUSTED_PROXY", value_name = "NETWORK", value_delimiter = ',')]
    pub trusted_proxy: Vec<Network>,
}

impl Admission {
    /// Checks each of these settings alone.
    ///
    /// # Errors
    /// The first setting that is not valid.
    pub(super) fn check(&self) -> Result<(), SettingError> {
        range::count("max-sessions", self.max_sessions.get(), 1..=MOST_OF_A_KIND)?;
        range::count("handshake-burst", self.handshake_burst.get() as usize, 1..=MOST_OF_A_KIND)
    }
}
