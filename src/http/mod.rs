//! HTTP/1.1 connections: parses requests, calls the routes and writes responses, until a request becomes a
//! WebSocket and takes the socket.
//!
//! actix-http parses requests ([`Codec`](actix_http::h1::Codec)); its dispatcher is not used. This module
//! closes its gaps: every head and body of every request has a deadline, not only the first; connections are
//! counted, and a surplus one gets an error instead of waiting; a client that closed its side still gets its
//! response; bytes after an upgrade in one packet reach the WebSocket.
//!
//! A connection reads into the buffer of its thread ([`Wire`]) and owns a buffer only during a request: an
//! idle one takes a few hundred bytes.
//!
//! - `connection`: one connection, request by request.
//! - `input`: received heads and bodies, and their deadlines.
//! - `output`: responses.
//! - [`surplus`]: connections over a bound.

use std::{io, rc::Rc, sync::Arc, time::Duration};

use actix_http::{KeepAlive, Request, Response, ServiceConfig, ServiceConfigBuilder, body::BoxBody};
use actix_service::{Service, ServiceFactory, fn_factory, fn_service};
use actix_web::rt::net::TcpStream;
use log::debug;

use self::connection::{Connection, Served};
use crate::{
    config::Settings,
    connection::{Budget, connections::Connections, socket, wire::Wire},
};

mod connection;
mod input;
mod output;
mod pace;
mod surplus;

/// Timeouts for clients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For a request's head, from its first byte; for the first one, from the beginning of the connection.
    pub head: Duration,
    /// For a request's body, plus time for its length, see [`pace`].
    pub body: Duration,
    /// Between an answer and the next request.
    pub keep_alive: Duration,
    /// For the client to take what is sent.
    pub stall: Duration,
}

impl Patience {
    /// The timeouts of the settings.
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            head: settings.connections.handshake_timeout.get(),
            body: settings.connections.body_timeout.get(),
            keep_alive: settings.connections.keep_alive.get(),
            stall: settings.connections.stall_timeout.get(),
        }
    }
}

/// The state shared by the connections of one worker.
struct Shared<S> {
    routes: S,
    patience: Patience,
    codec: ServiceConfig,
    connections: Arc<Connections>,
    budget: Arc<Budget>,
}

/// Serves the connections of one worker with `routes`. Their memory is charged to `budget`.
pub(crate) fn service<R>(
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
    match shared.connections.admit(peer.ip()) {
        Ok(place) => wire.keep(place),
        // Boxed, to keep the future of other connections small.
        Err(surplus) => return Box::pin(surplus::answer(shared, wire, peer, surplus)).await,
    }
    // Boxed, so that its memory is freed when a session takes the connection over.
    let conversation = Box::pin(async {
        let connection = Connection::new(Rc::clone(&wire), peer, shared.patience, shared);
        connection.serve(&shared.routes).await
    });
    match conversation.await? {
        Served::Upgraded(carried) => carried.await,
        Served::Over => {
            wire.linger().await;
            wire.close();
            Ok(())
        }
    }
}
