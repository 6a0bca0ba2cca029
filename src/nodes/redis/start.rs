//! The check of `--redis` at a start.

use std::{
    thread,
    time::{Duration, Instant},
};

use actix_web::rt;

use log::warn;

use super::{
    cluster::Owners,
    connecting::{NotConnected, Options, connect},
    fitness::Unfit,
    namesakes::namesake,
    places,
};
use crate::{
    config::{Key, RedisUrl},
    nodes::{NodeName, contract::Partitions},
};

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

/// What a start has found.
#[derive(Clone, Debug)]
pub struct Checked {
    /// What the Redis promises, in words; of a Redis Cluster, what one of its masters does.
    #[cfg_attr(not(feature = "testing"), allow(dead_code, reason = "the log has it with each connection"))]
    pub words: String,
    /// The Redis Cluster, if it is one.
    pub cluster: Option<Cluster>,
}

/// A Redis Cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// How to connect to its servers, with the address by which it was found.
    pub options: Options,
    /// The addresses of its servers.
    pub servers: Vec<RedisUrl>,
}

/// Checks at a start whether Redis is there and fit, and whether no other server there is a node of this name. Redis is
/// given some seconds to come up, and the other server to end. A master of a Redis Cluster that does not come up by then is
/// left out. Blocks.
///
/// # Errors
/// Redis cannot be reached, or not be used, or the name is taken.
pub fn check(options: &Options, name: NodeName) -> Result<Checked, StartError> {
    let place = options.url.to_string();
    let error = |why: String| StartError::Redis { place: place.clone(), why };
    let attempt = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| error(format!("cannot be asked: {source}")))?;
        runtime.block_on(try_for_a_while(options, name)).map_err(|not_yet| match not_yet {
            NotYet::Redis(why) => error(why.to_string()),
            NotYet::Master(url, why) | NotYet::Partly(_, url, why) => {
                StartError::Redis { place: url.to_string(), why: why.to_string() }
            }
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
    /// A master of a Redis Cluster is not there, or not fit.
    Master(RedisUrl, NotConnected),
    /// A master of a Redis Cluster is not there; the others are.
    Partly(Checked, RedisUrl, NotConnected),
    NameTaken,
}

impl NotYet {
    /// Whether it may be otherwise soon.
    fn may_pass(&self) -> bool {
        match self {
            Self::Redis(why) | Self::Master(_, why) => why.may_pass(),
            Self::Partly(..) | Self::NameTaken => true,
        }
    }
}

async fn try_for_a_while(options: &Options, name: NodeName) -> Result<Checked, NotYet> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt(options, name).await {
            Err(NotYet::Partly(checked, url, why)) if Instant::now() >= deadline => {
                warn!("the master of a Redis Cluster at {url} {why}");
                return Ok(checked);
            }
            Err(error) if error.may_pass() && Instant::now() < deadline => rt::time::sleep(PAUSE).await,
            outcome => return outcome,
        }
    }
}

async fn attempt(options: &Options, name: NodeName) -> Result<Checked, NotYet> {
    match check_one(options, Partitions::ALL, name).await {
        Err(NotYet::Redis(NotConnected::Unfit(Unfit::Cluster))) => check_cluster(options, name).await,
        outcome => outcome.map(|words| Checked { words, cluster: None }),
    }
}

/// Checks one server, which has these partitions; what it promises.
async fn check_one(options: &Options, partitions: Partitions, name: NodeName) -> Result<String, NotYet> {
    let mut connected = connect(options).await.map_err(NotYet::Redis)?;
    let Some(partition) = partitions.iter().next() else {
        return Ok(connected.terms.words);
    };
    match namesake(&mut connected.calls, partition, name).await {
        Ok(None) => Ok(connected.terms.words),
        Ok(Some(_)) => Err(NotYet::NameTaken),
        Err(error) => Err(NotYet::Redis(error.into())),
    }
}

/// Checks all masters that can be reached of a Redis Cluster.
async fn check_cluster(options: &Options, name: NodeName) -> Result<Checked, NotYet> {
    let owners = places::ask(std::slice::from_ref(&options.url)).await.map_err(NotYet::Redis)?;
    let Owners { masters, servers } = owners;
    let has_all = masters.iter().fold(Partitions::default(), |mut all, (_, partitions)| {
        all.add(*partitions);
        all
    });
    if has_all != Partitions::ALL {
        return Err(NotYet::Redis(NotConnected::NoOwner));
    }
    let (mut checked, mut missing) = (None, None);
    for (url, partitions) in masters {
        match check_one(&options.at(url.clone()), partitions, name).await {
            Ok(words) => checked = Some(words),
            Err(NotYet::Redis(why)) if why.may_pass() => missing = Some((url, why)),
            Err(NotYet::Redis(why)) => return Err(NotYet::Master(url, why)),
            Err(why) => return Err(why),
        }
    }
    let cluster = Some(Cluster { options: Options { is_cluster: true, ..options.clone() }, servers });
    match (checked, missing) {
        (Some(words), None) => Ok(Checked { words, cluster }),
        (Some(words), Some((url, why))) => Err(NotYet::Partly(Checked { words, cluster }, url, why)),
        (None, Some((url, why))) => Err(NotYet::Master(url, why)),
        (None, None) => Err(NotYet::Redis(NotConnected::NoOwner)),
    }
}
