//! Decides what is said to the other servers, and what becomes of what they say. It has no clock, connection or thread.
//!
//! - [`link`]: whether Redis can be reached, and which subscriptions are confirmed.
//! - [`namespaces`]: the namespaces of this server, their rooms, and what waits for its place in the order ([`queue`]).
//! - [`asked`]: what this server has asked the others. [`asking`]: what others have asked this one.
//! - [`restoring`]: lost sockets that are found again, with what their clients have missed.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use bytestring::ByteString;
use log::{debug, error, warn};

use self::{
    asked::Asked,
    asking::Asking,
    link::{Link, State},
    namespaces::Namespaces,
    restoring::Restoring,
};
use super::{
    figures::Figures,
    speech::{Envelope, Junk, Sending, Speech},
    traffic::{Channel, Decide, Entry, FromHere, Here, Input, Output, Query, QueryId, Reply},
};
use crate::socketio::cluster::{Deliver, Message, Opts, Order, StreamId};

pub(super) use self::namespaces::Heard;

mod asked;
mod asking;
mod link;
mod namespaces;
mod queue;
mod restoring;

/// The bounds of an adapter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// How long servers may take to answer, where the one who asks has not said it.
    pub(crate) requests_timeout: std::time::Duration,
    /// Requests of other servers that are answered at a time.
    pub(crate) max_foreign_requests: usize,
    /// Messages that wait until the subscriptions are confirmed.
    pub(crate) max_held: usize,
    /// Entries of a stream that are read at once for a client that has come back.
    pub(crate) read_count: usize,
    /// Bytes of events that one client may have missed.
    pub(crate) max_missed: usize,
    /// How long a lost socket is kept.
    pub(crate) session_time: std::time::Duration,
}

/// The core of an adapter.
pub(crate) struct Core {
    speech: Speech,
    bounds: Bounds,
    figures: Arc<Figures>,
    link: Link,
    namespaces: Namespaces,
    asked: Asked,
    asking: Asking,
    restoring: Restoring,
    last_query: u64,
    /// What is sent once all subscriptions are confirmed.
    held: Vec<Output>,
    stopping: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Core {
    /// Speaks so, within these bounds.
    pub(crate) fn new(speech: Speech, bounds: Bounds, figures: Arc<Figures>) -> Self {
        Self {
            link: Link::new(speech.stream().cloned()),
            speech,
            bounds,
            figures,
            namespaces: Namespaces::default(),
            asked: Asked::default(),
            asking: Asking::default(),
            restoring: Restoring::default(),
            last_query: 0,
            held: Vec::new(),
            stopping: None,
        }
    }

    fn query(&mut self, query: Query, out: &mut Vec<Output>) -> QueryId {
        self.last_query += 1;
        let id = QueryId(self.last_query);
        self.send(Output::Query(id, query), out);
        id
    }

    /// Sends something to Redis, once that can be reached; drops it if it is not known when that is.
    fn send(&mut self, output: Output, out: &mut Vec<Output>) {
        match self.link.state() {
            State::Ready => out.push(output),
            State::Joining if self.held.len() < self.bounds.max_held => self.held.push(output),
            State::Joining | State::Away => self.figures.count_only_here(1),
        }
    }

    fn send_message(&mut self, sending: Sending, out: &mut Vec<Output>) {
        self.send(sending.into_output(&self.speech), out);
    }

    /// Sends what was held, if all subscriptions are confirmed.
    fn check_ready(&mut self, out: &mut Vec<Output>) {
        if self.link.check_ready() {
            out.append(&mut self.held);
        }
    }

    fn take_order(&mut self, now: Instant, order: Order, out: &mut Vec<Output>) {
        match order {
            Order::Serve { namespace } => {
                for (channel, heard) in self.speech.subscriptions(&namespace) {
                    self.namespaces.hear(channel.clone(), &namespace, heard);
                    self.link.subscribe(channel, out);
                }
                self.namespaces.serve(namespace);
            }
            Order::Unserve { namespace } => self.unserve(&namespace, out),
            Order::Occupied { namespace, room } => self.occupied(&namespace, room, out),
            Order::Vacant { namespace, room } => self.vacant(&namespace, &room, out),
            Order::Tell { namespace, message, deliver } => {
                self.tell(now, &namespace, message.as_ref(), deliver, out);
            }
            Order::Ask { namespace, args, opts, timeout, answers, deliver } => {
                let (request, deadline) = (self.speech.new_request(), now + timeout);
                let message = Message::Ask { request: request.clone(), args, opts };
                self.ask(&namespace, request, asked::What::Acks { owed: 0, answers }, deadline, out);
                self.tell(now, &namespace, Some(&message), deliver, out);
            }
            Order::Fetch { namespace, target, to } => {
                let opts = Opts { target, ..Opts::default() };
                let what = asked::What::Sockets { found: Vec::new(), to };
                self.request(now, &namespace, |request| Message::Fetch { request, opts }, what, out);
            }
            Order::ListRooms { namespace, to } => {
                let what = asked::What::Rooms { rooms: Vec::new(), to };
                let lists_rooms = self.speech.can_list_rooms();
                let message = |request| match lists_rooms {
                    true => Message::ListRooms { request },
                    // Their rooms are those of their sockets.
                    false => Message::Fetch { request, opts: Opts::default() },
                };
                self.request(now, &namespace, message, what, out);
            }
            Order::ServerEvent { namespace, args, answers: None } => {
                let message = Message::ServerEvent { args, request: None };
                self.tell(now, &namespace, Some(&message), None, out);
            }
            Order::ServerEvent { namespace, args, answers: Some(to) } => {
                let what = asked::What::Answers { answers: Vec::new(), to };
                let request = self.speech.new_request();
                let message = Message::ServerEvent { args, request: Some(request.clone()) };
                self.ask(&namespace, request, what, now + self.bounds.requests_timeout, out);
                self.tell(now, &namespace, Some(&message), None, out);
            }
            Order::CountServers { namespace, to } => {
                let deadline = now + self.bounds.requests_timeout;
                let request = self.speech.new_request();
                self.ask(&namespace, request, asked::What::Count { to }, deadline, out);
            }
            Order::KeepSession { session } => {
                if let Some((key, value)) = self.speech.session(&session) {
                    let expires_in = self.bounds.session_time;
                    self.send(Output::Store { key, value, expires_in }, out);
                }
            }
            Order::Restore { namespace, pid, offset, to } => {
                self.restore(namespace, &pid, &offset, to, out);
            }
            Order::Stop { done } => {
                self.stopping = Some(done);
                out.append(&mut self.held);
                out.push(Output::End);
            }
        }
    }

    fn unserve(&mut self, namespace: &ByteString, out: &mut Vec<Output>) {
        let Some((channels, deliveries)) = self.namespaces.unserve(namespace) else {
            return;
        };
        out.extend(deliveries.into_iter().map(|deliver| Output::Deliver(deliver, None)));
        channels.into_iter().for_each(|channel| self.link.unsubscribe(channel, out));
        self.speech.forget(namespace);
        self.check_ready(out);
    }

    fn occupied(&mut self, namespace: &ByteString, room: ByteString, out: &mut Vec<Output>) {
        if let Some(channel) = self.speech.room_subscription(namespace, &room)
            && self.namespaces.is_served(namespace)
        {
            self.namespaces.hear(channel.clone(), namespace, Heard::Any);
            self.link.subscribe(channel, out);
        }
        self.namespaces.occupied(namespace, room);
    }

    fn vacant(&mut self, namespace: &ByteString, room: &ByteString, out: &mut Vec<Output>) {
        self.namespaces.vacant(namespace, room);
        if let Some(channel) = self.speech.room_subscription(namespace, room)
            && self.namespaces.forget_channel(&channel)
        {
            self.link.unsubscribe(channel, out);
            self.check_ready(out);
        }
    }

    /// Tells the others something, and has it done here in its place.
    fn tell(
        &mut self,
        now: Instant,
        namespace: &ByteString,
        message: Option<&Message>,
        deliver: Option<Deliver>,
        out: &mut Vec<Output>,
    ) {
        let sending = message.and_then(|message| match self.speech.tell(namespace, message) {
            Ok(sending) => Some(sending),
            Err(problem) => {
                error!("namespace {namespace}: the other servers are not told of an event: {problem}");
                None
            }
        });
        let is_heard = sending.as_ref().is_some_and(|sending| self.is_heard(namespace, sending));
        let body = sending.as_ref().filter(|_| is_heard).map(|sending| sending.body.clone());
        if let Some(sending) = sending {
            self.send_message(sending, out);
        }
        if let Some(deliver) = deliver {
            let at_once = self.namespaces.wait(now, namespace, body, deliver);
            out.extend(at_once.map(|deliver| Output::Deliver(deliver, None)));
        }
    }

    /// Whether this server will hear itself say it.
    fn is_heard(&self, namespace: &ByteString, sending: &Sending) -> bool {
        self.link.state() != State::Away
            && (self.link.state() == State::Ready || self.held.len() < self.bounds.max_held)
            && self.namespaces.is_served(namespace)
            && match self.speech.heard_by(namespace, sending) {
                Some(channel) => self.link.will_hear(&channel),
                None => self.link.is_reading(),
            }
    }

    // ----- what this server asks -----

    fn request(
        &mut self,
        now: Instant,
        namespace: &ByteString,
        message: impl FnOnce(ByteString) -> Message,
        what: asked::What,
        out: &mut Vec<Output>,
    ) {
        let request = self.speech.new_request();
        let deadline = now + self.bounds.requests_timeout;
        self.ask(namespace, request.clone(), what, deadline, out);
        self.tell(now, namespace, Some(&message(request)), None, out);
    }

    /// Counts the servers, and waits for their answers to a request.
    fn ask(
        &mut self,
        namespace: &ByteString,
        request: ByteString,
        what: asked::What,
        deadline: Instant,
        out: &mut Vec<Output>,
    ) {
        if self.link.state() == State::Away {
            return what.give_up(self.asked.others_of(namespace));
        }
        let query = self.speech.count(namespace);
        let id = self.query(query, out);
        self.asked.wait(namespace.clone(), request, id, what, deadline);
    }

    // ----- what is heard -----

    fn published(
        &mut self,
        now: Instant,
        by: &Channel,
        channel: &ByteString,
        body: Bytes,
        out: &mut Vec<Output>,
    ) {
        let Some((namespace, heard)) = self.namespaces.heard_by(by) else {
            return;
        };
        let own = self.namespaces.own(&namespace, &body);
        if !own.is_empty() {
            return out.extend(own.into_iter().map(|deliver| Output::Deliver(deliver, None)));
        }
        // Others are not decoded for rooms in which there is none of this server's sockets.
        let room = if heard == Heard::Broadcasts { self.speech.room_of(&namespace, channel) } else { None };
        if room.is_some_and(|room| !self.namespaces.is_occupied(&namespace, room))
            || self.speech.is_own(heard, &namespace, &body)
        {
            return;
        }
        match self.speech.read(heard, &body) {
            Ok(envelope) => self.take_message(now, &namespace, envelope, None, out),
            Err(junk) => self.drop_junk(&namespace, &junk),
        }
    }

    fn read(&mut self, now: Instant, entries: Vec<Entry>, out: &mut Vec<Output>) {
        for Entry { id, fields } in entries {
            let Ok(id) = id.parse::<StreamId>() else {
                self.figures.count_junk();
                continue;
            };
            self.link.handed(id);
            let Some((uid, namespace, body)) = self.speech.entry_head(&fields) else {
                self.figures.count_junk();
                continue;
            };
            if !self.namespaces.is_served(&namespace) {
                continue;
            }
            let is_own = uid == self.speech.uid();
            let own = if is_own { self.namespaces.own(&namespace, &body) } else { Vec::new() };
            let is_restoring = self.restoring.is_any();
            if is_own && !is_restoring {
                out.extend(own.into_iter().map(|deliver| Output::Deliver(deliver, Some(id))));
                continue;
            }
            match self.speech.read_entry(&fields) {
                Ok(envelope) => {
                    if is_restoring {
                        self.restoring.heard(id, &namespace, &envelope.message);
                    }
                    if is_own {
                        out.extend(own.into_iter().map(|deliver| Output::Deliver(deliver, Some(id))));
                    } else {
                        self.take_message(now, &namespace, envelope, Some(id), out);
                    }
                }
                Err(junk) => self.drop_junk(&namespace, &junk),
            }
        }
        if self.restoring.is_any() {
            self.hand_out(out);
        }
    }

    fn drop_junk(&self, namespace: &ByteString, junk: &Junk) {
        self.figures.count_junk();
        debug!("namespace {namespace}: what another server says is dropped: {junk}");
    }

    /// Takes what another server says, or this one where it is not to be heeded.
    fn take_message(
        &mut self,
        now: Instant,
        namespace: &ByteString,
        envelope: Envelope,
        offset: Option<StreamId>,
        out: &mut Vec<Output>,
    ) {
        let Envelope { uid, namespace: said, message } = envelope;
        if uid.as_ref().is_some_and(|uid| uid == self.speech.uid())
            || said.is_some_and(|said| said != *namespace)
        {
            return;
        }
        let namespace = namespace.clone();
        match message {
            Message::Broadcast { args, opts } => {
                out.push(Output::Here(Here::Emit { namespace, args, opts, offset }));
            }
            Message::Join { opts, rooms, request } => {
                let request = self.if_here(&namespace, request, &opts);
                let here = Here::Join { namespace: namespace.clone(), target: opts.target, rooms };
                out.push(Output::Here(here));
                self.done(&namespace, request, out);
            }
            Message::Leave { opts, rooms, request } => {
                let request = self.if_here(&namespace, request, &opts);
                let here = Here::Leave { namespace: namespace.clone(), target: opts.target, rooms };
                out.push(Output::Here(here));
                self.done(&namespace, request, out);
            }
            Message::Disconnect { opts, close, request } => {
                let request = self.if_here(&namespace, request, &opts);
                let here = Here::Disconnect { namespace: namespace.clone(), target: opts.target, close };
                out.push(Output::Here(here));
                self.done(&namespace, request, out);
            }
            Message::Ask { .. }
            | Message::ListSids { .. }
            | Message::ListRooms { .. }
            | Message::Fetch { .. }
            | Message::ServerEvent { .. } => {
                let most = self.bounds.max_foreign_requests;
                match self.asking.take(now, namespace, uid, message, most) {
                    Some(here) => out.push(Output::Here(here)),
                    None => self.figures.count_junk(),
                }
            }
            answer => self.asked.answered(answer),
        }
    }

    /// The request of an old server, which names one socket, if this server has that.
    fn if_here(
        &self,
        namespace: &ByteString,
        request: Option<ByteString>,
        opts: &Opts,
    ) -> Option<ByteString> {
        request.filter(|_| opts.target.to.iter().any(|sid| self.namespaces.is_occupied(namespace, sid)))
    }

    /// Tells an old server that what it has asked for is done.
    fn done(&mut self, namespace: &ByteString, request: Option<ByteString>, out: &mut Vec<Output>) {
        if let Some(request) = request {
            self.reply(namespace, None, &Message::Done { request }, out);
        }
    }

    fn reply(
        &mut self,
        namespace: &ByteString,
        asker: Option<&ByteString>,
        message: &Message,
        out: &mut Vec<Output>,
    ) {
        match self.speech.reply(namespace, asker, message) {
            Ok(sending) => self.send_message(sending, out),
            Err(problem) => error!("namespace {namespace}: another server is not answered: {problem}"),
        }
    }

    fn take_answer(&mut self, answer: FromHere, out: &mut Vec<Output>) {
        if let Some((namespace, asker, message)) = self.asking.answer(answer) {
            self.reply(&namespace, asker.as_ref(), &message, out);
        }
    }

    fn replied(&mut self, now: Instant, id: QueryId, reply: Result<Reply, String>, out: &mut Vec<Output>) {
        if self.restoring.has_asked(id) {
            return self.restore_on(now, id, reply, out);
        }
        if let Some(position) = self.link.position(id, &reply, out) {
            out.push(Output::Here(Here::Position(position)));
            return self.check_ready(out);
        }
        match reply {
            Ok(Reply::Count(count)) => self.asked.counted(id, count),
            Ok(_) => {}
            Err(why) => {
                warn!("the servers cannot be counted: {why}");
                self.asked.counted(id, 1);
            }
        }
    }

    fn down(&mut self, out: &mut Vec<Output>) {
        self.link.down();
        let is_told = |output: &Output| matches!(output, Output::Publish { .. } | Output::Append { .. });
        self.figures.count_only_here(self.held.drain(..).filter(is_told).count());
        out.extend(self.namespaces.all_waiting().map(|deliver| Output::Deliver(deliver, None)));
        self.asked.give_up_all();
        self.asking.forget_all();
        out.extend(self.restoring.give_up_all());
    }

    fn wake(&mut self, now: Instant, out: &mut Vec<Output>) {
        self.asked.give_up_at(now);
        self.asking.forget_at(now);
        self.look_again(now, out);
        let overdue = self.namespaces.overdue(now);
        out.extend(overdue.into_iter().map(|deliver| Output::Deliver(deliver, None)));
    }
}

impl Decide for Core {
    fn handle(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Up => {
                if let Some(query) = self.link.up(out) {
                    self.last_query += 1;
                    let id = QueryId(self.last_query);
                    self.link.asks_position(id);
                    out.push(Output::Query(id, query));
                }
                self.check_ready(out);
            }
            Input::Down(why) => {
                debug!("events reach the sockets of this server only: {why}");
                self.down(out);
            }
            Input::Subscribed(channel) => {
                self.link.confirmed(&channel);
                self.check_ready(out);
            }
            Input::Published { by, channel, body } => self.published(now, &by, &channel, body, out),
            Input::Entries(entries) => self.read(now, entries, out),
            Input::Replied(id, reply) => self.replied(now, id, reply, out),
            Input::Order(order) => self.take_order(now, order, out),
            Input::FromHere(answer) => self.take_answer(answer, out),
            Input::Wake => self.wake(now, out),
        }
    }

    fn next_wake(&self) -> Option<Instant> {
        let own = [self.asked.next_deadline(), self.namespaces.next_overdue()];
        [self.asking.next_deadline(), self.restoring.next_try()].into_iter().chain(own).flatten().min()
    }

    fn begin_again(&mut self, out: &mut Vec<Output>) {
        self.down(out);
    }
}
