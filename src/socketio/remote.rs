//! Sockets that were looked up, as any thread sees them.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use bytestring::ByteString;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    emitter::Emitter,
    into_rooms::IntoRooms,
    rooms::messages::SocketFound,
    shown::handshake_of,
    socket::{Handshake, SocketData, SocketInfo, from_json},
};
use crate::socketio::cluster::SocketShown;

/// A socket of this server or of another one, as it was when it was looked up. It may be used on any thread, and acts on the
/// socket by its id: nothing happens if the socket has left.
#[derive(Clone)]
pub struct RemoteSocket {
    /// Selects the socket.
    emitter: Emitter,
    known: Known,
}

/// What is known of a socket.
#[derive(Clone)]
enum Known {
    /// It is of this server.
    Here(SocketFound),
    /// It is of another server.
    Elsewhere(Arc<Elsewhere>),
}

/// A socket of another server.
struct Elsewhere {
    shown: SocketShown,
    /// Read at first use.
    handshake: OnceLock<Handshake>,
}

impl RemoteSocket {
    /// A socket of this server.
    pub(super) fn here(emitter: &Emitter, namespace: &ByteString, found: SocketFound) -> Self {
        let emitter = Emitter::new(emitter.room_server.clone(), namespace.clone()).to(&found.sid);
        Self { emitter, known: Known::Here(found) }
    }

    /// A socket of another server.
    pub(super) fn elsewhere(emitter: &Emitter, namespace: &ByteString, shown: SocketShown) -> Self {
        let emitter = Emitter::new(emitter.room_server.clone(), namespace.clone()).to(&shown.id);
        let known = Known::Elsewhere(Arc::new(Elsewhere { shown, handshake: OnceLock::new() }));
        Self { emitter, known }
    }

    fn owned_id(&self) -> &ByteString {
        match &self.known {
            Known::Here(found) => &found.sid,
            Known::Elsewhere(other) => &other.shown.id,
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        self.owned_id()
    }

    /// Whether it is of this server, not of another one of the cluster.
    pub fn is_local(&self) -> bool {
        matches!(self.known, Known::Here(_))
    }

    /// The rooms that it was in: first the room with its id as its name, then the others in the order in which it
    /// joined them.
    pub fn rooms(&self) -> &[ByteString] {
        match &self.known {
            Known::Here(found) => &found.rooms,
            Known::Elsewhere(other) => &other.shown.rooms,
        }
    }

    /// What its client brought when it connected. Of a socket of another server it has what that server tells: without
    /// headers, if they are kept back.
    pub fn handshake(&self) -> &Handshake {
        match &self.known {
            Known::Here(found) => {
                let info = info(found).expect("each socket has been registered with its handshake");
                &info.handshake
            }
            Known::Elsewhere(other) => other.handshake.get_or_init(|| handshake_of(&other.shown.handshake)),
        }
    }

    /// Its data, if it is of this server and its data has this type. The socket and all who look at it share the value.
    /// [`data_as`](Self::data_as) is for sockets of all servers.
    pub fn data<U: SocketData>(&self) -> Option<Arc<U>> {
        let Known::Here(found) = &self.known else {
            return None;
        };
        Arc::clone(&info(found)?.data).downcast().ok()
    }

    /// Its data as servers show it to each other, if that fits this type: as JSON, see
    /// [`Namespace::share_data`](crate::socketio::Namespace::share_data). It is `{}` where a server of this crate does not
    /// share it.
    pub fn data_as<T: DeserializeOwned>(&self) -> Option<T> {
        match &self.known {
            Known::Here(found) => from_json(&info(found)?.data_json()),
            Known::Elsewhere(other) => from_json(&other.shown.data),
        }
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
        Emitter::over(room_server.clone(), namespaces.clone()).to(rooms).except(self.owned_id())
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

fn info(found: &SocketFound) -> Option<&SocketInfo> {
    found.info.downcast_ref()
}

impl fmt::Debug for RemoteSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, rooms) = (self.id(), self.rooms());
        f.debug_struct("RemoteSocket").field("id", &id).field("rooms", &rooms).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        connection::Budget,
        socketio::{engine::Engine, settings::EngineSettings},
    };

    fn is_shared<T: Clone + Send + Sync>() {}

    /// A socket of another server, with this data.
    fn elsewhere(engine: &Engine, data: &'static str) -> RemoteSocket {
        let shown = SocketShown {
            id: "the id".into(),
            rooms: vec!["the id".into(), "red".into()],
            handshake: r#"{"headers":{},"url":"/io/?a=1","auth":{"b":2}}"#.into(),
            data: data.into(),
        };
        let emitter = Emitter::new(engine.room_server().clone(), "/".into());
        RemoteSocket::elsewhere(&emitter, &"/".into(), shown)
    }

    #[actix_web::test]
    async fn a_socket_of_another_server_is_what_that_server_shows() {
        is_shared::<RemoteSocket>();
        let engine = Engine::new(EngineSettings::default(), Arc::default(), Budget::new(1), Arc::default());
        let socket = elsewhere(&engine, r#"{"name":"Ada"}"#);
        assert_eq!((socket.id(), socket.is_local()), ("the id", false));
        assert_eq!(socket.rooms(), ["the id", "red"]);
        let handshake = socket.handshake();
        assert_eq!((handshake.query("a").as_deref(), handshake.auth_json()), (Some("1"), r#"{"b":2}"#));
        assert_eq!(socket.data_as(), Some(serde_json::json!({"name": "Ada"})));
        assert_eq!(socket.data_as::<u8>(), None);
        assert!(socket.data::<serde_json::Value>().is_none(), "the value itself is at the other server");
        assert!(format!("{socket:?}").contains("the id"));
    }

    #[actix_web::test]
    async fn data_of_another_server_may_be_anything() {
        let engine = Engine::new(EngineSettings::default(), Arc::default(), Budget::new(1), Arc::default());
        for data in ["{", "\"\\ud800", "[[[["] {
            assert_eq!(elsewhere(&engine, data).data_as::<serde_json::Value>(), None, "{data}");
        }
        assert_eq!(elsewhere(&engine, "null").data_as::<Option<u8>>(), Some(None));
    }
}
