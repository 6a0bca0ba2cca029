//! Users and their names: claims, and what the link tells of the users of all nodes.

use crate::{
    broadcast::{Member, RoomId},
    chat::{
        alarms::Alarm,
        core::Chat,
        ids,
        line::with_changes,
        messages::{LoggedIn, Login, Rejected, Reply},
        room::{Book, Room},
        users::{Change, User},
    },
    domain::{MemberId, NicknameKey, OwnerHash, Profile, RoomName, Token},
    nodes::contract::{AskId, Claim, Listed, NotEntered, Order, Owner, Person},
};

/// A claim that is not answered.
#[derive(Debug)]
pub(super) struct Entering {
    /// The room.
    pub room: RoomName,
    /// The session.
    pub member: MemberId,
    /// The name.
    pub key: NicknameKey,
    /// The login, with the profile; `None` while the answer is being handled.
    login: Option<Login>,
}

impl Chat {
    /// Claims the name of a login in an open room. True if the login waits for the answer; else it is done.
    pub(in crate::chat::core) fn claim_name(&mut self, id: RoomId, mut login: Login) -> bool {
        let (member, ticket) = (login.member, login.ticket);
        // A session that has ended since must not take a nickname.
        if self.broadcaster.rooms.member(member).is_none() {
            self.retire(id);
            return false;
        }
        let (profile, token) = self.user_of(member).unzip();
        login.profile = login.profile.or(profile);
        login.token = login.token.or(token);
        let Some(profile) = login.profile.clone() else {
            self.refuse_login(member, ticket, Rejected::NotLoggedIn);
            self.retire(id);
            return false;
        };
        let address = self.broadcaster.rooms.member(member).and_then(|member| member.own.address);
        let is_away = self.is_away(id);
        let is_open = |room: &&mut Room| !is_away && matches!(room.book, Book::Open(_));
        if self.broadcaster.rooms.get(id).filter(is_open).is_some()
            && let Err(rejected) = self.let_in(id, address)
        {
            self.refuse_login(member, ticket, rejected);
            self.retire(id);
            return false;
        }
        let room = self.broadcaster.rooms.get(id).filter(is_open);
        let (Some(room), Some(shared)) = (room, &mut self.shared) else {
            self.refuse_login(member, ticket, Rejected::JournalUnavailable);
            self.retire(id);
            return false;
        };
        let (name, key) = (room.name.clone(), profile.nickname.key());
        let people = room.presence.share();
        let claim = Claim {
            leaves: people.given_up_by(member, &key),
            name: profile.nickname,
            avatar: profile.avatar,
            owner: login.token.as_ref().map(owner_of),
            spare: owner_of(&login.spare),
            reserves: login.has_shown_token && login.token.is_some(),
        };
        people.claims(&key);
        self.logging_in.entry(member).or_default();
        let ask = shared.next_ask();
        shared.entering.insert(ask, Entering { room: name.clone(), member, key, login: Some(login) });
        shared.order(Order::Enter(name, ask, Box::new(claim)));
        true
    }

    /// A claim is answered.
    pub(super) fn entered(&mut self, name: &RoomName, ask: AskId, answer: Result<OwnerHash, NotEntered>) {
        let entering = self.shared.as_mut().and_then(|shared| shared.entering.get_mut(&ask));
        let Some((login, member)) =
            entering.and_then(|entering| Some((entering.login.take()?, entering.member)))
        else {
            return;
        };
        let (ticket, is_given) = (login.ticket, answer.is_ok());
        let done = match (answer, self.broadcaster.rooms.find(name)) {
            // The session has ended meanwhile.
            _ if self.broadcaster.rooms.member(member).is_none() => Ok(()),
            (Ok(owner), Some(id)) => self.name_given(id, login, owner),
            (Ok(_), None) => Err(Rejected::Interrupted),
            (Err(NotEntered::Taken), _) => Err(Rejected::NameTaken),
            (Err(NotEntered::Away(_)), _) => Err(Rejected::JournalUnavailable),
        };
        if let Err(rejected) = done {
            self.refuse_login(member, ticket, rejected);
        }
        self.claim_done(ask, is_given);
        self.go_on_behind_login(member, done.is_err_and(Rejected::is_fault));
        if let Some(id) = self.broadcaster.rooms.find(name) {
            self.retire(id);
        }
    }

    /// Forgets a claim, by which the name was given or not. Gives the name up if no session has it.
    pub(super) fn claim_done(&mut self, ask: AskId, is_given: bool) {
        let Some(shared) = &mut self.shared else {
            return;
        };
        let Some(Entering { room: name, key, .. }) = shared.entering.remove(&ask) else {
            return;
        };
        let own = shared.sharing.node;
        let room = self.broadcaster.rooms.find(&name).and_then(|id| self.broadcaster.rooms.get(id));
        if let Some(leave) = room.and_then(|room| room.presence.share().claimed(&key, is_given, own)) {
            shared.order(Order::Leave(name, leave));
        }
    }

    /// Logs a session in under the name that it was given.
    fn name_given(&mut self, id: RoomId, login: Login, owner: OwnerHash) -> Result<(), Rejected> {
        let Login { member, ticket, profile, token, spare, position, wants_changes, .. } = login;
        let token = [token, Some(spare)].into_iter().flatten().find(|token| token.owner_hash() == owner);
        let (Some(token), Some(profile)) = (token, profile) else {
            log::error!("a name was given to a token that {member} does not have");
            return Err(Rejected::Interrupted);
        };
        // A chat that begins again opens the room anew.
        let log = self.broadcaster.rooms.get(id).and_then(|room| room.log()).ok_or(Rejected::Interrupted)?;
        let (epoch, resume, head, durable) =
            (log.epoch().id, log.resume(position), log.head(), log.durable());
        if self.broadcaster.rooms.member(member).and_then(Member::room) == Some(id) {
            self.unsubscribe(member);
            self.give_name_up(id, member);
        } else {
            self.leave_room(member);
            self.enter(member, id);
        }
        if let Some(wants_changes) = wants_changes {
            self.broadcaster.rooms.set_dialect(member, |dialect| with_changes(dialect, wants_changes));
        }
        self.keep_picture(&profile.avatar);
        let room = self.broadcaster.rooms.get(id).ok_or(Rejected::Interrupted)?;
        let shown = Profile { uid: Some(token.public_id()), ..profile.clone() };
        let user = User { profile: shown, token, sender: ids::sender_of(&token), sessions: Vec::new() };
        room.presence.share().add(member, user);
        let count = room.presence.count();
        if let Some(visit) = self.broadcaster.rooms.own_of(member) {
            visit.ticket = ticket;
        }
        let name = login.room;
        let logged_in = LoggedIn { name, profile, token, epoch, head, durable, resume, count };
        self.answer_login(member, ticket, Reply::LoggedIn(Box::new(logged_in)));
        Ok(())
    }

    /// A session that stays in the room takes another name. Its claim has given the former one up, unless another session
    /// had it then and has left since.
    fn give_name_up(&mut self, id: RoomId, member: MemberId) {
        let (Some(room), Some(shared)) = (self.broadcaster.rooms.get(id), &mut self.shared) else {
            return;
        };
        let people = room.presence.share();
        let left = people.take_out(member, false);
        if let Some(leave) = left.filter(|leave| people.is_at(&leave.key, shared.sharing.node)) {
            let name = room.name.clone();
            shared.order(Order::Leave(name, leave));
        }
    }

    /// A session has left a room. Gives its name up with the last session of its user at this node.
    pub(in crate::chat::core) fn has_left_by_link(&mut self, member: MemberId, id: RoomId, holds_name: bool) {
        if let Some(room) = self.broadcaster.rooms.get(id)
            && let Some(leave) = room.presence.share().take_out(member, holds_name)
        {
            let name = room.name.clone();
            self.order(Order::Leave(name, leave));
        }
        self.retire(id);
    }

    /// The reservation of a name ends when the user's last session at this node leaves.
    pub(in crate::chat::core) fn release_name_by_link(&mut self, member: MemberId) {
        let id = self.broadcaster.rooms.room_of(member);
        if let Some(room) = id.and_then(|id| self.broadcaster.rooms.get(id)) {
            room.presence.share().release(member);
        }
    }

    // ----- the users of all nodes -----

    /// A user came, changed or went, by a claim of this node if `ask` is given.
    pub(super) fn person(&mut self, name: &RoomName, person: Person, ask: Option<AskId>) {
        let (now, hold) = (self.now.at, self.limits.name_hold);
        let Some((id, room)) = self.room_named(name) else {
            return;
        };
        let change = room.presence.share().apply(person, now, hold);
        let by = self.shared.as_ref().zip(ask).and_then(|(shared, ask)| shared.entering.get(&ask));
        let by = by.map(|entering| entering.member);
        self.tell_change(id, by, &change);
        self.set_hold_alarm(id);
    }

    /// The users of a room, anew.
    pub(super) fn people(&mut self, name: &RoomName, people: Vec<Person>, listed: Listed) {
        let (now, hold) = (self.now.at, self.limits.name_hold);
        let Some((id, room)) = self.room_named(name) else {
            return;
        };
        for change in room.presence.share().replace(people, listed, now, hold) {
            self.tell_change(id, None, &change);
        }
        self.set_hold_alarm(id);
    }

    fn tell_change(&mut self, id: RoomId, by: Option<MemberId>, change: &Change) {
        if !change.is_none() {
            self.announce(by, id, change);
        }
    }

    /// A user of this node has lost its name to another one.
    pub(super) fn name_lost(&mut self, name: &RoomName, key: &NicknameKey) {
        let user = self.room_named(name).and_then(|(_, room)| room.presence.find(key));
        for member in user.map(|user| user.sessions.clone()).unwrap_or_default() {
            self.send_away(member);
        }
    }

    /// Sets the alarm for the held names of a room, unless it is set.
    pub(super) fn set_hold_alarm(&mut self, id: RoomId) {
        let now = self.now.at;
        let Some(room) = self.broadcaster.rooms.get(id).filter(|room| !room.has_names_alarm) else {
            return;
        };
        if let Some(last) = room.presence.expire(now) {
            room.has_names_alarm = true;
            self.alarms.set(last, id, Alarm::Names);
        }
    }

    /// A room in memory.
    pub(super) fn room_named(&mut self, name: &RoomName) -> Option<(RoomId, &mut Room)> {
        let id = self.broadcaster.rooms.find(name)?;
        Some((id, self.broadcaster.rooms.get(id)?))
    }
}

/// What others may know of the user with a token.
fn owner_of(token: &Token) -> Owner {
    Owner { hash: token.owner_hash(), uid: token.public_id() }
}
