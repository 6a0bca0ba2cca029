//! The check of `--redis` at a start.

use std::{
    thread,
    time::{Duration, Instant},
};

use actix_web::rt;

use super::{
    connecting::{NotConnected, Options, connect},
    fitness::Terms,
};
use crate::config::Key;

/// How long a start waits for a Redis that starts at the same time.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time between two attempts of a start.
const PAUSE: Duration = Duration::from_millis(100);

/// Why a server with `--redis` cannot start. The message is one sentence that names the setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {place} {why}", Key("redis"))]
pub struct StartError {
    /// The address, without the password.
    place: String,
    why: String,
}

/// Checks at a start whether Redis is there and fit. It is given some seconds to come up. Blocks.
///
/// # Errors
/// It cannot be reached, or not be used.
pub fn check(options: &Options) -> Result<Terms, StartError> {
    let error = |why: String| StartError { place: options.url.to_string(), why };
    let attempt = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| error(format!("cannot be asked: {source}")))?;
        runtime.block_on(try_for_a_while(options)).map_err(|why| error(why.to_string()))
    };
    // A thread of its own: this one may run another runtime.
    let checked = thread::scope(|scope| scope.spawn(attempt).join());
    checked.unwrap_or_else(|_| Err(error("cannot be asked: the check has panicked".to_owned())))
}

async fn try_for_a_while(options: &Options) -> Result<Terms, NotConnected> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match connect(options).await {
            Ok(connected) => return Ok(connected.terms),
            Err(error) if error.may_pass() && Instant::now() < deadline => rt::time::sleep(PAUSE).await,
            Err(error) => return Err(error),
        }
    }
}
