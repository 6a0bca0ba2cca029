//! What happens inside a node: its shards, fan-outs and sessions.

use std::{collections::VecDeque, sync::atomic::Ordering};

use echoroom::testing::{
    Delivery, ForFanOut, RoomName,
    nodes::{Answer, Command, Stored},
    simulation::{
        ChatNews, Effect, Entry, Input, JournalError, LostInput, LostMail, Page, Range, Request, Unregister,
        unpack,
    },
};

use super::{Member, Nodes};
use crate::{
    names::token,
    node::ToShard,
    parse,
    session::{Desk, Session},
};

/// A step of a node, or of one of its parts. False if there is nothing to do.
type Act = fn(&mut Nodes, usize, usize) -> bool;

impl Nodes {
    /// A node does something.
    pub fn node_acts(&mut self) -> bool {
        let member = self.rng.below(self.config.nodes);
        if !self.acts(member) {
            return false;
        }
        let (shards, workers) = (self.config.shards, self.config.workers);
        let sessions = self.members[member].node.sessions.len();
        match self.rng.below(16) {
            0..=3 => self.any(member, shards, Self::shard_takes),
            4 => self.any(member, shards, Self::shard_ends_turn),
            5..=6 => self.any(member, workers, Self::fanout_takes),
            7 => self.any(member, workers, Self::fanout_delivers),
            8..=9 => self.any(member, sessions, Self::session_takes_mail),
            10..=11 => self.any(member, sessions, Self::session_takes_request),
            12 => self.any(member, sessions, Self::session_reads),
            _ => self.link_takes_order(member),
        }
    }

    fn any(&mut self, member: usize, count: usize, act: Act) -> bool {
        let first = if count == 0 { 0 } else { self.rng.below(count) };
        (0..count).any(|index| act(self, member, (first + index) % count))
    }

    /// Does what there is to do inside the nodes, in turn, until there is nothing.
    pub fn drain(&mut self) {
        let mut is_busy = true;
        while is_busy && self.trace.broken.is_none() {
            is_busy = false;
            for member in 0..self.members.len() {
                if self.acts(member) {
                    is_busy |= self.drain_node(member);
                }
            }
            for client in 0..self.clients.len() {
                is_busy |= self.client_reads(client);
                self.settle();
            }
        }
    }

    fn drain_node(&mut self, member: usize) -> bool {
        let (shards, workers) = (self.config.shards, self.config.workers);
        let mut is_busy = self.each(member, shards, Self::shard_takes);
        is_busy |= self.each(member, shards, Self::shard_ends_turn);
        is_busy |= self.each(member, workers, Self::fanout_takes);
        is_busy |= self.each(member, workers, Self::fanout_delivers);
        for act in [Self::session_takes_mail as Act, Self::session_takes_request, Self::session_reads] {
            let mut index = 0;
            while index < self.members[member].node.sessions.len() {
                let number = self.members[member].node.sessions[index].number;
                is_busy |= act(self, member, index);
                let sessions = &self.members[member].node.sessions;
                index += usize::from(sessions.get(index).is_some_and(|next| next.number == number));
            }
        }
        while self.link_takes_order(member) {
            is_busy = true;
        }
        self.settle();
        is_busy
    }

    fn each(&mut self, member: usize, count: usize, act: Act) -> bool {
        let mut is_busy = false;
        for index in 0..count {
            while self.trace.broken.is_none() && act(self, member, index) {
                is_busy = true;
            }
        }
        is_busy
    }

    // ----- shards -----

    fn feed(&mut self, member: usize, shard: usize, input: Input) {
        let time = self.time();
        let server = &mut self.members[member].node.servers[shard];
        let now = *server.now.get_or_insert(time);
        if std::mem::take(&mut server.is_poisoned) {
            self.trace.note("a shard panics", [member as u64, shard as u64, 0]);
            self.counts.panics += 1;
            let lost = LostInput::of(&input);
            drop(input);
            server.shard.begin_again(now, lost, &mut server.effects);
        } else {
            server.shard.handle(now, input, &mut server.effects);
        }
        self.carry_out(member, shard);
    }

    /// Feeds an input with which a turn ends.
    fn feed_alone(&mut self, member: usize, shard: usize, input: Input) {
        self.members[member].node.servers[shard].now = None;
        self.feed(member, shard, input);
        let node = &mut self.members[member].node;
        node.send(shard);
        node.servers[shard].now = None;
    }

    fn carry_out(&mut self, member: usize, shard: usize) {
        let Member { node, orders, .. } = &mut self.members[member];
        for effect in std::mem::take(&mut node.servers[shard].effects) {
            match effect {
                Effect::Send(worker, message) => node.servers[shard].collected[worker.0].push(message),
                Effect::Forward(to, message) => node.servers[shard].forwards.push((to, message)),
                Effect::TurnAway(seat, ending) => {
                    seat.deliveries.do_send(Delivery::Dismissed(ending));
                    node.sessions.iter().for_each(|session| session.outlet.set_mail(true));
                }
                Effect::Order(order) => orders.push_back(order),
                Effect::Ask(job) => {
                    self.trace.fail("a chat of several nodes asks no journal", || format!("{job:?}"));
                }
                Effect::Answer(..) => {}
            }
        }
    }

    fn shard_takes(&mut self, member: usize, shard: usize) -> bool {
        let Some(message) = self.members[member].node.servers[shard].inbox.pop_front() else {
            return false;
        };
        let place = [member as u64, shard as u64, 0];
        match message {
            ToShard::Request(request) => {
                self.trace.note("a shard takes a request", place);
                self.feed(member, shard, Input::Request(request));
            }
            ToShard::FromShard(message) => {
                self.trace.note("a shard hears of another", place);
                self.feed(member, shard, Input::FromShard(message));
            }
            ToShard::Decided(decided) => {
                self.trace.note("a shard learns a fate", place);
                self.feed(member, shard, Input::Decided(decided));
            }
            ToShard::Heard(heard) => {
                self.trace.note("a shard hears", place);
                self.feed_alone(member, shard, Input::Heard(heard));
            }
            ToShard::Stop | ToShard::DismissAll | ToShard::Call(..) => {}
        }
        true
    }

    fn shard_ends_turn(&mut self, member: usize, shard: usize) -> bool {
        if self.members[member].node.servers[shard].now.is_none() {
            return false;
        }
        self.feed(member, shard, Input::TurnEnded);
        let node = &mut self.members[member].node;
        node.send(shard);
        node.servers[shard].now = None;
        true
    }

    /// Wakes the shards of a node for which that is due.
    pub fn wake_shards(&mut self, member: usize) {
        for shard in 0..self.config.shards {
            let server = &self.members[member].node.servers[shard];
            if server.shard.next_wake().is_some_and(|at| at <= self.time().at) {
                self.trace.note("a shard is woken", [member as u64, shard as u64, 0]);
                self.feed_alone(member, shard, Input::Wake);
            }
        }
    }

    // ----- fan-outs -----

    fn fanout_takes(&mut self, member: usize, number: usize) -> bool {
        let node = &mut self.members[member].node;
        let worker = &mut node.workers[number];
        let Some(mail) = worker.mail.pop_front() else {
            return false;
        };
        worker.is_dirty = true;
        let mut is_by_mail_alone = false;
        for message in mail.0 {
            if std::mem::take(&mut worker.is_poisoned) {
                let lost = LostMail::of(&message);
                drop(message);
                worker.fanout.begin_again(lost);
                is_by_mail_alone = true;
            } else {
                is_by_mail_alone |= matches!(message, ForFanOut::Dismiss(_) | ForFanOut::DismissAll(_));
                worker.fanout.take(message);
            }
        }
        if is_by_mail_alone {
            node.sessions.iter().for_each(|session| session.outlet.set_mail(true));
        }
        true
    }

    fn fanout_delivers(&mut self, member: usize, number: usize) -> bool {
        let worker = &mut self.members[member].node.workers[number];
        if !std::mem::take(&mut worker.is_dirty) {
            return false;
        }
        worker.fanout.deliver_all();
        true
    }

    // ----- sessions -----

    /// A session takes the next message from its mailbox.
    fn session_takes_mail(&mut self, member: usize, index: usize) -> bool {
        let session = &mut self.members[member].node.sessions[index];
        if !session.outlet.has_mail() && !session.is_evicted.load(Ordering::Relaxed) {
            return false;
        }
        let Some(delivery) = session.mailbox.next() else {
            session.outlet.set_mail(false);
            return false;
        };
        let number = session.number;
        match delivery {
            Delivery::Frames { frames, .. } => {
                session.outlet.take_mail();
                session.outbound.take_mailed(&frames, false);
            }
            Delivery::Volatile { frames, .. } => {
                session.outlet.take_mail();
                session.outbound.take_mailed(&frames, true);
            }
            Delivery::News { news, .. } => {
                session.outlet.take_mail();
                self.trace.note("a session takes news", [number, 0, 0]);
                if let Ok(news) = news.downcast::<ChatNews>() {
                    let ending = self.at_desk(member, index, |session, desk| session.news(*news, desk));
                    if let Some((promise, what)) = self.members[member].node.sessions[index].broken.take() {
                        self.trace.fail(promise, || what);
                    }
                    if let Some(ending) = ending {
                        self.end_session(member, index, ending.is_loss(), false);
                    }
                }
            }
            Delivery::Dismissed(ending) => {
                self.trace.note("a session is dismissed", [number, 0, 0]);
                self.end_session(member, index, ending.is_loss(), false);
            }
        }
        true
    }

    /// A session reads the next request of its client.
    fn session_takes_request(&mut self, member: usize, index: usize) -> bool {
        let session = &mut self.members[member].node.sessions[index];
        if !session.reads() {
            return false;
        }
        let Some(ask) = session.asks.pop_front() else {
            return false;
        };
        self.at_desk(member, index, |session, desk| session.take(ask, desk));
        true
    }

    /// A session reads a page of the history, or takes one that was read.
    fn session_reads(&mut self, member: usize, index: usize) -> bool {
        let session = &self.members[member].node.sessions[index];
        let (may_read, number) = (session.may_read(), session.number);
        let Some(reading) = session.readings.first() else {
            return false;
        };
        if reading.page.is_none() {
            if !may_read {
                return false;
            }
            let (room, range) = (reading.room, reading.range);
            let page = self.read_page(member, room, range);
            self.trace.note("a page is read", [number, room as u64, page.is_ok().into()]);
            self.members[member].node.sessions[index].readings[0].page = Some(page);
            return true;
        }
        let reading = self.members[member].node.sessions[index].readings.remove(0);
        let ending = self.at_desk(member, index, |session, desk| session.have_read(reading, desk));
        if let Some(ending) = ending {
            self.end_session(member, index, ending.is_loss(), false);
        }
        true
    }

    fn read_page(&mut self, member: usize, room: usize, range: Range) -> Result<Page, JournalError> {
        if !self.reaches_redis(member) {
            return Err(JournalError::Unavailable("Redis is away".to_owned()));
        }
        let records = self.records(self.members[member].server, room).into_iter();
        let entries = |stored: Stored| -> Result<Vec<Entry>, JournalError> { unpack(&record_of(stored)) };
        match range {
            Range::After { after, max_bytes } => {
                Page::after(records.filter(|record| record.last() > after).map(entries), after, max_bytes)
            }
            Range::Before { before, limit, max_bytes } => Page::before(
                records.rev().filter(|record| record.first < before).map(entries),
                before,
                limit,
                max_bytes,
            ),
        }
    }

    /// All that a Redis has of a room.
    pub fn records(&mut self, server: usize, room: usize) -> Vec<Stored> {
        let (now, room, mut after) = (self.millis(), self.names.rooms[room].clone(), 0);
        let mut all = Vec::new();
        loop {
            let read = Command::Read { room: room.clone(), after };
            let Answer::Records(records) = self.servers[server].redis.call(now, &read, &self.bounds).0 else {
                return all;
            };
            match records.last() {
                Some(last) => after = last.last(),
                None => return all,
            }
            all.extend(records);
        }
    }

    /// A round was appended: Redis had none of its messages, and no other user has the name under which one is said.
    pub fn check_round(&mut self, server: usize, name: &RoomName, record: &Stored) {
        let numbers = |record: &Stored| {
            let entries = unpack(&record_of(record.clone())).unwrap_or_default();
            entries.iter().map(|entry| parse::number(&entry.body)).collect::<Vec<_>>()
        };
        let (room, said) = (self.names.room(name).unwrap_or(0), numbers(record));
        let known = self.records(server, room).into_iter().filter(|known| known.first < record.first);
        let other = known.flat_map(|known| numbers(&known)).find(|number| said.contains(number));
        // An emptied Redis may lack the beginning, and get it back from a node later.
        let is_known = other.is_some() && !self.was_flushed;
        self.trace.check(!is_known, "a message that Redis has is not said again", || {
            format!("message {other:?} of room {room} at {}", record.first)
        });
        self.check_authors(server, name, record);
    }

    fn check_authors(&mut self, server: usize, room: &RoomName, record: &Stored) {
        let now = self.millis();
        let open = Command::Open { room: room.clone(), wants_keys: false, version: u64::MAX };
        let Answer::Position(position) = self.servers[server].redis.call(now, &open, &self.bounds).0 else {
            return;
        };
        let users = position.people.unwrap_or_default();
        for entry in unpack(&record_of(record.clone())).unwrap_or_default() {
            let other = users.iter().find(|user| {
                let is_there =
                    !user.nodes.is_empty() && user.name.as_str().eq_ignore_ascii_case(&entry.username);
                is_there && entry.uid.is_some_and(|uid| uid != user.owner.uid)
            });
            self.trace.check(other.is_none(), "nothing is said under the name of another user", || {
                let (said, by) = (&entry.body, (&entry.username, entry.uid));
                format!("message {said} in {room:?} by {by:?}, round {}, who is {other:?}", record.seq)
            });
        }
    }

    /// Has a session do something, and sends what it asks of the shards.
    pub fn at_desk<T>(
        &mut self,
        member: usize,
        index: usize,
        act: impl FnOnce(&mut Session, &mut Desk<'_>) -> T,
    ) -> T {
        let mut requests = VecDeque::<(usize, Request)>::new();
        self.last_token += 1;
        let node = &mut self.members[member].node;
        let mut desk = Desk {
            names: &self.names,
            common: &node.common,
            ticket: &mut self.last_ticket,
            spare: token(self.last_token),
            requests: &mut requests,
        };
        let result = act(&mut node.sessions[index], &mut desk);
        for (shard, request) in requests {
            node.servers[shard].inbox.push_back(ToShard::Request(request));
        }
        result
    }

    /// Ends a session. `is_by_client`: what its client had sent before may still be handled.
    pub fn end_session(&mut self, member: usize, index: usize, is_lost: bool, is_by_client: bool) {
        if is_by_client && self.rng.chance(500) {
            self.at_desk(member, index, Session::take_last);
        }
        let node = &mut self.members[member].node;
        let session = node.sessions.remove(index);
        self.trace.note("a session ends", [session.number, is_lost.into(), is_by_client.into()]);
        self.counts.endings += u64::from(!is_by_client);
        let holds_name = is_lost || session.has_shown_token;
        let unregister = Unregister { member: session.member, holds_name };
        node.servers[session.shard].inbox.push_back(ToShard::Request(unregister.into()));
        session.outbound.end();
        session.outbound.drop_all();
        session.outlet.close();
        node.workers[session.worker].outlets.take(session.member);
        self.clients[session.client].lost();
    }
}

/// A record as sessions read it.
pub fn record_of(stored: Stored) -> echoroom::testing::Record {
    let Stored { first, count, at, entries, .. } = stored;
    echoroom::testing::Record { first, count, at, keys: Vec::new(), entries: entries.unwrap_or_default() }
}
