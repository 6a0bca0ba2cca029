//! Connects to Redis: two connections to one server that is fit and has the functions.

use std::time::Duration;

use actix_web::rt;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo as _, ProtocolVersion,
    PushInfo, RedisError, Value, aio::MultiplexedConnection, io::tcp::TcpSettings,
};
use tokio::sync::mpsc;

use super::{
    answers::refusal,
    calls::{LIBRARY, call},
    facts::{Facts, text_of},
    fitness::{Terms, Unfit, judge},
    keys::prefix,
};
use crate::{
    config::{Nodes, Place, RedisAcks, RedisUrl, Switch},
    nodes::{Bounds, Partition, commands::Command},
};

/// How long connecting may take, with all that is asked then.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long an answer may take. A later one is thrown away, so the connection is given up then.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Requests that may wait for a connection's task.
const QUEUE: usize = 1024;

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

/// Why there is no connection. Each is the end of a sentence that begins with the address, and shows no password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotConnected {
    /// No connection, or a broken one.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// No answer.
    #[error("does not answer within {} seconds", CONNECT_TIMEOUT.as_secs())]
    Silent,
    /// It is reading its data.
    #[error("is still loading its data")]
    Loading,
    /// The address has no password, and one is needed, or it has a wrong one.
    #[error("does not let this server in: {0}")]
    Login(String),
    /// It refuses a request.
    #[error("refuses what is needed: {0}")]
    Refused(String),
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
        matches!(self, Self::Unreachable(_) | Self::Silent | Self::Loading | Self::NoOwner)
    }
}

impl From<RedisError> for NotConnected {
    fn from(error: RedisError) -> Self {
        let text = text_of_error(&error);
        match (error.kind(), error.code().unwrap_or_default()) {
            _ if error.is_timeout() => Self::Silent,
            (ErrorKind::Io, _) => Self::Unreachable(text),
            (ErrorKind::RESP3NotSupported, _) => {
                Self::Unfit(Unfit::TooOld { version: "5 or older".to_owned() })
            }
            // Redis goes on at length about commands.
            (_, "NOAUTH") => Self::Login("NOAUTH, as the address has no password".to_owned()),
            (ErrorKind::AuthenticationFailed, _) | (_, "WRONGPASS") => Self::Login(text),
            (_, "LOADING") => Self::Loading,
            _ => Self::Refused(text),
        }
    }
}

/// An error as Redis writes it, or in the words of the system.
pub(super) fn text_of_error(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => error.to_string(),
    }
}

/// Connects, checks what is there, and loads the functions.
pub(super) async fn connect(options: &Options) -> Result<Connected, NotConnected> {
    let connecting = connect_both(options);
    rt::time::timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or(Err(NotConnected::Silent))
}

async fn connect_both(options: &Options) -> Result<Connected, NotConnected> {
    let client = client_of(&options.url)?;
    let (sender, pushes) = mpsc::unbounded_channel();
    let mut calls = open(&client, Line::Calls, &sender).await?;
    let mut feed = open(&client, Line::Feed, &sender).await?;
    let facts = Facts::ask(&mut calls).await?;
    if facts.is_loading {
        return Err(NotConnected::Loading);
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

pub(super) fn client_of(url: &RedisUrl) -> Result<Client, RedisError> {
    let address = match url.place() {
        Place::Tcp { host, port, has_tls: false } => ConnectionAddr::Tcp(host.clone(), *port),
        Place::Tcp { host, port, has_tls: true } => {
            // A program that embeds this may have chosen another one; then this does nothing.
            let _ = rustls::crypto::ring::default_provider().install_default();
            ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None }
        }
        Place::Unix(path) => ConnectionAddr::Unix(path.clone()),
    };
    let info = address.into_connection_info()?;
    let mut login = info.redis_settings().clone();
    login = login.set_protocol(ProtocolVersion::RESP3).set_db(url.database().into()).set_skip_set_lib_name();
    if let Some(user) = url.user() {
        login = login.set_username(user);
    }
    if let Some(password) = url.password() {
        login = login.set_password(password);
    }
    Client::open(info.set_redis_settings(login).set_tcp_settings(TcpSettings::default().set_nodelay(true)))
}

async fn open(
    client: &Client,
    line: Line,
    pushes: &mpsc::UnboundedSender<(Line, PushInfo)>,
) -> Result<MultiplexedConnection, RedisError> {
    let pushes = pushes.clone();
    let config = AsyncConnectionConfig::new()
        .set_response_timeout(Some(ANSWER_TIMEOUT))
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_pipeline_buffer_size(QUEUE)
        .set_push_sender(move |push| pushes.send((line, push)));
    client.get_multiplexed_async_connection_with_config(&config).await
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
        Some(text) => Err(NotConnected::Refused(text)),
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
