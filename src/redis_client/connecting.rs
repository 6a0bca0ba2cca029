//! Opens a connection to the Redis at an address.

use std::time::Duration;

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo as _, ProtocolVersion, PushInfo,
    RedisError, aio::MultiplexedConnection, io::tcp::TcpSettings,
};

use crate::config::{Place, RedisUrl};

/// How long connecting may take, with all that is asked then.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long an answer may take. A later one is thrown away, so the connection is given up then.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Requests that may wait for a connection's task.
const QUEUE: usize = 1024;

/// What connects to the Redis at an address, by RESP3.
///
/// # Errors
/// The crate cannot use the address.
pub(crate) fn client_of(url: &RedisUrl) -> Result<Client, RedisError> {
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

/// Opens a connection. `pushed` takes what comes without having been asked for, in its order, and the end of the connection.
///
/// # Errors
/// The server cannot be reached, or does not let this one in.
pub(crate) async fn open<E: 'static>(
    client: &Client,
    pushed: impl Fn(PushInfo) -> Result<(), E> + Send + Sync + 'static,
) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_response_timeout(Some(ANSWER_TIMEOUT))
        .set_connection_timeout(Some(CONNECT_TIMEOUT))
        .set_pipeline_buffer_size(QUEUE)
        .set_push_sender(pushed);
    client.get_multiplexed_async_connection_with_config(&config).await
}
