//! The doors of WebSocket sessions.

use actix_web::{Error, HttpRequest, HttpResponse, error::ErrorInternalServerError, web};
use log::debug;
use serde::Deserialize;

use super::rejected::Rejected;
use crate::{
    chat::{self, MayEnter},
    connection::admission::Admitted,
    domain::RoomName,
    logging::{self, Shown},
    protocol::chat::SUBPROTOCOL,
    session::{self, Door, Worker, websocket::Visitor},
    web::{
        handshake,
        origin::{self, Leniency, Rules, Welcome},
        peer,
    },
};

/// The query of a plain door.
#[derive(Debug, Deserialize)]
struct PlainQuery {
    room: Option<String>,
}

/// `/` and `/ws`: a plain session, in the room that `?room=` names or in the lobby.
///
/// # Errors
/// A rejected request, with the reason as its body.
pub(crate) async fn plain(
    req: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, Error> {
    let admitted = admit_plain(&req, &worker).await;
    handshake::agree(&req, open(&req, payload, &worker, admitted))
}

/// `/chat`: a session of JSON events, not logged in at first.
///
/// # Errors
/// A rejected request, with the reason as its body.
pub(crate) async fn chat(
    req: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, Error> {
    let admitted = check(&req, &worker, Leniency::Strict)
        .and_then(|_| Ok(handshake::check_subprotocol(req.headers(), SUBPROTOCOL)?))
        .and_then(|()| admit(&req, &worker, Door::Chat));
    handshake::agree_on(&req, SUBPROTOCOL, open(&req, payload, &worker, admitted))
}

/// `/echo`: an echo session.
///
/// # Errors
/// A rejected request, with the reason as its body.
pub(crate) async fn echo(
    req: HttpRequest,
    payload: web::Payload,
    worker: web::Data<Worker>,
) -> Result<HttpResponse, Error> {
    let admitted = check(&req, &worker, Leniency::Tutorial).and_then(|_| admit(&req, &worker, Door::Echo));
    handshake::agree(&req, open(&req, payload, &worker, admitted))
}

async fn admit_plain(req: &HttpRequest, worker: &Worker) -> Result<(Visitor, Admitted), Rejected> {
    let welcome = check(req, worker, Leniency::Tutorial)?;
    let query = web::Query::<PlainQuery>::from_query(req.query_string()).map_err(Rejected::BadQuery)?;
    let named = query.room.as_deref().map(RoomName::parse).transpose().map_err(Rejected::BadRoom)?;
    let room = match welcome {
        Welcome::Everywhere => named.unwrap_or_default(),
        Welcome::AmongPagesWithoutOrigin => RoomName::of_pages_without_origin(),
    };
    let address = peer::address(req, &worker.settings.admission.trusted_proxy);
    match worker.chat.may_enter(MayEnter { room: room.clone(), address }).await {
        Ok(Ok(())) => {}
        Ok(Err(chat::Rejected::NoNewRoom(error))) => return Err(Rejected::BadRoom(error)),
        Ok(Err(chat::Rejected::TooManyNewRooms)) => return Err(Rejected::TooManyNewRooms),
        Ok(Err(_)) => return Err(Rejected::TooManyRooms),
        Err(_) => return Err(Rejected::NoChat),
    }
    admit(req, worker, Door::Plain(room))
}

/// Checks the rate of handshakes of the client's address, then as [`check_uncounted`].
pub(super) fn check(req: &HttpRequest, worker: &Worker, leniency: Leniency) -> Result<Welcome, Rejected> {
    let address = peer::address(req, &worker.settings.admission.trusted_proxy);
    worker.admission.knock(address)?;
    check_uncounted(req, worker, leniency)
}

/// Checks the handshake, then the origin.
pub(super) fn check_uncounted(
    req: &HttpRequest,
    worker: &Worker,
    leniency: Leniency,
) -> Result<Welcome, Rejected> {
    handshake::check(req.method(), req.version(), req.headers())?;
    let settings = &worker.settings;
    let rules = Rules { allowed: &settings.origins.allow_origin, trusted: &settings.admission.trusted_proxy };
    origin::check(req.head(), rules, leniency).map_err(|origin| {
        // Browsers hide the body of a rejected handshake from the page, so log the reason here.
        logging::refused(
            "--allow-origin (ECHOROOM_ALLOW_ORIGIN)",
            format_args!("a page of origin {:?} was refused at {}", Shown(&origin), Shown(req.path())),
        );
        handshake::Rejected::ForeignOrigin { origin }.into()
    })
}

/// Admits the session. The last check, because it takes a permit.
fn admit(req: &HttpRequest, worker: &Worker, door: Door) -> Result<(Visitor, Admitted), Rejected> {
    let address = peer::address(req, &worker.settings.admission.trusted_proxy);
    let admitted = worker.admission.admit(address).map_err(Rejected::from)?;
    Ok((Visitor { door, address, watch: None }, admitted))
}

pub(super) fn open(
    req: &HttpRequest,
    payload: web::Payload,
    worker: &web::Data<Worker>,
    admitted: Result<(Visitor, Admitted), Rejected>,
) -> Result<HttpResponse, Error> {
    let (visitor, admitted) = admitted.inspect_err(|refusal| {
        debug!("refused a request at {}: {refusal}", Shown(req.path()));
        worker.metrics.refused(refusal.word());
    })?;
    session::websocket::open(req, payload, visitor, admitted, worker).map_err(ErrorInternalServerError)
}
