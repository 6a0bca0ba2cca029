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

/// What pages of allowed origins may send and read.
#[derive(Debug)]
pub(crate) struct Grants {
    /// Whether requests of named origins may have credentials.
    pub credentials: bool,
    /// Methods, in `Access-Control-Allow-Methods`.
    pub methods: HeaderValue,
    /// Headers of requests; `None` for those that a preflight asks for.
    pub allowed_headers: Option<HeaderValue>,
    /// Headers of responses.
    pub exposed_headers: Option<HeaderValue>,
    /// Seconds for which a browser may keep the response to a preflight.
    pub max_age: Option<HeaderValue>,
}

/// The page that sent a request, by its header `Origin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    /// A page whose origin is not allowed, or a client without an origin.
    Other,
    /// A page allowed because all pages are. Its requests must not have credentials (cookies): any site can
    /// have such a page.
    Any,
    /// A page allowed because all without an origin are. Its requests must not have credentials either.
    WithoutOrigin,
    /// A page whose origin is allowed: its requests may have credentials.
    Named,
}

/// Looks up an origin among the allowed ones.
pub(crate) fn find(origins: &[AllowedOrigin], origin: &str) -> Page {
    let is_named =
        |allowed: &AllowedOrigin| matches!(allowed, AllowedOrigin::Exact(exact) if exact == origin);
    if origins.iter().any(is_named) {
        Page::Named
    } else if origins.contains(&AllowedOrigin::Any) {
        Page::Any
    } else if origin == "null" && origins.contains(&AllowedOrigin::Null) {
        Page::WithoutOrigin
    } else {
        Page::Other
    }
}

/// The result of CORS for one request.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    page: Page,
    origin: Option<HeaderValue>,
    /// Whether the response depends on the origin.
    varies: bool,
    grants: &'a Grants,
}

impl<'a> Reader<'a> {
    /// Has the page of a request looked up by its origin, if it has one.
    pub(crate) fn of(
        req: &HttpRequest,
        varies: bool,
        grants: &'a Grants,
        find: impl FnOnce(&str) -> Page,
    ) -> Self {
        let origin = req.headers().get(header::ORIGIN);
        let page = origin.map_or(Page::Other, |origin| find(origin.to_str().unwrap_or_default()));
        let origin = match page {
            Page::Other => None,
            Page::Any => Some(HeaderValue::from_static("*")),
            Page::WithoutOrigin | Page::Named => origin.cloned(),
        };
        Self { page, origin, varies, grants }
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
        response.insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, self.grants.methods.clone()));
        if let Some(headers) = &self.grants.allowed_headers {
            response.insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, headers.clone()));
        } else if let Some(headers) = req.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            response.insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, headers.clone()));
            response.append_header((header::VARY, "Access-Control-Request-Headers"));
        }
        if let Some(seconds) = &self.grants.max_age {
            response.insert_header((header::ACCESS_CONTROL_MAX_AGE, seconds.clone()));
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
            if let Some(exposed) = &self.grants.exposed_headers {
                headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
            }
        }
        if self.page == Page::Named && self.grants.credentials {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}
