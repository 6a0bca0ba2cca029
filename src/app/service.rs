//! The server: a listener, and the routes for each worker. Replaces actix-web's `HttpServer`, with the
//! connections of [`http`].

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use actix_http::{Request, Response, body::BoxBody};
use actix_server::Server;
use actix_service::{IntoServiceFactory as _, ServiceFactory, ServiceFactoryExt as _, map_config};
use actix_web::{
    App, Error,
    dev::{AppConfig, ServiceResponse},
    middleware::from_fn,
    web::{self, ServiceConfig},
};
use socket2::{Domain, Protocol, Socket, Type};

use super::{Node, descriptors::Room};
use crate::{
    config::PerAddress,
    connection::connections::Connections,
    http::{self, Patience},
    routes::{self, prefix::Prefix},
};

/// Maximum number of connections waiting to be accepted: enough for the clients that return after a restart.
const BACKLOG: i32 = 4096;

/// Maximum number of served connections to the address of the metrics. There are descriptors for them beside those of
/// `--max-connections`.
const MAX_METRICS_CONNECTIONS: usize = 32;

/// Maximum number of surplus connections there.
const METRICS_SURPLUS: usize = 16;

/// Starts the workers of a listener.
pub(super) fn serve(node: &Arc<Node>, listener: TcpListener, room: Room) -> io::Result<Server> {
    let workers = node.settings.listen.worker_count();
    // At this bound the server stops accepting, so it lies above the other bounds: it counts only while
    // surplus connections get their error.
    let of_each = room.in_all().div_ceil(workers);
    let server = Server::build().max_concurrent_connections(of_each).disable_signals().workers(workers);
    let node = Arc::clone(node);
    let server = server.listen("echoroom", listener, move || {
        let worker = node.start_worker();
        let configure = move |cfg: &mut ServiceConfig| routes::configure(cfg, worker);
        http::service(
            routes_of(&node, configure),
            Patience::of(&node.settings),
            Arc::clone(&node.connections),
            Arc::clone(&node.budget),
        )
    })?;
    Ok(server.run())
}

/// Starts one worker for the metrics only.
pub(super) fn serve_metrics(node: &Arc<Node>, listener: TcpListener) -> io::Result<Server> {
    let node = Arc::clone(node);
    let patience = Patience::of(&node.settings);
    let (unbounded, surplus) = (PerAddress::for_all(0), METRICS_SURPLUS);
    let connections = Connections::new(MAX_METRICS_CONNECTIONS, unbounded, Vec::new(), surplus);
    let server = Server::build().disable_signals().workers(1);
    let server = server.listen("metrics", listener, move || {
        let metrics = Arc::clone(&node.metrics);
        let compression = node.settings.connections.http_compression;
        let configure = move |cfg: &mut ServiceConfig| routes::configure_metrics(cfg, metrics, compression);
        let (connections, budget) = (Arc::clone(&connections), Arc::clone(&node.budget));
        http::service(routes_of(&node, configure), patience, connections, budget)
    })?;
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

/// The routes of an actix application behind the host check, as a service of plain requests.
fn routes_of<C: FnOnce(&mut ServiceConfig)>(
    node: &Node,
    configure: C,
) -> impl ServiceFactory<
    Request,
    Config = (),
    Response = Response<BoxBody>,
    Error = Response<BoxBody>,
    InitError = (),
> + use<C> {
    let app = App::new()
        .app_data(web::Data::from(Arc::clone(&node.hosts)))
        .app_data(web::Data::new(Prefix::new(&node.settings.listen.path_prefix)))
        .wrap(from_fn(routes::host::guard))
        .wrap(from_fn(routes::prefix::take_away))
        .configure(configure);
    let routes = app.into_factory().map(|response: ServiceResponse<_>| {
        let response: Response<_> = response.into();
        response.map_into_boxed_body()
    });
    map_config(routes.map_err(|error: Error| Response::from(error.error_response())), |()| {
        AppConfig::default()
    })
}
