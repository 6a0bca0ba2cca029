//! What a server does with the others of its cluster, in the main namespace.

use serde::{Serialize, de::DeserializeOwned};

use super::Server;
use crate::{
    protocol::socketio::EncodeError,
    socketio::{ServerAnswers, ServerEmitError, ServerEvent},
};

impl Server {
    /// See [`Namespace::on_server_side`](crate::socketio::Namespace::on_server_side).
    pub fn on_server_side(&self, name: &str, listener: impl Fn(&ServerEvent) + Send + Sync + 'static) {
        drop(self.main().on_server_side(name, listener));
    }

    /// See [`Namespace::server_side_emit`](crate::socketio::Namespace::server_side_emit).
    ///
    /// # Errors
    /// The arguments cannot be encoded.
    pub fn server_side_emit(&self, name: &str, data: &(impl Serialize + ?Sized)) -> Result<(), EncodeError> {
        self.main().server_side_emit(name, data)
    }

    /// See [`Namespace::server_side_emit_with_ack`](crate::socketio::Namespace::server_side_emit_with_ack).
    ///
    /// # Errors
    /// The arguments cannot be encoded, or the room server did not reply.
    pub async fn server_side_emit_with_ack<T: DeserializeOwned>(
        &self,
        name: &str,
        data: &(impl Serialize + ?Sized),
    ) -> Result<ServerAnswers<T>, ServerEmitError> {
        self.main().server_side_emit_with_ack(name, data).await
    }

    /// See [`Namespace::server_count`](crate::socketio::Namespace::server_count).
    pub async fn server_count(&self) -> Option<usize> {
        self.main().server_count().await
    }
}
