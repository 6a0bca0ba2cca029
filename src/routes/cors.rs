//! CORS headers: which pages of other origins may read responses of Socket.IO over polling.
//!
//! Browsers send a page's request, but hide the response unless it allows the page's origin; for WebSockets
//! they rely on the server's own check.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method,
        header::{self, HeaderValue},
    },
};

use crate::config::AllowedOrigin;

/// Methods that a page may use (`Access-Control-Allow-Methods`).
const METHODS: &str = "GET,POST";

/// The page that sent a request, by its header `Origin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    /// A page whose origin is not allowed, or a client without an origin.
    Other,
    /// A page allowed because all are, or because all without an origin are. Its requests must not have
    /// credentials (cookies): any site can have such a page.
    Any,
    /// A page whose origin the settings name: its requests may have cookies.
    Named,
}

/// The result of CORS for one request.
#[derive(Debug)]
pub(crate) struct Reader {
    page: Page,
    origin: Option<HeaderValue>,
    /// Whether the response depends on the origin.
    varies: bool,
}

impl Reader {
    /// Looks up a request's origin among the allowed ones.
    pub(crate) fn of(req: &HttpRequest, origins: &[AllowedOrigin]) -> Self {
        let varies = origins.iter().any(|allowed| *allowed != AllowedOrigin::Any);
        let Some(origin) = req.headers().get(header::ORIGIN) else {
            return Self { page: Page::Other, origin: None, varies };
        };
        let text = origin.to_str().unwrap_or_default();
        let is_named =
            |allowed: &AllowedOrigin| matches!(allowed, AllowedOrigin::Exact(exact) if exact == text);
        let (page, origin) = if origins.iter().any(is_named) {
            (Page::Named, Some(origin.clone()))
        } else if origins.contains(&AllowedOrigin::Any) {
            (Page::Any, Some(HeaderValue::from_static("*")))
        } else if text == "null" && origins.contains(&AllowedOrigin::Null) {
            (Page::Any, Some(origin.clone()))
        } else {
            (Page::Other, None)
        };
        Self { page, origin, varies }
    }

    /// Whether the page may read the response.
    pub(crate) fn may_read(&self) -> bool {
        self.page != Page::Other
    }

    /// The response to a preflight request; `None` for another request or a page that is not allowed.
    pub(crate) fn preflight(&self, req: &HttpRequest) -> Option<HttpResponse> {
        let is_asking = req.method() == Method::OPTIONS
            && req.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if !is_asking || !self.may_read() {
            return None;
        }
        let mut response = HttpResponse::NoContent();
        response.insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, METHODS));
        if let Some(headers) = req.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            response.insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, headers.clone()));
            response.append_header((header::VARY, "Access-Control-Request-Headers"));
        }
        Some(response.finish())
    }

    /// Adds the CORS headers to a response.
    pub(crate) fn mark(self, response: &mut HttpResponse) {
        let headers = response.headers_mut();
        // Also for pages that are not allowed: a cache could serve their response to an allowed one.
        if self.varies {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(origin) = self.origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        }
        if self.page == Page::Named {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}
