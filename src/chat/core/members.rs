//! Login, subscription and logout, and the end of sessions.

use std::{collections::VecDeque, net::IpAddr, time::Duration};

use log::error;

use super::Chat;
use crate::{
    broadcast::{Found, Member, RoomId, Standing},
    chat::{
        alarms::Alarm,
        common::ShardId,
        line::with_changes,
        messages::{
            Behind as BehindTail, CaughtUp, ChatNews, LoggedIn, Login, Logout, Post, Rejected, Reply,
            SendPrivate, Tail, Unregister,
        },
        room::{Behind, Book, Visit, Waiting},
        transfer::ToShard,
        users::Change,
    },
    domain::{MemberId, Profile, RoomName, Token},
    logging,
};

/// The settings that the log names when their bounds are reached.
pub(super) const MAX_ROOMS: &str = "--max-rooms (ECHOROOM_MAX_ROOMS)";
const MAX_NEW_ROOMS: &str = "--max-new-rooms-per-minute (ECHOROOM_MAX_NEW_ROOMS_PER_MINUTE)";

/// A message that can wait behind the login of its session.
pub(super) trait BehindLogin {
    /// Whether it must not overtake the login. The end of a session may overtake one, but nothing that waits
    /// behind it.
    const MUST_WAIT: bool = true;

    /// Wraps the message for the queue.
    fn behind(self) -> Behind;
}

impl BehindLogin for Login {
    fn behind(self) -> Behind {
        Behind::Login(self)
    }
}

impl BehindLogin for Post {
    fn behind(self) -> Behind {
        Behind::Post(self)
    }
}

impl BehindLogin for SendPrivate {
    fn behind(self) -> Behind {
        Behind::SendPrivate(self)
    }
}

impl BehindLogin for Logout {
    fn behind(self) -> Behind {
        Behind::Logout(self)
    }
}

impl BehindLogin for Unregister {
    const MUST_WAIT: bool = false;

    fn behind(self) -> Behind {
        Behind::Unregister(self)
    }
}

impl Chat {
    /// Logs a session in to a room, after all it has sent before.
    pub(super) fn login(&mut self, login: Login) {
        if let Some(login) = self.wait_behind_login(login.member, login) {
            self.login_or_wait(login);
        }
    }

    /// Logs a session in to a room once the room's journal has answered.
    pub(super) fn login_or_wait(&mut self, login: Login) {
        let shard = self.common.shard_of(&login.room);
        if shard != self.id {
            return self.move_to(shard, login);
        }
        let address = self.broadcaster.rooms.member(login.member).and_then(|member| member.own.address);
        let id = match self.find_or_make(&login.room, address) {
            Ok(id) => id,
            Err(rejected) => return self.refuse_login(login.member, login.ticket, rejected),
        };
        self.open_book(id);
        if self.is_away(id) {
            self.refuse_login(login.member, login.ticket, Rejected::JournalUnavailable);
            return self.retire(id);
        }
        match self.broadcaster.rooms.get(id).map(|room| &mut room.book) {
            Some(Book::Opening(waiting)) => {
                self.logging_in.insert(login.member, VecDeque::new());
                waiting.push(Waiting::Login(login));
            }
            _ => _ = self.login_now(id, login),
        }
    }

    /// Logs a session in to a room that is open. True if that waits for the name; else it is done.
    pub(super) fn login_now(&mut self, id: RoomId, login: Login) -> bool {
        if self.is_shared() {
            return self.claim_name(id, login);
        }
        self.login_open(id, login);
        false
    }

    /// Queues a message behind the login of its session. Returns a message that need not wait.
    pub(super) fn wait_behind_login<T: BehindLogin>(&mut self, member: MemberId, message: T) -> Option<T> {
        match self.logging_in.get_mut(&member) {
            Some(behind) if T::MUST_WAIT || !behind.is_empty() || self.moving.away.contains_key(&member) => {
                behind.push_back(message.behind());
                None
            }
            _ => Some(message),
        }
    }

    /// A login is done or has failed. Handles what its session has sent behind it, up to a login that must
    /// wait itself.
    pub(super) fn go_on_behind_login(&mut self, member: MemberId, has_fault: bool) {
        let Some(mut behind) = self.logging_in.remove(&member) else {
            return;
        };
        let mut has_fault = has_fault;
        while let Some(next) = behind.pop_front() {
            match next {
                Behind::Login(login) => {
                    has_fault = false;
                    self.login_or_wait(login);
                    if let Some(waiting) = self.logging_in.get_mut(&member) {
                        return *waiting = behind;
                    }
                }
                // Drops it: it was meant for the room that cannot be opened, not for the session's former
                // room.
                Behind::Post(_) | Behind::SendPrivate(_) if has_fault => self.counts.not_kept += 1,
                Behind::Post(post) => self.post_or_reject(post),
                Behind::SendPrivate(message) => self.send_private_or_reject(message),
                Behind::Logout(logout) => self.logout(logout),
                Behind::Unregister(message) => self.unregister(message),
            }
        }
    }

    /// Logs a session out; the session goes on.
    pub(super) fn logout(&mut self, Logout { member, ticket }: Logout) {
        self.release_name(member);
        self.leave_room(member);
        self.reply(member, ticket, Reply::LoggedOut);
    }

    /// The user of a session, and its token.
    pub(super) fn user_of(&mut self, member: MemberId) -> Option<(Profile, Token)> {
        let id = self.broadcaster.rooms.room_of(member)?;
        let user = self.broadcaster.rooms.get(id)?.presence.user_of(member)?;
        Some((Profile { uid: None, ..user.profile.clone() }, user.token))
    }

    /// Whether a client at this address may enter a room, which is made if it does not exist. Whether other nodes know a
    /// room turns out when it is open.
    pub(in crate::chat) fn may_enter(
        &self,
        name: &RoomName,
        address: Option<IpAddr>,
    ) -> Result<(), Rejected> {
        if name.is_reserved() {
            return Ok(());
        }
        let standing = self.broadcaster.rooms.standing(name);
        if standing != Standing::Known && self.knows_rooms {
            name.check_new().map_err(Rejected::NoNewRoom)?;
        }
        match standing {
            Standing::Known => Ok(()),
            Standing::New if self.is_shared() => Ok(()),
            Standing::New => self.may_make_room(address),
            Standing::TooMany => {
                let most = self.limits.max_rooms;
                logging::refused(MAX_ROOMS, format_args!("{most} rooms are in use; one more was refused"));
                Err(Rejected::TooManyRooms)
            }
        }
    }

    /// Whether a client at this address may make a room now.
    pub(super) fn may_make_room(&self, address: Option<IpAddr>) -> Result<(), Rejected> {
        if self.common.may_make_room(address, self.now.at) {
            return Ok(());
        }
        let address = address.map_or_else(String::new, |address| address.to_string());
        logging::refused(
            MAX_NEW_ROOMS,
            format_args!("{address} has made as many rooms in a minute as one address may"),
        );
        Err(Rejected::TooManyNewRooms)
    }

    /// The room of this name. Makes it if needed; if the bound on rooms is reached, the room that has been
    /// silent longest loses its history for it.
    pub(super) fn find_or_make(
        &mut self,
        name: &RoomName,
        address: Option<IpAddr>,
    ) -> Result<RoomId, Rejected> {
        self.may_enter(name, address)?;
        let is_new = self.broadcaster.rooms.standing(name) == Standing::New;
        let Found { id, forgotten, gives_way } =
            self.broadcaster.rooms.find_or_make(name).map_err(|_| Rejected::TooManyRooms)?;
        if is_new && !self.is_shared() {
            self.common.made_room(address, self.now.at);
        }
        if let Some(forgotten) = forgotten {
            self.forget(forgotten);
        }
        if let Some(shard) = gives_way {
            self.forward(ShardId(shard), ToShard::GiveWay);
        }
        Ok(id)
    }

    /// Logs a session in to a room whose journal has answered.
    pub(super) fn login_open(&mut self, id: RoomId, login: Login) {
        let Login { member, ticket, profile, token, has_shown_token, spare, position, wants_changes, .. } =
            login;
        // A session that has ended since must not take a nickname.
        let Some(former) = self.broadcaster.rooms.member(member).map(Member::room) else {
            return self.retire(id);
        };
        let own = if profile.is_none() || token.is_none() { self.user_of(member) } else { None };
        let (own_profile, own_token) = own.unzip();
        let (Some(profile), token) = (profile.or(own_profile), token.or(own_token)) else {
            self.refuse_login(member, ticket, Rejected::NotLoggedIn);
            return self.retire(id);
        };
        // Look up both before the login changes anything: a rejected login must not have changed anything.
        let Some(room) = self.broadcaster.rooms.get(id) else {
            return self.refuse_login(member, ticket, Rejected::JournalUnavailable);
        };
        let shown = token.filter(|_| has_shown_token);
        let Some(log) = room.log() else {
            return self.refuse_login(member, ticket, Rejected::JournalUnavailable);
        };
        let (epoch, resume, head, durable) =
            (log.epoch().id, log.resume(position), log.head(), log.durable());
        let Ok((token, change)) = room.presence.login(member, profile.clone(), token, spare, self.now.at)
        else {
            self.refuse_login(member, ticket, Rejected::NameTaken);
            return self.retire(id);
        };
        if former == Some(id) {
            self.unsubscribe(member);
        } else {
            self.leave_room(member);
            self.enter(member, id);
        }
        if let Some(wants_changes) = wants_changes {
            self.broadcaster.rooms.set_dialect(member, |dialect| with_changes(dialect, wants_changes));
        }
        self.announce(member, id, &change);
        // False if another user of the room has the token, so that the spare one was taken.
        if shown == Some(token) {
            self.reserve_name(member, id);
        }
        let count = self.broadcaster.rooms.get(id).map_or(0, |room| room.presence.count());
        if let Some(visit) = self.broadcaster.rooms.own_of(member) {
            visit.ticket = ticket;
        }
        let name = login.room;
        let logged_in = LoggedIn { name, profile, token, epoch, head, durable, resume, count };
        self.answer_login(member, ticket, Reply::LoggedIn(Box::new(logged_in)));
    }

    /// Subscribes a session that has read the journal, or tells it to read on.
    pub(super) fn caught_up(&mut self, message: CaughtUp) {
        let CaughtUp { member, visit, after } = message;
        let is_there = |member: &&Member<Visit>| member.own.ticket == visit && !member.is_subscribed;
        // A session that has logged in elsewhere since waits for another answer.
        let Some(id) = self.broadcaster.rooms.member(member).filter(is_there).and_then(Member::room) else {
            return;
        };
        // Lines of the open broadcast come after what the session has read.
        self.end_broadcast(id);
        let Some(log) = self.broadcaster.rooms.get(id).and_then(|room| room.log()) else {
            error!("{member} is in a room that is not open; it is sent away, to come back");
            return self.broadcaster.tell(member, ChatNews::Lost);
        };
        let epoch = log.epoch().id;
        let Some(records) = log.records_after(after) else {
            let behind = Some(BehindTail { durable: log.durable() });
            let tail = Tail { visit, epoch, records: Vec::new(), behind };
            return self.broadcaster.tell(member, ChatNews::Tail(tail));
        };
        self.broadcaster.tell(member, ChatNews::Tail(Tail { visit, epoch, records, behind: None }));
        self.subscribe(member);
        self.send_list_to(member, id);
    }

    /// Puts a session into a room.
    pub(super) fn enter(&mut self, member: MemberId, id: RoomId) {
        let ended = self.broadcaster.enter(member, id);
        self.keep(ended);
    }

    /// Subscribes a session to its room.
    pub(super) fn subscribe(&mut self, member: MemberId) {
        let ended = self.broadcaster.subscribe(member);
        self.keep(ended);
    }

    pub(super) fn unsubscribe(&mut self, member: MemberId) {
        let ended = self.broadcaster.unsubscribe(member);
        self.keep(ended);
    }

    /// Takes a session out of its room, if it is in one; the session goes on.
    pub(super) fn leave_room(&mut self, member: MemberId) {
        let Some(id) = self.broadcaster.rooms.room_of(member) else {
            return;
        };
        self.unsubscribe(member);
        let ended = self.broadcaster.leave(member, id);
        self.keep(ended);
        self.has_left(member, id, None);
    }

    /// Unregisters a session. Idempotent.
    pub(super) fn unregister(&mut self, Unregister { member, holds_name }: Unregister) {
        let known = self.broadcaster.remove(member);
        self.moving.ended(member);
        if let Some(id) = known.as_ref().and_then(Member::room) {
            self.has_left(member, id, holds_name.then_some(self.limits.name_hold));
        }
    }

    /// A session has left a room: its user leaves with the last of its sessions. Holds the nickname of a user
    /// that drops for `hold`.
    pub(super) fn has_left(&mut self, member: MemberId, id: RoomId, hold: Option<Duration>) {
        if self.is_shared() {
            return self.has_left_by_link(member, id, hold.is_some());
        }
        let (now, max_held) = (self.now.at, self.limits.max_held_names);
        let left = self.broadcaster.rooms.get(id).and_then(|room| match hold {
            Some(hold) => room.presence.drop_out(member, now, now + hold, max_held),
            None => room.presence.logout(member),
        });
        if let Some(hold) = hold.filter(|_| left.is_some())
            && let Some(room) = self.broadcaster.rooms.get(id)
            && !std::mem::replace(&mut room.has_names_alarm, true)
        {
            self.alarms.set(now + hold, id, Alarm::Names);
        }
        self.announce(member, id, &Change { left, arrived: None });
        self.retire(id);
    }
}
