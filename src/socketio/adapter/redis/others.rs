//! The other servers of a Redis Cluster: they have keys of lost sockets, and subscribers that are counted.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use actix_web::rt;
use futures_util::future::join_all;
use redis::{Pipeline, Value, aio::MultiplexedConnection};
use tokio::sync::Mutex;

use super::requests::{Batch, reply};
use crate::{
    config::RedisUrl,
    redis_client::{
        connecting::{client_of, open},
        error::{ConnectError, words_of_loss},
        slots::{SlotRange, slot_of_key},
    },
    socketio::adapter::traffic::{Query, QueryId, Reply},
};

/// How long a server is not asked again after a failure.
const REST: Duration = Duration::from_secs(5);

/// How long a server may take to count. A slower one is left out.
const COUNT_PATIENCE: Duration = Duration::from_secs(1);

/// Servers of a Redis Cluster beside the one with the key of the adapter; none for a single Redis.
#[derive(Default)]
pub(super) struct Others {
    ranges: Vec<SlotRange>,
    servers: Vec<Other>,
}

/// One of them. It is connected to when it is asked first.
#[derive(Clone)]
pub(super) struct Other {
    url: RedisUrl,
    state: Rc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    connection: Option<MultiplexedConnection>,
    failed_at: Option<Instant>,
}

impl Others {
    /// The servers with these slots, but for the one at `home`.
    pub(super) fn new(ranges: Vec<SlotRange>, home: &RedisUrl) -> Self {
        let mut others = Self { ranges, servers: Vec::new() };
        for url in others.ranges.iter().flat_map(|range| &range.servers) {
            if url != home && others.servers.iter().all(|other| other.url != *url) {
                others.servers.push(Other { url: url.clone(), state: Rc::default() });
            }
        }
        others
    }

    pub(super) fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// The master that has a key, if it is one of these.
    pub(super) fn owner_of(&self, key: &[u8]) -> Option<Other> {
        let slot = slot_of_key(key);
        let range = self.ranges.iter().find(|range| range.slots.contains(&slot))?;
        let master = range.servers.first()?;
        self.servers.iter().find(|other| other.url == *master).cloned()
    }

    /// Asks all servers for the number of subscribers: `home`, and those of these that answer.
    pub(super) fn count(
        &self,
        query: Query,
        mut home: MultiplexedConnection,
    ) -> impl Future<Output = Result<Reply, String>> + 'static {
        let others = self.servers.clone();
        async move {
            let commands = count_commands(&query);
            // The home first: it is sent before anything is waited for.
            let at_home = home.send_packed_commands(&commands, 0, 1);
            let elsewhere = join_all(others.iter().map(|other| other.count(&query)));
            let (at_home, elsewhere) = futures_util::future::join(at_home, elsewhere).await;
            let at_home = reply(&query, at_home.map_err(|error| words_of_loss(&error))?)?;
            Ok(match at_home {
                Reply::Count(count) => Reply::Count(elsewhere.into_iter().fold(count, usize::saturating_add)),
                reply => reply,
            })
        }
    }
}

fn count_commands(query: &Query) -> Pipeline {
    let mut batch = Batch::default();
    batch.query(QueryId(0), query.clone());
    batch.commands
}

impl Other {
    /// Sends commands, in the order of the calls.
    ///
    /// # Errors
    /// The server cannot be reached, or has failed a moment ago.
    pub(super) async fn ask(&self, commands: &Pipeline) -> Result<Vec<Value>, String> {
        let mut connection = self.connection().await?;
        match connection.send_packed_commands(commands, 0, commands.len()).await {
            Ok(values) => Ok(values),
            Err(error) => {
                self.fail().await;
                Err(format!("{}: {}", self.url, words_of_loss(&error)))
            }
        }
    }

    async fn connection(&self) -> Result<MultiplexedConnection, String> {
        let mut state = self.state.lock().await;
        if let Some(connection) = &state.connection {
            return Ok(connection.clone());
        }
        if state.failed_at.is_some_and(|at| at.elapsed() < REST) {
            return Err(format!("{} has failed a moment ago", self.url));
        }
        let opening = async {
            let client = client_of(&self.url)?;
            open(&client, |_| Ok::<_, ()>(())).await
        };
        match opening.await {
            Ok(connection) => Ok(state.connection.insert(connection).clone()),
            Err(error) => {
                state.failed_at = Some(Instant::now());
                Err(format!("{} {}", self.url, ConnectError::from(error)))
            }
        }
    }

    async fn fail(&self) {
        *self.state.lock().await = State { connection: None, failed_at: Some(Instant::now()) };
    }

    /// The number of subscribers here; 0 if the server does not answer.
    async fn count(&self, query: &Query) -> usize {
        let commands = count_commands(query);
        let values = rt::time::timeout(COUNT_PATIENCE, self.ask(&commands)).await;
        match values.map(|values| values.and_then(|values| reply(query, values))) {
            Ok(Ok(Reply::Count(count))) => count,
            Ok(_) => 0,
            Err(_) => {
                self.fail().await;
                0
            }
        }
    }
}
