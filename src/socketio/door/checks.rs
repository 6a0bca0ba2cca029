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
    socketio::{request::Request, requests::Entry},
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

/// The checks, in the order of the reference.
pub(super) fn check<'a>(asked: &'a Asked<'_>) -> Result<Wish<'a>, RequestError> {
    let Asked { req, query, is_upgrade, session, .. } = asked;
    let wants_websocket = match query.transport.as_deref() {
        Some("polling") => false,
        Some("websocket") => true,
        _ => return Err(RequestError::UnknownTransport),
    };
    let is_right_revision = query.revision.as_deref() == Some(engineio::REVISION);
    let wish = match &query.sid {
        Some(_) => {
            let session = session.as_ref().ok_or(RequestError::UnknownSid)?;
            let is_polling = session.is_polling();
            match (wants_websocket, is_upgrade) {
                (true, true) if asked.is_sound_handshake() => Wish::Upgrade(session),
                (false, false) if is_polling => match *req.method() {
                    Method::GET => Wish::Poll(session),
                    Method::POST => Wish::Post(session),
                    _ => Wish::Other,
                },
                _ => return Err(RequestError::BadRequest),
            }
        }
        None if req.method() != Method::GET => return Err(RequestError::BadHandshakeMethod),
        None if wants_websocket != *is_upgrade || (*is_upgrade && !asked.is_sound_handshake()) => {
            return Err(RequestError::BadRequest);
        }
        None if !asked.is_welcome() => return Err(RequestError::Forbidden),
        None => Wish::Begin,
    };
    if is_right_revision { Ok(wish) } else { Err(RequestError::UnsupportedVersion) }
}

/// Rejects as the reference does: JSON for a request, plain text for a WebSocket handshake.
pub(super) fn refuse(error: RequestError, is_upgrade: bool) -> HttpResponse {
    let status =
        if error == RequestError::Forbidden { StatusCode::FORBIDDEN } else { StatusCode::BAD_REQUEST };
    let mut response = HttpResponse::build(status);
    response.insert_header((CACHE_CONTROL, "no-store"));
    if is_upgrade {
        return response.content_type("text/html").body(error.to_string());
    }
    response.json(serde_json::json!({"code": error.code(), "message": error.to_string()}))
}
