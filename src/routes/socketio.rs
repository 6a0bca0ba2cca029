//! The door of Engine.IO sessions: one address, whose query distinguishes the requests.

use std::{
    convert::Infallible,
    fmt::Display,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    Error, HttpRequest, HttpResponse, ResponseError as _,
    body::{BodySize, MessageBody},
    error::{ErrorInternalServerError, PayloadError},
    http::{
        Method, StatusCode, Version,
        header::{ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER},
    },
    rt::time::timeout,
    web::{self, ServiceConfig},
};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use futures_util::StreamExt as _;
use serde::Deserialize;

use super::{
    cors,
    gzip::{self, Gzip},
    handshake::{self, Rejected},
    in_words, methods,
    origin::{self, Leniency, Rules},
    peer,
};
use crate::{
    config::Switch,
    connection::{Lease, OutOfMemory, admission::Full, hangup::Hangup},
    logging,
    protocol::{
        engineio::{self, RequestError},
        socketio::{Limits, MAIN},
    },
    session::{
        Worker,
        chat_socket::ChatNamespace,
        relay::{self, Relay},
    },
    socketio::{
        Carried, Ending, Engine, Entry, OtherNode, PollAnswer, Visitor, accept, namespaces::Namespaces,
    },
};

/// The value of `Allow`.
const METHODS: &str = "GET, POST, OPTIONS";

/// Value of `Retry-After` in seconds for a client that found the server full.
const RETRY_SECONDS: &str = "5";

/// Timeout for the body of a post without a setting.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// Minimum bytes per second of a longer body.
const MIN_BYTES_PER_SECOND: usize = 4096;

/// The query of a request.
#[derive(Debug, Default, Deserialize)]
struct Query {
    #[serde(rename = "EIO")]
    revision: Option<String>,
    transport: Option<String>,
    sid: Option<String>,
    b64: Option<String>,
}

impl Query {
    /// Whether the client accepts no binary frames: any non-empty value counts, as in the reference.
    fn wants_base64(&self) -> bool {
        self.b64.as_ref().is_some_and(|value| !value.is_empty())
    }
}

/// An Engine.IO address of one worker: its engine, its checks and the content of its sessions.
#[derive(Clone)]
pub struct Door {
    engine: Arc<Engine>,
    begin: Rc<dyn Fn() -> Box<dyn Carried>>,
    guard: Option<web::Data<Worker>>,
}

impl Door {
    /// Creates a door without checks; `begin` creates the content of each new session.
    pub fn new(engine: Arc<Engine>, begin: impl Fn() -> Box<dyn Carried> + 'static) -> Self {
        Self { engine, begin: Rc::new(begin), guard: None }
    }

    /// Adds the checks of this server's other doors: origins, sessions in total and per address.
    #[must_use]
    pub fn guarded_by(self, worker: web::Data<Worker>) -> Self {
        Self { guard: Some(worker), ..self }
    }
}

/// The door of the chat, in the main namespace, and of the relay if that is on.
pub(crate) fn chat_door(worker: &web::Data<Worker>) -> Door {
    let limits = Limits {
        attachments: worker.settings.socketio.max_attachments.get(),
        attachment_bytes: worker.settings.events.max_payload.get(),
    };
    let mut namespaces = Namespaces::new(limits).with(MAIN, ChatNamespace::new(worker.clone()));
    if worker.settings.socketio.relay == Switch::On {
        namespaces = namespaces.with(relay::NAMESPACE, Relay::of(&worker.settings));
    }
    let desk = worker.engine.desk_at(worker.fanout.clone(), worker.outlets.clone());
    Door::new(Arc::clone(&worker.engine), namespaces.carried_at(&worker.engine, desk))
        .guarded_by(worker.clone())
}

impl Door {
    /// On without a setting, as in the reference.
    fn http_compression(&self) -> Switch {
        self.guard.as_ref().map_or(Switch::On, |worker| worker.settings.connections.http_compression)
    }

    fn body_timeout(&self) -> Duration {
        self.guard.as_ref().map_or(BODY_TIMEOUT, |worker| worker.settings.connections.body_timeout.get())
    }
}

/// Registers the door at `path`, with and without a trailing slash.
pub fn configure(cfg: &mut ServiceConfig, path: &str, door: Door) {
    let door = web::Data::new(door);
    let path = path.trim_end_matches('/');
    for path in [path.to_owned(), format!("{path}/")] {
        cfg.service(web::resource(path).app_data(door.clone()).to(answer));
    }
}

async fn answer(req: HttpRequest, payload: web::Payload, door: web::Data<Door>) -> HttpResponse {
    let origins = door.guard.as_ref().map_or(&[][..], |worker| &worker.settings.socketio.cors_origin);
    let reader = cors::Reader::of(&req, origins);
    let mut response = match reader.preflight(&req) {
        Some(response) => response,
        None if req.method() == Method::OPTIONS => methods::allowed(METHODS),
        // The page may read errors too.
        None => serve(&req, payload, &door, reader.may_read()).await.unwrap_or_else(HttpResponse::from_error),
    };
    reader.mark(&mut response);
    response
}

/// A request for Engine.IO, and what is known of it before it is checked.
struct Asked<'a> {
    req: &'a HttpRequest,
    query: Query,
    is_upgrade: bool,
    /// Whether a page of its origin may read the answer.
    may_read: bool,
    /// The session that it names, looked up once; `None` if there is no such session, or it names none.
    session: Option<Entry>,
}

async fn serve(
    req: &HttpRequest,
    payload: web::Payload,
    door: &Door,
    may_read: bool,
) -> Result<HttpResponse, Error> {
    let is_upgrade = handshake::asks_for_websocket(req.headers());
    // A query that cannot be read names no transport.
    let query =
        web::Query::<Query>::from_query(req.query_string()).map(web::Query::into_inner).unwrap_or_default();
    let session = query.sid.as_deref().and_then(|sid| door.engine.find(sid));
    // Before anything is waited for: a client may be gone in the very read that brought its request.
    let attendance = session.as_ref().filter(|_| !is_upgrade).map(Entry::attend);
    if attendance.is_some() {
        Hangup::ends(req);
    }
    let asked = Asked { req, query, is_upgrade, may_read, session };
    let response = respond(&asked, payload, door).await;
    if let Some(attendance) = attendance {
        attendance.answered();
    }
    response
}

async fn respond(asked: &Asked<'_>, payload: web::Payload, door: &Door) -> Result<HttpResponse, Error> {
    let Asked { req, query, is_upgrade, .. } = asked;
    if (query.sid.is_none() || *is_upgrade)
        && let Some(worker) = &door.guard
        && let Err(full) =
            worker.admission.knock(peer::address(req, &worker.settings.admission.trusted_proxy))
    {
        return Ok(refuse_for_now(door, full));
    }
    match check(asked, door) {
        Err(refusal) => {
            if refusal == RequestError::UnknownSid {
                note_other_node(query.sid.as_deref().unwrap_or_default(), door);
            }
            // Requests of a session that is gone are none that could have become one.
            if let (None, Some(worker)) = (&query.sid, &door.guard) {
                let is_foreign = refusal == RequestError::Forbidden;
                worker.metrics.refused(if is_foreign { "origin" } else { "handshake" });
            }
            Ok(refuse(refusal, *is_upgrade))
        }
        Ok(Wish::Begin) => begin(asked, payload, door),
        Ok(Wish::Upgrade(session)) => {
            let probing = accept::probe(req, payload, &door.engine, session.clone(), query.wants_base64());
            handshake::agree(req, probing.map_err(ErrorInternalServerError))
        }
        Ok(Wish::Poll(session)) => Ok(match session.poll().await {
            PollAnswer::Payload(payload) => packets(req, payload, door),
            PollAnswer::BadRequest | PollAnswer::Over => refuse(RequestError::BadRequest, false),
        }),
        Ok(Wish::Post(session)) => Ok(post(req, payload, door, session).await),
        Ok(Wish::Other) => Ok(HttpResponse::MethodNotAllowed().insert_header((ALLOW, METHODS)).finish()),
    }
}

/// Logs a request of another node's session. The client is answered as for any unknown session.
fn note_other_node(sid: &str, door: &Door) {
    if let Some(OtherNode { here, there }) = door.engine.other_node(sid) {
        let why = "the balancer must send each session's requests to its own node, as docs/proxies.md shows";
        logging::refused(
            "--node",
            format_args!("requests of Socket.IO sessions of node {there} arrive at node {here}: {why}"),
        );
    }
}

/// Begins a session, if there may be one more.
fn begin(asked: &Asked<'_>, payload: web::Payload, door: &Door) -> Result<HttpResponse, Error> {
    let visitor = match admit(asked.req, &asked.query, door) {
        Ok(visitor) => visitor,
        Err(full) => return Ok(refuse_for_now(door, full)),
    };
    if asked.is_upgrade {
        let begun = accept::begin(asked.req, payload, &door.engine, (door.begin)(), visitor);
        return handshake::agree(asked.req, begun.map_err(ErrorInternalServerError));
    }
    let open = door.engine.begin_polling((door.begin)(), visitor).map_err(ErrorInternalServerError)?;
    Ok(packets(asked.req, open, door))
}

/// What a request wants, once it is known to be sound.
enum Wish<'a> {
    Begin,
    Upgrade(&'a Entry),
    Poll(&'a Entry),
    Post(&'a Entry),
    Other,
}

/// The checks, in the order of the reference.
fn check<'a>(asked: &'a Asked<'_>, door: &Door) -> Result<Wish<'a>, RequestError> {
    let Asked { req, query, is_upgrade, may_read, session } = asked;
    let wants_websocket = match query.transport.as_deref() {
        Some("polling") => false,
        Some("websocket") => true,
        _ => return Err(RequestError::UnknownTransport),
    };
    let is_right_revision = query.revision.as_deref() == Some(engineio::REVISION);
    let is_sound_handshake = || handshake::check(req.method(), req.version(), req.headers()).is_ok();
    let wish = match &query.sid {
        Some(_) => {
            let session = session.as_ref().ok_or(RequestError::UnknownSid)?;
            let is_polling = session.is_polling();
            match (wants_websocket, is_upgrade) {
                (true, true) if is_sound_handshake() => Wish::Upgrade(session),
                (false, false) if is_polling => match *req.method() {
                    Method::GET => Wish::Poll(session),
                    Method::POST => Wish::Post(session),
                    _ => Wish::Other,
                },
                _ => return Err(RequestError::BadRequest),
            }
        }
        None if req.method() != Method::GET => return Err(RequestError::BadHandshakeMethod),
        None if wants_websocket != *is_upgrade || (*is_upgrade && !is_sound_handshake()) => {
            return Err(RequestError::BadRequest);
        }
        None if !(*may_read && !is_upgrade || is_welcome(req, door)) => return Err(RequestError::Forbidden),
        None => Wish::Begin,
    };
    if is_right_revision { Ok(wish) } else { Err(RequestError::UnsupportedVersion) }
}

fn admit(req: &HttpRequest, query: &Query, door: &Door) -> Result<Visitor, Full> {
    let wants_base64 = query.wants_base64();
    let Some(worker) = &door.guard else {
        return Ok(Visitor { address: peer::address(req, &[]), admitted: None, wants_base64 });
    };
    let address = peer::address(req, &worker.settings.admission.trusted_proxy);
    let admitted = worker.admission.admit(address)?;
    Ok(Visitor { address, admitted: Some(admitted), wants_base64 })
}

/// Rejects a handshake over a bound, as other doors do.
fn refuse_for_now(door: &Door, full: Full) -> HttpResponse {
    let refusal = Rejected::Full(full);
    if let Some(worker) = &door.guard {
        worker.metrics.refused(refusal.word());
    }
    refusal.error_response()
}

/// Whether a page of the request's origin may begin a session.
fn is_welcome(req: &HttpRequest, door: &Door) -> bool {
    let is_allowed = |worker: &web::Data<Worker>| {
        origin::check(req.head(), Rules::of(&worker.settings), Leniency::Strict).is_ok()
    };
    door.guard.as_ref().is_none_or(is_allowed)
}

/// Reads a posted payload up to its bound, and passes it to its session.
async fn post(req: &HttpRequest, payload: web::Payload, door: &Door, session: &Entry) -> HttpResponse {
    let engine = &door.engine;
    let Some(posting) = session.begin_post() else {
        return refuse(RequestError::BadRequest, false);
    };
    let is_binary = req.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/octet-stream");
    // Held until the session has accepted the body's packets.
    let mut lease = engine.lease();
    // The connections of `http` have a stricter deadline; those of actix-http have none.
    let longest = Duration::from_secs((engine.settings.max_payload / MIN_BYTES_PER_SECOND) as u64);
    let body = read_body(payload, posting.max_size(&engine.settings), &mut lease);
    let body = match timeout(door.body_timeout() + longest, body).await.unwrap_or(Err(BodyError::Broken)) {
        Ok(body) if !is_binary => body,
        // Unlike a broken body, one that is too large does not end the session.
        Ok(_) | Err(BodyError::Broken) => {
            session.end(Ending::ParseError);
            return HttpResponse::BadRequest().finish();
        }
        Err(BodyError::TooLarge) => return HttpResponse::PayloadTooLarge().finish(),
        Err(BodyError::OutOfMemory(error)) => return unavailable(&error),
    };
    let was_taken = session.post(&body).await;
    drop((posting, lease));
    if !was_taken {
        return refuse(RequestError::BadRequest, false);
    }
    HttpResponse::Ok().content_type("text/html").insert_header((CACHE_CONTROL, "no-store")).body("ok")
}

enum BodyError {
    TooLarge,
    Broken,
    OutOfMemory(OutOfMemory),
}

async fn read_body(
    mut payload: web::Payload,
    limit: usize,
    lease: &mut Lease,
) -> Result<ByteString, BodyError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_: PayloadError| BodyError::Broken)?;
        if body.len() + chunk.len() > limit {
            return Err(BodyError::TooLarge);
        }
        body.extend_from_slice(&chunk);
        lease.hold(body.capacity()).map_err(BodyError::OutOfMemory)?;
    }
    ByteString::try_from(body.freeze()).map_err(|_| BodyError::Broken)
}

fn unavailable(why: &impl Display) -> HttpResponse {
    let mut response = HttpResponse::ServiceUnavailable();
    response.insert_header((RETRY_AFTER, RETRY_SECONDS));
    in_words(response, why)
}

/// The response to a poll. Its packets have left the session's outgoing queue and wait here for the
/// connection.
fn packets(req: &HttpRequest, payload: String, door: &Door) -> HttpResponse {
    let (switch, len) = (door.http_compression(), payload.len());
    let mut response = HttpResponse::Ok();
    response.content_type("text/plain; charset=UTF-8").insert_header((CACHE_CONTROL, "no-store"));
    gzip::vary(&mut response, switch, len);
    let mut body =
        PollBody { rest: payload.into(), lease: door.engine.lease(), gzip: None, has_waited: true };
    if gzip::is_due(req, switch, len) {
        if len <= gzip::PIECE {
            if let Some(packed) = gzip::pack(&body.rest) {
                body.rest = packed;
                response.insert_header((CONTENT_ENCODING, "gzip"));
            }
        } else if req.version() >= Version::HTTP_11 {
            body.gzip = Some(Gzip::default());
            response.insert_header((CONTENT_ENCODING, "gzip"));
        }
    }
    body.lease.take_over(body.rest.len());
    response.body(body)
}

/// The body of the response to a poll: passed to the connection in pieces, and charged until the last one is
/// passed.
struct PollBody {
    rest: Bytes,
    lease: Lease,
    /// Set if the body is compressed in pieces: its length is then unknown.
    gzip: Option<Gzip>,
    /// Whether other tasks ran since the last piece was compressed.
    has_waited: bool,
}

impl PollBody {
    /// Bytes of a piece: small beside the connection's own buffer.
    const PIECE: usize = 16 * 1024;

    fn next(&mut self, len: usize) -> Bytes {
        let piece = self.rest.split_to(self.rest.len().min(len));
        self.lease.take_over(self.rest.len());
        piece
    }
}

impl MessageBody for PollBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        if self.gzip.is_some() { BodySize::Stream } else { BodySize::Sized(self.rest.len() as u64) }
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let body = &mut *self;
        if body.rest.is_empty() {
            return Poll::Ready(None);
        }
        let Some(mut gzip) = body.gzip.take() else {
            return Poll::Ready(Some(Ok(body.next(Self::PIECE))));
        };
        body.has_waited = !body.has_waited;
        if body.has_waited {
            body.gzip = Some(gzip);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = body.next(gzip::PIECE);
        let mut packed = Vec::new();
        gzip.pack(&piece, body.rest.is_empty(), &mut packed);
        body.gzip = Some(gzip);
        Poll::Ready(Some(Ok(packed.into())))
    }
}

/// Rejects as the reference does: JSON for a request, plain text for a WebSocket handshake.
fn refuse(error: RequestError, is_upgrade: bool) -> HttpResponse {
    let status =
        if error == RequestError::Forbidden { StatusCode::FORBIDDEN } else { StatusCode::BAD_REQUEST };
    let mut response = HttpResponse::build(status);
    response.insert_header((CACHE_CONTROL, "no-store"));
    if is_upgrade {
        return response.content_type("text/html").body(error.to_string());
    }
    response.json(serde_json::json!({"code": error.code(), "message": error.to_string()}))
}
