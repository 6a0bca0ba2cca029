//! What this server tells the others, and asks them.

use std::time::Instant;

use bytestring::ByteString;
use log::warn;

use super::{Core, State, asked};
use crate::socketio::{
    adapter::{
        speech::{HeardBy, Sending},
        traffic::{Heard, Output},
    },
    cluster::{Deliver, Message, Opts, Order},
};

impl Core {
    pub(super) fn take_order(&mut self, now: Instant, order: Order, out: &mut Vec<Output>) {
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
        self.asked.forget(namespace);
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
                warn!("namespace {namespace}: the other servers are not told of an event: {problem}");
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
            && (self.link.state() == State::Ready || self.can_hold())
            && self.namespaces.is_served(namespace)
            && match self.speech.heard_by(namespace, sending) {
                HeardBy::Channel(channel) => self.link.will_hear(&channel),
                HeardBy::Stream => self.link.is_reading(),
                HeardBy::Nothing => false,
            }
    }

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
}
