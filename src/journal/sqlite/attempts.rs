//! Jobs of a thread that panic are repeated.

use crate::{
    journal::JournalError,
    parts::{Panicked, Supervisor},
};

/// How often a thread does a job that panics.
const ATTEMPTS: usize = 2;

/// Does a job under the supervisor of the thread. A job may be repeated, so one that panics is, once. `recover` is
/// called after each panic, and drops what it may have left half changed.
///
/// # Errors
/// Those of the job, or it has panicked each time.
pub(super) fn attempt<State, T>(
    supervisor: &Supervisor,
    state: &mut State,
    job: impl Fn(&mut State) -> Result<T, JournalError>,
    recover: impl Fn(&mut State, Panicked),
) -> Result<T, JournalError> {
    for _ in 0..ATTEMPTS {
        match supervisor.attempt(|| job(state)) {
            Ok(outcome) => return outcome,
            Err(panicked) => {
                recover(state, panicked);
                if panicked == Panicked::TooOften {
                    break;
                }
            }
        }
    }
    Err(JournalError::Unavailable("its thread has panicked over the job".to_owned()))
}
