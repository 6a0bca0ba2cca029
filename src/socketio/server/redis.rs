//! A server that shares its namespaces with others by way of Redis.

use super::Builder;
use crate::socketio::redis_options::Redis;

impl Builder {
    /// Shares all namespaces with other servers by way of Redis, among them Node servers with the official adapters: an address
    /// such as `redis://127.0.0.1:6379`, or [`Redis`] with more settings. Default: the server is alone.
    ///
    /// The server does not wait for Redis. While Redis is away, events reach the sockets of this server only.
    pub fn redis(mut self, redis: impl Into<Redis>) -> Self {
        self.redis = Some(redis.into());
        self
    }
}
