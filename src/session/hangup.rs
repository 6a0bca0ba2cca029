//! What the end of a client's side of the connection means for a request that is being answered.

use std::{cell::Cell, rc::Rc};

use actix_web::{HttpMessage as _, HttpRequest};

/// A mark on a request: whether it is given up as soon as the client has closed its side. A client may do so and still wait
/// for its answer; one that polls has gone as a rule, and what was meant for it must not be lost with the answer.
#[derive(Clone, Debug, Default)]
pub struct Hangup(Rc<Cell<bool>>);

impl Hangup {
    /// The request is given up when its client closes its side. Where actix-http carries the connection, that decides.
    pub fn ends(request: &HttpRequest) {
        if let Some(hangup) = request.extensions().get::<Self>() {
            hangup.0.set(true);
        }
    }

    /// Whether it is.
    pub fn ends_request(&self) -> bool {
        self.0.get()
    }
}
