//! A request that becomes a WebSocket: its socket, what comes from its client, and the response that begins it.

use std::{io, pin::Pin, rc::Rc, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    body::{BodyStream, MessageBody as _},
    dev::Payload,
    error::PayloadError,
    rt, web,
};
use bytes::Bytes;
use futures_core::Stream;
use futures_util::FutureExt as _;
use log::debug;

use super::{
    detached::Socket,
    handover::HandOver,
    host::{self, HostEnd},
    socket::{self, Connection},
    wire::{self, Arrivals, Wire},
};

/// The stream of a [`Payload`].
type BoxedPayloadStream = Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>>;

/// A request that becomes a WebSocket.
#[allow(missing_debug_implementations, reason = "the payload has none")]
pub(crate) struct Upgraded {
    wire: Rc<Wire>,
    /// The other end of the wire, if the host's actix-http carries the connection.
    host: Option<Host>,
}

/// What is needed to answer a request whose connection the host's actix-http carries.
struct Host {
    end: HostEnd,
    payload: Payload,
    connection: Option<Arc<Connection>>,
}

impl Upgraded {
    /// Takes a connection over. Returns it, and the stream of bytes that come from its client.
    pub(crate) fn take(req: &HttpRequest, payload: web::Payload) -> (Self, Payload) {
        let payload = payload.into_inner();
        if let Some(wire) = Wire::of(req) {
            return (Self { wire, host: None }, payload);
        }
        let (stream, end) = host::pair();
        let wire = Wire::on_host(stream);
        let bytes: BoxedPayloadStream = Box::pin(Arrivals::new(Rc::clone(&wire), Bytes::new()));
        let arrivals = Payload::Stream { payload: bytes };
        let host = Host { end, payload, connection: socket::of_host(req) };
        (Self { wire, host: Some(host) }, arrivals)
    }

    /// The socket.
    pub(crate) fn wire(&self) -> &Rc<Wire> {
        &self.wire
    }

    /// The response that begins the session: `body` runs it, and yields what it does not write to the wire itself.
    pub(crate) fn respond<S, E>(self, mut response: HttpResponseBuilder, body: S) -> HttpResponse
    where
        S: Stream<Item = Result<Bytes, E>> + 'static,
        E: Into<Box<dyn std::error::Error>> + 'static,
    {
        let Some(host) = self.host else {
            return response.streaming(body);
        };
        let mut carried = Box::pin(wire::carry(self.wire, Bytes::new(), BodyStream::new(body).boxed()));
        // Begun before the client has its answer, as on a socket of our own.
        let ended: Option<io::Result<()>> = carried.as_mut().now_or_never();
        if ended.is_none() {
            rt::spawn(async move {
                if let Err(error) = carried.await {
                    debug!("a connection of the host ended: {error}");
                }
            });
        }
        response.streaming(host.end.attach(host.payload, host.connection))
    }

    /// The response after which `take` gets the socket, for a session that does not run in the response's body.
    /// `payload` is what [`take`](Self::take) has returned.
    pub(crate) fn hand_over(
        self,
        response: HttpResponseBuilder,
        payload: Payload,
        take: impl FnOnce(Socket) + 'static,
    ) -> HttpResponse {
        let body = HandOver::new(Rc::clone(&self.wire), payload, Box::new(take));
        self.respond(response, body)
    }
}
