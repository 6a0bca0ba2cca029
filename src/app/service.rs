//! The server: a listener, and for each worker the routes behind it. What actix-web's `HttpServer` puts together, but for
//! the upgrades: their sockets are taken over (see `routes::upgrade`), and `HttpServer` has no place for that.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use actix_http::{HttpService, error::DispatchError};
use actix_server::Server;
use actix_service::{IntoServiceFactory as _, ServiceFactory, ServiceFactoryExt as _, map_config};
use actix_web::{App, dev::AppConfig, middleware::from_fn, rt::net::TcpStream, web};
use socket2::{Domain, Protocol, Socket, Type};

use super::Node;
use crate::{
    routes,
    session::{linger, socket},
};

/// How many connections may wait to be accepted: a burst of clients after a restart.
const BACKLOG: i32 = 4096;

/// Connections beside sessions that a worker takes: pages, health checks, refusals.
const SPARE_CONNECTIONS: usize = 1024;

/// Starts the workers behind a listener.
pub(super) fn serve(node: &Arc<Node>, listener: TcpListener) -> io::Result<Server> {
    let settings = &node.settings;
    let address = listener.local_addr()?;
    let mut server = Server::build()
        .max_concurrent_connections(settings.max_sessions.get().saturating_add(SPARE_CONNECTIONS))
        .disable_signals();
    if let Some(workers) = settings.workers {
        server = server.workers(workers.get());
    }
    let node = Arc::clone(node);
    let server = server.listen("echoroom", listener, move || http_service(&node, address))?;
    Ok(server.run())
}

/// Binds the address, as `HttpServer` would.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// One worker's connections: the routes behind actix-http, and behind the upgrades, which take their sockets from it.
fn http_service(
    node: &Arc<Node>,
    address: SocketAddr,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = DispatchError, InitError = ()> + use<>
{
    let settings = &node.settings;
    let stall_timeout = settings.stall_timeout.get();
    let worker = node.start_worker();
    let chat = routes::socketio::chat_door(&worker);
    let hosts = web::Data::from(Arc::clone(&node.hosts));
    let routes = || {
        let (worker, chat) = (worker.clone(), chat.clone());
        let app = App::new()
            .app_data(hosts.clone())
            .wrap(from_fn(routes::host::guard))
            .wrap(from_fn(routes::lingering::close_when_over))
            .configure(|cfg| routes::configure_with(cfg, worker, chat));
        let answers = app.into_factory().map_err(|error: actix_web::Error| error.error_response());
        map_config(answers, |()| AppConfig::default())
    };
    HttpService::build()
        .local_addr(address)
        .tcp_nodelay(true)
        // A poll that is given up is noticed at once.
        .h1_allow_half_closed(false)
        .client_request_timeout(settings.handshake_timeout.get() + linger::CLOCK_STEP)
        .client_disconnect_timeout(linger::LINGER)
        .on_connect_ext(move |io: &TcpStream, data| socket::on_connect(io, data, stall_timeout))
        .upgrade(routes::upgrade::Upgrades::new(routes()))
        .finish(routes())
        .tcp()
}
