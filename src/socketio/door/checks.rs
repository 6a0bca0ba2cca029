//! What a request at the door wants, and the checks of it.

use std::{cell::OnceCell, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, StatusCode, header::CACHE_CONTROL},
};
use serde::Deserialize;

use super::policy::Policy;
use crate::{
    protocol::engineio::{self, RequestError},
    socketio::{
        hooks::{ConnectionError, Hooks},
        request::Request,
        requests::Entry,
        settings::EngineSettings,
        transport::Transport,
    },
    web::handshake,
};

/// The query of a request.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Query {
    #[serde(rename = "EIO")]
    revision: Option<String>,
    transport: Option<String>,
    pub(super) sid: Option<String>,
    b64: Option<String>,
}

impl Query {
    /// Whether the client accepts no binary frames: any non-empty value counts, as in the reference.
    pub(super) fn wants_base64(&self) -> bool {
        self.b64.as_ref().is_some_and(|value| !value.is_empty())
    }
}

/// A request for Engine.IO, and what is known of it before it is checked.
pub(super) struct Asked<'a> {
    pub(super) req: &'a HttpRequest,
    pub(super) query: Query,
    pub(super) is_upgrade: bool,
    /// Whether a page of its origin may read the answer.
    pub(super) may_read: bool,
    /// The session that it names, looked up once; `None` if there is no such session, or it names none.
    pub(super) session: Option<Entry>,
    policy: &'a Policy,
    kept: OnceCell<Arc<Request>>,
}

impl<'a> Asked<'a> {
    pub(super) fn new(
        req: &'a HttpRequest,
        query: Query,
        may_read: bool,
        session: Option<Entry>,
        policy: &'a Policy,
    ) -> Self {
        let is_upgrade = handshake::asks_for_websocket(req.headers());
        Self { req, query, is_upgrade, may_read, session, policy, kept: OnceCell::new() }
    }

    /// What a session keeps of the request. Made once.
    pub(super) fn request(&self) -> &Arc<Request> {
        self.kept.get_or_init(|| Request::of(self.req, &self.policy.trusted_proxies))
    }

    fn is_sound_handshake(&self) -> bool {
        handshake::check(self.req.method(), self.req.version(), self.req.headers()).is_ok()
    }

    fn is_welcome(&self) -> bool {
        self.may_read && !self.is_upgrade || self.policy.is_welcome(self.req, || Arc::clone(self.request()))
    }
}

/// What a request wants, once it is known to be sound.
pub(super) enum Wish<'a> {
    Begin,
    Upgrade(&'a Entry),
    Poll(&'a Entry),
    Post(&'a Entry),
    Other,
}

/// The word for an origin that is not allowed.
const ORIGIN: &str = "origin";

/// What was wrong with a request, as [`ConnectionError::context`] has it.
#[derive(Debug)]
enum Why {
    /// One of the door's words.
    Word(&'static str),
    /// The program's message, which the client gets.
    Message(String),
}

/// A request that is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) error: RequestError,
    why: Why,
}

impl Refusal {
    pub(super) fn new(error: RequestError, context: &'static str) -> Self {
        Self { error, why: Why::Word(context) }
    }

    /// A request that the program refuses.
    fn by_program(message: String) -> Self {
        Self { error: RequestError::Forbidden, why: Why::Message(message) }
    }

    /// Whether the origin of the page was refused.
    pub(super) fn is_for_origin(&self) -> bool {
        matches!(self.why, Why::Word(ORIGIN))
    }

    /// Tells the program, and rejects as the reference does: JSON for a request, plain text for a WebSocket
    /// handshake.
    pub(super) fn respond(self, asked: &Asked<'_>, hooks: &Hooks) -> HttpResponse {
        let (code, message) = (self.error.code(), self.error.to_string());
        if let Some(hook) = &hooks.connection_error {
            let context = match &self.why {
                Why::Word(word) => *word,
                Why::Message(message) => message,
            };
            hook(&ConnectionError { code, message: &message, request: asked.request(), context });
        }
        let message = match self.why {
            Why::Word(_) => message,
            Why::Message(message) => message,
        };
        let is_forbidden = self.error == RequestError::Forbidden;
        let status = if is_forbidden { StatusCode::FORBIDDEN } else { StatusCode::BAD_REQUEST };
        let mut response = HttpResponse::build(status);
        response.insert_header((CACHE_CONTROL, "no-store"));
        if asked.is_upgrade {
            return response.content_type("text/html").body(message);
        }
        response.json(serde_json::json!({"code": code, "message": message}))
    }
}

/// The checks, in the order of the reference.
pub(super) fn check<'a>(asked: &'a Asked<'_>, settings: &EngineSettings) -> Result<Wish<'a>, Refusal> {
    let Asked { req, query, is_upgrade, .. } = asked;
    let transport = query.transport.as_deref().and_then(Transport::of_name);
    let transport = transport.filter(|transport| settings.has(*transport));
    let transport = transport.ok_or(Refusal::new(RequestError::UnknownTransport, "transport"))?;
    let wants_websocket = transport == Transport::WebSocket;
    let is_right_revision = query.revision.as_deref() == Some(engineio::REVISION);
    let wish = match &query.sid {
        Some(_) => wish_of_session(asked, wants_websocket)?,
        None if req.method() != Method::GET => {
            return Err(Refusal::new(RequestError::BadHandshakeMethod, "method"));
        }
        None if wants_websocket != *is_upgrade || (*is_upgrade && !asked.is_sound_handshake()) => {
            return Err(Refusal::new(RequestError::BadRequest, "TRANSPORT_HANDSHAKE_ERROR"));
        }
        None if !asked.is_welcome() => return Err(Refusal::new(RequestError::Forbidden, ORIGIN)),
        None => Wish::Begin,
    };
    if is_right_revision { Ok(wish) } else { Err(Refusal::new(RequestError::UnsupportedVersion, "protocol")) }
}

fn wish_of_session<'a>(asked: &'a Asked<'_>, wants_websocket: bool) -> Result<Wish<'a>, Refusal> {
    let session = asked.session.as_ref().ok_or(Refusal::new(RequestError::UnknownSid, "sid"))?;
    let is_polling = session.is_polling();
    match (wants_websocket, asked.is_upgrade) {
        (true, true) if asked.is_sound_handshake() => Ok(Wish::Upgrade(session)),
        (true, true) => Err(Refusal::new(RequestError::BadRequest, "TRANSPORT_HANDSHAKE_ERROR")),
        (false, false) if is_polling => Ok(match *asked.req.method() {
            Method::GET => Wish::Poll(session),
            Method::POST => Wish::Post(session),
            _ => Wish::Other,
        }),
        _ => Err(Refusal::new(RequestError::BadRequest, "TRANSPORT_MISMATCH")),
    }
}

/// Asks the program whether a session may begin.
pub(super) async fn ask(asked: &Asked<'_>, hooks: &Hooks) -> Result<(), Refusal> {
    match &hooks.allow_request {
        Some(allow) => allow(Arc::clone(asked.request())).await.map_err(Refusal::by_program),
        None => Ok(()),
    }
}

/// The response to a request that its session does not take.
pub(super) fn bad_request() -> HttpResponse {
    let error = RequestError::BadRequest;
    HttpResponse::BadRequest()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(serde_json::json!({"code": error.code(), "message": error.to_string()}))
}
