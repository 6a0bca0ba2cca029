//! Sessions that log in to rooms of other shards, see [`transfer`](crate::chat::transfer).

use super::Chat;
use crate::{
    broadcast::Member,
    chat::{
        common::ShardId,
        effects::Effect,
        messages::{Login, Rejected, Reply, Request, Unregister},
        room::Visit,
        transfer::{Arrive, ToShard},
    },
    domain::{Map, MemberId},
};

/// Sessions that move, or have moved, between this shard and others.
#[derive(Debug, Default)]
pub(in crate::chat) struct Moving {
    /// Sessions of this shard that another one logs in. What they send waits behind that login.
    pub(super) away: Map<MemberId, ShardId>,
    /// Sessions that have moved to another shard, until they send to that one.
    gone: Map<MemberId, ShardId>,
    /// Sessions that have come from another shard, until they send to this one.
    new: Map<MemberId, ShardId>,
}

impl Chat {
    /// Hands a message of another shard to what it is about.
    pub(in crate::chat) fn take_from_shard(&mut self, message: ToShard) {
        match message {
            ToShard::Arrive(arrive) => self.arrive(*arrive),
            ToShard::LoginDone { member, by, ticket, reply } => self.login_done(member, by, ticket, reply),
            ToShard::Request(request) => self.request_or_redirect(request),
            ToShard::Settled(member) => _ = self.moving.gone.remove(&member),
            ToShard::Forgotten(rooms, asked_at) => self.swept(&rooms, asked_at),
            ToShard::GiveWay => self.give_way(),
        }
    }

    /// Has another shard log a session in. What the session sends waits until that is done.
    pub(super) fn move_to(&mut self, to: ShardId, mut login: Login) {
        let member = login.member;
        let Some(Member { worker, encoding, own: Visit { address, .. }, .. }) =
            self.broadcaster.rooms.member(member)
        else {
            return;
        };
        let (worker, encoding, address) = (*worker, *encoding, *address);
        let (profile, token) = self.user_of(member).unzip();
        login.profile = login.profile.or(profile);
        login.token = login.token.or(token);
        if login.profile.is_none() {
            return self.refuse_login(member, login.ticket, Rejected::NotLoggedIn);
        }
        self.logging_in.entry(member).or_default();
        self.moving.away.insert(member, to);
        let arrive = Arrive { from: self.id, worker, encoding, address, login };
        self.forward(to, ToShard::Arrive(Box::new(arrive)));
    }

    /// A session of another shard logs in to a room of this one.
    fn arrive(&mut self, Arrive { from, worker, encoding, address, login }: Arrive) {
        let visit = Visit { ticket: login.ticket, address, from: Some(from) };
        self.broadcaster.take_over(login.member, worker, encoding, visit);
        self.login_or_wait(login);
    }

    /// Answers a login: to the session, or to the shard that it comes from.
    pub(super) fn answer_login(&mut self, member: MemberId, ticket: u64, reply: Reply) {
        let visit = self.broadcaster.rooms.own_of(member);
        let Some(from) = visit.and_then(|visit| visit.from.take()) else {
            return self.reply(member, ticket, reply);
        };
        if matches!(reply, Reply::LoggedIn(_)) {
            self.moving.new.insert(member, from);
        } else {
            self.broadcaster.release(member);
        }
        self.forward(from, ToShard::LoginDone { member, by: self.id, ticket, reply });
    }

    /// Refuses a login, see [`answer_login`](Self::answer_login).
    pub(super) fn refuse_login(&mut self, member: MemberId, ticket: u64, rejected: Rejected) {
        self.answer_login(member, ticket, Reply::Rejected(rejected));
    }

    /// Another shard has logged a session of this shard in, or has refused to.
    fn login_done(&mut self, member: MemberId, by: ShardId, ticket: u64, reply: Reply) {
        if self.moving.away.remove(&member).is_none() {
            // The session was sent away meanwhile.
            let unregister = Unregister { member, holds_name: true };
            return self.forward(by, ToShard::Request(unregister.into()));
        }
        if let Reply::Rejected(rejected) = reply {
            self.reject(member, ticket, rejected);
            return self.go_on_behind_login(member, rejected.is_fault());
        }
        self.leave_room(member);
        // Behind the last lines of its former room.
        self.reply(member, ticket, reply);
        self.broadcaster.release(member);
        self.moving.new.remove(&member);
        self.moving.gone.insert(member, by);
        for behind in self.logging_in.remove(&member).unwrap_or_default() {
            self.request_or_redirect(behind.into());
        }
    }

    /// Handles a request that came from another shard, or hands it on. A session that has come back to this shard
    /// may still be on its way to others for what it sends itself.
    pub(super) fn request_or_redirect(&mut self, request: Request) {
        if self.broadcaster.rooms.member(request.member()).is_some() {
            self.request(request);
        } else if let Some(request) = self.redirect(request) {
            self.request(request);
        }
    }

    /// Hands on a request of a session that has moved to another shard. Returns a request of another session.
    pub(super) fn redirect(&mut self, request: Request) -> Option<Request> {
        let member = request.member();
        let Some(&to) = self.moving.gone.get(&member) else {
            return Some(request);
        };
        if matches!(request, Request::Unregister(_)) {
            self.moving.gone.remove(&member);
        }
        self.forward(to, ToShard::Request(request));
        None
    }

    /// Handles a request that a session has sent to this shard.
    pub(in crate::chat) fn request_of_session(&mut self, request: Request) {
        if self.moving.is_at_rest() {
            return self.request(request);
        }
        if let Some(request) = self.redirect(request) {
            if let Some(from) = self.moving.new.remove(&request.member()) {
                self.forward(from, ToShard::Settled(request.member()));
            }
            self.request(request);
        }
    }

    /// Has a silent room give way to one that another shard has made over the bound. If no room is silent any
    /// more, the next one that falls silent gives way.
    pub(super) fn give_way(&mut self) {
        if let Some(room) = self.broadcaster.rooms.give_way() {
            self.forget(room);
        }
    }

    pub(super) fn forward(&mut self, to: ShardId, message: ToShard) {
        self.effects.push(Effect::Forward(to, message));
    }
}

#[cfg(test)]
impl Chat {
    /// Whether no session moves, or has moved lately.
    pub(in crate::chat) fn has_settled(&self) -> bool {
        self.moving.is_at_rest() && self.moving.away.is_empty()
    }
}

impl Moving {
    /// Whether no session has moved lately. Checked for each request.
    fn is_at_rest(&self) -> bool {
        self.gone.is_empty() && self.new.is_empty()
    }

    /// Whether another shard logs a session of this one in.
    pub(super) fn is_any_away(&self) -> bool {
        !self.away.is_empty()
    }

    /// The shard that a session has come from, if the session has not sent to this one yet.
    pub(super) fn came_from(&mut self, member: MemberId) -> Option<ShardId> {
        self.new.remove(&member)
    }

    /// A session has ended here.
    pub(super) fn ended(&mut self, member: MemberId) {
        self.new.remove(&member);
    }
}
