//! What the program does once a second on each thread.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::rt;

use super::Parts;

/// The time between two calls on one thread.
const SECOND: Duration = Duration::from_secs(1);

/// Calls the hook of [`Parts::each_second`] on one thread.
pub(crate) struct Seconds {
    parts: Arc<Parts>,
    last: Instant,
}

impl Seconds {
    /// Calls nothing yet.
    pub(crate) fn of(parts: &Arc<Parts>) -> Self {
        Self { parts: Arc::clone(parts), last: Instant::now() }
    }

    /// Calls the hook, if there is one and the last call is a second ago.
    pub(crate) fn look(&mut self) {
        if self.last.elapsed() >= SECOND {
            self.parts.call_second_hook();
            self.last = Instant::now();
        }
    }

    /// Calls the hook on this thread from now on, and `own` before it.
    pub(crate) fn start(parts: &Arc<Parts>, own: fn()) {
        let parts = Arc::downgrade(parts);
        rt::spawn(async move {
            while let Some(parts) = parts.upgrade() {
                own();
                parts.call_second_hook();
                drop(parts);
                rt::time::sleep(SECOND).await;
            }
        });
    }
}
