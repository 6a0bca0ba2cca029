//! What a program has registered for a namespace. A socket keeps the definition with which it connected.

use std::{collections::HashMap, fmt, sync::Arc};

use bytestring::ByteString;
use foldhash::fast::RandomState;

use super::{
    EventError, Socket,
    handlers::{
        SharedAdmission, SharedCall, SharedCheck, SharedEnd, SharedFilter, SharedLife, SharedUpgrade,
    },
    shared_data::SharedData,
};
use crate::{
    protocol::socketio::Args,
    socketio::{cluster::Mode, server_event::ServerListener},
};

/// Told of an event that reached no handler.
pub(crate) type SharedErrors = dyn Fn(&Socket, &EventError) + Send + Sync;

/// Told of an event that goes to a client.
pub(crate) type SharedOutgoing = dyn Fn(&Socket, &Args) + Send + Sync;

/// Told of news that the crate's own servers have for a socket.
pub(crate) type SharedNews = dyn Fn(&Socket, Box<dyn std::any::Any>) + Send + Sync;

/// The handlers and the options of a namespace.
#[derive(Clone)]
pub(crate) struct Definition {
    pub(crate) admission: Option<Arc<SharedAdmission>>,
    pub(crate) middlewares: Vec<Arc<SharedCheck>>,
    pub(crate) connect: Vec<Arc<SharedLife>>,
    pub(crate) filters: Vec<Arc<SharedFilter>>,
    pub(crate) any: Vec<Arc<SharedCall>>,
    pub(crate) events: HashMap<ByteString, Vec<Arc<SharedCall>>, RandomState>,
    pub(crate) outgoing: Vec<Arc<SharedOutgoing>>,
    pub(crate) upgrade: Vec<Arc<SharedUpgrade>>,
    pub(crate) disconnecting: Vec<Arc<SharedEnd>>,
    pub(crate) disconnect: Vec<Arc<SharedEnd>>,
    pub(crate) errors: Vec<Arc<SharedErrors>>,
    pub(crate) news: Option<Arc<SharedNews>>,
    /// Listeners for events of other servers, by name.
    pub(crate) server_events: HashMap<ByteString, Vec<Arc<ServerListener>>, RandomState>,
    /// How other servers see the data of the sockets, if they do.
    pub(crate) shared_data: Option<Arc<SharedData>>,
    /// A socket's handlers run one after another.
    pub(crate) is_sequential: bool,
    /// The room server keeps the rooms of the sockets.
    pub(crate) has_rooms: bool,
    /// Lost sockets can be recovered, if the server has a recovery window.
    pub(crate) recovers: bool,
    /// Clients may send messages of up to the full size once they are connected.
    pub(crate) trusts: bool,
    /// All servers of this crate have one order of events.
    pub(crate) is_in_order: bool,
}

impl Definition {
    /// How events reach the sockets where several servers share the namespace; `None` if they do not share it.
    /// `has_recovery` is whether the server has a recovery window.
    pub(crate) fn mode(&self, has_recovery: bool) -> Option<Mode> {
        let is_in_order = self.is_in_order || (has_recovery && self.recovers);
        self.has_rooms.then_some(if is_in_order { Mode::InOrder } else { Mode::AtOnce })
    }
}

impl Default for Definition {
    fn default() -> Self {
        Self {
            admission: None,
            middlewares: Vec::new(),
            connect: Vec::new(),
            filters: Vec::new(),
            any: Vec::new(),
            events: HashMap::default(),
            outgoing: Vec::new(),
            upgrade: Vec::new(),
            disconnecting: Vec::new(),
            disconnect: Vec::new(),
            errors: Vec::new(),
            news: None,
            server_events: HashMap::default(),
            shared_data: None,
            is_sequential: false,
            has_rooms: true,
            recovers: true,
            trusts: true,
            is_in_order: false,
        }
    }
}

impl Definition {
    /// Whether the data of a socket can be made of what another server shows of them.
    pub(crate) fn can_revive(&self) -> bool {
        self.shared_data.is_some() || self.admission.is_none()
    }
}

impl fmt::Debug for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Definition").field("events", &self.events.keys()).finish_non_exhaustive()
    }
}
