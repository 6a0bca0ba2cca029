//! The address of Engine.IO sessions: any method, told apart by the query.

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
    handshake::{self, Refusal},
    in_words, methods,
    origin::{self, Leniency, Rules},
    peer,
};
use crate::{
    chat::{Lease, OutOfMemory},
    config::Switch,
    protocol::{
        engineio::{self, RequestError},
        socketio::{Limits, MAIN},
    },
    session::{
        Worker,
        admission::Full,
        hangup::Hangup,
        socketio::{
            Carried, EndReason, Engine, PollAnswer, PostRefused, Visitor, carrier,
            chat::ChatNamespace,
            namespaces::Namespaces,
            relay::{self, Relay},
        },
    },
};

/// Methods that the address takes, as `Allow` has them.
const METHODS: &str = "GET, POST, OPTIONS";

/// Seconds after which a client that found the server full may try again.
const RETRY_SECONDS: &str = "5";

/// How long the body of a post may take where no setting says so.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// Bytes a second that a longer body must come at.
const MIN_BYTES_PER_SECOND: usize = 4096;

/// What stands behind the `?`.
#[derive(Debug, Default, Deserialize)]
struct Query {
    #[serde(rename = "EIO")]
    revision: Option<String>,
    transport: Option<String>,
    sid: Option<String>,
    b64: Option<String>,
}

impl Query {
    /// Whether the client takes no binary frames: any value says so, as for the reference.
    fn wants_base64(&self) -> bool {
        self.b64.as_ref().is_some_and(|value| !value.is_empty())
    }
}

/// Who may have sessions here, and what they carry.
#[derive(Clone)]
pub struct Door {
    engine: Arc<Engine>,
    begin: Rc<dyn Fn() -> Box<dyn Carried>>,
    guard: Option<web::Data<Worker>>,
}

impl Door {
    /// One worker's door to an engine, for anybody; new sessions carry what `begin` gives them.
    pub fn new(engine: Arc<Engine>, begin: impl Fn() -> Box<dyn Carried> + 'static) -> Self {
        Self { engine, begin: Rc::new(begin), guard: None }
    }

    /// The same with the checks that this server has at its other doors: origins, sessions in total and per address.
    #[must_use]
    pub fn guarded_by(self, worker: web::Data<Worker>) -> Self {
        Self { guard: Some(worker), ..self }
    }
}

/// The door to the chat, in the main namespace, and to the relay if that is on.
pub fn chat_door(worker: &web::Data<Worker>) -> Door {
    let limits = Limits {
        attachments: worker.settings.max_attachments.get(),
        attachment_bytes: worker.settings.max_payload.get(),
    };
    let mut namespaces = Namespaces::new(limits).with(MAIN, ChatNamespace::new(worker.clone()));
    if worker.settings.relay == Switch::On {
        namespaces = namespaces.with(relay::NAMESPACE, Relay::of(&worker.settings));
    }
    let desk = worker.engine.desk_at(worker.fanout.clone(), worker.outlets.clone());
    Door::new(Arc::clone(&worker.engine), namespaces.carried_at(&worker.engine, desk))
        .guarded_by(worker.clone())
}

impl Door {
    /// As the reference does where no setting says otherwise.
    fn http_compression(&self) -> Switch {
        self.guard.as_ref().map_or(Switch::On, |worker| worker.settings.http_compression)
    }

    fn body_timeout(&self) -> Duration {
        self.guard.as_ref().map_or(BODY_TIMEOUT, |worker| worker.settings.body_timeout.get())
    }
}

/// Registers the door at `path`, with and without a slash behind it.
pub fn configure(cfg: &mut ServiceConfig, path: &str, door: Door) {
    let door = web::Data::new(door);
    let path = path.trim_end_matches('/');
    for path in [path.to_owned(), format!("{path}/")] {
        cfg.service(web::resource(path).app_data(door.clone()).to(answer));
    }
}

async fn answer(req: HttpRequest, payload: web::Payload, door: web::Data<Door>) -> HttpResponse {
    let origins = door.guard.as_ref().map_or(&[][..], |worker| &worker.settings.cors_origin);
    let reader = cors::Reader::of(&req, origins);
    let mut response = match reader.preflight(&req) {
        Some(response) => response,
        None if req.method() == Method::OPTIONS => methods::allowed(METHODS),
        // The page may read what went wrong, too.
        None => serve(&req, payload, &door, reader.may_read()).await.unwrap_or_else(HttpResponse::from_error),
    };
    reader.mark(&mut response);
    response
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
    // Before anything is waited for: a client may be gone in the very read that brought its request.
    let attendance = query.sid.as_deref().filter(|_| !is_upgrade).map(|sid| door.engine.attend(sid));
    if attendance.is_some() {
        Hangup::ends(req);
    }
    let response = respond(req, payload, door, (&query, is_upgrade, may_read)).await;
    if let Some(attendance) = attendance {
        attendance.answered();
    }
    response
}

async fn respond(
    req: &HttpRequest,
    payload: web::Payload,
    door: &Door,
    (query, is_upgrade, may_read): (&Query, bool, bool),
) -> Result<HttpResponse, Error> {
    if (query.sid.is_none() || is_upgrade)
        && let Some(worker) = &door.guard
        && let Err(full) = worker.admission.knock(peer::address(req, &worker.settings.trusted_proxy))
    {
        return Ok(refuse_for_now(door, full));
    }
    match check(req, query, door, is_upgrade, may_read).await {
        Err(refusal) => Ok(refuse(refusal, is_upgrade)),
        Ok(Wish::Begin) => {
            let visitor = match admit(req, query, door) {
                Ok(visitor) => visitor,
                Err(full) => return Ok(refuse_for_now(door, full)),
            };
            if is_upgrade {
                let begun = carrier::begin(req, payload, &door.engine, (door.begin)(), visitor);
                return handshake::agree(req, begun.map_err(ErrorInternalServerError));
            }
            let open =
                door.engine.begin_polling((door.begin)(), visitor).map_err(ErrorInternalServerError)?;
            Ok(packets(req, open, door))
        }
        Ok(Wish::Upgrade(sid)) => match door.engine.session(&sid) {
            Some(session) => {
                let probing = carrier::probe(req, payload, &door.engine, session, query.wants_base64());
                handshake::agree(req, probing.map_err(ErrorInternalServerError))
            }
            None => Ok(refuse(RequestError::UnknownSid, true)),
        },
        Ok(Wish::Poll(sid)) => Ok(match door.engine.poll(&sid).await {
            PollAnswer::Payload(payload) => packets(req, payload, door),
            PollAnswer::UnknownSid => refuse(RequestError::UnknownSid, false),
            PollAnswer::BadRequest | PollAnswer::Over => refuse(RequestError::BadRequest, false),
        }),
        Ok(Wish::Post(sid)) => Ok(post(req, payload, door, &sid).await),
        Ok(Wish::Other) => Ok(HttpResponse::MethodNotAllowed().insert_header((ALLOW, METHODS)).finish()),
    }
}

/// What a request wants, once it is known to be sound.
enum Wish {
    Begin,
    Upgrade(String),
    Poll(String),
    Post(String),
    Other,
}

/// The checks, in the order of the reference.
async fn check(
    req: &HttpRequest,
    query: &Query,
    door: &Door,
    is_upgrade: bool,
    may_read: bool,
) -> Result<Wish, RequestError> {
    let wants_websocket = match query.transport.as_deref() {
        Some("polling") => false,
        Some("websocket") => true,
        _ => return Err(RequestError::UnknownTransport),
    };
    let is_right_revision = query.revision.as_deref() == Some(engineio::REVISION);
    let is_sound_handshake = || handshake::check(req.method(), req.version(), req.headers()).is_ok();
    let wish = match &query.sid {
        Some(sid) => {
            let is_polling = door.engine.is_polling(sid).await.ok_or(RequestError::UnknownSid)?;
            match (wants_websocket, is_upgrade) {
                (true, true) if is_sound_handshake() => Wish::Upgrade(sid.clone()),
                (false, false) if is_polling => match *req.method() {
                    Method::GET => Wish::Poll(sid.clone()),
                    Method::POST => Wish::Post(sid.clone()),
                    _ => Wish::Other,
                },
                _ => return Err(RequestError::BadRequest),
            }
        }
        None if req.method() != Method::GET => return Err(RequestError::BadHandshakeMethod),
        None if wants_websocket != is_upgrade || (is_upgrade && !is_sound_handshake()) => {
            return Err(RequestError::BadRequest);
        }
        None if !(may_read && !is_upgrade || is_welcome(req, door)) => return Err(RequestError::Forbidden),
        None => Wish::Begin,
    };
    if is_right_revision { Ok(wish) } else { Err(RequestError::UnsupportedVersion) }
}

fn admit(req: &HttpRequest, query: &Query, door: &Door) -> Result<Visitor, Full> {
    let wants_base64 = query.wants_base64();
    let Some(worker) = &door.guard else {
        return Ok(Visitor { address: peer::address(req, &[]), admitted: None, wants_base64 });
    };
    let address = peer::address(req, &worker.settings.trusted_proxy);
    let admitted = worker.admission.admit(address)?;
    Ok(Visitor { address, admitted: Some(admitted), wants_base64 })
}

/// As the other doors refuse.
fn refuse_for_now(door: &Door, full: Full) -> HttpResponse {
    let refusal = Refusal::Full(full);
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

/// Reads a posted payload, within the bound, and hands it to its session.
async fn post(req: &HttpRequest, payload: web::Payload, door: &Door, sid: &str) -> HttpResponse {
    let engine = &door.engine;
    let posting = match engine.begin_post(sid) {
        Ok(posting) => posting,
        Err(PostRefused::UnknownSid) => return refuse(RequestError::UnknownSid, false),
        Err(PostRefused::Concurrent) => return refuse(RequestError::BadRequest, false),
    };
    let is_binary = req.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/octet-stream");
    // Held until the session has taken what is in the body.
    let mut lease = engine.lease();
    // Connections of our own have a closer deadline; those of actix-http have none.
    let longest = Duration::from_secs((engine.settings.max_payload / MIN_BYTES_PER_SECOND) as u64);
    let body = read_body(payload, posting.max_size(&engine.settings), &mut lease);
    let body = match timeout(door.body_timeout() + longest, body).await.unwrap_or(Err(BodyError::Broken)) {
        Ok(body) if !is_binary => body,
        // Too large, and only that: the session lives on.
        Ok(_) | Err(BodyError::Broken) => {
            engine.end(sid, EndReason::ParseError);
            return HttpResponse::BadRequest().finish();
        }
        Err(BodyError::TooLarge) => return HttpResponse::PayloadTooLarge().finish(),
        Err(BodyError::OutOfMemory(error)) => return unavailable(&error),
    };
    let was_taken = engine.post(sid, &body).await;
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

/// An answer to a poll. Its packets no longer wait in the session; here they wait for the connection.
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

/// The body of an answer to a poll: given to the connection piece by piece, and charged until the last one is.
struct PollBody {
    rest: Bytes,
    lease: Lease,
    /// If it is packed on the way: how long it will be then is not known.
    gzip: Option<Gzip>,
    /// Whether others had their turn since the last piece was packed.
    has_waited: bool,
}

impl PollBody {
    /// Bytes of a piece: little beside what the connection holds back.
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

/// As the reference refuses: JSON to a request, the words alone to a WebSocket handshake.
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
