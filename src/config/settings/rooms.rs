//! How many rooms there may be, and whether they are listed.

use std::num::NonZeroUsize;

use clap::Args;

use super::{
    PerAddress, SettingError, Switch,
    range::{self, MOST_OF_A_KIND},
    reading,
};

/// How many rooms there may be, and whether they are listed.
#[derive(Args, Clone, Debug)]
pub struct Rooms {
    /// Rooms with members or history at a time. For one more, the room that has been silent longest and has no members
    /// loses its history; if there is none, it is refused, at the handshake with 503. The room lobby is never refused
    #[arg(long, env = "ECHOROOM_MAX_ROOMS", value_name = "COUNT", default_value = "10000",
          value_parser = reading::count::<NonZeroUsize>)]
    pub max_rooms: NonZeroUsize,

    /// Rooms that one address may make in a minute; further ones are refused, at the handshake with 503. A number holds
    /// for every address, public:N for public addresses only; 0 is no limit
    #[arg(
        long,
        env = "ECHOROOM_MAX_NEW_ROOMS_PER_MINUTE",
        value_name = "COUNT",
        default_value = "public:60"
    )]
    pub max_new_rooms_per_minute: PerAddress,

    /// Whether /rooms lists the rooms that have sessions, to every client
    #[arg(long, env = "ECHOROOM_ROOM_LIST", value_name = "SWITCH", default_value = "on")]
    pub room_list: Switch,
}

impl Rooms {
    /// Checks each of these settings alone.
    ///
    /// # Errors
    /// The first setting that is not valid.
    pub(super) fn check(&self) -> Result<(), SettingError> {
        range::count("max-rooms", self.max_rooms.get(), 1..=MOST_OF_A_KIND)
    }
}
