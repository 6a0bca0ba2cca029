//! The door of Engine.IO sessions: one address, whose query distinguishes the requests.

use std::{any::Any, fmt::Display, rc::Rc, sync::Arc};

use actix_web::{
    Error, HttpRequest, HttpResponse, ResponseError as _,
    error::ErrorInternalServerError,
    http::{
        Method,
        header::{ALLOW, HeaderValue, RETRY_AFTER, SET_COOKIE},
    },
    web::{self, ServiceConfig},
};

use self::checks::{Asked, Query, Refusal, Wish, ask, bad_request, check};
pub(crate) use self::policy::Policy;
use super::{
    Carried, Visitor,
    accept::{self, AcceptError},
    engine::Engine,
    hooks::Hooks,
    ids::IdError,
    registry::OtherNode,
    requests::Entry,
};
use crate::{
    config::Switch,
    connection::{admission::Full, hangup::Hangup, outbound::PollAnswer},
    logging,
    protocol::engineio::RequestError,
    web::{
        cors::Grants,
        handshake::{self, Rejected},
        in_words, methods, peer,
    },
};

mod checks;
mod policy;
mod polls;
mod posts;
mod script;

/// The value of `Allow`.
const METHODS: &str = "GET, POST, OPTIONS";

/// Value of `Retry-After` in seconds for a client that found the server full.
const RETRY_SECONDS: &str = "5";

/// An Engine.IO address of one worker: its engine, its checks and the content of its sessions.
#[derive(Clone)]
pub(crate) struct Door {
    engine: Arc<Engine>,
    begin: Rc<dyn Fn() -> Box<dyn Carried>>,
    policy: Rc<Policy>,
    grants: Rc<Grants>,
    state: Option<Rc<dyn Any>>,
}

impl Door {
    /// Creates a door with the checks of [`Policy::default`]; `begin` creates the content of each new session.
    pub(crate) fn new(engine: Arc<Engine>, begin: impl Fn() -> Box<dyn Carried> + 'static) -> Self {
        let policy = Policy::default();
        let grants = Rc::new(policy.grants());
        Self { engine, begin: Rc::new(begin), policy: Rc::new(policy), grants, state: None }
    }

    /// Has these checks instead.
    #[must_use]
    pub(crate) fn with_policy(self, policy: Policy) -> Self {
        Self { grants: Rc::new(policy.grants()), policy: Rc::new(policy), ..self }
    }

    /// Gives each session a value of the worker, for [`SessionHandle::state`](super::handle::SessionHandle::state).
    #[must_use]
    pub(crate) fn with_state(self, state: Rc<dyn Any>) -> Self {
        Self { state: Some(state), ..self }
    }
}

/// Registers the door at `path`, with and without a trailing slash, and its script below the path, in an
/// application or a scope. In a scope of the door alone the path is empty.
pub(crate) fn configure(cfg: &mut ServiceConfig, path: &str, door: Door) {
    let door = web::Data::new(door);
    let path = path.trim_end_matches('/');
    for path in [path.to_owned(), format!("{path}/")] {
        cfg.service(web::resource(path).app_data(door.clone()).to(answer));
    }
    if door.policy.serve_client == Switch::On {
        script::configure(cfg, path, door);
    }
}

async fn answer(req: HttpRequest, payload: web::Payload, door: web::Data<Door>) -> HttpResponse {
    let reader = door.policy.reader(&req, &door.grants);
    let mut response = match reader.preflight(&req) {
        Some(response) => response,
        None if req.method() == Method::OPTIONS => methods::allowed(METHODS),
        // The page may read errors too.
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
    // A query that cannot be read names no transport.
    let query =
        web::Query::<Query>::from_query(req.query_string()).map(web::Query::into_inner).unwrap_or_default();
    let session = query.sid.as_deref().and_then(|sid| door.engine.find(sid));
    let asked = Asked::new(req, query, may_read, session, &door.policy);
    // Before anything is waited for: a client may be gone in the very read that brought its request.
    let attendance = asked.session.as_ref().filter(|_| !asked.is_upgrade).map(Entry::attend);
    if attendance.is_some() {
        Hangup::ends(req);
    }
    let response = respond(&asked, payload, door).await;
    if let Some(attendance) = attendance {
        attendance.answered();
    }
    response
}

async fn respond(asked: &Asked<'_>, payload: web::Payload, door: &Door) -> Result<HttpResponse, Error> {
    let Asked { req, query, is_upgrade, .. } = asked;
    if (query.sid.is_none() || *is_upgrade)
        && let Some(admission) = &door.policy.admission
        && let Err(full) = admission.knock(peer::address(req, &door.policy.trusted_proxies))
    {
        return Ok(refuse_for_now(door, full));
    }
    let wish = match check(asked, &door.engine.settings) {
        Ok(wish) => wish,
        Err(refusal) => return Ok(refuse(refusal, asked, door)),
    };
    let response = match wish {
        Wish::Begin => return begin(asked, payload, door).await,
        Wish::Upgrade(session) => {
            let probing = accept::probe(req, payload, &door.engine, session.clone(), query.wants_base64());
            handshake::agree(req, probing.map_err(ErrorInternalServerError))?
        }
        Wish::Poll(session) => match session.poll().await {
            PollAnswer::Payload(payload) => polls::packets(req, payload, &door.engine),
            PollAnswer::BadRequest | PollAnswer::Over => return Ok(bad_request()),
        },
        Wish::Post(session) => {
            posts::post(req, payload, &door.engine, door.policy.body_timeout, session).await
        }
        Wish::Other => {
            return Ok(HttpResponse::MethodNotAllowed().insert_header((ALLOW, METHODS)).finish());
        }
    };
    Ok(add_headers(response, asked, &door.engine.settings.hooks))
}

/// Refuses a request that breaks the protocol or is not allowed.
fn refuse(refusal: Refusal, asked: &Asked<'_>, door: &Door) -> HttpResponse {
    if refusal.error == RequestError::UnknownSid {
        note_other_node(asked.query.sid.as_deref().unwrap_or_default(), door);
    }
    // Requests of a session that is gone are none that could have become one.
    if asked.query.sid.is_none() {
        door.engine.metrics.refused(if refusal.is_for_origin() { "origin" } else { "handshake" });
    }
    refusal.respond(asked, &door.engine.settings.hooks)
}

/// Has the program add headers to a response of a session.
fn add_headers(mut response: HttpResponse, asked: &Asked<'_>, hooks: &Hooks) -> HttpResponse {
    let is_refusal = response.status().is_client_error() || response.status().is_server_error();
    if let Some(hook) = hooks.headers.as_ref().filter(|_| !is_refusal) {
        hook(response.headers_mut(), asked.request());
    }
    response
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
async fn begin(asked: &Asked<'_>, payload: web::Payload, door: &Door) -> Result<HttpResponse, Error> {
    let settings = &door.engine.settings;
    if let Err(refusal) = ask(asked, &settings.hooks).await {
        return Ok(refuse(refusal, asked, door));
    }
    let mut visitor = match admit(asked, door) {
        Ok(visitor) => visitor,
        Err(full) => return Ok(refuse_for_now(door, full)),
    };
    let mut lease = door.engine.lease();
    if let Err(error) = lease.hold(visitor.request.len()) {
        return Ok(unavailable(&error));
    }
    visitor.lease = Some(lease);
    let begun = match asked.is_upgrade {
        true => accept::begin(asked.req, payload, &door.engine, (door.begin)(), visitor),
        false => begin_polling(asked, door, visitor).map_err(AcceptError::Id),
    };
    let mut response = match begun {
        Ok(response) => response,
        Err(AcceptError::Id(error)) if !matches!(error, IdError::Random(_)) => {
            logging::refused("generate_id", format_args!("a session did not begin: {error}"));
            let refusal = Refusal::new(RequestError::BadRequest, "ID_GENERATION_ERROR");
            return Ok(refuse(refusal, asked, door));
        }
        Err(error) => return Err(ErrorInternalServerError(error)),
    };
    if let Some(hook) = &settings.hooks.initial_headers {
        hook(response.headers_mut(), asked.request());
    }
    let response = add_headers(response, asked, &settings.hooks);
    if asked.is_upgrade { handshake::agree(asked.req, Ok(response)) } else { Ok(response) }
}

fn begin_polling(asked: &Asked<'_>, door: &Door, visitor: Visitor) -> Result<HttpResponse, IdError> {
    let (sid, payload) = door.engine.begin_polling((door.begin)(), visitor)?;
    let mut response = polls::packets(asked.req, payload, &door.engine);
    let cookie = door.engine.settings.cookie.as_ref().map(|cookie| cookie.header(&sid));
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

fn admit(asked: &Asked<'_>, door: &Door) -> Result<Visitor, Full> {
    if door.engine.is_ending() {
        return Err(Full::Draining);
    }
    let (request, wants_base64) = (Arc::clone(asked.request()), asked.query.wants_base64());
    let admission = door.policy.admission.as_ref();
    let admitted = admission.map(|admission| admission.admit(request.address())).transpose()?;
    Ok(Visitor { request, lease: None, admitted, wants_base64, state: door.state.clone() })
}

/// Rejects a handshake over a bound, as other doors do.
fn refuse_for_now(door: &Door, full: Full) -> HttpResponse {
    let refusal = Rejected::Full(full);
    door.engine.metrics.refused(refusal.word());
    refusal.error_response()
}

fn unavailable(why: &impl Display) -> HttpResponse {
    let mut response = HttpResponse::ServiceUnavailable();
    response.insert_header((RETRY_AFTER, RETRY_SECONDS));
    in_words(response, why)
}
