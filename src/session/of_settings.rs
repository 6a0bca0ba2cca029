//! What the program's settings mean to the floors below, which know bounds and no flags.

use std::sync::Arc;

use crate::{
    config::Settings,
    connection::{admission::Admission, outbound::Bounds, rate::RateLimit, upload::UploadRate},
};

impl RateLimit {
    /// The limit of the settings, if they set one.
    pub(crate) fn of(settings: &Settings) -> Option<Self> {
        (settings.rates.rate > 0).then(|| Self {
            rate: settings.rates.rate.into(),
            burst: settings.rates.rate_burst.into(),
            patience: settings.rates.rate_patience.get(),
        })
    }
}

impl UploadRate {
    /// The rate of the settings.
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            bytes_per_second: settings.rates.min_upload_rate as usize,
            patience: settings.rates.upload_patience.get(),
        }
    }
}

impl Bounds {
    /// The bounds of the settings.
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            waiting: settings.limits.max_queue_bytes.get(),
            answer: settings.limits.max_message_size.get(),
        }
    }
}

impl Admission {
    /// No sessions yet, with the bounds of the settings.
    pub(crate) fn of(settings: &Settings) -> Arc<Self> {
        let admission = &settings.admission;
        Self::new(
            admission.max_sessions.get(),
            admission.max_sessions_per_address,
            admission.handshake_rate,
            admission.handshake_burst,
        )
    }
}
