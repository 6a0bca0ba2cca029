//! One WebSocket client as an actor.

use std::{fmt, net::IpAddr, rc::Rc, sync::Arc, time::Instant};

use actix::{
    Actor, ActorContext as _, AsyncContext as _, Handler, Running, StreamHandler,
    dev::AsyncContextParts as _,
    fut::{ActorFutureExt as _, wrap_future},
};
use actix_http::ws::HandshakeError;
use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{HeaderValue, SEC_WEBSOCKET_EXTENSIONS},
    web,
};
use actix_web_actors::HttpContext;
use bytes::Bytes;
use bytestring::ByteString;
use log::{Level, error, log};

use super::{
    Door, Worker,
    conversation::{Conversation, Next, Speech},
    voice::Voice,
    watch::{LogLine, Method, Watch},
};
use crate::{
    broadcast::{Cutter, Delivery, Encoding, Seat},
    chat::{Payload, Publish, Register, Unregister, Way, line},
    config::Switch,
    connection::{
        Ending, Intake, Lease,
        admission::Admitted,
        body::SessionBody,
        handshake,
        heartbeat::{Beat, Heartbeat, Proof, Signs},
        inlet::{Gate, Inbound, Inlet, Life},
        outbound::{Bounds, Outbound, Outlet},
        pause::Pause,
        rate::{Meter, RateLimit},
        socket::Connection,
        upgraded::Upgraded,
        upload::{UploadRate, UploadWatch},
    },
    domain::SessionId,
    metrics::ProtocolMetrics,
    protocol::{
        close,
        websocket::{
            Decoder, Limits, Message,
            deflate::FULL_WINDOW,
            frame::{self, OpCode},
        },
    },
};

#[cfg(test)]
mod tests;

/// Capacity of a session's mailbox, in messages; deliveries may come that way, too. Only a backstop: the
/// fan-out evicts a session by the bytes and pieces of its backlog.
const MAILBOX_CAPACITY: usize = 1024;

/// The client of a new session.
#[derive(Debug)]
pub(crate) struct Visitor {
    /// The door that it came to.
    pub door: Door,
    /// The client's address, as the server or a trusted proxy sees it.
    pub address: Option<IpAddr>,
    /// Observes the session for a lesson.
    pub watch: Option<Watch>,
}

/// The actor of a WebSocket client: answers it, and carries messages to and from its room.
#[derive(Debug)]
pub(crate) struct WebSocketSession {
    id: SessionId,
    visitor: Visitor,
    worker: web::Data<Worker>,
    /// The way to the chat.
    way: Way,
    metrics: ProtocolMetrics,
    intake: Intake,
    outbound: Outbound,
    outlet: Rc<Outlet>,
    voice: Voice,
    /// Only at the door of the chat.
    conversation: Option<Box<Conversation>>,
    connection: Arc<Connection>,
    heartbeat: Heartbeat,
    life: Life,
    opened: Instant,
    received: u64,
    /// That number at the last check of the heartbeat.
    received_before: u64,
    /// Set once, by [`end`](Self::end).
    ending: Option<Ending>,
}

/// Answers a checked upgrade request with 101 and starts the session's actor in the response body.
///
/// # Errors
/// The request is not a WebSocket handshake; `routes` has checked that it is one.
pub(crate) fn open(
    req: &HttpRequest,
    payload: web::Payload,
    visitor: Visitor,
    admitted: Admitted,
    worker: &web::Data<Worker>,
) -> Result<HttpResponse, HandshakeError> {
    let mut response = handshake::agree(req)?;
    let settings = &worker.settings;
    let is_on = settings.connections.compression == Switch::On;
    let agreement = handshake::compression(req.headers()).filter(|_| is_on);
    if let Some(answer) = agreement.and_then(|agreed| HeaderValue::from_str(&agreed.to_string()).ok()) {
        response.insert_header((SEC_WEBSOCKET_EXTENSIONS, answer));
    }
    let metrics = worker.metrics.protocol(visitor.door.protocol());
    let (upgraded, arrivals) = Upgraded::take(req, payload);
    let wire = upgraded.wire();
    let connection = Arc::clone(wire.connection());
    let lease = Lease::of_waiting(Arc::clone(&worker.budget));
    let bounds = Bounds::of(settings);
    let outbound = Outbound::on_wire(Rc::clone(wire), bounds, lease, metrics.bytes_out.clone());
    if let Some(watch) = &visitor.watch {
        watch.begun(outbound.backlog());
    }
    let intake = Intake::new(settings.limits.max_intake_bytes.get(), Arc::clone(&worker.budget));
    let is_chat = visitor.door == Door::Chat;
    let (message_size, size_when_known) = if is_chat {
        (settings.max_login_size(), Some(settings.events.max_payload.get()))
    } else {
        (settings.limits.max_message_size, None)
    };
    let limits = Limits { message_size: message_size.get(), fragments: settings.limits.max_fragments.get() };
    let decoder = Decoder::new(limits, agreement.map(|_| worker.inflater.clone()));
    let pause = Pause::default();
    let gate = Gate {
        intake: intake.clone(),
        outbound: outbound.clone(),
        pause: pause.clone(),
        rate: RateLimit::of(settings),
        spares_messages: is_chat,
        lease: Lease::new(Arc::clone(&worker.budget)),
        upload: UploadWatch::new(UploadRate::of(settings)),
        size_when_known,
    };
    let life = Life::default();
    let inlet = Inlet::new(arrivals, decoder, gate, life.clone(), metrics.bytes_in.clone());
    let opened = Instant::now();
    let id = SessionId::next();
    let voice = Voice::new(outbound.clone(), agreement, worker.clone());
    let room = match &visitor.door {
        Door::Plain(room) => Some(room),
        Door::Echo | Door::Chat => None,
    };
    let way = worker.chat.way_of(id.member(), room);
    let conversation = is_chat.then(|| {
        let meter = RateLimit::of(settings).map(|limit| Meter::new(limit, opened));
        Box::new(Conversation::new(
            id.member(),
            worker.clone(),
            way.clone(),
            intake.clone(),
            Speech::WebSocket(voice.clone()),
            pause,
            meter,
        ))
    });
    let session = WebSocketSession {
        id,
        visitor,
        worker: worker.clone(),
        way,
        metrics,
        intake,
        outlet: outbound.open_outlet(),
        outbound: outbound.clone(),
        voice,
        conversation,
        connection,
        heartbeat: Heartbeat::new(
            opened,
            settings.heartbeat.ping_interval.get(),
            settings.heartbeat.ping_timeout.get(),
            Proof::Byte,
        ),
        life,
        opened,
        received: 0,
        received_before: 0,
        ending: None,
    };
    let actor = HttpContext::with_factory(|ctx: &mut HttpContext<WebSocketSession>| {
        ctx.parts().set_mailbox_capacity(MAILBOX_CAPACITY);
        ctx.add_stream(inlet);
        session
    });
    Ok(upgraded.respond(response, SessionBody::new(actor, outbound, admitted)))
}

impl WebSocketSession {
    /// Writes a line about this session to the log, and to the lesson that observes the session, if there is
    /// one.
    fn log(&self, level: Level, method: Method, what: fmt::Arguments<'_>) {
        log!(level, "{} {what}", self.id);
        if let Some(watch) = &self.visitor.watch {
            watch.logged(|| LogLine { method, level, line: format!("{} {what}", self.id) });
        }
    }

    fn text(&mut self, text: ByteString, ctx: &mut <Self as Actor>::Context) {
        self.received += 1;
        self.metrics.messages_in.inc();
        self.log(Level::Debug, Method::Handle, format_args!("sent a text of {} bytes", text.len()));
        match self.visitor.door {
            Door::Plain(_) => {
                self.voice.answer_in_upper_case(&text);
                self.publish(text.len(), Payload::Text(text));
            }
            Door::Echo => self.voice.answer(OpCode::Text, text.into_bytes()),
            Door::Chat => self.converse(|conversation| conversation.text(&text), ctx),
        }
    }

    fn binary(&mut self, bytes: Bytes, ctx: &mut <Self as Actor>::Context) {
        self.received += 1;
        self.metrics.messages_in.inc();
        self.log(Level::Debug, Method::Handle, format_args!("sent {} bytes of binary data", bytes.len()));
        match self.visitor.door {
            Door::Plain(_) => {
                self.voice.answer(OpCode::Binary, bytes.clone());
                self.publish(bytes.len(), Payload::Binary(bytes));
            }
            Door::Echo => self.voice.answer(OpCode::Binary, bytes),
            Door::Chat => self.converse(|conversation| conversation.binary(), ctx),
        }
    }

    /// Calls the conversation, and does what it asks for.
    fn converse(
        &mut self,
        go_on: impl FnOnce(&mut Conversation) -> Next,
        ctx: &mut <Self as Actor>::Context,
    ) {
        if let Some(conversation) = &mut self.conversation {
            let next = go_on(conversation);
            self.go_on(next, ctx);
        }
    }

    fn go_on(&mut self, next: Next, ctx: &mut <Self as Actor>::Context) {
        match next {
            Next::Nothing => {}
            Next::Read(reading) => {
                ctx.spawn(wrap_future(reading).map(|outcome, session: &mut Self, ctx| {
                    session.converse(|conversation| conversation.have_read(outcome), ctx);
                }));
            }
            Next::End(ending) => self.end(ending, ctx),
        }
    }

    /// `do_send`, not `send`: the message must arrive even if the session ends at once (`send(x)`, then
    /// `close()`).
    fn publish(&self, len: usize, payload: Payload) {
        let accepted = self.intake.accept(len);
        self.way.send(Publish { member: self.id.member(), payload, accepted });
    }

    fn seat(&self, ctx: &<Self as Actor>::Context) -> Seat {
        let connection = Arc::clone(&self.connection);
        // A broadcast is compressed with the full window; a client that asked for a smaller one gets it
        // uncompressed.
        let deflated = self.voice.agreement.is_some_and(|agreed| agreed.window_bits() == FULL_WINDOW);
        let dialect = if self.visitor.door == Door::Chat { line::CHAT } else { line::PLAIN };
        Seat {
            deliveries: ctx.address().recipient(),
            backlog: self.outbound.backlog(),
            encoding: Encoding { dialect, deflated },
            cutter: Cutter::new(move |patience| connection.cut_after(patience)),
        }
    }

    fn beat(&mut self, ctx: &mut <Self as Actor>::Context) {
        let now = Instant::now();
        let has_been_read = std::mem::replace(&mut self.received_before, self.received) != self.received;
        let signs = match self.life.take() {
            Signs::Silence | Signs::HeldBack if self.outbound.has_waiting() => Signs::Unsent,
            // Its connection is gone, and nothing of what it has sent could be read since.
            Signs::HeldBack if self.outbound.is_deaf() && !has_been_read => Signs::Silence,
            signs => signs,
        };
        let next = match self.heartbeat.beat(now, signs) {
            Beat::Wait(next) => next,
            Beat::Ping(next) => {
                self.outbound.answer(|out| frame::write_header(out, OpCode::Ping, 0));
                next
            }
            Beat::Gone => return self.end(Ending::Silent, ctx),
        };
        ctx.run_later(next.saturating_duration_since(now), Self::beat);
    }

    /// Ends the session; all ends come here. The first ending counts. Frames queued before it are still
    /// written, except to a session that ends because of its backlog or for lack of memory.
    fn end(&mut self, ending: Ending, ctx: &mut <Self as Actor>::Context) {
        if self.ending.is_some() {
            return;
        }
        if ending.is_for_backlog() {
            self.outbound.clear();
        }
        self.outbound.end_with(&ending.close_frame());
        self.ending = Some(ending);
        ctx.stop();
    }

    /// Cuts a client that takes its backlog too slowly, a byte now and then.
    fn cut_if_it_lingers(&self) {
        if self.outbound.has_waiting() || self.connection.is_on_host() {
            self.connection.cut_after(self.worker.settings.connections.stall_timeout.get());
        }
    }
}

impl Actor for WebSocketSession {
    type Context = HttpContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.metrics.sessions.inc();
        let address = self.visitor.address.map_or_else(|| "unknown address".to_owned(), |ip| ip.to_string());
        self.log(Level::Info, Method::Started, format_args!("opened: {} from {address}", self.visitor.door));
        let room = match &self.visitor.door {
            Door::Plain(room) => Some(room.clone()),
            Door::Echo | Door::Chat => None,
        };
        self.worker.outlets.add(self.id.member(), Rc::<Outlet>::clone(&self.outlet));
        let seat = self.seat(ctx);
        self.way.send(Register {
            member: self.id.member(),
            room,
            worker: self.worker.id,
            seat,
            address: self.visitor.address,
        });
        if self.conversation.is_some() {
            ctx.run_later(self.worker.settings.login.connect_timeout.get(), |session, ctx| {
                let is_unknown = |conversation: &Conversation| !conversation.has_logged_in();
                if session.conversation.as_deref().is_some_and(is_unknown) {
                    session.end(Ending::NotJoined, ctx);
                }
            });
        }
        ctx.run_later(self.heartbeat.next().saturating_duration_since(self.opened), Self::beat);
    }

    fn stopping(&mut self, _: &mut Self::Context) -> Running {
        Running::Stop
    }

    /// Actix calls this exactly once, even if the connection is dropped with the actor in it.
    fn stopped(&mut self, _: &mut Self::Context) {
        self.worker.outlets.take(self.id.member());
        let ending = self.ending.as_ref().unwrap_or(&Ending::Lost);
        let is_lost = ending.is_loss();
        let holds_name = self.conversation.as_deref().is_some_and(|talk| talk.holds_name(is_lost));
        self.way.send(Unregister { member: self.id.member(), holds_name });
        self.metrics.sessions.dec();
        self.worker.metrics.closed(ending.code());
        if let Some(watch) = &self.visitor.watch {
            watch.ended(ending.clone());
        }
        let (seconds, received) = (self.opened.elapsed().as_secs_f64(), self.received);
        self.log(
            Level::Info,
            Method::Stopped,
            format_args!("closed: {ending}, after {seconds:.1} s and {received} messages"),
        );
        self.cut_if_it_lingers();
    }
}

impl StreamHandler<Inbound> for WebSocketSession {
    fn handle(&mut self, inbound: Inbound, ctx: &mut Self::Context) {
        match inbound {
            Inbound::Message(Message::Text(text)) => self.text(text, ctx),
            Inbound::Message(Message::Binary(bytes)) => self.binary(bytes, ctx),
            Inbound::Message(Message::Ping(bytes)) => self.outbound.answer_frame(OpCode::Pong, bytes),
            Inbound::Message(Message::Pong(bytes)) => {
                self.log(Level::Debug, Method::Handle, format_args!("sent a pong of {} bytes", bytes.len()))
            }
            Inbound::Message(Message::Close(frame)) => self.end(Ending::ClosedByClient(frame), ctx),
            Inbound::End(ending) => {
                if let Some(conversation) =
                    self.conversation.as_ref().filter(|_| ending.close_reason() == Some(close::TOO_BIG))
                {
                    conversation.too_big();
                }
                self.end(ending, ctx);
            }
        }
    }

    /// The stream ends only after an [`Inbound`] that has ended the session.
    fn finished(&mut self, ctx: &mut Self::Context) {
        self.end(Ending::Lost, ctx);
    }
}

impl Handler<Delivery> for WebSocketSession {
    type Result = ();

    fn handle(&mut self, delivery: Delivery, ctx: &mut Self::Context) {
        self.outlet.take_mail();
        match delivery {
            Delivery::Frames { frames, .. } => self.outbound.take_mailed(&frames, false),
            Delivery::Volatile { frames, .. } => self.outbound.take_mailed(&frames, true),
            Delivery::News { news, .. } => match news.downcast() {
                Ok(news) => self.converse(|conversation| conversation.news(*news), ctx),
                Err(_) => error!("{}: news of another kind than the chat's are dropped", self.id),
            },
            Delivery::Dismissed(why) => self.end(why, ctx),
        }
    }
}
