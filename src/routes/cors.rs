//! Which pages of other origins may read what is answered: the headers of CORS, for Socket.IO over polling.
//!
//! Browsers send what a page asks for and keep the answer from it unless the answer allows its origin; WebSockets they
//! leave to the server's own check.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method,
        header::{self, HeaderValue},
    },
};

use crate::config::AllowedOrigin;

/// Methods that a page may use.
const METHODS: &str = "GET,POST";

/// The page that would read an answer, as its request's `Origin` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    /// Not an allowed one, or not a page at all.
    Other,
    /// One that may read because all may, or because all without an origin may. What the browser knows the user by (cookies)
    /// must not come with its requests: any site can have such a page.
    Any,
    /// One whose origin the settings name: its requests may come with cookies.
    Named,
}

/// What CORS says of one request.
#[derive(Debug)]
pub struct Reader {
    page: Page,
    origin: Option<HeaderValue>,
    /// Whether another origin would have been answered otherwise.
    varies: bool,
}

impl Reader {
    /// Looks a request's origin up among the allowed ones.
    pub fn of(req: &HttpRequest, origins: &[AllowedOrigin]) -> Self {
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

    /// Whether the page may read the answer.
    pub fn may_read(&self) -> bool {
        self.page != Page::Other
    }

    /// The answer to a browser that asks before it sends a page's request, if that is what it does and the page may.
    pub fn preflight(&self, req: &HttpRequest) -> Option<HttpResponse> {
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

    /// Says in an answer, whatever it is, who may read it.
    pub fn mark(self, response: &mut HttpResponse) {
        let headers = response.headers_mut();
        // Also where no page may: a cache would give the answer to one that may.
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
