//! What happens to a request whose client closes its side of the connection before the answer.

use std::{cell::Cell, rc::Rc};

use actix_web::{HttpMessage as _, HttpRequest};

/// Marks a request that is given up as soon as its client closes its side. In general such a client may still
/// wait for its answer; one that polls is usually gone, and what was meant for it must not be lost with the
/// answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hangup(Rc<Cell<bool>>);

impl Hangup {
    /// Marks the request. Without effect where actix-http carries the connection.
    pub(crate) fn ends(request: &HttpRequest) {
        if let Some(hangup) = request.extensions().get::<Self>() {
            hangup.0.set(true);
        }
    }

    /// Whether the request is marked.
    pub(crate) fn ends_request(&self) -> bool {
        self.0.get()
    }
}
