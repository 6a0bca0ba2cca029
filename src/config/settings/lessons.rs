//! The page's lessons.

use std::num::NonZeroUsize;

use clap::Args;

use super::{PerAddress, SettingError, Switch, range, reading};

/// Largest number of lessons at a time.
const MOST_LESSONS: u64 = 1_000_000;

/// Whether there are lessons, and how many.
#[derive(Args, Clone, Debug)]
pub struct Lessons {
    /// Whether the page's lessons have their part of the server: /lesson/
    #[arg(
        id = "lessons",
        long = "lessons",
        env = "ECHOROOM_LESSONS",
        value_name = "SWITCH",
        default_value = "on"
    )]
    pub switch: Switch,

    /// Lessons with a connection at a time; one more gets 503
    #[arg(long, env = "ECHOROOM_MAX_LESSONS", value_name = "COUNT", default_value = "64",
          value_parser = reading::count::<NonZeroUsize>)]
    pub max_lessons: NonZeroUsize,

    /// Lessons with a connection at a time from one address; as --max-sessions-per-address
    #[arg(long, env = "ECHOROOM_MAX_LESSONS_PER_ADDRESS", value_name = "COUNT", default_value = "public:32")]
    pub max_lessons_per_address: PerAddress,
}

impl Lessons {
    /// Checks each of these settings alone.
    ///
    /// # Errors
    /// The first setting that is not valid.
    pub(super) fn check(&self) -> Result<(), SettingError> {
        range::count("max-lessons", self.max_lessons.get(), 1..=MOST_LESSONS)
    }
}
