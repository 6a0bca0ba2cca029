//! Events between the servers of a cluster, and what they know of each other.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use bytestring::ByteString;
use log::{debug, error};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::oneshot;

use super::{Namespace, Table};
use crate::{
    protocol::socketio::{Args, EncodeError},
    socketio::{
        AllRooms, Gone, ServerAnswers, ServerEvent,
        cluster::{AnswersElsewhere, ServerEventHeard},
        rooms::messages::{CountServers, TellServers},
        socket::{SharedData, SocketData, from_json},
    },
};

/// Why other servers were not asked.
#[derive(Debug, thiserror::Error)]
pub enum ServerEmitError {
    /// The arguments cannot be encoded.
    #[error(transparent)]
    Arguments(#[from] EncodeError),
    /// The room server did not reply.
    #[error(transparent)]
    Gone(#[from] Gone),
}

impl<U: SocketData> Namespace<U> {
    /// Calls `listener` with each event of this name that another server of the cluster emits with
    /// [`server_side_emit`](Self::server_side_emit), or a server of Node with `serverSideEmit`. It runs on the thread of the
    /// connection to the other servers and must not wait; its answer may come later.
    pub fn on_server_side(self, name: &str, listener: impl Fn(&ServerEvent) + Send + Sync + 'static) -> Self {
        let name = ByteString::from(name);
        self.change(|definition| definition.server_events.entry(name).or_default().push(Arc::new(listener)));
        self
    }

    /// Emits an event to the listeners of the other servers that share the namespace, not to clients. Its own listeners do
    /// not hear it, and a server alone has none to tell. Binary values reach servers of Node as
    /// `{"type": "Buffer", "data": [...]}`.
    ///
    /// # Errors
    /// The arguments cannot be encoded.
    pub fn server_side_emit(&self, name: &str, data: &(impl Serialize + ?Sized)) -> Result<(), EncodeError> {
        let args = Args::encode(name, data)?;
        for namespace in self.names() {
            self.tell_servers(namespace, args.clone(), None);
        }
        Ok(())
    }

    /// Emits an event to the listeners of the other servers that share the namespace, and returns an answer of each: one
    /// value. It waits for 5 seconds at most, unless the adapter has another time for requests; the result tells how many
    /// servers have not answered, and has what came. A server alone gets no answers.
    ///
    /// # Errors
    /// The arguments cannot be encoded, or the room server did not reply.
    pub async fn server_side_emit_with_ack<T: DeserializeOwned>(
        &self,
        name: &str,
        data: &(impl Serialize + ?Sized),
    ) -> Result<ServerAnswers<T>, ServerEmitError> {
        let args = Args::encode(name, data)?;
        let ask = |namespace| {
            let (to, answers) = oneshot::channel();
            self.tell_servers(namespace, args.clone(), Some(to));
            answers
        };
        // All are asked before the first is waited for.
        let asked: Vec<_> = self.names().into_iter().map(ask).collect();
        let mut all = ServerAnswers::default();
        for answers in asked {
            all.add(answers.await.map_err(|_| Gone)?);
        }
        Ok(all)
    }

    fn tell_servers(
        &self,
        namespace: ByteString,
        args: Args,
        answers: Option<oneshot::Sender<AnswersElsewhere>>,
    ) {
        let tell = TellServers { namespace, args, answers };
        self.core.engine.room_server().do_send(tell);
    }

    /// The number of servers that share the namespace, this one included: 1 for a server alone. For a dynamic namespace, the
    /// number of the one that most servers share, 0 without any. `None` if it cannot be known now, because the connection
    /// to the other servers is lost.
    pub async fn server_count(&self) -> Option<usize> {
        let ask = |namespace| {
            let (to, count) = oneshot::channel();
            self.core.engine.room_server().do_send(CountServers { namespace, to });
            count
        };
        let asked: Vec<_> = self.names().into_iter().map(ask).collect();
        let mut most = 0;
        for count in asked {
            most = most.max(count.await.ok()?);
        }
        Some(most)
    }

    /// The rooms of this server and of all others that share the namespace. See
    /// [`Emitter::all_rooms`](crate::socketio::Emitter::all_rooms).
    ///
    /// # Errors
    /// The room server did not reply.
    pub async fn all_rooms(&self) -> Result<AllRooms, Gone> {
        self.everybody().all_rooms().await
    }

    /// Shows the [data](crate::socketio::Socket::data) of the sockets to other servers that share the namespace, as JSON:
    /// [`RemoteSocket::data_as`](crate::socketio::RemoteSocket::data_as) reads it there, and `socket.data` of `fetchSockets`
    /// in Node. A socket that is recovered at another server has its data from it; data of another type begins the session
    /// anew. Without this, servers see `{}`, and where servers keep lost sockets together, a client that comes back to a
    /// namespace with an [admission](Self::admit) is admitted again before it is recovered.
    ///
    /// The data is encoded when it is asked for, on any thread. Data that changes may be in a `Mutex`, which serde encodes.
    /// Data of the type `()` is not encoded: others see `{}`.
    pub fn share_data(self) -> Self
    where
        U: Serialize + DeserializeOwned,
    {
        let unit: &dyn Any = &();
        if !unit.is::<U>() {
            self.change(|definition| definition.shared_data = Some(Arc::new(SharedData::of::<U>())));
        }
        self
    }

    /// Has all servers of this crate that share the namespace hear its events in one order. Each event costs a round trip to
    /// Redis before the sockets of the emitting server get it; while Redis is away it comes at once. A namespace whose
    /// sockets can be [recovered](crate::socketio::Recovery) has one order without this. A server alone always has one order.
    pub fn in_one_order(self) -> Self {
        self.change(|definition| definition.is_in_order = true);
        self
    }
}

impl Table {
    /// Tells the listeners of an event from another server. May be called on any thread.
    pub(crate) fn hear(&self, ServerEventHeard { namespace, args, answer }: ServerEventHeard) {
        let Some(definition) = self.definition(&namespace) else {
            return;
        };
        let Some(name) = args.element(0).and_then(from_json::<ByteString>) else {
            return debug!("namespace {namespace}: an event of another server has no name");
        };
        let Some(listeners) = definition.server_events.get(&name) else {
            return debug!("namespace {namespace}: the event {name:?} of another server has no listener");
        };
        let event = ServerEvent::new(name, args, answer);
        for listener in listeners {
            if catch_unwind(AssertUnwindSafe(|| listener(&event))).is_err() {
                error!(
                    "namespace {namespace}: a listener for the event {:?} of servers panicked",
                    event.name()
                );
            }
        }
    }
}
