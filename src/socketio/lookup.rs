//! Looks up sockets and rooms from any thread, on all servers of a cluster.

use std::{ops::Deref, slice, vec};

use bytestring::ByteString;
use tokio::sync::oneshot;

use super::{
    cluster::{FoundElsewhere, RoomsElsewhere},
    emitter::Emitter,
    remote::RemoteSocket,
    rooms::messages::{Look, LookRooms, SocketFound, Target},
};

/// What keeps the rooms of all sockets has ended, or has failed over the request. A request that has failed may be
/// made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server that keeps the sockets' rooms did not reply")]
pub struct Gone;

/// Sockets that were looked up: first those of this server, in the order in which they connected, then those of other
/// servers. It is a slice of [`RemoteSocket`]s.
#[derive(Clone, Debug, Default)]
pub struct Sockets {
    sockets: Vec<RemoteSocket>,
    missing_servers: usize,
}

/// Rooms that were looked up, on all servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllRooms {
    /// The names, each once, in their order. The id of each socket is the name of a room, too.
    pub rooms: Vec<ByteString>,
    /// Number of servers that did not answer in time.
    pub missing_servers: usize,
}

impl Sockets {
    /// Number of servers that share the namespace and did not answer in time: their sockets are not here.
    pub fn missing_servers(&self) -> usize {
        self.missing_servers
    }
}

impl Deref for Sockets {
    type Target = [RemoteSocket];

    fn deref(&self) -> &[RemoteSocket] {
        &self.sockets
    }
}

impl IntoIterator for Sockets {
    type Item = RemoteSocket;
    type IntoIter = vec::IntoIter<RemoteSocket>;

    fn into_iter(self) -> Self::IntoIter {
        self.sockets.into_iter()
    }
}

impl<'a> IntoIterator for &'a Sockets {
    type Item = &'a RemoteSocket;
    type IntoIter = slice::Iter<'a, RemoteSocket>;

    fn into_iter(self) -> Self::IntoIter {
        self.sockets.iter()
    }
}

/// What was asked of this server, and of others.
struct Asked<H, E> {
    here: oneshot::Receiver<H>,
    /// `None` if no other server was asked.
    elsewhere: Option<oneshot::Receiver<E>>,
}

/// Where the answer of other servers goes.
type ToElsewhere<E> = Option<oneshot::Sender<E>>;

impl<H, E: Default> Asked<H, E> {
    /// A question, and where its answers go. Other servers are not asked if it `is_local`.
    fn new(is_local: bool) -> (Self, oneshot::Sender<H>, ToElsewhere<E>) {
        let (to, here) = oneshot::channel();
        let others = (!is_local).then(oneshot::channel);
        let (to_elsewhere, elsewhere) = others.unzip();
        (Self { here, elsewhere }, to, to_elsewhere)
    }

    /// Waits for the answer of this server, and for that of others. If the sender of the latter is dropped, there are no
    /// others.
    async fn answers(self) -> Result<(H, E), Gone> {
        let here = self.here.await.map_err(|_| Gone)?;
        let elsewhere = match self.elsewhere {
            Some(elsewhere) => elsewhere.await.unwrap_or_default(),
            None => E::default(),
        };
        Ok((here, elsewhere))
    }
}

impl Emitter {
    /// Looks up the selected sockets, on all servers that share the namespace. It waits for other servers for 5 seconds,
    /// unless the adapter has another time for requests; [`Sockets::missing_servers`] tells how many have not answered. With [`local`](Self::local) no
    /// other server is asked.
    ///
    /// # Errors
    /// The room server did not reply.
    pub async fn fetch_sockets(&self) -> Result<Sockets, Gone> {
        let mut asked = Vec::new();
        // All are asked before the first is waited for.
        for namespace in &self.namespaces {
            let (sockets, to, elsewhere) = Asked::new(self.is_local);
            let target = self.target.clone();
            self.room_server.do_send(Look { namespace: namespace.clone(), target, to, elsewhere });
            asked.push((namespace.clone(), sockets));
        }
        self.sockets_of(asked).await
    }

    /// Waits for the sockets of namespaces: those of this server, and those of others.
    async fn sockets_of(
        &self,
        asked: Vec<(ByteString, Asked<Vec<SocketFound>, FoundElsewhere>)>,
    ) -> Result<Sockets, Gone> {
        let (mut sockets, mut remote, mut missing_servers) = (Vec::new(), Vec::new(), 0);
        for (namespace, asked) in asked {
            let (found, FoundElsewhere { sockets: shown, missing }) = asked.answers().await?;
            sockets.extend(found.into_iter().map(|found| RemoteSocket::here(self, &namespace, found)));
            remote.extend(shown.into_iter().map(|shown| RemoteSocket::elsewhere(self, &namespace, shown)));
            missing_servers += missing;
        }
        sockets.append(&mut remote);
        Ok(Sockets { sockets, missing_servers })
    }

    /// Looks up the socket with this id in the namespace, on all servers that share it; `None` if there is none, or if its
    /// server does not answer. Other servers are asked only if it is not on this one.
    ///
    /// # Errors
    /// The room server did not reply.
    pub async fn fetch_socket(&self, id: &str) -> Result<Option<RemoteSocket>, Gone> {
        let target = Target { to: vec![id.into()], except: Vec::new() };
        let everywhere = self.clone().aimed_at(target);
        // A room with this name may have other sockets.
        let the_one = |sockets: Sockets| sockets.into_iter().find(|socket| socket.id() == id);
        let here = the_one(everywhere.clone().local().fetch_sockets().await?);
        if here.is_some() || self.is_local {
            return Ok(here);
        }
        Ok(the_one(everywhere.fetch_sockets().await?))
    }

    /// The rooms of the namespace on this server in the order of their names, each with the number of sockets in it. A room
    /// that only has the socket of which it has the id as its name is left out: [`fetch_sockets`](Self::fetch_sockets) has
    /// those. It does not matter which sockets are selected.
    ///
    /// # Errors
    /// The room server did not reply.
    pub async fn rooms(&self) -> Result<Vec<(ByteString, usize)>, Gone> {
        let mut all = Vec::new();
        for namespace in &self.namespaces {
            let (to, rooms) = oneshot::channel();
            let namespace = namespace.clone();
            self.room_server.do_send(LookRooms { namespace, with_sids: false, to, elsewhere: None });
            all.extend(rooms.await.map_err(|_| Gone)?);
        }
        Ok(all)
    }

    /// The rooms of the namespace on all servers that share it, with those that are the id of a socket. It waits for other
    /// servers as [`fetch_sockets`](Self::fetch_sockets) does. It does not matter which sockets are selected.
    ///
    /// # Errors
    /// The room server did not reply.
    pub async fn all_rooms(&self) -> Result<AllRooms, Gone> {
        let mut asked = Vec::new();
        for namespace in &self.namespaces {
            let (rooms, to, elsewhere) = Asked::new(self.is_local);
            let namespace = namespace.clone();
            self.room_server.do_send(LookRooms { namespace, with_sids: true, to, elsewhere });
            asked.push(rooms);
        }
        rooms_of(asked).await
    }
}

/// Waits for the rooms of namespaces: those of this server, and those of others.
async fn rooms_of(asked: Vec<Asked<Vec<(ByteString, usize)>, RoomsElsewhere>>) -> Result<AllRooms, Gone> {
    let mut all = AllRooms::default();
    for asked in asked {
        let (here, RoomsElsewhere { rooms: there, missing }) = asked.answers().await?;
        all.rooms.extend(here.into_iter().map(|(name, _)| name).chain(there));
        all.missing_servers += missing;
    }
    all.rooms.sort_unstable();
    all.rooms.dedup();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        connection::Budget,
        socketio::{cluster::SocketShown, engine::Engine, settings::EngineSettings},
    };

    fn found(sid: &'static str) -> SocketFound {
        SocketFound { sid: sid.into(), rooms: vec![sid.into()], info: Arc::new(()) }
    }

    fn shown(sid: &'static str) -> SocketShown {
        SocketShown { id: sid.into(), rooms: vec![sid.into()], ..SocketShown::default() }
    }

    /// What has come already.
    fn come<T>(value: T) -> oneshot::Receiver<T> {
        let (to, receiver) = oneshot::channel();
        let _ = to.send(value);
        receiver
    }

    /// What will never come.
    fn lost<T>() -> oneshot::Receiver<T> {
        oneshot::channel().1
    }

    fn emitter() -> Emitter {
        let engine = Engine::new(EngineSettings::default(), Arc::default(), Budget::new(1), Arc::default());
        Emitter::new(engine.room_server().clone(), "/".into())
    }

    #[actix_web::test]
    async fn sockets_of_this_server_come_first_and_silent_servers_are_counted() {
        let others = |sids: &[&'static str], missing| {
            Some(come(FoundElsewhere { sockets: sids.iter().map(|sid| shown(sid)).collect(), missing }))
        };
        let asked = vec![
            (
                "/a".into(),
                Asked { here: come(vec![found("1"), found("2")]), elsewhere: others(&["7", "8"], 1) },
            ),
            ("/b".into(), Asked { here: come(vec![found("3")]), elsewhere: others(&["9"], 2) }),
            ("/c".into(), Asked { here: come(vec![found("4")]), elsewhere: Some(lost()) }),
            ("/d".into(), Asked { here: come(vec![found("5")]), elsewhere: None }),
        ];
        let sockets = emitter().sockets_of(asked).await.expect("a reply");
        assert_eq!(sockets.missing_servers(), 3);
        let ids: Vec<_> = sockets.iter().map(|socket| (socket.id(), socket.is_local())).collect();
        let here = ["1", "2", "3", "4", "5"].map(|id| (id, true));
        assert_eq!(ids, [&here[..], &["7", "8", "9"].map(|id| (id, false))].concat());
        assert_eq!((&sockets).into_iter().count(), sockets.into_iter().count());
    }

    #[actix_web::test]
    async fn a_look_up_without_a_reply_of_this_server_fails() {
        let asked =
            vec![("/".into(), Asked { here: lost(), elsewhere: Some(come(FoundElsewhere::default())) })];
        assert_eq!(emitter().sockets_of(asked).await.err(), Some(Gone));
        assert_eq!(rooms_of(vec![Asked { here: lost(), elsewhere: None }]).await, Err(Gone));
    }

    #[actix_web::test]
    async fn each_room_of_all_servers_is_named_once_in_order() {
        let others = RoomsElsewhere { rooms: vec!["red".into(), "a".into()], missing: 1 };
        let here = vec![("blue".into(), 1), ("red".into(), 2)];
        let asked = vec![
            Asked { here: come(here), elsewhere: Some(come(others)) },
            Asked { here: come(Vec::new()), elsewhere: Some(lost()) },
        ];
        let all = rooms_of(asked).await;
        let rooms = ["a", "blue", "red"].map(ByteString::from).to_vec();
        assert_eq!(all, Ok(AllRooms { rooms, missing_servers: 1 }));
    }
}
