//! Which pages of other origins may read what is answered: the headers of CORS, for Socket.IO over polling.
//!
//! Browsers send what a page asks for and keep the answer from it unless the answer allows its origin; WebSockets they
//! leave to the server's own check.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method,
        header::{self, HeaderName, HeaderValue},
    },
};

use crate::config::AllowedOrigin;

/// Methods that a page may use.
const METHODS: &str = "GET,POST";

/// What to answer as the allowed origin, if the request's page is one that may read the answer.
pub fn allowed(req: &HttpRequest, origins: &[AllowedOrigin]) -> Option<HeaderValue> {
    let origin = req.headers().get(header::ORIGIN)?;
    if origins.contains(&AllowedOrigin::Any) {
        return Some(HeaderValue::from_static("*"));
    }
    let text = origin.to_str().ok()?;
    let is_allowed = |allowed: &AllowedOrigin| match allowed {
        AllowedOrigin::Any => true,
        AllowedOrigin::Null => text == "null",
        AllowedOrigin::Exact(exact) => exact == text,
    };
    origins.iter().any(is_allowed).then(|| origin.clone())
}

/// The answer to a browser that asks before it sends a page's request, if that is what it does and the page may.
pub fn preflight(req: &HttpRequest, allowed: Option<&HeaderValue>) -> Option<HttpResponse> {
    let is_asking =
        req.method() == Method::OPTIONS && req.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !is_asking || allowed.is_none() {
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

/// Allows the page to read an answer.
pub fn allow(response: &mut HttpResponse, allowed: HeaderValue) {
    let vary: (HeaderName, HeaderValue) = (header::VARY, HeaderValue::from_static("Origin"));
    if allowed != "*" {
        response.headers_mut().append(vary.0, vary.1);
    }
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
}
