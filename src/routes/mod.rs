//! The route table, grouped by type of client.

use std::sync::Arc;

use actix_files::Files;
use actix_web::{
    guard,
    middleware::{Compress, DefaultHeaders, from_fn},
    web::{self, ServiceConfig},
};

use crate::{
    config::Switch,
    metrics::Metrics,
    session::Worker,
    web::{
        handshake,
        methods::{self, at, door, read},
    },
};

pub(crate) mod admin;
mod avatar;
pub(crate) mod health;
pub(crate) mod host;
pub(crate) mod lesson;
pub(crate) mod metrics;
pub(crate) mod page;
#[cfg(feature = "poison")]
pub(crate) mod poison;
pub(crate) mod policy;
pub(crate) mod prefix;
mod rejected;
pub(crate) mod websocket;

/// Registers the routes of `--metrics-bind`.
pub(crate) fn configure_metrics(cfg: &mut ServiceConfig, metrics: Arc<Metrics>, compression: Switch) {
    cfg.app_data(web::Data::new(metrics))
        .app_data(web::Data::new(compression))
        .service(read(at("/metrics"), metrics::metrics));
}

/// Registers every door of the server for one worker.
pub fn configure(cfg: &mut ServiceConfig, worker: web::Data<Worker>) {
    let static_dir = worker.settings.listen.static_dir.clone();
    // Socket.IO clients. First, because polls are the most frequent requests.
    worker.io.mount_at(cfg, worker.fanout.clone(), worker.outlets.clone(), worker.clone());
    if worker.settings.operation.metrics_bind.is_none()
        || worker.settings.operation.public_metrics == Switch::On
    {
        cfg.service(read(at("/metrics"), metrics::of_server));
    }
    lesson::configure(cfg, &worker);
    avatar::configure(cfg);
    admin::configure(cfg);
    #[cfg(feature = "poison")]
    poison::configure(cfg, Arc::clone(&worker.parts));
    cfg.app_data(worker)
        // Clients of rooms.
        .service(
            web::resource("/")
                .guard(guard::fn_guard(|ctx| handshake::asks_for_websocket(ctx.head().headers())))
                .to(websocket::plain),
        )
        .service(door(at("/ws"), websocket::plain))
        .service(door(at("/chat"), websocket::chat))
        // Clients under test.
        .service(door(at("/echo"), websocket::echo))
        // The page.
        .service(read(at("/limits"), page::limits))
        .service(read(at("/rooms"), page::rooms))
        // Operators.
        .service(read(at("/health"), health::health))
        // The page's files. Last, because it matches every other path.
        .service(
            web::scope("")
                .wrap(
                    DefaultHeaders::new()
                        .add(("X-Content-Type-Options", "nosniff"))
                        .add(("Referrer-Policy", "same-origin"))
                        // Browsers may cache a file, but must revalidate each time.
                        .add(("Cache-Control", "no-cache")),
                )
                .wrap(from_fn(policy::add))
                // Inside the headers, so that compressed responses have them too.
                .wrap(Compress::default())
                .wrap(from_fn(methods::of_files))
                .service(Files::new("/", static_dir).index_file("index.html").disable_content_disposition()),
        );
}
