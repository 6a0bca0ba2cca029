//! Ends connections whose request body nobody read, such as a post that is refused, or a refused upgrade where actix-http
//! carries those. See [`crate::session::linger`].

use std::{
    future::poll_fn,
    task::{Context, Poll},
};

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, StatusCode, header},
    middleware::Next,
};

use crate::session::linger;

/// Middleware: a connection whose request may have a body left unread is closed when it has lingered.
///
/// # Errors
/// Those of the service.
pub async fn close_when_over(
    req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    // A GET has a body only if it asks for an upgrade, or is odd enough to announce one.
    let plain_get = req.method() == Method::GET
        && ![header::UPGRADE, header::CONTENT_LENGTH, header::TRANSFER_ENCODING]
            .iter()
            .any(|name| req.headers().contains_key(name));
    let response = next.call(req).await?;
    if !plain_get && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        poll_fn(|cx: &mut Context<'_>| {
            linger::wake_when_over(cx.waker().clone());
            Poll::Ready(())
        })
        .await;
    }
    Ok(response)
}
