//! The chat as a Socket.IO namespace: each event of `/chat` has one argument, and requests may ask for acks.

use std::{any::Any, cell::RefCell, collections::VecDeque, time::Instant};

use actix_web::{rt, web};
use log::error;

use crate::{
    chat::{Register, Unregister, line, messages::ChatNews},
    connection::{
        Accepted,
        pause::Pause,
        rate::{Meter, RateLimit},
    },
    protocol::{
        chat::{Code, Failure, Request},
        socketio::MAIN,
    },
    session::{
        Worker,
        conversation::{Conversation, Next, Outcome, Speech},
    },
    socketio::{Event, Reason, Server, Socket},
};

/// Error for an ack id that does not fit 64 bits.
const BAD_ACK: &str = "ack: a number is at most 18446744073709551615";

/// Adds the chat to a server, as its main namespace. The state of its routes is the [`Worker`].
pub(crate) fn serve(io: &Server) {
    // The chat keeps the rooms, not the room server. Sequential: each sender's requests have one order.
    io.namespace(MAIN)
        .sequential()
        .served_elsewhere(|socket, news| with_chat(socket, |chat| chat.take_news(socket, news)))
        .connect(async |socket| connected(&socket))
        .on_any(async |socket, event| with_chat(&socket, |chat| chat.take_event(&socket, &event)))
        .disconnect(async |socket, reason| with_chat(&socket, |chat| chat.disconnected(&socket, &reason)));
}

/// One chat client; its socket is a session of the chat, as at the other doors.
struct ChatSocket {
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

fn with_chat(socket: &Socket, act: impl FnOnce(&mut ChatSocket)) {
    let chat = socket.local_data::<RefCell<ChatSocket>>();
    // Without one, the socket could not be connected.
    if let Some(chat) = chat {
        let mut chat = chat.borrow_mut();
        act(&mut chat);
        socket.set_trusted(chat.is_known());
    }
}

fn connected(socket: &Socket) {
    let (Some(worker), Some(seat)) = (socket.state::<web::Data<Worker>>(), socket.seat(line::SOCKET_IO))
    else {
        return error!("a socket of the chat has no worker");
    };
    let meter = RateLimit::of(&worker.settings).map(|limit| Meter::new(limit, Instant::now()));
    let way = worker.chat.way_of(socket.member(), None);
    let conversation = Conversation::new(
        socket.member(),
        worker.clone(),
        way.clone(),
        socket.intake(),
        Speech::SocketIo(socket.clone()),
        Pause::default(),
        meter,
    );
    let chat = ChatSocket { conversation: Some(conversation), held: VecDeque::new() };
    socket.set_local_data(RefCell::new(chat));
    worker.outlets.add(socket.member(), socket.open_outlet());
    let address = socket.handshake().address();
    way.send(Register { member: socket.member(), room: None, worker: worker.id, seat, address });
}

impl ChatSocket {
    fn take_event(&mut self, socket: &Socket, event: &Event) {
        let args = event.args();
        let request = match args.element(1) {
            _ if !args.attachments.is_empty() => Request::parse(event.name(), "\"bytes\""),
            Some(data) => Request::parse(event.name(), data),
            None => Request::parse(event.name(), "{}"),
        };
        let (ack, request) = match event.ack().number() {
            // The request is not carried out, because its ack could not be sent under this id.
            None if event.ack().is_wanted() => (None, Err(Failure::with(Code::BadField, BAD_ACK))),
            number => (number, request),
        };
        let len = args.json.len();
        self.held.push_back(Held { request, ack, len, accepted: socket.intake().accept(len) });
        self.take_held(socket);
    }

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
            Next::Read(reading) => {
                let socket = socket.clone();
                rt::spawn(async move {
                    let outcome = reading.await;
                    with_chat(&socket, |chat| chat.have_read(&socket, outcome));
                });
            }
            Next::End(ending) => socket.end_session(ending),
        }
    }

    fn have_read(&mut self, socket: &Socket, outcome: Outcome) {
        self.converse(socket, |conversation| conversation.have_read(outcome));
        self.take_held(socket);
    }

    fn take_news(&mut self, socket: &Socket, news: Box<dyn Any>) {
        match news.downcast::<ChatNews>() {
            Ok(news) => self.converse(socket, |conversation| conversation.news(*news)),
            Err(_) => error!("{}: news of another kind than the chat's are dropped", socket.id()),
        }
        self.take_held(socket);
    }

    /// True after the first login, and during a pause: requests are only held then.
    fn is_known(&self) -> bool {
        let conversation = self.conversation.as_ref();
        conversation.is_some_and(|conversation| conversation.has_logged_in() || conversation.is_on_hold())
    }

    fn disconnected(&mut self, socket: &Socket, reason: &Reason) {
        if let Some(mut conversation) = self.conversation.take()
            && let Some(worker) = socket.state::<web::Data<Worker>>()
        {
            conversation.handle_last_requests(self.held.drain(..).map(|held| (held.request, held.len)));
            let holds_name = conversation.holds_name(reason.is_loss());
            worker.outlets.take(socket.member());
            conversation.way().send(Unregister { member: socket.member(), holds_name });
        }
    }
}
