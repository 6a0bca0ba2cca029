//! How slowly a message may come, and how fast messages may follow each other.

use clap::Args;

use super::{
    Period, SettingError,
    range::{self, MOST_OF_A_KIND},
    reading, values,
};

/// How fast a session may send, and how slowly.
#[derive(Args, Clone, Debug)]
pub struct Rates {
    /// Bytes a second that a message must come at, on the average since it began; a slower one closes its session with
    /// 1008. 0 is no limit
    #[arg(long, env = "ECHOROOM_MIN_UPLOAD_RATE", value_name = "BYTES", default_value = "1024",
          value_parser = values::bytes_a_second)]
    pub min_upload_rate: u32,

    /// How long a message may come more slowly than --min-upload-rate
    #[arg(long, env = "ECHOROOM_UPLOAD_PATIENCE", value_name = "TIME", default_value = "10s")]
    pub upload_patience: Period,

    /// Messages a second that a session may send; faster ones wait. 0 is no limit
    #[arg(long, env = "ECHOROOM_RATE", value_name = "COUNT", default_value = "30",
          value_parser = reading::count_or_zero::<u32>)]
    pub rate: u32,

    /// Messages a session may send at once after a pause; control frames are counted apart, by the same numbers
    #[arg(long, env = "ECHOROOM_RATE_BURST", value_name = "COUNT", default_value = "60",
          value_parser = reading::count::<u32>)]
    pub rate_burst: u32,

    /// A session that sends faster than --rate for so long without a pause is closed with 1008
    #[arg(long, env = "ECHOROOM_RATE_PATIENCE", value_name = "TIME", default_value = "10s")]
    pub rate_patience: Period,
}

impl Rates {
    /// Checks each of these settings alone.
    ///
    /// # Errors
    /// The first setting that is not valid.
    pub(super) fn check(&self) -> Result<(), SettingError> {
        range::timer("upload-patience", self.upload_patience)?;
        range::count("rate-burst", self.rate_burst as usize, 1..=MOST_OF_A_KIND)
    }
}
