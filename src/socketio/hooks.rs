//! A program's own code around the HTTP requests of a Socket.IO server.

use std::{fmt, pin::Pin, sync::Arc};

use actix_web::http::header::HeaderMap;

use super::request::Request;

/// Told of a refused request.
type OnError = Arc<dyn Fn(&ConnectionError<'_>) + Send + Sync>;

/// Adds headers to a response.
type OnHeaders = Arc<dyn Fn(&mut HeaderMap, &Request) + Send + Sync>;

/// The outcome of [`Hooks::allow_request`], later.
type Verdict = Pin<Box<dyn Future<Output = Result<(), String>>>>;

/// Decides about a request.
type OnRequest = Arc<dyn Fn(Arc<Request>) -> Verdict + Send + Sync>;

/// A request that was refused, as the reference tells in its event `connection_error`.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ConnectionError<'a> {
    /// The code that the client gets: 0 for an unknown transport, 1 for an unknown session, 2 for a first
    /// request that is not a GET, 3 for a bad request, 4 if it was forbidden, 5 for another revision of the
    /// protocol.
    pub code: u8,
    /// The message of the code, which the client gets, unless [`Hooks::allow_request`] had another one for it.
    pub message: &'a str,
    /// The request.
    pub request: &'a Request,
    /// What was wrong: the reference's words `TRANSPORT_MISMATCH`, `TRANSPORT_HANDSHAKE_ERROR` and
    /// `ID_GENERATION_ERROR`, or what the code is about: `transport`, `sid`, `method`, `origin`,
    /// `protocol`; or the message of [`Hooks::allow_request`].
    pub context: &'a str,
}

/// Functions that a server calls around HTTP requests, on any of its threads. Each is optional. They run on the
/// thread of the connection and must not block it.
#[derive(Clone, Default)]
pub struct Hooks {
    pub(super) connection_error: Option<OnError>,
    pub(super) initial_headers: Option<OnHeaders>,
    pub(super) headers: Option<OnHeaders>,
    pub(super) allow_request: Option<OnRequest>,
}

impl Hooks {
    /// Tells `hook` of each request that the protocol, the origin or [`allow_request`](Self::allow_request)
    /// refuses. Those over a bound on sessions are not among them.
    #[must_use]
    pub fn connection_error(self, hook: impl Fn(&ConnectionError<'_>) + Send + Sync + 'static) -> Self {
        Self { connection_error: Some(Arc::new(hook)), ..self }
    }

    /// Has `hook` add headers to the first response of each session.
    #[must_use]
    pub fn initial_headers(self, hook: impl Fn(&mut HeaderMap, &Request) + Send + Sync + 'static) -> Self {
        Self { initial_headers: Some(Arc::new(hook)), ..self }
    }

    /// Has `hook` add headers to each response of a session, the first one included; not to refusals.
    #[must_use]
    pub fn headers(self, hook: impl Fn(&mut HeaderMap, &Request) + Send + Sync + 'static) -> Self {
        Self { headers: Some(Arc::new(hook)), ..self }
    }

    /// Asks `hook` about each request that would begin a session, by either transport, after the other checks.
    /// An error is the message that the client gets, with status 403 and code 4.
    #[must_use]
    pub fn allow_request<F>(self, hook: F) -> Self
    where
        F: AsyncFn(&Request) -> Result<(), String> + Send + Sync + 'static,
    {
        let hook = Arc::new(hook);
        let allow = move |request: Arc<Request>| -> Verdict {
            let hook = Arc::clone(&hook);
            Box::pin(async move { hook(&request).await })
        };
        Self { allow_request: Some(Arc::new(allow)), ..self }
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("connection_error", &self.connection_error.is_some())
            .field("initial_headers", &self.initial_headers.is_some())
            .field("headers", &self.headers.is_some())
            .field("allow_request", &self.allow_request.is_some())
            .finish()
    }
}
