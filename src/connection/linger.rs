//! How a connection ends: after its last byte the server reads on for a moment and drops what comes, so that the
//! client sees that last byte (a close frame, a refusal) instead of a reset; then it closes TCP, before the client.
//!
//! A [`Wire`](super::wire::Wire) does this itself; this module is for connections that actix-http carries.
//!
//! actix-http does this (`client_disconnect_timeout`), but counts the moment from a clock that it sets every
//! 500 ms. A shorter moment can therefore be over before it begins, and a timer that is over when it is made
//! wakes no task: the connection would stay open until the client closes it. So code that ends a response
//! must wake its connection.

use std::{task::Waker, time::Duration};

use actix_web::rt;

/// How long a connection lingers.
pub(crate) const LINGER: Duration = Duration::from_millis(100);

/// A little longer than [`LINGER`]: actix-http's timer is over by then, whatever clock it was made from.
const WAKE_AFTER: Duration = Duration::from_millis(110);

/// Wakes a connection that has begun to linger, so that it checks its timer again.
pub(crate) fn wake_when_over(connection: Waker) {
    rt::spawn(async move {
        rt::time::sleep(WAKE_AFTER).await;
        connection.wake();
    });
}
