//! Looks up sockets and rooms from any thread.

use std::{fmt, sync::Arc};

use bytestring::ByteString;
use serde::Serialize;
use tokio::sync::oneshot;

use super::{
    emitter::Emitter,
    into_rooms::IntoRooms,
    rooms::messages::{Look, LookRooms, SocketFound, Target},
    socket::{Handshake, SocketData, SocketInfo},
};

/// What keeps the rooms of all sockets has ended, or has failed over the request. A request that has failed may be
/// made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server that keeps the sockets' rooms did not reply")]
pub struct Gone;

/// A socket as it was when it was looked up. It may be used on any thread, and acts on the socket by its id: nothing
/// happens if the socket has left.
#[derive(Clone)]
pub struct RemoteSocket {
    /// Selects the socket.
    emitter: Emitter,
    found: SocketFound,
}

impl Emitter {
    /// Looks up the selected sockets, in the order in which they connected.
    ///
    /// # Errors
    /// The room server did not reply.
    pub async fn fetch_sockets(&self) -> Result<Vec<RemoteSocket>, Gone> {
        let mut sockets = Vec::new();
        for namespace in &self.namespaces {
            let (to, found) = oneshot::channel();
            self.room_server.do_send(Look { namespace: namespace.clone(), target: self.target.clone(), to });
            let found = found.await.map_err(|_| Gone)?.into_iter();
            sockets.extend(found.map(|found| RemoteSocket::new(self, namespace, found)));
        }
        Ok(sockets)
    }

    /// Looks up the socket with this id in the namespace; `None` if there is none.
    ///
    /// # Errors
    /// The room server did not reply.
    pub async fn fetch_socket(&self, id: &str) -> Result<Option<RemoteSocket>, Gone> {
        let target = Target { to: vec![id.into()], except: Vec::new() };
        let sockets = self.clone().aimed_at(target).fetch_sockets().await?;
        // A room with this name may have other sockets.
        Ok(sockets.into_iter().find(|socket| socket.id() == id))
    }

    /// The rooms of the namespace in the order of their names, each with the number of sockets in it. A room that only
    /// has the socket of which it has the id as its name is left out: [`fetch_sockets`](Self::fetch_sockets) has
    /// those. It does not matter which sockets are selected.
    ///
    /// # Errors
    /// The room server did not reply.
    pub async fn rooms(&self) -> Result<Vec<(ByteString, usize)>, Gone> {
        let mut all = Vec::new();
        for namespace in &self.namespaces {
            let (to, rooms) = oneshot::channel();
            self.room_server.do_send(LookRooms { namespace: namespace.clone(), to });
            all.extend(rooms.await.map_err(|_| Gone)?);
        }
        Ok(all)
    }
}

impl RemoteSocket {
    fn new(emitter: &Emitter, namespace: &ByteString, found: SocketFound) -> Self {
        let emitter = Emitter::new(emitter.room_server.clone(), namespace.clone()).to(&found.sid);
        Self { emitter, found }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.found.sid
    }

    /// The rooms that it was in: first the room with its id as its name, then the others in the order in which it
    /// joined them.
    pub fn rooms(&self) -> &[ByteString] {
        &self.found.rooms
    }

    fn info(&self) -> Option<&SocketInfo> {
        self.found.info.downcast_ref()
    }

    /// What its client brought when it connected.
    pub fn handshake(&self) -> &Handshake {
        let info = self.info().expect("each socket has been registered with its handshake");
        &info.handshake
    }

    /// Its data, if that has this type. The socket and all who look at it share the value.
    pub fn data<U: SocketData>(&self) -> Option<Arc<U>> {
        Arc::clone(&self.info()?.data).downcast().ok()
    }

    /// Selects it, for emitting with the flags of an [`Emitter`] and for asking for an ack.
    pub fn emitter(&self) -> Emitter {
        self.emitter.clone()
    }

    /// Emits the event `name` to it, see [`Emitter::emit`].
    pub fn emit(&self, name: &str, data: &(impl Serialize + ?Sized)) {
        self.emitter.emit(name, data);
    }

    /// Selects all other sockets in these rooms.
    pub fn to(&self, rooms: impl IntoRooms) -> Emitter {
        let Emitter { room_server, namespaces, .. } = &self.emitter;
        Emitter::over(room_server.clone(), namespaces.clone()).to(rooms).except(&self.found.sid)
    }

    /// Puts it into rooms, see [`Emitter::sockets_join`].
    pub fn join(&self, rooms: impl IntoRooms) {
        self.emitter.sockets_join(rooms);
    }

    /// Takes it out of rooms, see [`Emitter::sockets_leave`].
    pub fn leave(&self, rooms: impl IntoRooms) {
        self.emitter.sockets_leave(rooms);
    }

    /// Disconnects it, see [`Emitter::disconnect_sockets`].
    pub fn disconnect(&self, close: bool) {
        self.emitter.disconnect_sockets(close);
    }
}

impl fmt::Debug for RemoteSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SocketFound { sid, rooms, .. } = &self.found;
        f.debug_struct("RemoteSocket").field("id", sid).field("rooms", rooms).finish_non_exhaustive()
    }
}
