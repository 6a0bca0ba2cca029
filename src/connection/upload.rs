//! The minimum rate of a message once it has begun.

use std::{
    pin::Pin,
    task::Context,
    time::{Duration, Instant},
};

use actix_web::rt::time::{Sleep, sleep_until};

/// The minimum rate of incomplete messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UploadRate {
    /// Bytes a second, averaged over the time since the message began; 0 means no limit.
    pub bytes_per_second: usize,
    /// How long after its beginning a message may be slower.
    pub patience: Duration,
}

/// The message that is coming in, if there is one. Callers pass the time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upload {
    rate: UploadRate,
    incoming: Option<Incoming>,
}

/// A message that is coming in.
#[derive(Clone, Copy, Debug)]
struct Incoming {
    began: Instant,
    /// Bytes that had come when it was judged last.
    arrived: usize,
    /// The end of the time that they are worth.
    worth_until: Instant,
}

/// A message that has come fast may pause for so many times its patience: bytes buy no more time, or a client that sends at
/// once what it then does not end would hold memory for long.
const LONGEST_PAUSE: u32 = 3;

/// Whether an incomplete message comes fast enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Fast enough until this time, even if nothing more comes.
    FineUntil(Instant),
    /// Fast enough at any time, because no limit is set.
    Fine,
    /// Too slow: its patience is over.
    TooSlow,
}

impl Upload {
    /// No message has begun yet.
    pub(crate) fn new(rate: UploadRate) -> Self {
        Self { rate, incoming: None }
    }

    /// No message is incomplete, or the server itself has stopped reading: what follows begins anew.
    pub(crate) fn reset(&mut self) {
        self.incoming = None;
    }

    /// Judges an incomplete message of which `arrived` bytes have come. Call it when nothing more is there to
    /// be read.
    pub(crate) fn progress(&mut self, arrived: usize, now: Instant) -> Progress {
        let UploadRate { bytes_per_second, patience } = self.rate;
        if bytes_per_second == 0 {
            return Progress::Fine;
        }
        let mut incoming = self.incoming.unwrap_or(Incoming { began: now, arrived: 0, worth_until: now });
        let news = arrived.saturating_sub(incoming.arrived);
        let Some(latest) = now.checked_add(patience.saturating_mul(LONGEST_PAUSE)) else {
            return Progress::Fine;
        };
        if news > 0 {
            let worth = Duration::try_from_secs_f64(news as f64 / bytes_per_second as f64);
            let worth_until = incoming.worth_until.checked_add(worth.unwrap_or(Duration::MAX));
            incoming.worth_until = worth_until.map_or(latest, |until| until.min(latest));
            incoming.arrived = arrived;
        }
        self.incoming = Some(incoming);
        let until = incoming.worth_until.max(incoming.began + patience);
        if now < until { Progress::FineUntil(until) } else { Progress::TooSlow }
    }
}

/// An [`Upload`] with a timer, for a task that reads.
#[derive(Debug)]
pub(crate) struct UploadWatch {
    upload: Upload,
    /// Runs while a message is incomplete, perhaps a little longer.
    check: Option<Pin<Box<Sleep>>>,
}

impl UploadWatch {
    /// No message has begun yet.
    pub(crate) fn new(rate: UploadRate) -> Self {
        Self { upload: Upload::new(rate), check: None }
    }

    /// Calls [`Upload::reset`].
    pub(crate) fn reset(&mut self) {
        self.upload.reset();
    }

    /// Whether the message of which `arrived` bytes have come is too slow; false if `arrived` is 0. Call it
    /// when nothing more is there to be read; wakes the task when it is time to ask again.
    pub(crate) fn is_too_slow(&mut self, arrived: usize, cx: &mut Context<'_>) -> bool {
        if arrived == 0 {
            self.upload.reset();
            return false;
        }
        loop {
            let until = match self.upload.progress(arrived, Instant::now()) {
                Progress::Fine => return false,
                Progress::TooSlow => return true,
                Progress::FineUntil(until) => until.into(),
            };
            let check = self.check.get_or_insert_with(|| Box::pin(sleep_until(until)));
            if check.deadline() > until {
                check.as_mut().reset(until);
            }
            if check.as_mut().poll(cx).is_pending() {
                return false;
            }
            self.check = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: UploadRate = UploadRate { bytes_per_second: 1000, patience: Duration::from_secs(10) };

    #[test]
    fn a_message_has_some_time_and_then_a_second_for_each_thousand_bytes() {
        let (mut upload, start) = (Upload::new(RATE), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(upload.progress(1000, start), Progress::FineUntil(after(10)));
        assert_eq!(upload.progress(1000, after(8)), Progress::FineUntil(after(10)));
        assert_eq!(upload.progress(12_000, after(9)), Progress::FineUntil(after(12)));
        assert_eq!(upload.progress(12_000, after(12)), Progress::TooSlow);
        upload.reset();
        assert_eq!(upload.progress(1, after(100)), Progress::FineUntil(after(110)));
    }

    #[test]
    fn bytes_that_came_fast_buy_no_more_time_than_a_pause_may_last() {
        let (mut upload, start) = (Upload::new(RATE), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(upload.progress(900_000, start), Progress::FineUntil(after(30)));
        assert_eq!(upload.progress(990_000, after(5)), Progress::FineUntil(after(35)));
        assert_eq!(upload.progress(990_000, after(34)), Progress::FineUntil(after(35)));
        assert_eq!(upload.progress(990_000, after(35)), Progress::TooSlow);
    }

    #[test]
    fn without_a_rate_a_message_may_take_any_time() {
        let mut upload = Upload::new(UploadRate { bytes_per_second: 0, ..RATE });
        let start = Instant::now();
        assert_eq!(upload.progress(1, start), Progress::Fine);
        assert_eq!(upload.progress(1, start + Duration::from_secs(1_000_000)), Progress::Fine);
        let mut endless = Upload::new(UploadRate { patience: Duration::MAX, ..RATE });
        assert_eq!(endless.progress(usize::MAX, start), Progress::Fine);
    }
}
