//! Connects to Redis: two connections to one server that is fit and has the functions.

use actix_web::rt;
use redis::{Client, PushInfo, RedisError, Value, aio::MultiplexedConnection};
use tokio::sync::mpsc;

use super::{
    calls::{LIBRARY, call},
    fitness::{Terms, Unfit, judge},
    keys::prefix,
};
use crate::{
    config::{Nodes, RedisAcks, RedisUrl, Switch},
    nodes::{Bounds, Partition, commands::Command},
    redis_client::{
        connecting::{self, CONNECT_TIMEOUT, client_of},
        error::ConnectError,
        facts::Facts,
        values::{refusal, text_of},
    },
};

/// To which Redis to connect, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address.
    pub url: RedisUrl,
    /// When messages are acked.
    pub acks: RedisAcks,
    /// Whether a Redis that may evict any key is used.
    pub may_evict: bool,
    /// Whether it is a server of a Redis Cluster.
    pub is_cluster: bool,
}

impl Options {
    /// The settings' part of this; `None` without `--redis`.
    pub fn of(nodes: &Nodes) -> Option<Self> {
        let may_evict = nodes.redis_eviction() == Switch::On;
        nodes.redis.clone().map(|url| Self { url, acks: nodes.redis_acks(), may_evict, is_cluster: false })
    }

    /// For another server of the Redis Cluster.
    pub(super) fn at(&self, url: RedisUrl) -> Self {
        Self { url, is_cluster: true, ..self.clone() }
    }
}

/// Which of the two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// The one for calls.
    Calls,
    /// The one for subscriptions.
    Feed,
}

/// What comes without having been asked for, in its order, and the end of each connection.
pub(super) type Pushes = mpsc::UnboundedReceiver<(Line, PushInfo)>;

/// Two connections to one Redis.
pub(super) struct Connected {
    /// For calls.
    pub calls: MultiplexedConnection,
    /// For subscriptions.
    pub feed: MultiplexedConnection,
    /// What comes on both.
    pub pushes: Pushes,
    /// The run of the server, and the history of its data.
    pub server: String,
    /// What it promises.
    pub terms: Terms,
}

/// Why there is no connection that can be used. Each is the end of a sentence that begins with the address, and shows no
/// password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotConnected {
    /// There is no connection.
    #[error(transparent)]
    Lost(Box<ConnectError>),
    /// The two connections are to two servers: something between chooses one for each.
    #[error("is another server for each connection: the address must be that of one Redis")]
    Several,
    /// No server of a Redis Cluster has some of the slots.
    #[error("is part of a Redis Cluster that has no server for some slots")]
    NoOwner,
    /// It cannot be used.
    #[error(transparent)]
    Unfit(#[from] Unfit),
}

impl NotConnected {
    /// Whether it may be otherwise in a second without anybody's doing.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Lost(why) => why.may_pass(),
            Self::NoOwner => true,
            Self::Several | Self::Unfit(_) => false,
        }
    }
}

impl From<ConnectError> for NotConnected {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::TooOld => Self::Unfit(Unfit::TooOld { version: "5 or older".to_owned() }),
            error => Self::Lost(Box::new(error)),
        }
    }
}

impl From<RedisError> for NotConnected {
    fn from(error: RedisError) -> Self {
        ConnectError::from(error).into()
    }
}

/// Connects, checks what is there, and loads the functions.
pub(super) async fn connect(options: &Options) -> Result<Connected, NotConnected> {
    let connecting = connect_both(options);
    rt::time::timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or(Err(ConnectError::Silent.into()))
}

async fn connect_both(options: &Options) -> Result<Connected, NotConnected> {
    let client = client_of(&options.url)?;
    let (sender, pushes) = mpsc::unbounded_channel();
    let mut calls = open(&client, Line::Calls, &sender).await?;
    let mut feed = open(&client, Line::Feed, &sender).await?;
    let facts = Facts::ask(&mut calls).await?;
    if facts.is_loading {
        return Err(ConnectError::Loading.into());
    }
    if facts.is_cluster && !options.is_cluster {
        return Err(Unfit::Cluster.into());
    }
    let terms = judge(&facts, options.acks, options.may_evict)?;
    if Facts::ask(&mut feed).await?.run != facts.run {
        return Err(NotConnected::Several);
    }
    load_functions(&mut calls).await?;
    check_rights(&mut calls, &mut feed).await?;
    Ok(Connected { calls, feed, pushes, server: facts.server(), terms })
}

async fn open(
    client: &Client,
    line: Line,
    pushes: &mpsc::UnboundedSender<(Line, PushInfo)>,
) -> Result<MultiplexedConnection, RedisError> {
    let pushes = pushes.clone();
    connecting::open(client, move |push| pushes.send((line, push))).await
}

/// Loads the functions, unless they are there.
async fn load_functions(connection: &mut MultiplexedConnection) -> Result<(), RedisError> {
    let library = LIBRARY.lines().next().and_then(|line| line.split_once("name=")).map(|(_, name)| name);
    let mut list = redis::cmd("FUNCTION");
    list.arg("LIST").arg("LIBRARYNAME").arg(library.unwrap_or_default().trim()).arg("WITHCODE");
    let known = connection.send_packed_command(&list).await?.extract_error()?;
    if has_text(&known, LIBRARY) {
        return Ok(());
    }
    let mut load = redis::cmd("FUNCTION");
    load.arg("LOAD").arg("REPLACE").arg(LIBRARY);
    connection.send_packed_command(&load).await?.extract_error()?;
    Ok(())
}

/// Tries a function and a channel: a user of Redis may not be let to them, and a new one is let to no channel. A refusal for
/// another reason, such as a full disk, may pass.
async fn check_rights(
    calls: &mut MultiplexedConnection,
    feed: &mut MultiplexedConnection,
) -> Result<(), NotConnected> {
    let Some(partition) = Partition::all().next() else { return Ok(()) };
    let mut function = redis::pipe();
    function.add_command(call(&Command::Probe { partition }, &Bounds::default()));
    // No room has an empty name.
    let channel = format!("{}c:", prefix(partition));
    let mut subscription = redis::pipe();
    subscription.cmd("SSUBSCRIBE").arg(&channel).cmd("SUNSUBSCRIBE").arg(&channel);
    let mut answers = calls.send_packed_commands(&function, 0, 1).await?;
    answers.extend(feed.send_packed_commands(&subscription, 0, 2).await?);
    match answers.iter().filter_map(refusal).find(|text| text.starts_with("NOPERM")) {
        Some(text) => Err(ConnectError::Refused(text).into()),
        None => Ok(()),
    }
}

/// Whether a text is anywhere in an answer.
fn has_text(value: &Value, text: &str) -> bool {
    match value {
        Value::Array(values) | Value::Set(values) => values.iter().any(|value| has_text(value, text)),
        Value::Map(pairs) => pairs.iter().any(|(_, value)| has_text(value, text)),
        value => text_of(value).is_some_and(|found| found == text),
    }
}
