//! The servers of Redis that have partitions of a node: one, or masters of a Redis Cluster.

use std::{collections::BTreeMap, pin::Pin, sync::Arc, time::Instant};

use futures_util::future::select_all;

use super::{
    connecting::{Connected, NotConnected, Options, connect},
    fitness::Terms,
    traffic::{Batch, Moved, Traffic},
};
use crate::{
    config::RedisUrl,
    nodes::{Bounds, contract::Away, link::Input},
};

/// The number of a server, never that of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ServerId(pub u64);

/// The way to a server.
enum Way {
    Connecting(Pin<Box<dyn Future<Output = Result<Connected, NotConnected>>>>),
    Open { traffic: Box<Traffic>, run: String, terms: Terms },
}

struct Server {
    url: RedisUrl,
    way: Way,
    /// What is sent at the end of a turn.
    batch: Batch,
    /// What has come.
    inputs: Vec<Input>,
}

/// What has happened with a server.
pub(super) enum Event {
    /// It is connected.
    Connected,
    /// Something has come, see [`Servers::take`].
    Passed,
    /// It cannot be reached any more, or could not be from the beginning.
    Lost(Away),
}

/// All servers.
pub(super) struct Servers {
    options: Options,
    bounds: Arc<Bounds>,
    last: u64,
    /// How often was waited, so that no server comes first always.
    turns: usize,
    all: BTreeMap<ServerId, Server>,
}

impl Servers {
    /// None yet. All are connected to with these options, except for the address.
    pub(super) fn new(options: Options, bounds: Bounds) -> Self {
        Self { options, bounds: Arc::new(bounds), last: 0, turns: 0, all: BTreeMap::new() }
    }

    /// The server at an address. If there is none, it is connected to.
    pub(super) fn at(&mut self, url: &RedisUrl) -> ServerId {
        if let Some((id, _)) = self.all.iter().find(|(_, server)| server.url == *url) {
            return *id;
        }
        self.last += 1;
        let id = ServerId(self.last);
        let options = Options { url: url.clone(), ..self.options.clone() };
        let way = Way::Connecting(Box::pin(async move { connect(&options).await }));
        let server = Server { url: url.clone(), way, batch: Batch::default(), inputs: Vec::new() };
        self.all.insert(id, server);
        id
    }

    /// The address of a server.
    pub(super) fn url(&self, id: ServerId) -> Option<&RedisUrl> {
        self.all.get(&id).map(|server| &server.url)
    }

    /// The run of a server that is connected, and what it promises.
    pub(super) fn opened(&self, id: ServerId) -> Option<(&str, &Terms)> {
        match &self.all.get(&id)?.way {
            Way::Open { run, terms, .. } => Some((run, terms)),
            Way::Connecting(_) => None,
        }
    }

    /// Gives a server up. Returns whether it was connected.
    pub(super) fn remove(&mut self, id: ServerId) -> bool {
        self.all.remove(&id).is_some_and(|server| matches!(server.way, Way::Open { .. }))
    }

    /// Gives those servers up that are not used.
    pub(super) fn retain(&mut self, is_used: impl Fn(ServerId) -> bool) {
        self.all.retain(|id, _| is_used(*id));
    }

    /// The connections to a server, with the batch of the turn. `None` while it is not connected.
    pub(super) fn traffic(&mut self, id: ServerId) -> Option<(&mut Traffic, &mut Batch)> {
        match self.all.get_mut(&id)? {
            Server { way: Way::Open { traffic, .. }, batch, .. } => Some((traffic, batch)),
            _ => None,
        }
    }

    /// Sends the batches of the turn.
    pub(super) fn send(&mut self) {
        for server in self.all.values_mut() {
            if let Way::Open { traffic, .. } = &mut server.way {
                traffic.send(std::mem::take(&mut server.batch));
            }
        }
    }

    /// Waits until something has happened with a server. Nothing is lost if the future is dropped.
    pub(super) async fn next(&mut self) -> (ServerId, Event) {
        if self.all.is_empty() {
            return std::future::pending().await;
        }
        let first = self.turns % self.all.len();
        self.turns = self.turns.wrapping_add(1);
        let waiting = self.all.iter_mut().map(|(id, server)| Box::pin(server.next(*id)));
        let mut waiting: Vec<_> = waiting.collect();
        waiting.rotate_left(first);
        let ((id, happened), ..) = select_all(waiting).await;
        (id, self.note(id, happened))
    }

    fn note(&mut self, id: ServerId, happened: Happened) -> Event {
        match (happened, self.all.get_mut(&id)) {
            (Happened::Connected(Ok(connected)), Some(server)) => {
                let (run, terms) = (connected.server.clone(), connected.terms.clone());
                let (acks, bounds) = (self.options.acks, Arc::clone(&self.bounds));
                let traffic = Box::new(Traffic::new(connected, acks, bounds, Instant::now()));
                server.way = Way::Open { traffic, run, terms };
                Event::Connected
            }
            (Happened::Connected(Err(why)), _) => Event::Lost(Away(format!("Redis {why}"))),
            (Happened::Passed(Err(why)), _) => Event::Lost(why),
            (Happened::Passed(Ok(())), _) | (_, None) => Event::Passed,
        }
    }

    /// What has come from a server, and what it says that other servers have now.
    pub(super) fn take(&mut self, id: ServerId) -> (Vec<Input>, Vec<Moved>) {
        let Some(server) = self.all.get_mut(&id) else {
            return Default::default();
        };
        let inputs = std::mem::take(&mut server.inputs);
        match &mut server.way {
            Way::Open { traffic, .. } => (inputs, traffic.take_moved()),
            Way::Connecting(_) => (inputs, Vec::new()),
        }
    }
}

/// What has happened with a server.
enum Happened {
    Connected(Result<Connected, NotConnected>),
    Passed(Result<(), Away>),
}

impl Server {
    async fn next(&mut self, id: ServerId) -> (ServerId, Happened) {
        let happened = match &mut self.way {
            Way::Connecting(connecting) => Happened::Connected(connecting.as_mut().await),
            Way::Open { traffic, .. } => Happened::Passed(traffic.next(&mut self.inputs).await),
        };
        (id, happened)
    }
}
