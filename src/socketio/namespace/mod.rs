//! A namespace, as a program registers its handlers and emits to its sockets.

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use bytestring::ByteString;
use serde::{Serialize, de::DeserializeOwned};

pub use self::servers::ServerEmitError;
pub(crate) use self::table::{Bounds, ChildClient, Family, FamilyId, Found, Table};
use super::{
    AckStream, Args,
    emitter::Emitter,
    engine::Engine,
    into_rooms::IntoRooms,
    lookup::{Gone, Sockets},
    remote::RemoteSocket,
    rooms::messages::RemoveNamespace,
    socket::{Definition, SocketData},
};

mod observer;
mod registering;
mod servers;
mod table;
#[cfg(test)]
mod tests;

/// What all namespaces of a server share.
#[derive(Clone, Debug)]
pub(crate) struct Core {
    pub(crate) engine: Arc<Engine>,
    pub(crate) table: Arc<Table>,
}

/// A namespace of a [`Server`](crate::socketio::Server): registers its handlers, and reaches its sockets from any thread.
/// Clones are cheap.
///
/// `U` is the type of the data of its sockets, which [`admit`](Self::admit) returns. A handle that
/// [`Server::namespace`](crate::socketio::Server::namespace) returns has `()`, which fits any.
///
/// A client keeps the handlers that were registered when it connected.
pub struct Namespace<U = ()> {
    core: Core,
    place: Place,
    data: PhantomData<fn() -> U>,
}

/// Which namespaces a handle stands for.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// The one of this name.
    Named(ByteString),
    /// All of a family, which has this name in logs.
    Family(FamilyId, ByteString),
}

impl<U> Clone for Namespace<U> {
    fn clone(&self) -> Self {
        Self { core: self.core.clone(), place: self.place.clone(), data: PhantomData }
    }
}

impl Namespace {
    pub(crate) fn new(core: Core, place: Place) -> Self {
        Self { core, place, data: PhantomData }
    }
}

impl<U: SocketData> Namespace<U> {
    fn change(&self, change: impl FnOnce(&mut Definition)) {
        match &self.place {
            Place::Named(name) => self.core.table.change(name, change),
            Place::Family(id, _) => self.core.table.change_family(*id, change),
        }
    }

    /// The namespace's name. A dynamic namespace has its pattern.
    pub fn name(&self) -> &str {
        match &self.place {
            Place::Named(name) | Place::Family(_, name) => name,
        }
    }

    /// The namespaces that this handle stands for: itself, or those of a dynamic namespace that clients are connected to.
    pub fn children(&self) -> Vec<Self> {
        let names = self.names().into_iter();
        let child = |name| Self { core: self.core.clone(), place: Place::Named(name), data: PhantomData };
        names.map(child).collect()
    }

    fn names(&self) -> Vec<ByteString> {
        match &self.place {
            Place::Named(name) => vec![name.clone()],
            Place::Family(id, _) => self.core.table.children(*id),
        }
    }

    /// To all sockets of the namespace.
    fn everybody(&self) -> Emitter {
        Emitter::over(self.core.engine.room_server().clone(), self.names().into())
    }

    /// To the sockets in a room, or in any of several rooms. The [id](crate::socketio::Socket::id) of a socket is a room
    /// with only that socket.
    pub fn to(&self, rooms: impl IntoRooms) -> Emitter {
        self.everybody().to(rooms)
    }

    /// See [`to`](Self::to).
    pub fn within(&self, rooms: impl IntoRooms) -> Emitter {
        self.to(rooms)
    }

    /// To the sockets that are in none of these rooms.
    pub fn except(&self, rooms: impl IntoRooms) -> Emitter {
        self.everybody().except(rooms)
    }

    /// Drops the next event for clients whose transport is not writable at the moment.
    pub fn volatile(&self) -> Emitter {
        self.everybody().volatile()
    }

    /// Whether WebSockets compress the next event, where compression is on.
    pub fn compress(&self, is_compressed: bool) -> Emitter {
        self.everybody().compress(is_compressed)
    }

    /// To the sockets on this server, where several servers share the namespace.
    pub fn local(&self) -> Emitter {
        self.everybody().local()
    }

    /// The time in which clients must answer the next event.
    pub fn timeout(&self, timeout: Duration) -> Emitter {
        self.everybody().timeout(timeout)
    }

    /// Emits an event to all sockets. See [`Socket::emit`](crate::socketio::Socket::emit) for its arguments.
    pub fn emit(&self, name: &str, data: &(impl Serialize + ?Sized)) {
        self.everybody().emit(name, data);
    }

    /// Emits an event that is encoded already to all sockets. See [`Emitter::emit_args`].
    pub fn emit_args(&self, args: Args) {
        self.everybody().emit_args(args);
    }

    /// Emits an event to all sockets and returns their answers. See [`Emitter::emit_with_ack`].
    pub fn emit_with_ack<T: DeserializeOwned>(
        &self,
        name: &str,
        data: &(impl Serialize + ?Sized),
    ) -> AckStream<T> {
        self.everybody().emit_with_ack(name, data)
    }

    /// Looks up all sockets, on all servers that share the namespace. See [`Emitter::fetch_sockets`].
    ///
    /// # Errors
    /// The room server did not reply.
    pub async fn fetch_sockets(&self) -> Result<Sockets, Gone> {
        self.everybody().fetch_sockets().await
    }

    /// Looks up the socket with this id, on all servers that share the namespace; `None` if there is none, or if its server
    /// does not answer.
    ///
    /// # Errors
    /// The room server did not reply.
    pub async fn socket(&self, id: &str) -> Result<Option<RemoteSocket>, Gone> {
        self.everybody().fetch_socket(id).await
    }

    /// The rooms of this server, in order of the alphabet, each with the number of its sockets here. Rooms that are the id of
    /// a socket are left out. [`all_rooms`](Self::all_rooms) has those of all servers.
    ///
    /// # Errors
    /// The room server did not reply.
    pub async fn rooms(&self) -> Result<Vec<(ByteString, usize)>, Gone> {
        self.everybody().rooms().await
    }

    /// Removes the namespace: clients that connect later are refused, and the connected ones are disconnected. A later
    /// [`Server::namespace`](crate::socketio::Server::namespace) makes a new one without handlers.
    pub(crate) fn remove(&self) {
        let names = match &self.place {
            Place::Named(name) => {
                self.core.table.remove(name);
                vec![name.clone()]
            }
            Place::Family(id, _) => self.core.table.remove_family(*id),
        };
        for namespace in names {
            self.core.engine.room_server().do_send(RemoveNamespace { namespace });
        }
    }

    /// Puts all sockets into rooms.
    pub fn sockets_join(&self, rooms: impl IntoRooms) {
        self.everybody().sockets_join(rooms);
    }

    /// Takes all sockets out of rooms.
    pub fn sockets_leave(&self, rooms: impl IntoRooms) {
        self.everybody().sockets_leave(rooms);
    }

    /// Disconnects all sockets. With `close` their sessions end.
    pub fn disconnect_sockets(&self, close: bool) {
        self.everybody().disconnect_sockets(close);
    }
}

impl<U> fmt::Debug for Namespace<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Namespace").field(&self.place).finish()
    }
}
