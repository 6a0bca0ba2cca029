//! The chat as a namespace of Socket.IO: the vocabulary of `/chat` in events of one argument, and acks.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use actix_web::web;

use super::namespaces::{Event, Namespace, Refusal, Socket, SocketHandler};
use crate::{
    chat::{Cutter, Delivery, Dialect, Dismissal, Encoding, Intake, Join, Leave, Seat},
    domain::SessionId,
    protocol::chat::{Failure, Request},
    session::{
        Worker,
        conversation::{Conversation, Hold, Next, Outcome, Speech},
        rate::{Meter, RateLimit},
        socketio::EndReason,
    },
};

/// The namespace, as one worker has it.
#[derive(Debug)]
pub struct ChatNamespace {
    worker: web::Data<Worker>,
}

impl ChatNamespace {
    /// The chat of `worker`'s server.
    pub fn new(worker: web::Data<Worker>) -> Self {
        Self { worker }
    }
}

impl Namespace for ChatNamespace {
    fn admit(&self, _: &str) -> Result<Box<dyn SocketHandler>, Refusal> {
        Ok(Box::new(ChatSocket {
            worker: self.worker.clone(),
            id: SessionId::next(),
            conversation: None,
            held: VecDeque::new(),
            held_bytes: 0,
        }))
    }
}

/// One client in the chat.
struct ChatSocket {
    worker: web::Data<Worker>,
    id: SessionId,
    conversation: Option<Conversation>,
    /// What came while a login was under way: said by who logs in.
    held: VecDeque<Held>,
    held_bytes: usize,
}

/// A request that waits.
struct Held {
    request: Result<Request, Failure>,
    ack: Option<u64>,
    len: usize,
}

impl ChatSocket {
    /// Takes what was held, as far as nothing is under way again.
    fn take_held(&mut self, socket: &Socket) {
        while self.conversation.as_ref().is_some_and(|conversation| !conversation.is_on_hold())
            && let Some(Held { request, ack, len }) = self.held.pop_front()
        {
            self.held_bytes -= len;
            self.converse(socket, |conversation| conversation.take(request, ack, len));
        }
    }

    fn converse(&mut self, socket: &Socket, go_on: impl FnOnce(&mut Conversation) -> Next) {
        let Some(conversation) = &mut self.conversation else {
            return;
        };
        match go_on(conversation) {
            Next::Nothing => {}
            Next::Read(reading) => socket.downlink().read(reading),
            Next::EndFlood => socket.downlink().end(EndReason::ForcedClose),
            Next::EndBehind => socket.downlink().end(EndReason::SlowConsumer),
        }
    }
}

impl SocketHandler for ChatSocket {
    fn connected(&mut self, socket: &Socket) {
        let Some(deliveries) = socket.downlink().address() else {
            return;
        };
        let settings = &self.worker.settings;
        let intake = Intake::new(settings.max_intake_bytes.get(), Arc::clone(&self.worker.intake));
        let meter = RateLimit::of(settings).map(|limit| Meter::new(limit, Instant::now()));
        let speech = Speech::SocketIo(socket.clone());
        let conversation =
            Conversation::new(self.id, self.worker.clone(), intake, speech, Hold::default(), meter);
        self.conversation = Some(conversation);
        let seat = Seat {
            deliveries,
            waiting: socket.downlink().delivered(),
            encoding: Encoding { dialect: Dialect::SocketIo, deflated: false },
            // The session ends itself: it does not live in the connection.
            cutter: Cutter::new(|_| {}),
        };
        self.worker.metrics.protocol("socketio").sessions.inc();
        self.worker.chat.do_send(Join { session: self.id, room: None, worker: self.worker.id, seat });
    }

    fn event(&mut self, socket: &Socket, event: Event) {
        self.worker.metrics.protocol("socketio").messages_in.inc();
        let Event { name, args, ack } = event;
        let request = match args.element(1) {
            _ if !args.attachments.is_empty() => Request::parse(&name, "\"bytes\""),
            Some(data) => Request::parse(&name, data),
            None => Request::parse(&name, "{}"),
        };
        // A number beyond all reason is one that nobody waits for.
        let ack = ack.and_then(|ack| ack.number());
        let len = args.json.len();
        self.held_bytes += len;
        self.held.push_back(Held { request, ack, len });
        self.take_held(socket);
        if self.held_bytes > self.worker.settings.max_intake_bytes.get().max(len) {
            socket.downlink().end(EndReason::ForcedClose);
        }
    }

    fn delivered(&mut self, socket: &Socket, delivery: Delivery) {
        match delivery {
            Delivery::Reply { ticket, reply } => {
                self.converse(socket, |conversation| conversation.reply(ticket, reply));
            }
            Delivery::Tail(tail) => self.converse(socket, |conversation| conversation.tail(tail)),
            Delivery::Dismissed(Dismissal::Restart) => socket.downlink().end(EndReason::ServerShuttingDown),
            Delivery::Dismissed(Dismissal::SlowConsumer) => socket.downlink().end(EndReason::SlowConsumer),
            Delivery::Dismissed(Dismissal::TooManyRooms) => socket.downlink().end(EndReason::ForcedClose),
            // Finished frames do not come this way.
            Delivery::Frames(_) => {}
        }
        self.take_held(socket);
    }

    fn have_read(&mut self, socket: &Socket, outcome: Outcome) {
        self.converse(socket, |conversation| conversation.have_read(outcome));
        self.take_held(socket);
    }

    fn disconnected(&mut self, _: &Socket, _: &str) {
        if self.conversation.take().is_some() {
            self.worker.metrics.protocol("socketio").sessions.dec();
            self.worker.chat.do_send(Leave { session: self.id });
        }
    }
}
