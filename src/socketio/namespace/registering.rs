//! How a program registers the handlers of a namespace.

use std::{any::Any, sync::Arc};

use bytestring::ByteString;

use super::Namespace;
use crate::{
    protocol::socketio::Args,
    socketio::{
        Refusal, Transport,
        socket::{
            Event, EventError, EventHandler, Handshake, Reason, Socket, SocketData,
            handlers::{self, Running},
        },
    },
};

impl Namespace {
    /// Decides which clients may connect, before anything else. It sees the request, with its headers, cookies and query,
    /// and the client's `auth`, and may wait for a look-up; meanwhile the client's session waits and no other. What it
    /// returns is the [data](Socket::data) of the socket. A refusal becomes a `CONNECT_ERROR` packet.
    ///
    /// A recovered client has its former data and is not asked again, unless
    /// [`skip_middlewares`](crate::socketio::Recovery::skip_middlewares) is off. A second admission replaces the first.
    pub fn admit<V, F>(self, admission: F) -> Namespace<V>
    where
        V: SocketData,
        F: AsyncFn(&Handshake) -> Result<V, Refusal> + Send + Sync + 'static,
    {
        let admission = Arc::new(admission);
        let erased = move |handshake: Handshake| -> Running<Result<_, Refusal>> {
            let admission = Arc::clone(&admission);
            Box::pin(async move {
                let data: Arc<dyn Any + Send + Sync> = Arc::new(admission(&handshake).await?);
                Ok(data)
            })
        };
        self.change(|definition| definition.admission = Some(Arc::new(erased)));
        Namespace { core: self.core, place: self.place, data: std::marker::PhantomData }
    }
}

/// Makes a shared closure that calls an async function with a typed socket, and with more.
macro_rules! shared {
    ($handler:ident, $socket:ident: $U:ty $(, $name:ident: $type:ty => $owned:expr)*) => {{
        let handler = Arc::new($handler);
        Arc::new(move |$socket: &Socket $(, $name: $type)*| -> Option<Running<_>> {
            let (handler, $socket) = (Arc::clone(&handler), $socket.typed::<$U>()?);
            $(let $name = $owned;)*
            Some(Box::pin(async move { handler($socket $(, $name)*).await }))
        })
    }};
}

impl<U: SocketData> Namespace<U> {
    /// Adds a middleware: it sees the socket of a client before that is connected, with its id and data, and may have it
    /// join rooms. Middlewares run one after another in the order in which they were added; a refusal becomes a
    /// `CONNECT_ERROR` packet.
    pub fn middleware<F>(self, middleware: F) -> Self
    where
        F: AsyncFn(Socket<U>) -> Result<(), Refusal> + Send + Sync + 'static,
    {
        let middleware = shared!(middleware, socket: U);
        self.change(|definition| definition.middlewares.push(middleware));
        self
    }

    /// Calls `handler` with each socket that has connected. Its events may arrive while the handler waits.
    pub fn connect<F: AsyncFn(Socket<U>) + Send + Sync + 'static>(self, handler: F) -> Self {
        let handler = shared!(handler, socket: U);
        self.change(|definition| definition.connect.push(handler));
        self
    }

    /// Calls `handler` with each event of this name. Handlers start in the order of the events; while one waits, later ones
    /// run, unless the namespace is [`sequential`](Self::sequential).
    ///
    /// If the arguments do not fit the handler's type, it is not called: the client's ack, if it asked for one, is
    /// `{"error": {"code": "bad_arguments", "msg": ...}}`, the problem is logged, and [`on_error`](Self::on_error) hears of
    /// it. A handler that panics ends its socket, and no other.
    pub fn on<S>(self, name: &str, handler: impl EventHandler<U, S> + Send + Sync) -> Self {
        let (name, handler) = (ByteString::from(name), handlers::shared(handler));
        self.change(|definition| definition.events.entry(name).or_default().push(handler));
        self
    }

    /// Calls `handler` with each event, before the handlers of its name.
    pub fn on_any<F: AsyncFn(Socket<U>, Event) + Send + Sync + 'static>(self, handler: F) -> Self {
        let handler = handlers::shared_any(handler);
        self.change(|definition| definition.any.push(handler));
        self
    }

    /// Calls `listener` with each event that goes to a socket, as [`Socket::on_any_outgoing`] does.
    pub fn on_any_outgoing(self, listener: impl Fn(&Socket<U>, &Args) + Send + Sync + 'static) -> Self {
        let call = move |socket: &Socket, args: &Args| {
            if let Some(socket) = socket.typed() {
                listener(&socket, args);
            }
        };
        self.change(|definition| definition.outgoing.push(Arc::new(call)));
        self
    }

    /// Adds a middleware for events: it decides whether an event reaches the handlers. A refusal answers the client's ack
    /// with `{"error": {"code": "refused", "msg": ...}}`, and [`on_error`](Self::on_error) hears of it.
    pub fn event_middleware<F>(self, middleware: F) -> Self
    where
        F: AsyncFn(Socket<U>, Event) -> Result<(), Refusal> + Send + Sync + 'static,
    {
        let middleware = shared!(middleware, socket: U, event: &Event => event.clone());
        self.change(|definition| definition.filters.push(middleware));
        self
    }

    /// Calls `handler` when the session of a socket goes on over another transport.
    pub fn upgrade<F: AsyncFn(Socket<U>, Transport) + Send + Sync + 'static>(self, handler: F) -> Self {
        let handler = shared!(handler, socket: U, transport: &Transport => *transport);
        self.change(|definition| definition.upgrade.push(handler));
        self
    }

    /// Calls `handler` when a socket is about to leave: up to its first wait it sees the socket's [rooms](Socket::rooms).
    pub fn disconnecting<F: AsyncFn(Socket<U>, Reason) + Send + Sync + 'static>(self, handler: F) -> Self {
        let handler = shared!(handler, socket: U, reason: &Reason => reason.clone());
        self.change(|definition| definition.disconnecting.push(handler));
        self
    }

    /// Calls `handler` when a socket has left, whatever the reason.
    pub fn disconnect<F: AsyncFn(Socket<U>, Reason) + Send + Sync + 'static>(self, handler: F) -> Self {
        let handler = shared!(handler, socket: U, reason: &Reason => reason.clone());
        self.change(|definition| definition.disconnect.push(handler));
        self
    }

    /// Calls `hook` with each event that reached no handler because of its arguments, or was refused by a middleware.
    pub fn on_error(self, hook: impl Fn(&Socket<U>, &EventError) + Send + Sync + 'static) -> Self {
        let call = move |socket: &Socket, problem: &EventError| {
            if let Some(socket) = socket.typed() {
                hook(&socket, problem);
            }
        };
        self.change(|definition| definition.errors.push(Arc::new(call)));
        self
    }

    /// Has the handlers of each socket run one after another, in the order of what happened to it. The events that wait
    /// count against the client's share of unhandled input; when that is used up, no more is read from the client.
    pub fn sequential(self) -> Self {
        self.change(|definition| definition.is_sequential = true);
        self
    }

    /// Has no socket of this namespace recovered, although the server has connection state recovery.
    pub fn without_recovery(self) -> Self {
        self.change(|definition| definition.recovers = false);
        self
    }

    /// For a namespace whose rooms another server of this crate keeps: `handler` takes that server's news for a socket, and
    /// clients may send small messages only until [`Socket::set_trusted`].
    pub(crate) fn served_elsewhere(
        self,
        handler: impl Fn(&Socket, Box<dyn Any>) + Send + Sync + 'static,
    ) -> Self {
        self.change(|definition| {
            definition.has_rooms = false;
            definition.trusts = false;
            definition.news = Some(Arc::new(handler));
        });
        self
    }
}
