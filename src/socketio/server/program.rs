//! What the crate's own program sets and calls beside the public API: it shares its budget, its metrics and its workers with
//! the server.

use std::{any::Any, rc::Rc, sync::Arc};

use actix_web::web::ServiceConfig;

use super::{Builder, Server};
use crate::{
    broadcast::{FanOut, Outlets},
    config::{Network, NodeName},
    connection::{Budget, admission::Admission, rate::RateLimit, upload::UploadRate},
    metrics::Metrics,
    parts::{Mailbox, Parts},
    socketio::{engine::Engine, settings::SettingsError},
};

impl Builder {
    /// The name that the ids of sessions begin with; a random one if it is `None`.
    pub(crate) fn node(mut self, node: Option<NodeName>) -> Self {
        self.engine.node = node;
        self
    }

    /// The bounds on sessions and handshakes that all doors of the program share.
    pub(crate) fn admission(mut self, admission: Arc<Admission>) -> Self {
        self.policy.admission = Some(admission);
        self
    }

    /// The proxies whose headers count.
    pub(crate) fn proxies(mut self, networks: Vec<Network>) -> Self {
        self.policy.trusted_proxies = networks;
        self
    }

    /// The lowest rate at which a message must arrive, and the limit on packets that are not events.
    pub(crate) fn rates(mut self, upload: UploadRate, rate: Option<RateLimit>) -> Self {
        (self.engine.upload, self.engine.rate) = (upload, rate);
        self
    }

    /// Makes the server, with settings that the program has checked, on what the program shares with it.
    ///
    /// # Errors
    /// A setting of Redis is wrong, or the system cannot start the thread for it.
    pub(crate) fn build_on(
        self,
        metrics: Arc<Metrics>,
        budget: Arc<Budget>,
        parts: Arc<Parts>,
    ) -> Result<Server, SettingsError> {
        let engine = Engine::new(self.engine.clone(), metrics, budget, parts);
        self.on(engine)
    }

    /// The settings of sessions, for a comparison.
    #[cfg(test)]
    pub(crate) fn shown(&self) -> String {
        format!("{:?}", self.engine)
    }
}

impl Server {
    /// Registers the routes for a worker whose fan-out takes the outlets of its sessions from `outlets`. Call once per worker,
    /// on its thread. Handlers get `state` from [`Socket::state`](crate::socketio::Socket::state).
    pub(crate) fn mount_at<T: Any>(
        &self,
        cfg: &mut ServiceConfig,
        fanout: Mailbox<FanOut>,
        outlets: Outlets,
        state: T,
    ) {
        let desk = self.engine().desk_at(fanout, outlets);
        self.mount(cfg, desk, Some(Rc::new(state)));
    }

    /// Waits until all events that were emitted before are on their way to the fan-outs.
    pub(crate) async fn end_broadcasts(&self) {
        self.engine().end_broadcasts().await;
    }

    /// Leaves the cluster behind all that was said before. Ready when the others have been told.
    pub(crate) async fn leave_cluster(&self) {
        self.engine().leave_cluster().await;
    }

    /// Ends all sessions because the server stops.
    pub(crate) fn end_all(&self) {
        self.engine().end_all();
    }

    /// The number of WebSockets whose sessions have ended, and whose last bytes are still written.
    pub(crate) fn count_finishing(&self) -> usize {
        self.engine().count_finishing()
    }
}
