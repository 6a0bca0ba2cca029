//! Handlers: the async functions that a program registers, without their types.

use std::{future::Future, ops::Deref, pin::Pin, rc::Rc, sync::Arc};

use serde::de::DeserializeOwned;

use super::{Ack, Event, Handshake, Reason, Refusal, Socket};
use crate::{protocol::socketio::DecodeError, socketio::Transport};

/// A handler that has been called, until it is done.
pub(crate) type Running<T = ()> = Pin<Box<dyn Future<Output = T>>>;

/// Why a handler was not called.
pub(crate) enum NotCalled {
    /// The arguments do not fit.
    Arguments(DecodeError),
    /// The socket has another type of data.
    OtherData,
}

/// Calls a handler with an event.
pub(crate) type Call = dyn Fn(&Socket, &Event) -> Result<Running, NotCalled>;

/// Calls a handler of a namespace, which all workers share, with an event.
pub(crate) type SharedCall = dyn Fn(&Socket, &Event) -> Result<Running, NotCalled> + Send + Sync;

/// Calls a handler of a socket's life: `None` if the socket has another type of data.
pub(crate) type SharedLife = dyn Fn(&Socket) -> Option<Running> + Send + Sync;

/// Calls a handler with the reason of a disconnection.
pub(crate) type SharedEnd = dyn Fn(&Socket, &Reason) -> Option<Running> + Send + Sync;

/// Calls a handler with the new transport.
pub(crate) type SharedUpgrade = dyn Fn(&Socket, &Transport) -> Option<Running> + Send + Sync;

/// Calls a middleware with a socket that is not connected yet.
pub(crate) type SharedCheck = dyn Fn(&Socket) -> Option<Running<Result<(), Refusal>>> + Send + Sync;

/// Calls a middleware with an event.
pub(crate) type SharedFilter = dyn Fn(&Socket, &Event) -> Option<Running<Result<(), Refusal>>> + Send + Sync;

/// Calls an admission.
pub(crate) type SharedAdmission = dyn Fn(Handshake) -> Running<Result<super::Data, Refusal>> + Send + Sync;

/// A handler of events: an async function of the socket; of the socket and the arguments, or the [`Ack`], or both; or of the
/// socket and the whole [`Event`].
///
/// The arguments are any type that serde can deserialize: a tuple takes several arguments, `()` none, any other type the
/// first one. [`Bytes`](crate::socketio::Bytes) takes a binary value. `Shape` tells the forms apart; it is inferred.
#[diagnostic::on_unimplemented(
    message = "this is not a handler of events of a `Socket<{U}>`",
    note = "a handler is `async |socket: Socket<{U}>|`, `async |socket, arguments: T|` or `async |socket, arguments: T, ack: Ack|`, \
            where `T` can be deserialized"
)]
pub trait EventHandler<U, Shape>: Sized + 'static {
    /// Calls the handler behind a shared pointer.
    ///
    /// # Errors
    /// The arguments do not fit.
    #[doc(hidden)]
    fn call<P>(this: &P, socket: Socket<U>, event: &Event) -> Result<Running, DecodeError>
    where
        P: Deref<Target = Self> + Clone + 'static;
}

/// The shapes of [`EventHandler`].
#[doc(hidden)]
pub mod shape {
    use std::marker::PhantomData;

    /// A handler of the socket.
    #[derive(Debug)]
    pub struct Bare;

    /// A handler of the socket and the arguments.
    #[derive(Debug)]
    pub struct WithArguments<A>(PhantomData<A>);

    /// A handler of the socket and the ack.
    #[derive(Debug)]
    pub struct WithAck;

    /// A handler of the socket and the event.
    #[derive(Debug)]
    pub struct WithEvent;

    /// A handler of the socket, the arguments and the ack.
    #[derive(Debug)]
    pub struct WithBoth<A>(PhantomData<A>);
}

impl<U: 'static, F: AsyncFn(Socket<U>) + 'static> EventHandler<U, shape::Bare> for F {
    fn call<P>(this: &P, socket: Socket<U>, _: &Event) -> Result<Running, DecodeError>
    where
        P: Deref<Target = Self> + Clone + 'static,
    {
        let handler = this.clone();
        Ok(Box::pin(async move { handler(socket).await }))
    }
}

impl<U, A, F> EventHandler<U, shape::WithArguments<A>> for F
where
    U: 'static,
    A: DeserializeOwned + 'static,
    F: AsyncFn(Socket<U>, A) + 'static,
{
    fn call<P>(this: &P, socket: Socket<U>, event: &Event) -> Result<Running, DecodeError>
    where
        P: Deref<Target = Self> + Clone + 'static,
    {
        let (handler, arguments) = (this.clone(), event.decode()?);
        Ok(Box::pin(async move { handler(socket, arguments).await }))
    }
}

impl<U: 'static, F: AsyncFn(Socket<U>, Ack) + 'static> EventHandler<U, shape::WithAck> for F {
    fn call<P>(this: &P, socket: Socket<U>, event: &Event) -> Result<Running, DecodeError>
    where
        P: Deref<Target = Self> + Clone + 'static,
    {
        let (handler, ack) = (this.clone(), event.ack());
        Ok(Box::pin(async move { handler(socket, ack).await }))
    }
}

impl<U: 'static, F: AsyncFn(Socket<U>, Event) + 'static> EventHandler<U, shape::WithEvent> for F {
    fn call<P>(this: &P, socket: Socket<U>, event: &Event) -> Result<Running, DecodeError>
    where
        P: Deref<Target = Self> + Clone + 'static,
    {
        let (handler, event) = (this.clone(), event.clone());
        Ok(Box::pin(async move { handler(socket, event).await }))
    }
}

impl<U, A, F> EventHandler<U, shape::WithBoth<A>> for F
where
    U: 'static,
    A: DeserializeOwned + 'static,
    F: AsyncFn(Socket<U>, A, Ack) + 'static,
{
    fn call<P>(this: &P, socket: Socket<U>, event: &Event) -> Result<Running, DecodeError>
    where
        P: Deref<Target = Self> + Clone + 'static,
    {
        let (handler, arguments, ack) = (this.clone(), event.decode()?, event.ack());
        Ok(Box::pin(async move { handler(socket, arguments, ack).await }))
    }
}

/// A handler of a namespace.
pub(crate) fn shared<U, S, H>(handler: H) -> Arc<SharedCall>
where
    U: super::SocketData,
    H: EventHandler<U, S> + Send + Sync,
{
    let handler = Arc::new(handler);
    Arc::new(move |socket, event| {
        let socket = socket.typed().ok_or(NotCalled::OtherData)?;
        H::call(&handler, socket, event).map_err(NotCalled::Arguments)
    })
}

/// A handler of one socket, whose type of data is known.
pub(crate) fn local<U, S, H>(handler: H) -> Rc<Call>
where
    U: super::SocketData,
    H: EventHandler<U, S>,
{
    let handler = Rc::new(handler);
    Rc::new(move |socket, event| {
        let socket = socket.typed().ok_or(NotCalled::OtherData)?;
        H::call(&handler, socket, event).map_err(NotCalled::Arguments)
    })
}

/// A handler of all events of a namespace.
pub(crate) fn shared_any<U, F>(handler: F) -> Arc<SharedCall>
where
    U: super::SocketData,
    F: AsyncFn(Socket<U>, Event) + Send + Sync + 'static,
{
    let handler = Arc::new(handler);
    Arc::new(move |socket, event| {
        let (handler, event) = (Arc::clone(&handler), event.clone());
        let socket = socket.typed().ok_or(NotCalled::OtherData)?;
        Ok(Box::pin(async move { handler(socket, event).await }))
    })
}

/// A handler of all events of one socket.
pub(crate) fn local_any<U, F>(handler: F) -> Rc<Call>
where
    U: super::SocketData,
    F: AsyncFn(Socket<U>, Event) + 'static,
{
    let handler = Rc::new(handler);
    Rc::new(move |socket, event| {
        let (handler, event) = (Rc::clone(&handler), event.clone());
        let socket = socket.typed().ok_or(NotCalled::OtherData)?;
        Ok(Box::pin(async move { handler(socket, event).await }))
    })
}
