//! The chat as a Socket.IO namespace: each event of `/chat` has one argument, and requests may ask for acks.

use std::{any::Any, collections::VecDeque, time::Instant};

use actix_web::web;
use log::error;

use crate::{
    broadcast::{Cutter, Encoding, Seat},
    chat::{Register, Unregister, line, messages::ChatNews},
    connection::{
        Accepted,
        pause::Pause,
        rate::{Meter, RateLimit},
    },
    protocol::chat::{Code, Failure, Request},
    session::{
        Worker,
        conversation::{Conversation, Next, Outcome, Speech},
    },
    socketio::namespaces::{Event, Namespace, Refusal, Socket, SocketHandler},
};

/// Error for an ack id that does not fit 64 bits.
const BAD_ACK: &str = "ack: a number is at most 18446744073709551615";

/// The chat's namespace on one worker.
#[derive(Debug)]
pub(crate) struct ChatNamespace {
    worker: web::Data<Worker>,
}

impl ChatNamespace {
    /// Creates the namespace for the chat server of `worker`.
    pub(crate) fn new(worker: web::Data<Worker>) -> Self {
        Self { worker }
    }
}

impl Namespace for ChatNamespace {
    /// The chat server keeps the rooms, not the room server.
    fn has_rooms(&self) -> bool {
        false
    }

    fn admit(&self, _: &str) -> Result<Box<dyn SocketHandler>, Refusal> {
        Ok(Box::new(ChatSocket { worker: self.worker.clone(), conversation: None, held: VecDeque::new() }))
    }
}

/// One chat client; its socket is a session of the chat, as at the other doors.
struct ChatSocket {
    worker: web::Data<Worker>,
    conversation: Option<Conversation>,
    /// Requests that arrived during a login or a read of the journal. They belong to the user that logs in.
    held: VecDeque<Held>,
}

/// A request that waits for the end of the pause.
struct Held {
    request: Result<Request, Failure>,
    ack: Option<u64>,
    len: usize,
    /// Holds the request's share of the session's intake limit.
    accepted: Accepted,
}

impl ChatSocket {
    /// Handles the waiting requests until one starts a new pause.
    fn take_held(&mut self, socket: &Socket) {
        while self.conversation.as_ref().is_some_and(|conversation| !conversation.is_on_hold())
            && let Some(Held { request, ack, len, accepted }) = self.held.pop_front()
        {
            // Release the share: the conversation charges the request again.
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
            Next::End(ending) => socket.handle().end(ending),
        }
    }
}

impl SocketHandler for ChatSocket {
    fn connected(&mut self, socket: &Socket) {
        let Some(deliveries) = socket.handle().address() else {
            return;
        };
        let settings = &self.worker.settings;
        let intake = socket.handle().intake();
        let meter = RateLimit::of(settings).map(|limit| Meter::new(limit, Instant::now()));
        let speech = Speech::SocketIo(socket.clone());
        let way = self.worker.chat.way_of(socket.id().member(), None);
        let conversation = Conversation::new(
            socket.id().member(),
            self.worker.clone(),
            way.clone(),
            intake,
            speech,
            Pause::default(),
            meter,
        );
        self.conversation = Some(conversation);
        let seat = Seat {
            deliveries,
            backlog: socket.handle().backlog(),
            encoding: Encoding { dialect: line::SOCKET_IO, deflated: false },
            // There is no connection to cut: the session does not run inside one.
            cutter: Cutter::new(|_| {}),
        };
        self.worker.outlets.add(socket.id().member(), socket.handle().open_outlet(socket.id()));
        way.send(Register {
            member: socket.id().member(),
            room: None,
            worker: self.worker.id,
            seat,
            address: socket.handle().client_address(),
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
            // The request is not carried out, because its ack could not be sent under this id.
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

    /// True after the first login, and during a pause: requests are only held then.
    fn is_known(&self) -> bool {
        let conversation = self.conversation.as_ref();
        conversation.is_some_and(|conversation| conversation.has_logged_in() || conversation.is_on_hold())
    }

    fn disconnected(&mut self, socket: &Socket, _: &str) {
        if let Some(mut conversation) = self.conversation.take() {
            conversation.handle_last_requests(self.held.drain(..).map(|held| (held.request, held.len)));
            let holds_name = conversation.holds_name(socket.was_lost());
            self.worker.outlets.take(socket.id().member());
            conversation.way().send(Unregister { member: socket.id().member(), holds_name });
        }
    }
}
