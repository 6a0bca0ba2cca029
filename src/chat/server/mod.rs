//! The actor that knows the members of each room and orders what is said there.

use std::{
    collections::{HashMap, VecDeque},
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{
    Actor, AsyncContext as _, Context, Handler, ResponseActFuture, ResponseFuture,
    fut::{ActorFutureExt as _, wrap_future},
};
use tokio::sync::oneshot;

use super::{
    alarms::{Alarms, Ringing},
    commits::{Commit, Commits},
    handing::Fate,
    ids::{IdCount, IdLimits, Ids, RestingIds},
    listing::Listing,
    messages::{
        CaughtUp, ChatNews, CloseJournal, ForgetRoom, ListRooms, ListUsers, Login, Logout, MayEnter, Post,
        Publish, Register, Rejected, Reply, RoomList, SendPrivate, ShowTyping, Summarize, Summary,
        Unregister,
    },
    new_rooms::NewRooms,
    room::{Behind, Book, Room, Visit},
};
use crate::{
    broadcast::{AddWorker, Broadcaster, Delivery, DismissAll, Ended, RoomId, TurnLength, Turns},
    config::PerAddress,
    connection::{Budget, Ending},
    domain::{MemberId, RoomName},
    journal::{Append, Journal, JournalError, now_millis},
    metrics::Metrics,
};

mod announcing;
mod journaling;
mod members;
mod names;
mod talking;

/// The bounds of a chat server.
#[derive(Clone, Copy, Debug)]
pub struct ChatLimits {
    /// Rooms at a time with members or with history.
    pub max_rooms: usize,
    /// New rooms a minute per client address.
    pub max_new_rooms: PerAddress,
    /// How long the nickname of a user that dropped is held.
    pub name_hold: Duration,
    /// How long a nickname is reserved for a user that has shown its token.
    pub name_reservation: Duration,
    /// Most held nicknames, and most reserved ones, in one room.
    pub max_held_names: usize,
    /// Bounds on remembered message ids.
    pub ids: IdLimits,
    /// Bytes of the newest messages in memory, in all rooms together.
    pub tail_bytes: usize,
}

/// Keeps members, order, broadcasts and presence, and is the only writer of the journal. One per process, on
/// the first worker's thread.
///
/// Broadcasts end when the mailbox is empty, or when their [`Broadcaster`] ends them. What is to be kept goes to the journal, one batch at a time; senders get their
/// ack when it is durable, the other members do not wait for that.
pub struct ChatServer {
    limits: ChatLimits,
    broadcaster: Broadcaster<Room>,
    new_rooms: NewRooms,
    journal: Arc<dyn Journal>,
    commits: Commits,
    metrics: Arc<Metrics>,
    /// Number of remembered ids in all rooms.
    id_count: IdCount,
    resting_ids: RestingIds,
    /// Ids of private messages of all rooms. Nothing else of these messages is kept.
    private_ids: Ids<Arc<Fate>>,
    /// Sessions whose login waits for a room's journal, and what each has sent behind it.
    logging_in: HashMap<MemberId, VecDeque<Behind>>,
    turn: TurnLength,
    /// The server stops: a session that registers now is dismissed, as the others were.
    is_stopping: bool,
    /// Whether the journal is being asked for its rooms.
    is_probing: bool,
    /// Whether the journal has told which rooms have history.
    knows_rooms: bool,
    /// Whether the timer for the next try is set.
    is_retry_due: bool,
    /// To answer when the journal is closed.
    closing: Vec<oneshot::Sender<()>>,
    listing: Listing,
    alarms: Alarms,
}

impl ChatServer {
    /// A chat server that keeps history in `journal` and figures in `metrics`. Backlogs of sessions are
    /// charged to `budget`.
    pub fn new(
        limits: ChatLimits,
        journal: Arc<dyn Journal>,
        metrics: Arc<Metrics>,
        budget: Arc<Budget>,
    ) -> Self {
        let id_count = IdCount::default();
        Self {
            limits,
            broadcaster: Broadcaster::new(limits.max_rooms, budget),
            new_rooms: NewRooms::new(limits.max_new_rooms),
            journal,
            commits: Commits::default(),
            metrics,
            private_ids: Ids::new(limits.ids, id_count.clone()),
            id_count,
            resting_ids: RestingIds::default(),
            logging_in: HashMap::new(),
            turn: TurnLength::default(),
            is_stopping: false,
            is_probing: false,
            knows_rooms: false,
            is_retry_due: false,
            closing: Vec::new(),
            listing: Listing::default(),
            alarms: Alarms::default(),
        }
    }

    fn reply(&self, member: MemberId, ticket: u64, reply: Reply) {
        self.broadcaster.tell(member, ChatNews::Reply { ticket, reply });
    }

    fn reject(&self, member: MemberId, ticket: u64, rejected: Rejected) {
        self.reply(member, ticket, Reply::Rejected(rejected));
    }

    /// Removes a room from memory if nothing is lost by that.
    fn retire(&mut self, id: RoomId) {
        if let Some(Room { name, book: Book::Open(log), .. }) = self.broadcaster.rooms.retire(id) {
            self.listing.rest(&name, log.position());
            self.resting_ids.put(name, log.ids, now_millis());
        }
    }

    fn end_broadcast(&mut self, id: RoomId) {
        let ended = self.broadcaster.end(id);
        self.keep(ended);
    }

    /// Queues for the journal what is to be kept of broadcasts that have ended.
    fn keep(&mut self, ended: Ended) {
        for (id, broadcast) in ended {
            let tail_bytes = self.tail_share();
            let Some(room) = self.broadcaster.rooms.get(id) else {
                continue;
            };
            let kept = mem::take(&mut room.kept).into_record();
            if let Some((record, pictures, receipts)) = kept
                && let Book::Open(log) = &mut room.book
            {
                log.push(record.clone(), tail_bytes);
                let append = Append { room: room.name.clone(), epoch: log.epoch(), record, pictures };
                self.commits.push(Commit { room: id, append, receipts, _broadcast: broadcast });
                self.metrics.set_unkept(self.commits.unkept());
            } else {
                self.retire(id);
            }
        }
    }
}

impl Turns for ChatServer {
    fn turn(&mut self) -> &mut TurnLength {
        &mut self.turn
    }

    /// Sends all broadcasts, and gives the journal the next batch.
    fn end_turn(&mut self, ctx: &mut Context<Self>) {
        let ended = self.broadcaster.end_all();
        self.keep(ended);
        self.commit_next(ctx);
    }
}

impl std::fmt::Debug for ChatServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatServer").field("rooms", &self.broadcaster.rooms.loaded()).finish_non_exhaustive()
    }
}

impl Actor for ChatServer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        Self::start_turns(ctx);
        ctx.spawn(Ringing::new(|server: &Self| server.alarms.next(), Self::ring));
        self.look_into_journal(ctx);
        self.sweep(ctx);
        self.check_journal(ctx);
    }
}

impl Handler<AddWorker> for ChatServer {
    type Result = ();

    fn handle(&mut self, AddWorker { worker, fanout }: AddWorker, _: &mut Self::Context) {
        self.broadcaster.add_worker(worker, fanout);
    }
}

impl Handler<MayEnter> for ChatServer {
    type Result = Result<(), Rejected>;

    fn handle(&mut self, MayEnter { room, address }: MayEnter, _: &mut Self::Context) -> Self::Result {
        self.may_enter(&room, address)
    }
}

impl Handler<Register> for ChatServer {
    type Result = ();

    fn handle(
        &mut self,
        Register { member, room, worker, seat, address }: Register,
        ctx: &mut Self::Context,
    ) {
        if self.is_stopping {
            return seat.deliveries.do_send(Delivery::Dismissed(Ending::Restart));
        }
        let Ok(room) = room.map(|name| self.find_or_make(&name, address, ctx)).transpose() else {
            return seat.deliveries.do_send(Delivery::Dismissed(Ending::TooManyRooms));
        };
        self.broadcaster.register(member, worker, seat, Visit { ticket: 0, address });
        if let Some(room) = room {
            self.enter(member, room);
            self.subscribe(member);
            self.open_book(room, ctx);
        }
        self.metrics.set_rooms(self.broadcaster.rooms.occupied(), self.broadcaster.rooms.count());
        self.count_turn(ctx);
    }
}

impl Handler<Unregister> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: Unregister, ctx: &mut Self::Context) {
        if let Some(message) = self.wait_behind_login(message.member, message) {
            self.unregister(message);
        }
        self.metrics.set_rooms(self.broadcaster.rooms.occupied(), self.broadcaster.rooms.count());
        self.count_turn(ctx);
    }
}

impl Handler<Publish> for ChatServer {
    type Result = ();

    fn handle(&mut self, publish: Publish, ctx: &mut Self::Context) {
        self.publish(publish, ctx);
        self.count_turn(ctx);
    }
}

impl Handler<Login> for ChatServer {
    type Result = ();

    fn handle(&mut self, login: Login, ctx: &mut Self::Context) {
        self.login(login, ctx);
        self.metrics.set_rooms(self.broadcaster.rooms.occupied(), self.broadcaster.rooms.count());
        self.count_turn(ctx);
    }
}

impl Handler<CaughtUp> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: CaughtUp, ctx: &mut Self::Context) {
        self.caught_up(message);
        self.count_turn(ctx);
    }
}

impl Handler<Post> for ChatServer {
    type Result = ();

    fn handle(&mut self, post: Post, ctx: &mut Self::Context) {
        if let Some(post) = self.wait_behind_login(post.member, post) {
            self.post_or_reject(post);
        }
        self.count_turn(ctx);
    }
}

impl Handler<SendPrivate> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: SendPrivate, ctx: &mut Self::Context) {
        if let Some(message) = self.wait_behind_login(message.member, message) {
            self.send_private_or_reject(message);
        }
        self.count_turn(ctx);
    }
}

impl Handler<ListUsers> for ChatServer {
    type Result = ();

    fn handle(&mut self, asked: ListUsers, ctx: &mut Self::Context) {
        match self.list_users(&asked) {
            Ok(reply) => self.reply(asked.member, asked.ticket, reply),
            Err(rejected) => self.reject(asked.member, asked.ticket, rejected),
        }
        self.count_turn(ctx);
    }
}

impl Handler<ShowTyping> for ChatServer {
    type Result = ();

    fn handle(&mut self, ShowTyping { member, typing, .. }: ShowTyping, ctx: &mut Self::Context) {
        self.show_typing(member, typing);
        self.count_turn(ctx);
    }
}

impl Handler<Logout> for ChatServer {
    type Result = ();

    fn handle(&mut self, logout: Logout, ctx: &mut Self::Context) {
        if let Some(logout) = self.wait_behind_login(logout.member, logout) {
            self.logout(logout, ctx);
        }
        self.metrics.set_rooms(self.broadcaster.rooms.occupied(), self.broadcaster.rooms.count());
        self.count_turn(ctx);
    }
}

impl Handler<DismissAll> for ChatServer {
    type Result = ();

    fn handle(&mut self, message: DismissAll, ctx: &mut Self::Context) {
        self.is_stopping = true;
        self.end_turn(ctx);
        self.broadcaster.dismiss_all(&message);
    }
}

impl Handler<CloseJournal> for ChatServer {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: CloseJournal, ctx: &mut Self::Context) -> Self::Result {
        let (closed, wait) = oneshot::channel();
        self.closing.push(closed);
        self.keep_names(ctx);
        self.end_turn(ctx);
        self.close_if_idle(ctx);
        Box::pin(async move { wait.await.unwrap_or_default() })
    }
}

impl Handler<ForgetRoom> for ChatServer {
    type Result = ResponseActFuture<Self, Result<(), JournalError>>;

    fn handle(&mut self, ForgetRoom { room }: ForgetRoom, ctx: &mut Self::Context) -> Self::Result {
        // The journal must get what was said before this request first.
        self.end_turn(ctx);
        let asked = wrap_future(self.journal.forget(room.clone()));
        Box::pin(asked.map(move |answer, server: &mut Self, _| {
            if answer.is_ok() {
                server.forgot(&room);
            }
            answer
        }))
    }
}

impl Handler<ListRooms> for ChatServer {
    type Result = RoomList;

    fn handle(&mut self, ListRooms { asked }: ListRooms, _: &mut Self::Context) -> RoomList {
        let mut list = self.listing.list(Instant::now(), self.broadcaster.rooms.iter());
        for name in asked.into_iter().filter(RoomName::is_listed) {
            let id = self.broadcaster.rooms.find(&name);
            let members = id.map_or(0, |id| self.broadcaster.rooms.members_in(id));
            let room = id.and_then(|id| self.broadcaster.rooms.get(id));
            list.asked.push(self.listing.asked(name, members, room));
        }
        list
    }
}

impl Handler<Summarize> for ChatServer {
    type Result = Summary;

    fn handle(&mut self, _: Summarize, _: &mut Self::Context) -> Summary {
        Summary {
            rooms: self.broadcaster.rooms.occupied(),
            kept_rooms: self.broadcaster.rooms.count(),
            members: self.broadcaster.rooms.member_count(),
            journal_fault: self.commits.fault().cloned(),
            journal_damage: self.journal.damage(),
        }
    }
}
