//! Finds the server to connect to, and connects: of a Redis Cluster, to the master that has the slot of the adapter's key. All
//! servers that share namespaces meet there, so that each hears and counts all others.

use std::time::Duration;

use actix_web::rt;
use redis::{Client, RedisError, aio::MultiplexedConnection};

use super::pushes::{Inlet, Line, Outlet, queue};
use crate::{
    config::RedisUrl,
    redis_client::{
        connecting::{self, CONNECT_TIMEOUT, client_of},
        error::ConnectError,
        facts::Facts,
        slots::{self, SlotRange, slot_of_key},
    },
    socketio::adapter::settings::{RedisFormat, RedisOptions},
};

/// The most servers of a Redis Cluster that are remembered.
const MOST_KNOWN: usize = 64;

/// How long an answer may take. Pings notice a silent Redis sooner; a process that has stood still reads first what has come.
const LONGEST_ANSWER: Duration = Duration::from_secs(60);

/// Open connections.
pub(super) struct Connected {
    /// The address of the server.
    pub(super) url: RedisUrl,
    /// Opens more connections to the server.
    pub(super) opener: Opener,
    /// For requests.
    pub(super) requests: MultiplexedConnection,
    /// For subscriptions.
    pub(super) feed: MultiplexedConnection,
    /// What comes on all of them.
    pub(super) outlet: Outlet,
    /// Which servers of the Redis Cluster have which slots, if it is one.
    pub(super) ranges: Vec<SlotRange>,
}

/// Opens one more connection to a server.
#[derive(Clone)]
pub(super) struct Opener {
    client: Client,
    inlet: Inlet,
}

/// Why there are no connections that can be used. Each is the end of a sentence that begins with the address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotConnected {
    /// There is no connection.
    #[error(transparent)]
    Lost(#[from] ConnectError),
    /// What is published at a replica is not heard at its master.
    #[error("is a replica: the address of its master is needed")]
    Replica,
    /// The channels of one namespace are in several slots.
    #[error("is part of a Redis Cluster, with which the format sharded does not go: use classic, or streams")]
    ShardedOnCluster,
    /// No server has the slot.
    #[error("is part of a Redis Cluster that has no server for the slot of the key {0}")]
    NoOwner(String),
}

impl From<RedisError> for NotConnected {
    fn from(error: RedisError) -> Self {
        ConnectError::from(error).into()
    }
}

/// Where to connect.
#[derive(Debug)]
pub(super) struct Home {
    options: RedisOptions,
    /// Servers of the Redis Cluster, as one of them has told.
    known: Vec<RedisUrl>,
    /// Attempts since the last connection, so that another server is asked each time.
    attempts: usize,
}

impl Home {
    pub(super) fn new(options: RedisOptions) -> Self {
        Self { options, known: Vec::new(), attempts: 0 }
    }

    pub(super) fn options(&self) -> &RedisOptions {
        &self.options
    }

    /// The address of the next attempt.
    pub(super) fn next(&mut self) -> RedisUrl {
        let at = self.attempts % (self.known.len() + 1);
        self.attempts = self.attempts.wrapping_add(1);
        at.checked_sub(1).map_or(&self.options.url, |at| &self.known[at]).clone()
    }

    /// The last attempt has succeeded.
    pub(super) fn found(&mut self, ranges: &[SlotRange]) {
        self.attempts = 0;
        if !ranges.is_empty() {
            self.known.clear();
        }
        for server in ranges.iter().flat_map(|range| &range.servers) {
            if self.known.len() < MOST_KNOWN && !self.known.contains(server) {
                self.known.push(server.clone());
            }
        }
    }
}

/// Connects to the server at `url`, or of its Redis Cluster to the master that has the slot.
pub(super) async fn connect(url: RedisUrl, options: RedisOptions) -> Result<Connected, NotConnected> {
    let connecting = connect_home(url, &options);
    rt::time::timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or(Err(ConnectError::Silent.into()))
}

async fn connect_home(url: RedisUrl, options: &RedisOptions) -> Result<Connected, NotConnected> {
    let mut found = connect_to(&url, options.max_unanswered_bytes).await?;
    let Some(facts) = facts_of(&mut found.requests).await? else { return Ok(found) };
    if !facts.is_cluster {
        return fit(&facts).map(|()| found);
    }
    if options.format == RedisFormat::Sharded {
        return Err(NotConnected::ShardedOnCluster);
    }
    let ranges = slots::ask_by(&mut found.requests, &url).await?;
    let slot = slot_of_key(options.home_key.as_bytes());
    let owner =
        ranges.iter().find(|range| range.slots.contains(&slot)).and_then(|range| range.servers.first());
    let owner = owner.ok_or_else(|| NotConnected::NoOwner(options.home_key.to_string()))?;
    if *owner != url {
        found = connect_to(owner, options.max_unanswered_bytes).await?;
    }
    if let Some(facts) = facts_of(&mut found.requests).await? {
        fit(&facts)?;
    }
    found.ranges = ranges;
    Ok(found)
}

/// What the server tells of itself; `None` if this server's user may not ask.
async fn facts_of(requests: &mut MultiplexedConnection) -> Result<Option<Facts>, RedisError> {
    match Facts::ask(requests).await {
        Err(error) if error.code() == Some("NOPERM") => Ok(None),
        facts => facts.map(Some),
    }
}

fn fit(facts: &Facts) -> Result<(), NotConnected> {
    if facts.is_loading {
        return Err(ConnectError::Loading.into());
    }
    if facts.is_replica {
        return Err(NotConnected::Replica);
    }
    Ok(())
}

async fn connect_to(url: &RedisUrl, most_bytes: usize) -> Result<Connected, NotConnected> {
    let client = client_of(url)?;
    let (inlet, outlet) = queue(most_bytes);
    let opener = Opener { client, inlet };
    let requests = opener.open(Line::Requests).await?;
    let feed = opener.open(Line::Feed).await?;
    Ok(Connected { url: url.clone(), opener, requests, feed, outlet, ranges: Vec::new() })
}

impl Opener {
    /// Opens a connection.
    pub(super) async fn open(&self, line: Line) -> Result<MultiplexedConnection, RedisError> {
        let inlet = self.inlet.clone();
        let mut connection = connecting::open(&self.client, move |push| inlet.take(line, push)).await?;
        connection.set_response_timeout(LONGEST_ANSWER);
        Ok(connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_attempt_goes_to_another_server_of_the_cluster_and_the_first_to_the_address_of_the_settings() {
        let url = |port: u16| -> RedisUrl { format!("redis://cache:{port}").parse().expect("an address") };
        let mut home = Home::new(RedisOptions {
            url: url(1),
            format: RedisFormat::Classic,
            home_key: "socket.io".into(),
            read_count: 100,
            max_unanswered_bytes: 1 << 20,
        });
        assert_eq!([home.next(), home.next()], [url(1), url(1)]);
        let range =
            |slots, servers: &[u16]| SlotRange { slots, servers: servers.iter().copied().map(url).collect() };
        home.found(&[range(0..=8000, &[2, 3]), range(8001..=16383, &[3, 2])]);
        assert_eq!([home.next(), home.next(), home.next(), home.next()], [url(1), url(2), url(3), url(1)]);
        home.found(&[]);
        assert_eq!([home.next(), home.next()], [url(1), url(2)], "what was told is known");
    }
}
