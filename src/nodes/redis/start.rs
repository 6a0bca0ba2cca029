//! The check of `--redis` at a start.

use std::{
    thread,
    time::{Duration, Instant},
};

use actix_web::rt;

use super::{
    connecting::{NotConnected, Options, connect},
    fitness::Terms,
    namesakes::namesake,
};
use crate::{config::Key, nodes::NodeName};

/// How long a start waits for a Redis that starts at the same time.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time between two attempts of a start.
const PAUSE: Duration = Duration::from_millis(100);

/// Why a server with `--redis` cannot start. The message is one sentence that names the setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// Redis is not there, or not fit.
    #[error("{}: {place} {why}", Key("redis"))]
    Redis {
        /// The address, without the password.
        place: String,
        /// The end of the sentence.
        why: String,
    },
    /// Another server has the name of this node.
    #[error("{}: another server on the Redis at {place} is node {} and runs", Key("node"), .name.as_str())]
    NameTaken {
        /// The address, without the password.
        place: String,
        /// The name.
        name: NodeName,
    },
}

/// Checks at a start whether Redis is there and fit, and whether no other server there is a node of this name. Redis is
/// given some seconds to come up, and the other server to end. Blocks.
///
/// # Errors
/// Redis cannot be reached, or not be used, or the name is taken.
pub fn check(options: &Options, name: NodeName) -> Result<Terms, StartError> {
    let place = options.url.to_string();
    let error = |why: String| StartError::Redis { place: place.clone(), why };
    let attempt = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| error(format!("cannot be asked: {source}")))?;
        runtime.block_on(try_for_a_while(options, name)).map_err(|not_yet| match not_yet {
            NotYet::Redis(why) => error(why.to_string()),
            NotYet::NameTaken => StartError::NameTaken { place: place.clone(), name },
        })
    };
    // A thread of its own: this one may run another runtime.
    let checked = thread::scope(|scope| scope.spawn(attempt).join());
    checked.unwrap_or_else(|_| Err(error("cannot be asked: the check has panicked".to_owned())))
}

/// Why a start waits, or is refused.
enum NotYet {
    Redis(NotConnected),
    NameTaken,
}

impl NotYet {
    /// Whether it may be otherwise soon.
    fn may_pass(&self) -> bool {
        match self {
            Self::Redis(why) => why.may_pass(),
            Self::NameTaken => true,
        }
    }
}

async fn try_for_a_while(options: &Options, name: NodeName) -> Result<Terms, NotYet> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt(options, name).await {
            Err(error) if error.may_pass() && Instant::now() < deadline => rt::time::sleep(PAUSE).await,
            outcome => return outcome,
        }
    }
}

async fn attempt(options: &Options, name: NodeName) -> Result<Terms, NotYet> {
    let mut connected = connect(options).await.map_err(NotYet::Redis)?;
    match namesake(&mut connected.calls, name).await {
        Ok(None) => Ok(connected.terms),
        Ok(Some(_)) => Err(NotYet::NameTaken),
        Err(error) => Err(NotYet::Redis(error.into())),
    }
}
