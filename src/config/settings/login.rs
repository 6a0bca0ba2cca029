//! Logging in: the time for it, and the nicknames that are held or reserved.

use std::num::NonZeroUsize;

use clap::Args;

use super::{
    Period, SettingError,
    range::{self, MOST_OF_A_KIND},
    reading,
};

/// Largest number of nicknames that are held or reserved in one room.
const MOST_NAMES_OF_A_ROOM: u64 = 1_000_000;

/// How long a login may take, and how long a nickname is held for its user.
#[derive(Args, Clone, Debug)]
pub struct Login {
    /// How long the nickname of a user who dropped is held for them
    #[arg(long, env = "ECHOROOM_NAME_HOLD", value_name = "TIME", default_value = "30s")]
    pub name_hold: Period,

    /// How long the nickname of a user who has logged in with its token is reserved for the bearer of that token, in one
    /// room, whether the user is there or not. It is kept in the journal, and begins anew with each such login
    #[arg(long, env = "ECHOROOM_NAME_RESERVATION", value_name = "TIME", default_value = "7d")]
    pub name_reservation: Period,

    /// Nicknames that are held, and nicknames that are reserved, in one room; for one more there is no hold and no
    /// reservation
    #[arg(long, env = "ECHOROOM_MAX_HELD_NAMES", value_name = "COUNT", default_value = "10000",
          value_parser = reading::count::<NonZeroUsize>)]
    pub max_held_names: NonZeroUsize,

    /// Nicknames that are reserved in all rooms together
    #[arg(long, env = "ECHOROOM_MAX_RESERVED_NAMES", value_name = "COUNT", default_value = "100000",
          value_parser = reading::count::<NonZeroUsize>)]
    pub max_reserved_names: NonZeroUsize,

    /// How long a session at /chat may take to log in, and one of Socket.IO to join a namespace; then it is closed
    #[arg(long, env = "ECHOROOM_CONNECT_TIMEOUT", value_name = "TIME", default_value = "45s")]
    pub connect_timeout: Period,
}

impl Login {
    /// Checks each of these settings alone.
    ///
    /// # Errors
    /// The first setting that is not valid.
    pub(super) fn check(&self) -> Result<(), SettingError> {
        range::count("max-held-names", self.max_held_names.get(), 1..=MOST_NAMES_OF_A_ROOM)?;
        range::count("max-reserved-names", self.max_reserved_names.get(), 1..=MOST_OF_A_KIND)?;
        range::timer("connect-timeout", self.connect_timeout)
    }
}
