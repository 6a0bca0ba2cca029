//! Requests that ask for a WebSocket: the routes answer them as they do all others, and the connection is then carried by
//! a [`Wire`] instead of actix-http, whether it was upgraded or refused.

use std::{
    fmt, io,
    marker::PhantomData,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use actix_codec::{Encoder as _, Framed};
use actix_http::{
    ConnectionType, HttpMessage as _, Payload, Request, Response,
    body::{BodySize, BoxBody, MessageBody},
    h1::{Codec, Message},
};
use actix_service::{Service, ServiceFactory};
use actix_web::rt::net::TcpStream;
use bytes::{Bytes, BytesMut};
use futures_core::future::LocalBoxFuture;
use log::debug;

use crate::session::wire::{self, Arrivals, Wire};

/// A request, and the connection it came over.
type Upgrade = (Request, Framed<TcpStream, Codec>);

/// Makes a service of upgrades for each worker, for `HttpServiceBuilder::upgrade`.
#[derive(Clone, Debug)]
pub struct Upgrades<F, B> {
    routes: F,
    body: PhantomData<B>,
}

impl<F, B> Upgrades<F, B> {
    /// Upgrades that are answered by what `routes` makes.
    pub fn new(routes: F) -> Self {
        Self { routes, body: PhantomData }
    }
}

impl<F, B> ServiceFactory<Upgrade> for Upgrades<F, B>
where
    F: ServiceFactory<Request, Config = ()>,
    F::Service: 'static,
    F::Future: 'static,
    F::InitError: fmt::Debug,
    F::Response: Into<Response<B>> + 'static,
    F::Error: Into<Response<BoxBody>> + 'static,
    B: MessageBody + 'static,
{
    type Response = ();
    type Error = actix_web::Error;
    type Config = ();
    type Service = UpgradeService<F::Service, B>;
    type InitError = F::InitError;
    type Future = LocalBoxFuture<'static, Result<Self::Service, Self::InitError>>;

    fn new_service(&self, (): ()) -> Self::Future {
        let routes = self.routes.new_service(());
        Box::pin(async move { Ok(UpgradeService { routes: Rc::new(routes.await?), body: PhantomData }) })
    }
}

/// Answers upgrades, and carries their connections until they end.
#[derive(Debug)]
pub struct UpgradeService<S, B> {
    routes: Rc<S>,
    body: PhantomData<B>,
}

impl<S, B> Service<Upgrade> for UpgradeService<S, B>
where
    S: Service<Request> + 'static,
    S::Response: Into<Response<B>>,
    S::Error: Into<Response<BoxBody>>,
    B: MessageBody + 'static,
{
    type Response = ();
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<(), actix_web::Error>>;

    // Routes are always ready.
    actix_service::always_ready!();

    fn call(&self, (request, framed): Upgrade) -> Self::Future {
        let routes = Rc::clone(&self.routes);
        Box::pin(async move {
            if let Err(error) = answer(&*routes, request, framed).await {
                debug!("a connection ended: {error}");
            }
            Ok(())
        })
    }
}

async fn answer<S, B>(routes: &S, mut request: Request, framed: Framed<TcpStream, Codec>) -> io::Result<()>
where
    S: Service<Request>,
    S::Response: Into<Response<B>>,
    S::Error: Into<Response<BoxBody>>,
    B: MessageBody + 'static,
{
    let parts = framed.into_parts();
    let wire = Wire::new(parts.io)?;
    // A copy, so that the buffer goes.
    let arrivals = Arrivals::new(Rc::clone(&wire), Bytes::copy_from_slice(&parts.read_buf));
    drop(parts.read_buf);
    *request.payload() = Payload::Stream { payload: Box::pin(arrivals) };
    request.extensions_mut().insert(Rc::clone(&wire));
    match routes.call(request).await {
        Ok(response) => send(wire, parts.codec, parts.write_buf, response.into()).await,
        Err(error) => send(wire, parts.codec, parts.write_buf, error.into()).await,
    }
}

/// Writes a response behind what `out` holds already, and carries its body.
async fn send<B: MessageBody + 'static>(
    wire: Rc<Wire>,
    mut codec: Codec,
    mut out: BytesMut,
    response: Response<B>,
) -> io::Result<()> {
    let (mut response, body) = response.into_parts();
    let is_upgrade = response.upgrade();
    if !is_upgrade {
        response.head_mut().set_connection_type(ConnectionType::Close);
        // The codec writes no chunks where an upgrade was asked for: a body of unknown length ends with the connection.
        response.head_mut().no_chunking(true);
    }
    codec.encode(Message::Item((response, body.size())), &mut out)?;
    if is_upgrade {
        // Frames, which are written as they are; the codec is not needed for them.
        drop(codec);
        wire::carry(wire, out.freeze(), body).await
    } else {
        wire::carry(wire, out.freeze(), HttpBody { body: Box::pin(body), codec, has_ended: false }).await
    }
}

/// The body of a response that is not an upgrade, as the codec writes it.
struct HttpBody<B> {
    body: Pin<Box<B>>,
    codec: Codec,
    has_ended: bool,
}

impl<B: MessageBody> MessageBody for HttpBody<B> {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let chunk = ready!(self.body.as_mut().poll_next(cx)).transpose().map_err(Into::into)?;
        self.has_ended = chunk.is_none();
        let mut out = BytesMut::new();
        self.codec.encode(Message::Chunk(chunk), &mut out)?;
        Poll::Ready(Some(Ok(out.freeze())))
    }
}
