//! HTTP/1.1 connections: heads in, routes asked, answers out, until a request becomes a WebSocket and takes the socket.
//!
//! actix-http parses requests and writes answers ([`Codec`](actix_http::h1::Codec)); its dispatcher is not used. What that
//! leaves open to clients is decided here: every head and every body has a deadline on every request of a connection, not
//! only the first; connections are counted, and one too many is told so instead of waiting for a place; a client that has
//! closed its side is still answered; what follows an upgrade in one packet reaches the WebSocket.
//!
//! A connection reads into the buffer of its thread ([`Wire`]) and holds bytes of its own only while a request is under
//! way: an idle one costs a few hundred bytes.
//!
//! - [`connection`]: one connection, request by request.
//! - [`input`]: what has arrived: heads and bodies, and their deadlines.
//! - [`output`]: answers, as they are written.
//! - [`surplus`]: connections over a bound.

use std::{io, rc::Rc, sync::Arc, time::Duration};

use actix_http::{KeepAlive, Request, Response, ServiceConfig, ServiceConfigBuilder, body::BoxBody};
use actix_service::{Service, ServiceFactory, fn_factory, fn_service};
use actix_web::rt::net::TcpStream;
use log::debug;

use self::connection::{Connection, Ending};
use crate::{
    chat::Budget,
    config::Settings,
    session::{connections::Connections, socket, wire::Wire},
};

mod connection;
mod input;
mod output;
mod pace;
mod surplus;

/// How long clients may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a request's head, from its first byte; for the first one, from the beginning of the connection.
    pub head: Duration,
    /// For a request's body, if it is short; see [`pace`] for longer ones.
    pub body: Duration,
    /// Between an answer and the next request.
    pub keep_alive: Duration,
    /// For what is sent to them.
    pub stall: Duration,
}

impl Patience {
    /// What the settings say.
    pub fn of(settings: &Settings) -> Self {
        Self {
            head: settings.handshake_timeout.get(),
            body: settings.body_timeout.get(),
            keep_alive: settings.keep_alive.get(),
            stall: settings.stall_timeout.get(),
        }
    }
}

/// What the connections of one worker share.
struct Shared<S> {
    routes: S,
    patience: Patience,
    codec: ServiceConfig,
    connections: Arc<Connections>,
    budget: Arc<Budget>,
}

/// Serves connections with what `routes` makes, for one worker. What they hold is charged to `budget`.
pub fn service<R>(
    routes: R,
    patience: Patience,
    connections: Arc<Connections>,
    budget: Arc<Budget>,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = io::Error, InitError = R::InitError>
where
    R: ServiceFactory<Request, Config = (), Response = Response<BoxBody>, Error = Response<BoxBody>>
        + 'static,
{
    fn_factory(move || {
        let routes = routes.new_service(());
        let (connections, budget) = (Arc::clone(&connections), Arc::clone(&budget));
        async move {
            let codec = ServiceConfigBuilder::new().keep_alive(KeepAlive::Os).build();
            let shared = Rc::new(Shared { routes: routes.await?, patience, codec, connections, budget });
            Ok(fn_service(move |stream| {
                let shared = Rc::clone(&shared);
                async move {
                    serve(&shared, stream).await.inspect_err(|error| debug!("a connection ended: {error}"))
                }
            }))
        }
    })
}

/// Serves one connection until it ends.
async fn serve<S>(shared: &Shared<S>, stream: TcpStream) -> io::Result<()>
where
    S: Service<Request, Response = Response<BoxBody>, Error = Response<BoxBody>>,
{
    let peer = stream.peer_addr()?;
    stream.set_nodelay(true)?;
    socket::set_stall_timeout(&stream, shared.patience.stall)?;
    let wire = Wire::new(stream)?;
    let _place = match shared.connections.admit(peer.ip()) {
        Ok(place) => place,
        // Boxed, so that the connections that are served need no room for it.
        Err(surplus) => return Box::pin(surplus::answer(shared, wire, peer, surplus)).await,
    };
    // Boxed, so that its memory goes when a session takes the connection over.
    let conversation = Box::pin(async {
        let connection = Connection::new(Rc::clone(&wire), peer, shared.patience, shared);
        connection.serve(&shared.routes).await
    });
    match conversation.await? {
        Ending::Upgraded(carried) => carried.await,
        Ending::Over => {
            wire.linger().await;
            wire.close();
            Ok(())
        }
    }
}
