//! Routes of the page's lessons. See [`session::lesson`](crate::session::lesson).

use std::sync::Arc;

use actix_web::{
    Error, HttpRequest, HttpResponse,
    error::ErrorInternalServerError,
    guard,
    http::header::CACHE_CONTROL,
    web::{self, ServiceConfig},
};
use log::debug;
use serde::{Deserialize, Serialize};

use super::{rejected::Rejected, websocket};
use crate::{
    config::{self, Switch},
    connection::{admission::Full, wire::Wire},
    logging::Shown,
    session::{
        Door, Worker,
        lesson::{
            self, ClientKind, Line, Place,
            breakage::{self, Breakage},
            closed_port, follow, news, slow,
        },
        websocket::Visitor,
    },
    web::{
        handshake, in_words,
        methods::{at, door, read},
        origin::Leniency,
        peer,
    },
};

/// The query of the news.
#[derive(Debug, Deserialize)]
struct NewsQuery {
    after: Option<u64>,
}

/// Registers the lessons, or a 404 with the reason if they are off.
pub(crate) fn configure(cfg: &mut ServiceConfig, worker: &web::Data<Worker>) {
    let lessons = web::scope("/lesson").app_data(worker.clone());
    if worker.settings.lessons.switch == Switch::Off {
        cfg.service(lessons.default_service(web::to(closed)));
        return;
    }
    cfg.service(
        lessons
            .service(read(
                at("/news").route(
                    web::route()
                        .guard(guard::fn_guard(|ctx| handshake::asks_for_websocket(ctx.head().headers())))
                        .to(push_news),
                ),
                poll_news,
            ))
            .service(door(at("/break/{how}"), break_it))
            .service(door(at("/slow"), show_slow))
            .service(door(at("/slow-client/{name}"), slow_client))
            .service(door(at("/log"), follow_session))
            .service(door(at("/log/{name}"), followed_session))
            .service(read(at("/closed-port"), closed_port)),
    );
}

async fn closed() -> HttpResponse {
    in_words(HttpResponse::NotFound(), "The lessons are closed here (--lessons off)")
}

async fn poll_news(query: web::Query<NewsQuery>, worker: web::Data<Worker>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(news::since(&worker.lessons, query.after))
}

async fn push_news(
    req: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, Error> {
    let lessons = Arc::clone(&worker.lessons);
    teach(&req, payload, &worker, async move |line| news::push(&lessons, line).await)
}

async fn break_it(
    req: HttpRequest,
    payload: web::Payload,
    how: web::Path<String>,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, Error> {
    match how.parse::<Breakage>() {
        Ok(how) => teach(&req, payload, &worker, async move |line| breakage::break_it(how, line).await),
        Err(error) => Ok(in_words(HttpResponse::NotFound(), error)),
    }
}

async fn show_slow(
    req: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, Error> {
    let lessons = Arc::clone(&worker.lessons);
    let address = Wire::of(&req).and_then(|wire| wire.local_addr());
    let server = config::reachable(address.unwrap_or_else(|| req.app_config().local_addr()));
    let limit = worker.settings.limits.max_queue_bytes.get();
    teach(&req, payload, &worker, async move |line| slow::show(&lessons, server, limit, line).await)
}

/// The client that [`show_slow`] created: a plain session that is watched.
async fn slow_client(
    req: HttpRequest,
    payload: web::Payload,
    name: web::Path<String>,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, Error> {
    let Some(expected) = worker.lessons.take_expected(ClientKind::Slow, &name) else {
        return Ok(in_words(HttpResponse::NotFound(), "No slow client of that name is expected"));
    };
    let admitted = websocket::check_uncounted(&req, &worker, Leniency::Strict).and_then(|_| {
        // The client is the server itself, so no address is charged.
        let admitted = worker.admission.admit(None).map_err(Rejected::from)?;
        let (door, watch) = (Door::Plain(expected.room), Some(expected.watch));
        Ok((Visitor { door, address: None, watch }, admitted))
    });
    handshake::agree(&req, websocket::open(&req, payload, &worker, admitted))
}

async fn follow_session(
    req: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, Error> {
    let (lessons, node) = (Arc::clone(&worker.lessons), worker.settings.nodes.node);
    teach(&req, payload, &worker, async move |line| follow::follow(&lessons, node, line).await)
}

/// The session whose log [`follow_session`] sends: a plain session that is watched.
async fn followed_session(
    req: HttpRequest,
    payload: web::Payload,
    name: web::Path<String>,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, Error> {
    let Some(expected) = worker.lessons.take_expected(ClientKind::Followed, &name) else {
        return Ok(in_words(HttpResponse::NotFound(), "No session of that name is expected"));
    };
    let admitted = websocket::check(&req, &worker, Leniency::Strict).and_then(|_| {
        let address = peer::address(&req, &worker.settings.admission.trusted_proxy);
        let admitted = worker.admission.admit(address).map_err(Rejected::from)?;
        let (door, watch) = (Door::Plain(expected.room), Some(expected.watch));
        Ok((Visitor { door, address, watch }, admitted))
    });
    handshake::agree(&req, websocket::open(&req, payload, &worker, admitted))
}

/// The body of `/lesson/closed-port`.
#[derive(Debug, Serialize)]
struct ClosedPort {
    port: u16,
}

/// Replies with a port of this machine without a listener.
async fn closed_port(req: HttpRequest) -> HttpResponse {
    let address = Wire::of(&req).and_then(|wire| wire.local_addr());
    let address = address.unwrap_or_else(|| req.app_config().local_addr());
    match closed_port::find(address.ip().to_canonical()) {
        Ok(port) => HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(ClosedPort { port }),
        Err(error) => in_words(HttpResponse::ServiceUnavailable(), error),
    }
}

/// Checks the handshake and begins the lesson.
fn teach<F: Future<Output = ()>>(
    req: &HttpRequest,
    payload: web::Payload,
    worker: &Worker,
    lesson: impl FnOnce(Line) -> F + 'static,
) -> Result<HttpResponse, Error> {
    let begin = || -> Result<Place, Rejected> {
        websocket::check(req, worker, Leniency::Strict)?;
        if worker.admission.is_draining() {
            return Err(Full::Draining.into());
        }
        Ok(worker.lessons.begin(peer::address(req, &worker.settings.admission.trusted_proxy))?)
    };
    let place = begin().inspect_err(|refusal| {
        debug!("refused a request at {}: {refusal}", Shown(req.path()));
        worker.metrics.refused(refusal.word());
    })?;
    let budget = Arc::clone(&worker.budget);
    let begun = lesson::open(req, payload, place, &worker.settings, budget, lesson);
    handshake::agree(req, begun.map_err(ErrorInternalServerError))
}
