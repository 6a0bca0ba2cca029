//! The shards of the chat, as the rest of the server reaches them.

use std::{
    cell::Cell,
    collections::HashMap,
    fmt,
    rc::Rc,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix::{
    Addr,
    dev::channel::{AddressReceiver, channel},
};
use actix_web::rt::time::timeout;
use futures_util::future::{join_all, try_join_all};
use tokio::sync::mpsc;

use super::{
    all_nodes::AllNodes,
    calls::{self, Call},
    common::{ChatLimits, Common, ShardId, Sharing},
    handing::Decided,
    messages::{ListRooms, MayEnter, Rejected, Request, RoomList, SizeUp, Stop, Summarize, Summary},
    server::ChatServer,
    transfer::{Peers, ToShard},
};
use crate::{
    broadcast::{AddWorker, DismissAll, ToFanOut},
    connection::Budget,
    domain::{MemberId, RoomName, WorkerId},
    journal::Journal,
    metrics::Metrics,
    nodes::contract::{Heard, Link, Listener},
    parts::{MAILBOX, Mailbox, Parts, Waiting},
};

/// How often what a client has sent at once may move it from shard to shard before the journal is closed.
const MOST_HOPS: usize = 8;

/// The addresses of all shards. The address of a room is computed from the room's name.
#[derive(Clone)]
pub(crate) struct Shards(Arc<All>);

struct All {
    common: Arc<Common>,
    mailboxes: Vec<Mailbox<ChatServer>>,
    /// Number of shards that are not done with the journal.
    open: AtomicUsize,
    /// The rooms of all nodes, if the rooms are shared with other nodes and the shards were started.
    all_nodes: OnceLock<AllNodes>,
}

/// A shard has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a shard of the chat does not answer")]
pub(crate) struct NoAnswer;

impl Peers for Shards {
    fn send(&self, to: ShardId, message: ToShard) {
        self.at(to).do_send(message);
    }

    fn decided(&self, by: ShardId, decided: Decided) {
        self.at(by).do_send(decided);
    }

    fn is_last_to_close(&self) -> bool {
        self.0.open.fetch_sub(1, Ordering::SeqCst) == 1
    }
}

impl Listener for Shards {
    fn heard(&self, heard: Heard) {
        if let Some(room) = heard.room() {
            let shard = self.0.common.shard_of(room);
            return self.at(shard).do_send(heard);
        }
        for shard in &self.0.mailboxes {
            shard.do_send(heard.clone());
        }
    }
}

/// Shards that are to be started, each on the thread that it is to live on. What is sent to a shard before waits.
pub(crate) struct Unstarted {
    shards: Shards,
    unstarted: Mutex<Vec<(ShardId, AddressReceiver<ChatServer>, Waiting)>>,
}

impl Unstarted {
    /// A chat of `count` shards. Backlogs of sessions are charged to `budget`.
    /// With `sharing`, its rooms are shared with other nodes.
    pub(crate) fn new(
        limits: ChatLimits,
        budget: Arc<Budget>,
        count: usize,
        sharing: Option<Sharing>,
    ) -> Self {
        let common = match sharing {
            None => Common::new(limits, budget, count),
            Some(sharing) => Common::shared(limits, budget, count, sharing),
        };
        let (mailboxes, unstarted): (Vec<_>, Vec<_>) = common
            .shards()
            .map(|shard| {
                let ((sender, receiver), waiting) = (channel(MAILBOX), Waiting::default());
                (Mailbox::new(Addr::new(sender), waiting.clone()), (shard, receiver, waiting))
            })
            .unzip();
        let open = AtomicUsize::new(mailboxes.len());
        let shards = Shards(Arc::new(All { common, mailboxes, open, all_nodes: OnceLock::new() }));
        Self { shards, unstarted: Mutex::new(unstarted) }
    }

    /// The shards, started or not.
    pub(crate) fn shards(&self) -> &Shards {
        &self.shards
    }

    /// Starts those shards on this thread for which `is_here` holds, each once. `link` goes to other nodes.
    pub(crate) fn start(
        &self,
        is_here: impl Fn(ShardId) -> bool,
        journal: &Arc<dyn Journal>,
        link: Option<&Arc<dyn Link>>,
        metrics: &Arc<Metrics>,
        parts: &Arc<Parts>,
    ) {
        if let Some(link) = link {
            self.shards.0.all_nodes.get_or_init(|| AllNodes::new(Arc::clone(link)));
        }
        let mut unstarted = self.unstarted.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, receiver, waiting) in unstarted.extract_if(.., |(id, ..)| is_here(*id)) {
            let name = format!("chat-server-{}", id.0);
            let depth = waiting.clone();
            parts.count(&name, move || Some(depth.count()));
            let (common, peers) = (Arc::clone(&self.shards.0.common), Arc::new(self.shards.clone()));
            let (journal, metrics, link) = (Arc::clone(journal), Arc::clone(metrics), link.cloned());
            parts.start_at(name, self.shards.at(id).address(), receiver, |supervisor| {
                ChatServer::new(common, peers, link, id, journal, metrics, supervisor, waiting)
            });
        }
    }
}

impl Shards {
    /// A shard.
    fn at(&self, ShardId(shard): ShardId) -> &Mailbox<ChatServer> {
        &self.0.mailboxes[shard]
    }

    /// The shard of a room.
    fn of_room(&self, room: &RoomName) -> &Addr<ChatServer> {
        self.at(self.0.common.shard_of(room)).address()
    }

    /// The way of a session to its shard: that of a room, or the session's own while it is in none.
    pub(crate) fn way_of(&self, member: MemberId, room: Option<&RoomName>) -> Way {
        let shard = room.map_or_else(|| self.0.common.home_of(member), |room| self.0.common.shard_of(room));
        Way(Rc::new(Place { shards: self.clone(), at: Cell::new(shard) }))
    }

    /// Tells all shards of a worker's fan-out, before any session of that worker registers.
    pub(crate) fn add_worker(&self, worker: WorkerId, fanout: &Arc<dyn ToFanOut>) {
        for shard in &self.0.mailboxes {
            shard.do_send(AddWorker { worker, fanout: Arc::clone(fanout) });
        }
    }

    /// Whether a client at this address may enter a room.
    ///
    /// # Errors
    /// The shard does not answer.
    pub(crate) async fn may_enter(&self, message: MayEnter) -> Result<Result<(), Rejected>, NoAnswer> {
        self.of_room(&message.room).send(message).await.map_err(|_| NoAnswer)
    }

    /// Forgets all messages of a room: those that were said before this call, and those that are said until the journal
    /// has forgotten them. Its members stay, and go on at the next offset. False if there is no message.
    ///
    /// # Errors
    /// The shard has ended. If it ends later, or the journal fails, the answer is the error.
    pub(crate) async fn forget(&self, room: RoomName) -> Result<calls::Answer, NoAnswer> {
        self.of_room(&room).send(Call::Forget(room)).await.map_err(|_| NoAnswer)
    }

    /// The largest rooms, and those that are asked for; of all nodes, if the rooms are shared with those.
    ///
    /// # Errors
    /// A shard does not answer.
    pub(crate) async fn list_rooms(&self, asked: Vec<RoomName>) -> Result<RoomList, NoAnswer> {
        let of = |shard: &RoomName| self.0.common.shard_of(shard);
        let parts = self.0.common.shards().map(|shard| {
            let asked = asked.iter().filter(|room| of(room) == shard).cloned().collect();
            self.at(shard).address().send(ListRooms { asked })
        });
        let lists = try_join_all(parts).await.map_err(|_| NoAnswer)?;
        let own = RoomList::joined(lists, &asked);
        Ok(match self.0.all_nodes.get() {
            Some(all_nodes) => all_nodes.list(own).await,
            None => own,
        })
    }

    /// How many sessions are in each room that may be listed and has some.
    ///
    /// # Errors
    /// A shard does not answer.
    pub(crate) async fn room_sizes(&self) -> Result<HashMap<RoomName, u64>, NoAnswer> {
        let parts = try_join_all(self.0.mailboxes.iter().map(|shard| shard.address().send(SizeUp))).await;
        Ok(parts.map_err(|_| NoAnswer)?.into_iter().flatten().collect())
    }

    /// The numbers of all shards together.
    ///
    /// # Errors
    /// A shard does not answer.
    pub(crate) async fn summary(&self) -> Result<Summary, NoAnswer> {
        let parts = try_join_all(self.0.mailboxes.iter().map(|shard| shard.address().send(Summarize))).await;
        Ok(Summary::joined(parts.map_err(|_| NoAnswer)?))
    }

    /// Has no session register any more, sends all that has been said to the fan-outs, and then dismisses all
    /// sessions.
    ///
    /// False if a shard has not answered within `patience`: the sessions are dismissed nevertheless.
    pub(crate) async fn dismiss_all(&self, message: DismissAll, patience: Duration) -> bool {
        // A shard that has ended has nothing to send.
        let stopped = join_all(self.0.mailboxes.iter().map(|shard| shard.address().send(Stop)));
        let in_time = timeout(patience, stopped).await.is_ok();
        self.at(ShardId(0)).do_send(message);
        in_time
    }

    /// Closes all sessions that are in rooms, so that their clients come back elsewhere.
    pub(crate) async fn send_all_away(&self) {
        let (all_told, mut told) = mpsc::channel(1);
        self.at(ShardId(0)).do_send(DismissAll { all_told });
        // Nothing comes: the channel ends when the last fan-out has dismissed its members.
        _ = told.recv().await;
    }

    /// Closes the journal once all messages are durable. Waits for what clients have sent before they left for
    /// at most `patience`; then the shards close with what they have.
    pub(crate) async fn close_journal(&self, patience: Duration) {
        let shards = || self.0.mailboxes.iter().map(|shard| shard.address());
        let at_rest = async {
            // What a client has sent may still follow it from shard to shard: one round for each hop.
            for _ in 0..=self.0.mailboxes.len().min(MOST_HOPS) {
                drop(join_all(shards().map(|shard| shard.send(Call::UntilIdle))).await);
            }
        };
        // A shard whose journal has a fault is not idle.
        _ = timeout(patience, at_rest).await;
        // A shard that has ended cannot keep anything.
        drop(join_all(shards().map(|shard| shard.send(Call::Close))).await);
    }
}

impl fmt::Debug for Shards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shards").field("count", &self.0.mailboxes.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Unstarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unstarted").field("shards", &self.shards).finish_non_exhaustive()
    }
}

/// The way of one session to its shard. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Way(Rc<Place>);

#[derive(Debug)]
struct Place {
    shards: Shards,
    at: Cell<ShardId>,
}

impl Way {
    /// Sends a request. Never waits.
    pub(crate) fn send(&self, request: impl Into<Request>) {
        let Place { shards, at } = &*self.0;
        shards.at(at.get()).do_send(request.into());
    }

    /// The session is in a room now: its requests go to the room's shard.
    pub(crate) fn moved_to(&self, room: &RoomName) {
        let Place { shards, at } = &*self.0;
        at.set(shards.0.common.shard_of(room));
    }
}
