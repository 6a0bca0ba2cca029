//! What the answers of the shards must be, judged when they are given.

use echoroom::testing::{
    ForFanOut, MemberId,
    simulation::{ChatNews, LoggedIn, Reply},
};

use crate::{
    names::Shown,
    node::{HOLD, View},
    session::Pending,
    world::{EPOCH, Held, World},
};

impl World {
    pub fn inspect(&mut self, shard: usize, message: &ForFanOut) {
        match message {
            ForFanOut::Tell(tell) => match tell.news.downcast_ref::<ChatNews>() {
                Some(ChatNews::Reply { ticket, reply }) => {
                    self.inspect_reply(shard, tell.member, *ticket, reply)
                }
                Some(ChatNews::Tail(tail)) => {
                    if tail.behind.is_none()
                        && let Some(view) = self.node.view(shard, tell.member)
                    {
                        view.is_subscribed = true;
                    }
                }
                _ => {}
            },
            ForFanOut::Detach(detach) => self.leaves(shard, detach.member),
            ForFanOut::Dismiss(dismiss) => self.leaves(shard, dismiss.member),
            _ => {}
        }
    }

    fn inspect_reply(&mut self, shard: usize, member: MemberId, ticket: u64, reply: &Reply) {
        let asked = self.node.sessions.iter().find(|session| session.member == member);
        let pending = asked.and_then(|session| {
            session.pending.iter().find(|(number, _)| *number == ticket).map(|(_, pending)| pending.clone())
        });
        if let Some(view) = self.node.view(shard, member) {
            view.logins.retain(|login| *login != ticket);
        }
        let place = self.node.privates.iter().position(|(number, _)| *number == ticket);
        let private = place.map(|place| self.node.privates.swap_remove(place).1);
        if let Some(number) = private {
            return self.inspect_private(number, reply);
        }
        match (reply, pending) {
            (Reply::LoggedIn(login), _) => {
                if self.node.common.shard_of(&login.name).0 == shard {
                    self.logged_in(shard, member, login);
                } else {
                    // It is in the room of another shard, and no more here.
                    self.node.views.retain(|view| view.shard != shard || view.member != member);
                }
            }
            (Reply::LoggedOut, _) => {
                if let Some(view) = self.node.view(shard, member) {
                    (view.room, view.is_subscribed) = (None, false);
                }
            }
            (Reply::Posted(place), Some(Pending::Post(number))) => {
                self.counts.acks += 1;
                let room = self.truth.message(number).room;
                let durable = room.and_then(|room| self.journal.at(room, place.offset));
                self.trace.check(durable == Some(number), "what is acked is durable", || {
                    format!("message {number} was acked at {}, where {durable:?} is durable", place.offset)
                });
            }
            (Reply::Users(page), _) => {
                let Some(room) = self.node.view(shard, member).and_then(|view| view.room) else {
                    return;
                };
                let users = self.node.users(room, &self.names);
                let listed: Vec<_> = page.users.iter().filter_map(|user| self.names.shown(user)).collect();
                let is_true = self.node.moves > 0
                    || page.count == users.len() && self.node.is_list_of(room, listed.clone(), &self.names);
                self.trace.check(is_true, "a list of users is true", || {
                    format!("room {room} has {users:?}, and {listed:?} were listed, {} in all", page.count)
                });
            }
            _ => {}
        }
    }

    /// What has become of a private message.
    fn inspect_private(&mut self, number: u32, reply: &Reply) {
        let run = self.journal.run();
        let message = self.truth.message(number);
        message.on_its_way_in = 0;
        let (is_handed, is_vague) = (message.handed_in == run, message.is_vague);
        // A shard that has panicked remembers no private messages.
        let is_forgotten = message.sent_after != Some(self.counts.panics);
        let is_delivered = matches!(reply, Reply::PrivateSent { delivered: true, .. });
        self.counts.privates += u64::from(is_delivered);
        if matches!(reply, Reply::PrivateSent { .. }) {
            self.trace.check(
                is_vague || is_handed == is_delivered || !is_delivered && is_forgotten,
                "delivered means handed to a session of the reader",
                || format!("private message {number}: delivered {is_delivered}, handed {is_handed}"),
            );
        }
        if !is_delivered {
            self.node.owed.retain(|owed| owed.number != number);
        }
    }

    /// A shard has logged in a session of another shard.
    pub fn arrived(&mut self, shard: usize, from: usize, member: MemberId, login: &LoggedIn) {
        let step = self.trace.step;
        let former = self.node.views.iter().find(|view| view.shard == from && view.member == member);
        let session = self.node.sessions.iter().find(|session| session.member == member);
        let view = View {
            shard,
            session: session.map_or(0, |session| session.number),
            member,
            client: former.map_or(0, |view| view.client),
            is_guest: false,
            room: None,
            user: Shown { name: 0, avatar: 0 },
            is_vague: false,
            token: None,
            is_subscribed: false,
            logins: Vec::new(),
            leaves: None,
            since: step,
        };
        self.node.views.push(view);
        self.logged_in(shard, member, login);
    }

    fn logged_in(&mut self, shard: usize, member: MemberId, login: &LoggedIn) {
        let Some(room) = self.names.room(&login.name) else {
            return;
        };
        let Some(user) = self.names.shown(&login.profile) else {
            return;
        };
        let (token, names) = (login.token, &self.names);
        let owner = u64::from(token.owner_hash().0[0]);
        self.trace.note("a user is in a room (room, name, owner)", [room as u64, user.name as u64, owner]);
        // Of several logins by one input it is not known here which came first: some are told by other shards.
        for held in self.held.iter().filter(|held| held.room == room) {
            let is_barred = names.are_alike(held.name, user.name) && held.token != token;
            let now = self.node.servers[shard].now.map_or(0, |now| now.millis) - EPOCH;
            self.trace.check(
                !is_barred || held.until <= now || self.node.moves > 1,
                "a name is held for its user",
                || format!("{member} is {user:?} at {now}, and {held:?}"),
            );
        }
        self.held.retain(|held| {
            held.room != room || held.token != token && names.key(held.name) != names.key(user.name)
        });
        let durable = self.journal.head(room);
        self.trace.check(login.durable <= durable, "what is called durable is", || {
            format!("{} of room {room}, of which {durable} are durable", login.durable)
        });
        let is_vague = self.node.moves > 1;
        for view in &mut self.node.views {
            if view.member == member && view.shard == shard {
                view.is_vague = is_vague;
                (view.room, view.user, view.token, view.is_subscribed) =
                    (Some(room), user, Some(token), false);
            } else if view.room == Some(room)
                && !view.is_guest
                && names.key(view.user.name) == names.key(user.name)
            {
                view.user = user;
                view.is_vague = is_vague;
            }
        }
        let count = self.node.users(room, &self.names).len();
        self.trace.check(
            self.node.moves > 1 || login.count == count,
            "a login is told how many users are there",
            || format!("{} instead of {count} in room {room}", login.count),
        );
    }

    /// No room has two users whose names can be taken for each other.
    pub fn check_names(&mut self) {
        let users = self.node.views.iter().filter(|view| !view.is_guest && view.room.is_some());
        for (index, view) in users.clone().enumerate() {
            for other in users.clone().skip(index + 1).filter(|other| other.room == view.room) {
                let is_alike = self.names.are_alike(other.user.name, view.user.name);
                let is_one = self.names.key(other.user.name) == self.names.key(view.user.name)
                    && other.token == view.token;
                self.trace.check(
                    !is_alike || is_one,
                    "names of users cannot be taken for each other",
                    || format!("{view:?} beside {other:?}"),
                );
            }
        }
    }

    /// A session is no member any more.
    fn leaves(&mut self, shard: usize, member: MemberId) {
        let is_it = |view: &View| view.shard == shard && view.member == member;
        let Some(place) = self.node.views.iter().position(is_it) else {
            return;
        };
        let view = self.node.views.remove(place);
        let (Some(room), Some(token), Some(true)) = (view.room, view.token, view.leaves) else {
            return;
        };
        let key = self.names.key(view.user.name);
        let is_last = !self.node.views.iter().any(|other| {
            !other.is_guest && other.room == Some(room) && self.names.key(other.user.name) == key
        });
        let owner = u64::from(token.owner_hash().0[0]);
        self.trace.note("a user drops (room, name, owner)", [room as u64, view.user.name as u64, owner]);
        // Of several logins by one input another session of the user may have given the name up.
        if is_last && self.node.moves <= 1 {
            let now = self.node.servers[shard].now.map_or(0, |now| now.millis) - EPOCH;
            self.held.retain(|held| held.room != room || held.name != view.user.name);
            self.held.push(Held { room, name: view.user.name, token, until: now + HOLD });
        }
    }
}
