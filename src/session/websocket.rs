//! One WebSocket client as an actor.

use std::{net::SocketAddr, time::Instant};

use actix::{
    Actor, ActorContext as _, AsyncContext as _, Handler, Running, StreamHandler, dev::AsyncContextParts as _,
};
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::{
    HttpContext,
    ws::{self, HandshakeError},
};
use bytes::Bytes;
use bytestring::ByteString;
use log::{debug, info};

use super::{
    Door, Ending, Worker,
    inlet::{Inbound, Inlet},
    outlet::{Outbox, Outlet},
};
use crate::{
    chat::{Delivery, Intake, Join, Leave, Payload, Publish, Seat},
    domain::SessionId,
    protocol::{
        plain,
        websocket::{Decoder, Limits, Message, close as close_frame, frame::OpCode},
    },
};

/// Rounds that may wait in a session's mailbox. Only the backstop of the bound on bytes: a session this many rounds
/// behind is evicted, however small they are.
const MAILBOX_CAPACITY: usize = 1024;

/// A WebSocket client: answers it, and carries its room's messages both ways.
#[derive(Debug)]
pub struct WebSocketSession {
    id: SessionId,
    door: Door,
    peer: Option<SocketAddr>,
    worker: Worker,
    intake: Intake,
    outbox: Outbox,
    opened: Instant,
    received: u64,
    /// Set once, by [`end`](Self::end).
    ending: Option<Ending>,
}

/// Answers a checked upgrade request with 101 and starts the session's actor in the response body.
///
/// # Errors
/// When the request is no WebSocket handshake; `routes` has checked that it is one.
pub fn open(
    req: &HttpRequest,
    payload: web::Payload,
    door: Door,
    worker: &Worker,
) -> Result<HttpResponse, HandshakeError> {
    let mut response = ws::handshake(req)?;
    let settings = &worker.settings;
    let outbox = Outbox::default();
    let intake = Intake::new(settings.max_intake_bytes.get(), worker.intake.clone());
    let limits =
        Limits { message_size: settings.max_message_size.get(), fragments: settings.max_fragments.get() };
    let inlet = Inlet::new(
        payload,
        Decoder::new(limits),
        intake.clone(),
        outbox.clone(),
        settings.max_queue_bytes.get(),
    );
    let session = WebSocketSession {
        id: SessionId::next(),
        door,
        peer: req.peer_addr(),
        worker: worker.clone(),
        intake,
        outbox: outbox.clone(),
        opened: Instant::now(),
        received: 0,
        ending: None,
    };
    let actor = HttpContext::with_factory(|ctx: &mut HttpContext<WebSocketSession>| {
        ctx.parts().set_mailbox_capacity(MAILBOX_CAPACITY);
        ctx.add_stream(inlet);
        session
    });
    Ok(response.streaming(Outlet::new(actor, outbox)))
}

impl WebSocketSession {
    fn text(&mut self, text: ByteString) {
        self.received += 1;
        match self.door {
            Door::Plain(_) => {
                self.outbox.answer(|out| plain::write_answer(out, &text));
                self.publish(text.len(), Payload::Text(text));
            }
            Door::Echo => self.outbox.answer_frame(OpCode::Text, text.into_bytes()),
        }
    }

    fn binary(&mut self, bytes: Bytes) {
        self.received += 1;
        self.outbox.answer_frame(OpCode::Binary, bytes.clone());
        if matches!(self.door, Door::Plain(_)) {
            self.publish(bytes.len(), Payload::Binary(bytes));
        }
    }

    /// `do_send`, never `send`: a message whose waiter is gone must still arrive (`send(x)` and at once `close()`).
    fn publish(&self, len: usize, payload: Payload) {
        let accepted = self.intake.accept(len);
        self.worker.chat.do_send(Publish { session: self.id, payload, accepted });
    }

    /// The one way out. The first ending counts; frames queued before it are still written, but to a slow consumer.
    fn end(&mut self, ending: Ending, ctx: &mut <Self as Actor>::Context) {
        if self.ending.is_some() {
            return;
        }
        if ending == Ending::SlowConsumer {
            self.outbox.clear();
        }
        match (&ending, ending.close_reason()) {
            (Ending::ClosedByPeer(frame), _) => {
                self.outbox.answer(|out| out.extend_from_slice(&close_frame::encode_reply(frame.as_ref())));
            }
            (_, Some(row)) => self.outbox.answer(|out| out.extend_from_slice(&close_frame::encode(row))),
            (_, None) => {}
        }
        self.ending = Some(ending);
        ctx.stop();
    }
}

impl Actor for WebSocketSession {
    type Context = HttpContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.worker.metrics.session_opened();
        let peer = self.peer.map_or_else(|| "unknown address".to_owned(), |peer| peer.to_string());
        info!("{} opened: {} from {peer}", self.id, self.door);
        if let Door::Plain(room) = &self.door {
            let seat = Seat { deliveries: ctx.address().recipient(), waiting: self.outbox.waiting() };
            let join = Join { session: self.id, room: room.clone(), worker: self.worker.id, seat };
            self.worker.chat.do_send(join);
        }
    }

    fn stopping(&mut self, _: &mut Self::Context) -> Running {
        Running::Stop
    }

    /// Actix calls this once on every path, also when the connection is dropped with the actor in it.
    fn stopped(&mut self, _: &mut Self::Context) {
        if matches!(self.door, Door::Plain(_)) {
            self.worker.chat.do_send(Leave { session: self.id });
        }
        self.worker.metrics.session_closed();
        info!(
            "{} closed: {}, after {:.1} s and {} messages",
            self.id,
            self.ending.as_ref().unwrap_or(&Ending::Lost),
            self.opened.elapsed().as_secs_f64(),
            self.received,
        );
    }
}

impl StreamHandler<Inbound> for WebSocketSession {
    fn handle(&mut self, inbound: Inbound, ctx: &mut Self::Context) {
        match inbound {
            Inbound::Message(Message::Text(text)) => self.text(text),
            Inbound::Message(Message::Binary(bytes)) => self.binary(bytes),
            Inbound::Message(Message::Ping(bytes)) => self.outbox.answer_frame(OpCode::Pong, bytes),
            Inbound::Message(Message::Pong(bytes)) => {
                debug!("{} sent a pong of {} bytes", self.id, bytes.len())
            }
            Inbound::Message(Message::Close(frame)) => self.end(Ending::ClosedByPeer(frame), ctx),
            Inbound::Broken(error) => self.end(Ending::Broken(error), ctx),
            Inbound::Lost => self.end(Ending::Lost, ctx),
        }
    }

    /// The stream ends only behind an [`Inbound`] that has ended the session.
    fn finished(&mut self, ctx: &mut Self::Context) {
        self.end(Ending::Lost, ctx);
    }
}

impl Handler<Delivery> for WebSocketSession {
    type Result = ();

    fn handle(&mut self, delivery: Delivery, ctx: &mut Self::Context) {
        match delivery {
            Delivery::Frames(frames) => self.outbox.deliver(&frames),
            Delivery::Evicted => self.end(Ending::SlowConsumer, ctx),
        }
    }
}
