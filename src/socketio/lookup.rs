//! Looks up sockets and rooms from any thread, on all servers of a cluster.

use std::{ops::Deref, slice, vec};

use bytestring::ByteString;
use tokio::sync::oneshot;

use super::{
    cluster::{FoundElsewhere, RoomsElsewhere},
    emitter::Emitter,
    remote::RemoteSocket,
    rooms::messages::{Look, LookRooms, Target},
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

/// Where an answer of other servers goes, and comes from; nothing for a look-up on this server alone.
fn ask_elsewhere<T>(is_local: bool) -> (Option<oneshot::Sender<T>>, Option<oneshot::Receiver<T>>) {
    if is_local {
        return (None, None);
    }
    let (to, answer) = oneshot::channel();
    (Some(to), Some(answer))
}

/// Waits for the answer of other servers. A sender that is dropped means that there are none.
async fn elsewhere<T: Default>(answer: Option<oneshot::Receiver<T>>) -> T {
    match answer {
        Some(answer) => answer.await.unwrap_or_default(),
        None => T::default(),
    }
}

impl Emitter {
    /// Looks up the selected sockets, on all servers that share the namespace. It waits for other servers for 5 seconds,
    /// unless that was set; [`Sockets::missing_servers`] tells how many have not answered. With [`local`](Self::local) no
    /// other server is asked.
    ///
    /// # Errors
    /// The room server did not reply.
    pub async fn fetch_sockets(&self) -> Result<Sockets, Gone> {
        let mut asked = Vec::new();
        // All are asked before the first is waited for.
        for namespace in &self.namespaces {
            let (to, found) = oneshot::channel();
            let (to_others, others) = ask_elsewhere(self.is_local);
            let (namespace, target) = (namespace.clone(), self.target.clone());
            let look = Look { namespace: namespace.clone(), target, to, elsewhere: to_others };
            self.room_server.do_send(look);
            asked.push((namespace, found, others));
        }
        let (mut sockets, mut remote, mut missing_servers) = (Vec::new(), Vec::new(), 0);
        for (namespace, found, others) in asked {
            let found = found.await.map_err(|_| Gone)?.into_iter();
            sockets.extend(found.map(|found| RemoteSocket::here(self, &namespace, found)));
            let FoundElsewhere { sockets: others, missing } = elsewhere(others).await;
            remote.extend(others.into_iter().map(|shown| RemoteSocket::elsewhere(self, &namespace, shown)));
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
    /// servers as [`fetch_sockets`](Self::fetch_sockets) does. Only the classic format of the adapter asks for rooms; with
    /// another one the rooms of this server are all that is known. It does not matter which sockets are selected.
    ///
    /// # Errors
    /// The room server did not reply.
    pub async fn all_rooms(&self) -> Result<AllRooms, Gone> {
        let mut asked = Vec::new();
        for namespace in &self.namespaces {
            let (to, rooms) = oneshot::channel();
            let (to_others, others) = ask_elsewhere(self.is_local);
            let namespace = namespace.clone();
            self.room_server.do_send(LookRooms { namespace, with_sids: true, to, elsewhere: to_others });
            asked.push((rooms, others));
        }
        let mut all = AllRooms::default();
        for (rooms, others) in asked {
            let here = rooms.await.map_err(|_| Gone)?;
            let RoomsElsewhere { rooms: there, missing } = elsewhere(others).await;
            all.rooms.extend(here.into_iter().map(|(name, _)| name).chain(there));
            all.missing_servers += missing;
        }
        all.rooms.sort_unstable();
        all.rooms.dedup();
        Ok(all)
    }
}
