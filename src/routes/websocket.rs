//! The doors that lead to WebSocket sessions.

use actix_web::{Error, HttpRequest, HttpResponse, error::ErrorInternalServerError, web};
use log::warn;
use serde::Deserialize;

use super::{
    handshake::{self, Refusal},
    origin::{self, Leniency},
};
use crate::{
    domain::RoomName,
    session::{self, Door, Worker},
};

/// What may stand behind the `?` of a plain door.
#[derive(Debug, Deserialize)]
struct PlainQuery {
    room: Option<String>,
}

/// `/` and `/ws`: a plain session, in the room that `?room=` names or in the lobby.
///
/// # Errors
/// A request that is refused, with the reason as its body.
pub async fn plain(
    req: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, Error> {
    check(&req, &worker)?;
    let query = web::Query::<PlainQuery>::from_query(req.query_string()).map_err(Refusal::BadQuery)?;
    let room = match &query.room {
        Some(name) => RoomName::parse(name).map_err(Refusal::BadRoom)?,
        None => RoomName::default(),
    };
    open(&req, payload, Door::Plain(room), &worker)
}

/// `/echo`: an echo session.
///
/// # Errors
/// A request that is refused, with the reason as its body.
pub async fn echo(
    req: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, Error> {
    check(&req, &worker)?;
    open(&req, payload, Door::Echo, &worker)
}

/// The handshake first, then whether this page may come in.
fn check(req: &HttpRequest, worker: &Worker) -> Result<(), Refusal> {
    handshake::check(req.method(), req.version(), req.headers())?;
    origin::check(req.headers(), &worker.settings.allow_origin, Leniency::Tutorial).map_err(|origin| {
        // Browsers hide the body of a refused handshake from the page and its developer.
        warn!("refused a page of origin {origin:?} at {}: --allow-origin would let it in", req.path());
        Refusal::ForeignOrigin { origin }
    })
}

fn open(
    req: &HttpRequest,
    payload: web::Payload,
    door: Door,
    worker: &Worker,
) -> Result<HttpResponse, Error> {
    session::websocket::open(req, payload, door, worker).map_err(ErrorInternalServerError)
}
