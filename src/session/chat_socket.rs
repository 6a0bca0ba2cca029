//! The chat as a namespace of Socket.IO: the vocabulary of `/chat` in events of one argument, and acks.

use std::{any::Any, collections::VecDeque, time::Instant};

use actix_web::web;
use log::error;

use crate::{
    broadcast::{Cutter, Encoding, Seat},
    chat::{Join, Leave, line, messages::ChatNews},
    connection::{
        Accepted,
        hold::Hold,
        rate::{Meter, RateLimit},
    },
    protocol::chat::{Code, Failure, Request},
    session::{
        Worker,
        conversation::{Conversation, Next, Outcome, Speech},
    },
    socketio::{
        EndReason,
        namespaces::{Event, Namespace, Refusal, Socket, SocketHandler},
    },
};

/// What a client is told whose number for an ack is beyond all reason.
const BAD_ACK: &str = "ack: a number is at most 18446744073709551615";

/// The namespace, as one worker has it.
#[derive(Debug)]
pub(crate) struct ChatNamespace {
    worker: web::Data<Worker>,
}

impl ChatNamespace {
    /// The chat of `worker`'s server.
    pub(crate) fn new(worker: web::Data<Worker>) -> Self {
        Self { worker }
    }
}

impl Namespace for ChatNamespace {
    /// The chat server's are its rooms.
    fn has_rooms(&self) -> bool {
        false
    }

    fn admit(&self, _: &str) -> Result<Box<dyn SocketHandler>, Refusal> {
        Ok(Box::new(ChatSocket { worker: self.worker.clone(), conversation: None, held: VecDeque::new() }))
    }
}

/// One client in the chat, where its socket is a session like those of the other doors.
struct ChatSocket {
    worker: web::Data<Worker>,
    conversation: Option<Conversation>,
    /// What came while a login was under way: said by who logs in.
    held: VecDeque<Held>,
}

/// A request that waits.
struct Held {
    request: Result<Request, Failure>,
    ack: Option<u64>,
    len: usize,
    /// Until it is taken nothing more than a little is read from the client.
    accepted: Accepted,
}

impl ChatSocket {
    /// Takes what was held, as far as nothing is under way again.
    fn take_held(&mut self, socket: &Socket) {
        while self.conversation.as_ref().is_some_and(|conversation| !conversation.is_on_hold())
            && let Some(Held { request, ack, len, accepted }) = self.held.pop_front()
        {
            // The conversation counts for itself.
            drop(accepted);
            self.converse(socket, |conversation| conversation.take(request, ack, len));
        }
    }

    fn converse(&mut self, socket: &Socket, go_on: impl FnOnce(&mut Conversation) -> Next) {
        let Some(conversation) = &mut self.conversation else {
            return;
        };
        match go_on(conversation) {
            Next::Nothing => {}
            Next::Read(reading) => socket.spawn(reading),
            Next::EndFlood => socket.downlink().end(EndReason::Flood),
            Next::EndBehind => socket.downlink().end(EndReason::Behind),
        }
    }
}

impl SocketHandler for ChatSocket {
    fn connected(&mut self, socket: &Socket) {
        let Some(deliveries) = socket.downlink().address() else {
            return;
        };
        let settings = &self.worker.settings;
        let intake = socket.downlink().intake();
        let meter = RateLimit::of(settings).map(|limit| Meter::new(limit, Instant::now()));
        let speech = Speech::SocketIo(socket.clone());
        let conversation =
            Conversation::new(socket.id(), self.worker.clone(), intake, speech, Hold::default(), meter);
        self.conversation = Some(conversation);
        let seat = Seat {
            deliveries,
            waiting: socket.downlink().delivered(),
            encoding: Encoding { dialect: line::SOCKET_IO, deflated: false },
            // The session ends itself: it does not live in the connection.
            cutter: Cutter::new(|_| {}),
        };
        self.worker.outlets.add(socket.id(), socket.downlink().open_outlet(socket.id()));
        self.worker.chat.do_send(Join {
            session: socket.id(),
            room: None,
            worker: self.worker.id,
            seat,
            address: socket.downlink().client_address(),
        });
    }

    fn event(&mut self, socket: &Socket, event: Event) {
        let Event { name, args, ack, accepted } = event;
        let request = match args.element(1) {
            _ if !args.attachments.is_empty() => Request::parse(&name, "\"bytes\""),
            Some(data) => Request::parse(&name, data),
            None => Request::parse(&name, "{}"),
        };
        let (ack, request) = match ack.map(|ack| ack.number()) {
            // It cannot be answered under that number, so it is not done either.
            Some(None) => (None, Err(Failure::with(Code::BadField, BAD_ACK))),
            number => (number.flatten(), request),
        };
        let len = args.json.len();
        self.held.push_back(Held { request, ack, len, accepted });
        self.take_held(socket);
    }

    fn notified(&mut self, socket: &Socket, news: Box<dyn Any>) {
        match news.downcast::<ChatNews>() {
            Ok(news) => self.converse(socket, |conversation| conversation.news(*news)),
            Err(news) => match news.downcast::<Outcome>() {
                Ok(outcome) => self.converse(socket, |conversation| conversation.have_read(*outcome)),
                Err(_) => error!("{}: news of another kind than the chat's are dropped", socket.id()),
            },
        }
        self.take_held(socket);
    }

    /// Once it has logged in, or while it does: what comes meanwhile is held.
    fn is_known(&self) -> bool {
        let conversation = self.conversation.as_ref();
        conversation.is_some_and(|conversation| conversation.has_been_somebody() || conversation.is_on_hold())
    }

    fn disconnected(&mut self, socket: &Socket, _: &str) {
        if let Some(mut conversation) = self.conversation.take() {
            conversation.say_last_words(self.held.drain(..).map(|held| (held.request, held.len)));
            let holds_name = conversation.holds_name(socket.was_lost());
            self.worker.outlets.take(socket.id());
            self.worker.chat.do_send(Leave { session: socket.id(), holds_name });
        }
    }
}
