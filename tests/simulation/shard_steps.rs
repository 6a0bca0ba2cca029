//! The steps of the shards and of their journal.

use echoroom::testing::{
    Delivery, ForFanOut, MemberId, RoomId,
    simulation::{
        ChatNews, DismissAll, Done, Effect, Input, Job, Login, LostInput, Payload, Post, Publish, Register,
        Reply, Request, SendPrivate, ToShard as FromShard, Unregister,
    },
};

use crate::{
    node::{Owed, ToShard, View},
    parse,
    world::World,
};

impl World {
    // ----- feeding the shard, as its actor does -----

    fn feed(&mut self, shard: usize, input: Input) {
        let time = self.time();
        let server = &mut self.node.servers[shard];
        let now = *server.now.get_or_insert(time);
        if std::mem::take(&mut server.is_poisoned) {
            self.trace.note("a shard panics", [shard as u64, 0, 0]);
            self.counts.panics += 1;
            let lost = LostInput::of(&input);
            self.trace.note(lost_kind(&lost), [shard as u64, 0, 0]);
            drop(input);
            server.shard.begin_again(now, lost, &mut server.effects);
        } else {
            server.shard.handle(now, input, &mut server.effects);
        }
        self.carry_out(shard);
    }

    pub fn feed_alone(&mut self, shard: usize, input: Input) {
        self.node.servers[shard].now = None;
        self.feed(shard, input);
        self.node.send(shard);
    }

    pub fn carry_out(&mut self, shard: usize) {
        let mut effects = std::mem::take(&mut self.node.servers[shard].effects);
        self.node.moves = effects.iter().filter(|effect| is_move(effect)).count();
        for effect in effects.drain(..) {
            match effect {
                Effect::Send(worker, message) => {
                    self.inspect(shard, &message);
                    self.node.servers[shard].collected[worker.0].push(message);
                }
                Effect::Forward(to, message) => {
                    if let FromShard::LoginDone { member, reply: Reply::LoggedIn(login), .. } = &message {
                        self.arrived(shard, to.0, *member, login);
                    }
                    self.node.servers[shard].forwards.push((to, message));
                }
                Effect::TurnAway(seat, ending) => {
                    seat.deliveries.do_send(Delivery::Dismissed(ending));
                    self.node.sessions.iter().for_each(|session| session.outlet.set_mail(true));
                }
                Effect::Ask(job) => {
                    match &job {
                        Job::Rooms { is_awaited } => self.node.servers[shard].waits |= *is_awaited,
                        Job::Close => {
                            self.node.open -= 1;
                            if self.node.open > 0 {
                                // Another shard still needs the journal.
                                self.journal.answers.push_back((shard, Done::Closed(Ok(()))));
                                continue;
                            }
                        }
                        Job::Open(id, name) => {
                            let room = self.names.room(name).unwrap_or(0);
                            self.node.opening.push((*id, room));
                        }
                        _ => {}
                    }
                    self.journal.jobs.push_back((shard, job));
                }
                Effect::Answer(id, _) => {
                    let server = &mut self.node.servers[shard];
                    let is_owed = server.calls.contains(&id) && !server.answers.contains(&id);
                    self.trace.check(is_owed, "each call is answered once", || format!("{id:?}"));
                    self.node.servers[shard].answers.push(id);
                }
                Effect::Order(order) => {
                    self.trace.check(false, "a chat of one node has no link", || format!("{order:?}"));
                }
            }
        }
        self.node.servers[shard].effects = effects;
        if self.node.moves > 0 {
            self.check_names();
        }
    }

    pub fn shard_takes(&mut self, shard: usize) -> bool {
        let server = &mut self.node.servers[shard];
        if server.waits {
            return false;
        }
        let Some(message) = server.inbox.pop_front() else {
            return false;
        };
        match message {
            ToShard::Request(request) => self.shard_takes_request(shard, request, Input::Request),
            ToShard::FromShard(FromShard::Request(request)) => {
                let is_passed_on = |request| Input::FromShard(FromShard::Request(request));
                self.shard_takes_request(shard, request, is_passed_on);
            }
            ToShard::FromShard(message) => {
                self.trace.note("a shard hears of another", [shard as u64, 0, 0]);
                self.feed(shard, Input::FromShard(message));
            }
            ToShard::Decided(decided) => {
                self.trace.note("a shard learns a fate", [shard as u64, 0, 0]);
                self.feed(shard, Input::Decided(decided));
            }
            ToShard::Heard(heard) => self.feed(shard, Input::Heard(heard)),
            ToShard::Stop => {
                self.trace.note("a shard is to stop", [shard as u64, 0, 0]);
                self.feed(shard, Input::Stop);
                self.node.send(shard);
                self.node.servers[shard].has_stopped = true;
            }
            ToShard::DismissAll => self.dismiss_all(shard),
            ToShard::Call(id, call) => {
                self.trace.note("a shard is called", [shard as u64, id.0, 0]);
                self.feed(shard, Input::Call(id, call));
                self.node.send(shard);
            }
        }
        true
    }

    fn dismiss_all(&mut self, shard: usize) {
        self.trace.note("a shard dismisses all", [shard as u64, 0, 0]);
        let (all_told, _) = tokio::sync::mpsc::channel(1);
        for mail in &mut self.node.servers[shard].collected {
            mail.push(ForFanOut::DismissAll(DismissAll { all_told: all_told.clone() }));
        }
        self.node.send(shard);
    }

    pub fn shard_ends_turn(&mut self, shard: usize) -> bool {
        if self.node.servers[shard].now.is_none() {
            return false;
        }
        self.trace.note("a shard ends its turn", [shard as u64, 0, 0]);
        self.feed(shard, Input::TurnEnded);
        self.node.send(shard);
        self.node.servers[shard].now = None;
        true
    }

    pub fn journal_works(&mut self) -> bool {
        if self.journal.jobs.is_empty() {
            return false;
        }
        self.trace.note("the journal works", [self.journal.jobs.len() as u64, 0, 0]);
        self.journal.work(&mut self.rng, &self.names, &mut self.truth, &mut self.trace);
        true
    }

    pub fn journal_answers(&mut self) -> bool {
        let Some((shard, done)) = self.journal.answers.pop_front() else {
            return false;
        };
        let opened = match &done {
            Done::Opened(id, _) => Some(*id),
            _ => None,
        };
        let what = match &done {
            Done::Rooms(_) => 0,
            Done::Opened(..) => 1,
            Done::Appended(Ok(())) => 2,
            Done::Appended(Err(_)) => 3,
            Done::Checked(_) => 4,
            _ => 5,
        };
        self.trace.note("the journal answers", [what, shard as u64, 0]);
        if matches!(done, Done::Rooms(_)) {
            self.node.servers[shard].waits = false;
        }
        self.feed_alone(shard, Input::Done(done));
        if let Some(id) = opened {
            self.node.opening.retain(|(known, _): &(RoomId, usize)| *known != id);
        }
        true
    }

    fn is_opening(&self, room: Option<usize>) -> bool {
        self.node.opening.iter().any(|(_, known)| Some(*known) == room)
    }

    // ----- requests -----

    fn shard_takes_request(&mut self, shard: usize, request: Request, input: fn(Request) -> Input) {
        let member = request.member();
        let is_unknown = !matches!(request, Request::Register(_)) && self.node.view(shard, member).is_none();
        if is_unknown || self.node.servers[shard].is_poisoned {
            self.trace.note("a shard hands a request on", [shard as u64, 0, 0]);
            return self.feed(shard, input(request));
        }
        match &request {
            Request::Register(register) => self.registers(shard, register),
            Request::Publish(Publish { payload, .. }) => {
                let number = match payload {
                    Payload::Text(text) => parse::number(text),
                    Payload::Binary(bytes) => std::str::from_utf8(bytes).ok().and_then(parse::number),
                };
                return self.says(shard, member, number, input(request));
            }
            Request::Post(Post { body, .. }) => {
                let number = parse::number(body);
                return self.says(shard, member, number, input(request));
            }
            Request::SendPrivate(_) => return self.takes_private(shard, request, input),
            Request::Login(Login { ticket, room, .. }) => {
                self.trace.note("the shard takes a login", [*ticket, 0, 0]);
                let moves = self.node.common.shard_of(room).0 != shard;
                let (ticket, room) = (*ticket, self.names.room(room));
                self.feed(shard, input(request));
                let waits = moves || self.is_opening(room);
                if let Some(view) = self.node.view(shard, member)
                    && (waits || !view.logins.is_empty())
                {
                    view.logins.push(ticket);
                }
                return;
            }
            Request::Unregister(Unregister { holds_name, .. }) => {
                let holds_name = *holds_name;
                self.trace.note("the shard takes an end", [holds_name.into(), 0, 0]);
                let mut may_wait = false;
                if let Some(view) = self.node.view(shard, member) {
                    view.leaves = Some(holds_name);
                    may_wait = !view.logins.is_empty();
                }
                self.feed(shard, input(request));
                let room = self.node.view(shard, member).map(|view| view.room);
                // Behind a panic it may wait for requests that it does not know of here.
                let may_wait =
                    may_wait || self.config.has_panics || room.is_some_and(|room| self.is_opening(room));
                self.trace.check(may_wait || room.is_none(), "a session that has ended is no member", || {
                    format!("{member} is still one")
                });
                return;
            }
            _ => self.trace.note("the shard takes a request", [0; 3]),
        }
        self.feed(shard, input(request));
    }

    fn registers(&mut self, shard: usize, register: &Register) {
        let Some(session) = self.node.sessions.iter().find(|session| session.member == register.member)
        else {
            // It has ended before; its end is behind this.
            let view = View {
                session: 0,
                client: 0,
                is_guest: register.room.is_some(),
                ..self.view_of(shard, register)
            };
            return self.node.views.push(view);
        };
        self.trace.note("the shard registers", [session.number, 0, 0]);
        let view = View {
            session: session.number,
            client: session.client,
            is_guest: session.is_guest,
            ..self.view_of(shard, register)
        };
        let room = view.room;
        let client = view.client;
        self.node.views.push(view);
        if let Some(room) = room {
            self.clients[client].heard_to = self.journal.head(room);
        }
    }

    fn view_of(&self, shard: usize, register: &Register) -> View {
        View {
            shard,
            session: 0,
            member: register.member,
            client: 0,
            is_guest: false,
            room: register.room.as_ref().and_then(|name| self.names.room(name)),
            user: crate::names::Shown { name: 0, avatar: 0 },
            is_vague: false,
            token: None,
            is_subscribed: false,
            logins: Vec::new(),
            leaves: None,
            since: self.trace.step,
        }
    }

    /// The shard takes a message for a room.
    fn says(&mut self, shard: usize, member: MemberId, number: Option<u32>, input: Input) {
        let (room, waits) = match self.node.view(shard, member) {
            Some(view) => (view.room, !view.logins.is_empty()),
            None => (None, true),
        };
        if let Some(number) = number {
            self.trace.note("the shard takes a message", [number.into(), 0, 0]);
        }
        self.feed(shard, input);
        let is_vague = waits || room.is_none() || self.is_opening(room);
        let step = self.trace.step;
        if let Some(number) = number {
            let message = self.truth.message(number);
            message.is_vague |= is_vague || message.taken != 0;
            message.taken = step;
        }
    }

    fn takes_private(&mut self, shard: usize, request: Request, input: fn(Request) -> Input) {
        let Request::SendPrivate(SendPrivate { member, body, ticket, .. }) = &request else {
            return;
        };
        let Some(number) = parse::number(body) else {
            return;
        };
        self.trace.note("the shard takes a private message", [number.into(), 0, 0]);
        let run = self.journal.run();
        let message = self.truth.message(number);
        let is_sure = message.on_its_way_in != run;
        message.sent_after.get_or_insert(self.counts.panics);
        let owed_before = self.node.owed.len();
        self.node.privates.push((*ticket, number));
        match self.node.views.iter().find(|view| view.shard == shard && view.member == *member) {
            Some(View { room: Some(room), user, logins, .. }) if logins.is_empty() => {
                message.room.get_or_insert(*room);
                let (to, from) = (message.to, self.names.key(user.name));
                message.from = from;
                message.on_its_way_in = run;
                for view in
                    self.node.views.iter().filter(|view| view.room == Some(*room) && view.is_subscribed)
                {
                    let key = self.names.key(view.user.name);
                    if !view.is_guest && (key == to || key == from) {
                        let is_reader = key == to;
                        self.node.owed.push(Owed { session: view.session, number, is_reader, is_sure });
                    }
                }
            }
            _ => message.is_vague = true,
        }
        let (ticket, member) = (*ticket, *member);
        self.feed(shard, input(request));
        let is_answered = self.node.privates.iter().all(|(waiting, _)| *waiting != ticket);
        let room = self.node.view(shard, member).and_then(|view| view.room);
        let waits = self.is_opening(room);
        self.truth.message(number).is_vague |= waits;
        if is_answered || waits {
            // Nothing was sent, or not yet.
            self.node.owed.truncate(owed_before);
        }
    }
}

/// Whether an effect tells that a session has come to a room, or has left one.
fn is_move(effect: &Effect) -> bool {
    match effect {
        Effect::Send(_, ForFanOut::Tell(tell)) => matches!(
            tell.news.downcast_ref::<ChatNews>(),
            Some(ChatNews::Reply { reply: Reply::LoggedIn(_) | Reply::LoggedOut, .. })
        ),
        Effect::Send(_, ForFanOut::Detach(_) | ForFanOut::Dismiss(_)) => true,
        Effect::Forward(_, FromShard::LoginDone { reply, .. }) => matches!(reply, Reply::LoggedIn(_)),
        _ => false,
    }
}

/// What is lost with an input.
fn lost_kind(lost: &LostInput) -> &'static str {
    match lost {
        LostInput::Nothing => "nothing is lost",
        LostInput::Answer(..) => "an answer is lost",
        LostInput::Newcomer(_) => "a newcomer is lost",
        LostInput::Place(_) => "a place is lost",
        LostInput::PlacesIn(_) => "places are lost",
        LostInput::Arrival(..) => "an arrival is lost",
        _ => "work for the journal is lost",
    }
}
