//! Events between servers. As long as no other server shares the namespaces, they stay in this process.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError, RwLock},
};

use log::error;
use serde::Serialize;

use super::Server;
use crate::protocol::socketio::{Args, EncodeError};

/// Told of an event of a server.
type Listener = dyn Fn(&Args) + Send + Sync;

/// The listeners of a server, by event.
#[derive(Default)]
pub(super) struct Listeners(RwLock<HashMap<String, Vec<Arc<Listener>>>>);

impl Server {
    /// Calls `listener` with the arguments of each event of this name that [`server_side_emit`](Self::server_side_emit)
    /// sends. It runs on the thread that emits.
    pub fn on_server_side(&self, name: &str, listener: impl Fn(&Args) + Send + Sync + 'static) {
        let mut listeners = self.0.server_side.0.write().unwrap_or_else(PoisonError::into_inner);
        listeners.entry(name.to_owned()).or_default().push(Arc::new(listener));
    }

    /// Sends an event to the servers that share the namespaces, not to clients. No other server shares them now, so it
    /// reaches the listeners of this one.
    ///
    /// # Errors
    /// The arguments cannot be encoded.
    pub fn server_side_emit(&self, name: &str, data: &(impl Serialize + ?Sized)) -> Result<(), EncodeError> {
        let args = Args::encode(name, data)?;
        let listeners = {
            let all = self.0.server_side.0.read().unwrap_or_else(PoisonError::into_inner);
            all.get(name).cloned().unwrap_or_default()
        };
        for listener in listeners {
            if catch_unwind(AssertUnwindSafe(|| listener(&args))).is_err() {
                error!("a listener for the event {name:?} of servers panicked");
            }
        }
        Ok(())
    }
}
