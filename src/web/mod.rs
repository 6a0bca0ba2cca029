//! Checks of HTTP requests, and parts of their responses, for every door.

use std::fmt::Display;

use actix_web::{HttpResponse, HttpResponseBuilder};

pub(crate) mod cors;
pub(crate) mod gzip;
pub(crate) mod handshake;
pub(crate) mod host;
pub(crate) mod methods;
pub(crate) mod origin;
pub(crate) mod peer;

/// A response with one sentence as its body.
pub(crate) fn in_words(mut response: HttpResponseBuilder, sentence: impl Display) -> HttpResponse {
    response.content_type("text/plain; charset=utf-8").body(format!("{sentence}.\n"))
}
