//! The journal: opening rooms, committing records, and faults.

use std::time::{Duration, Instant};

use actix::{
    AsyncContext as _, Context,
    fut::{ActorFutureExt as _, wrap_future},
};
use log::warn;

use super::{ChatServer, names};
use crate::{
    broadcast::{RoomId, Turns as _},
    chat::{
        commits::{Commit, Receipt},
        ids::Ids,
        log::RoomLog,
        messages::{ChatNews, Rejected, Reply},
        room::{Book, Room, Waiting},
    },
    domain::RoomName,
    journal::{JournalError, RoomState, now_millis},
    logging,
};

/// How often a journal with a fault is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How often the journal is checked for a fault.
const CHECK: Duration = Duration::from_secs(1);

/// How often messages that are too old are removed.
const SWEEP: Duration = Duration::from_secs(600);

/// The least and the most bytes of its newest messages that a room keeps in memory.
const TAIL_SHARE: std::ops::RangeInclusive<usize> = 4 * 1024..=256 * 1024;

impl ChatServer {
    /// Asks which rooms have history, at the start and after a fault.
    pub(super) fn look_into_journal(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.is_probing, true) {
            return;
        }
        let asked = wrap_future(self.journal.rooms());
        let learnt =
            asked.map(|answer, server: &mut Self, ctx: &mut Context<Self>| server.rooms_told(answer, ctx));
        if self.broadcaster.is_without_workers() {
            // At the start, the answer must be known before the first session comes.
            ctx.wait(learnt);
        } else {
            ctx.spawn(learnt);
        }
    }

    fn rooms_told(&mut self, answer: Result<Vec<(RoomName, u64)>, JournalError>, ctx: &mut Context<Self>) {
        self.is_probing = false;
        match answer {
            Ok(names) => {
                let (kept, unkept): (Vec<_>, Vec<_>) =
                    names.into_iter().partition(|(name, _)| name.is_kept());
                kept.iter().for_each(|(name, at)| self.broadcaster.rooms.keep(name, *at));
                // Older versions kept the history of these rooms.
                unkept.into_iter().for_each(|(name, _)| self.forget_unkept(name, ctx));
                self.knows_rooms = true;
                self.commits.recovered();
                self.metrics.set_journal_available(true);
                self.commit_next(ctx);
            }
            Err(error) => {
                self.metrics.set_journal_available(false);
                self.commits.suspect(error);
                self.retry_later(ctx);
            }
        }
    }

    /// Checks the journal regularly: its files may vanish while no member says anything.
    pub(super) fn check_journal(&mut self, ctx: &mut Context<Self>) {
        let asked = wrap_future(self.journal.check());
        ctx.spawn(asked.map(|answer: Result<(), _>, server: &mut Self, ctx| {
            if let Err(error) = answer {
                server.metrics.set_journal_available(false);
                server.commits.suspect(error);
                server.retry_later(ctx);
            }
            server.note_damage();
            ctx.run_later(CHECK, Self::check_journal);
        }));
    }

    /// Reports the number of damages that the journal has met.
    fn note_damage(&self) {
        self.metrics.set_journal_damage(self.journal.damage().map_or(0, |damage| damage.found));
    }

    /// Removes what is too old, regularly.
    pub(super) fn sweep(&mut self, ctx: &mut Context<Self>) {
        let asked = wrap_future(self.journal.sweep());
        ctx.spawn(asked.map(|answer: Result<Vec<RoomName>, _>, server: &mut Self, ctx| {
            server.resting_ids.sweep(now_millis());
            server.private_ids.let_go(now_millis());
            match answer {
                Ok(forgotten) => forgotten.iter().for_each(|name| {
                    server.broadcaster.rooms.forget(name);
                    server.resting_ids.take(name);
                    server.listing.forget(name);
                }),
                Err(error) => warn!("old messages cannot be let go: {error}"),
            }
            ctx.run_later(SWEEP, Self::sweep);
        }));
    }

    fn forget_unkept(&self, room: RoomName, ctx: &mut Context<Self>) {
        let asked = wrap_future(self.journal.forget(room));
        ctx.spawn(asked.map(|answer: Result<(), _>, _: &mut Self, _| {
            if let Err(error) = answer {
                warn!("the history of a room that keeps nothing cannot be let go: {error}");
            }
        }));
    }

    /// Forgets the history of a room that is not in memory, to make place for another room.
    pub(super) fn forget(&mut self, room: RoomName, ctx: &mut Context<Self>) {
        logging::refused(
            super::members::MAX_ROOMS,
            format_args!("room {room:?} was silent longest and lost its history to make place for another"),
        );
        self.metrics.forgot_room();
        self.resting_ids.take(&room);
        self.listing.forget(&room);
        let asked = wrap_future(self.journal.forget(room));
        ctx.spawn(asked.map(|answer: Result<(), _>, server: &mut Self, ctx| {
            if let Err(error) = answer {
                warn!("the history of a room cannot be let go: {error}");
                server.look_into_journal(ctx);
            }
        }));
    }

    /// The journal has forgotten all messages of a room.
    pub(super) fn forgot(&mut self, room: &RoomName) {
        self.broadcaster.rooms.forget(room);
        self.resting_ids.take(room);
        self.listing.forget(room);
        if let Some(log) = self
            .broadcaster
            .rooms
            .find(room)
            .and_then(|id| self.broadcaster.rooms.get(id))
            .and_then(Room::log)
        {
            log.forget_durable();
        }
    }

    /// Asks where a room stands in its journal, unless that has been asked, or the room keeps no history.
    pub(super) fn open_book(&mut self, id: RoomId, ctx: &mut Context<Self>) {
        let is_closed = |room: &&mut Room| room.name.is_kept() && matches!(room.book, Book::Closed);
        let Some(room) = self.broadcaster.rooms.get(id).filter(is_closed) else {
            return;
        };
        room.book = Book::Opening(Vec::new());
        let asked = wrap_future(self.journal.open(room.name.clone()));
        ctx.spawn(asked.map(move |answer, server: &mut Self, ctx| server.book_opened(id, answer, ctx)));
    }

    fn book_opened(&mut self, id: RoomId, answer: Result<RoomState, JournalError>, ctx: &mut Context<Self>) {
        // A room with waiting requests stays in memory.
        let Some(room) = self.broadcaster.rooms.get(id) else {
            return;
        };
        let (name, mut nearer) = (room.name.clone(), Vec::new());
        let (book, fault) = match answer {
            Ok(mut state) => {
                let most = self.limits.name_reservation.max(self.limits.name_hold);
                nearer = names::restore(&mut room.presence, std::mem::take(&mut state.names), most);
                let (limits, count) = (self.limits.ids, self.id_count.clone());
                // The file of the journal may have been replaced by an older one meanwhile.
                let resting = self.resting_ids.take(&room.name);
                let ids = resting.filter(|ids| ids.last_offset() <= state.head);
                let ids = ids.unwrap_or_else(|| Ids::kept(limits, count, &state.keys, now_millis()));
                (Book::Open(Box::new(RoomLog::new(&state, ids))), None)
            }
            Err(error) => (Book::Closed, Some(error)),
        };
        let Book::Opening(waiting) = std::mem::replace(&mut room.book, book) else {
            return;
        };
        // A request may leave the room empty; the next ones need the room.
        room.is_catching_up = true;
        self.keep_in_journal(name, nearer, ctx);
        for waiting in waiting {
            match waiting {
                Waiting::Login(login) => {
                    let member = login.member;
                    match &fault {
                        Some(error) => self.reject(login.member, login.ticket, error.into()),
                        None => self.login_open(id, login, ctx),
                    }
                    self.go_on_behind_login(member, fault.is_some(), ctx);
                }
                Waiting::Publish(publish) => self.publish_open(id, publish),
            }
        }
        if let Some(room) = self.broadcaster.rooms.get(id) {
            room.is_catching_up = false;
        }
        self.retire(id);
        self.metrics.set_rooms(self.broadcaster.rooms.occupied(), self.broadcaster.rooms.count());
        match fault {
            // The journals of other rooms need not be damaged.
            Some(JournalError::Damaged(_)) => self.note_damage(),
            Some(JournalError::Unavailable(_)) => self.look_into_journal(ctx),
            None => {}
        }
        // These messages did not come through the mailbox, so no turn ends for them.
        self.end_turn(ctx);
        self.close_if_idle(ctx);
    }

    /// Bytes of its newest messages that a room may keep in memory.
    pub(super) fn tail_share(&self) -> usize {
        (self.limits.tail_bytes / self.broadcaster.rooms.loaded().max(1))
            .clamp(*TAIL_SHARE.start(), *TAIL_SHARE.end())
    }

    /// Gives the journal its next batch, unless it has one or has a fault.
    pub(super) fn commit_next(&mut self, ctx: &mut Context<Self>) {
        let batch = self.commits.begin();
        self.commit(batch, ctx);
    }

    fn commit(&mut self, batch: Option<Vec<crate::journal::Append>>, ctx: &mut Context<Self>) {
        let Some(batch) = batch else {
            return;
        };
        let begun = Instant::now();
        let messages = batch.iter().map(|append| u64::from(append.record.count)).sum();
        let asked = wrap_future(self.journal.append(batch));
        ctx.spawn(asked.map(move |answer: Result<(), _>, server: &mut Self, ctx| match answer {
            Ok(()) => {
                server.metrics.committed(messages, begun.elapsed());
                server.committed(ctx);
            }
            Err(error) => server.journal_failed(error, ctx),
        }));
    }

    fn committed(&mut self, ctx: &mut Context<Self>) {
        if self.commits.fault().is_some() {
            self.metrics.set_journal_available(true);
        }
        let tail_bytes = self.tail_share();
        let mut receipts = Vec::new();
        let done = self.commits.done();
        self.metrics.set_unkept(self.commits.unkept());
        for Commit { room: id, append, receipts: owed, .. } in done {
            self.broadcaster.rooms.keep(&append.room, append.record.at);
            if let Some(log) = self.broadcaster.rooms.get(id).and_then(|room| room.log()) {
                log.committed(append.record.last(), tail_bytes);
            }
            receipts.extend(owed);
            self.retire(id);
        }
        self.broadcaster.tell_all(receipts.into_iter().map(|Receipt { member, ticket, place }| {
            (member, ChatNews::Reply { ticket, reply: Reply::Posted(place) })
        }));
        self.commit_next(ctx);
        self.close_if_idle(ctx);
    }

    /// Accepts no message until the journal works again. Messages that were relayed stay in memory and are
    /// tried again; their senders are told that they are not kept yet.
    fn journal_failed(&mut self, error: JournalError, ctx: &mut Context<Self>) {
        self.metrics.set_journal_available(false);
        let reply = Reply::Rejected(Rejected::NotKeptYet);
        let receipts = self.commits.failed(error);
        self.broadcaster.tell_all(receipts.into_iter().map(|Receipt { member, ticket, .. }| {
            (member, ChatNews::Reply { ticket, reply: reply.clone() })
        }));
        self.retry_later(ctx);
    }

    fn retry_later(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.is_retry_due, true) {
            return;
        }
        ctx.run_later(RETRY, |server, ctx| {
            server.is_retry_due = false;
            if server.commits.is_idle() {
                server.look_into_journal(ctx);
            } else {
                let batch = server.commits.retry();
                server.commit(batch, ctx);
            }
        });
    }

    /// Closes the journal if that was requested and no record or request waits for it.
    pub(super) fn close_if_idle(&mut self, ctx: &mut Context<Self>) {
        if self.closing.is_empty()
            || !self.commits.is_idle()
            || self.broadcaster.rooms.iter().any(|(_, room)| room.is_awaited())
        {
            return;
        }
        let closing = std::mem::take(&mut self.closing);
        ctx.spawn(wrap_future(self.journal.close()).map(|answer: Result<(), _>, _, _| {
            if let Err(error) = answer {
                warn!("the journal is not closed as it should be: {error}");
            }
            // The receiver may be gone.
            for closed in closing {
                let _ = closed.send(());
            }
        }));
    }
}
