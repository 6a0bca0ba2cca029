//! Connections over a bound: requests of operators are answered, all others get the reason as a 503.

use std::{io, net::SocketAddr, rc::Rc, time::Duration};

use actix_http::{Request, Response, StatusCode, body::BoxBody};
use actix_service::Service;
use actix_web::rt::time::timeout;

use super::{Patience, Shared, connection::Connection};
use crate::connection::{connections::Surplus, wire::Wire};

/// Maximum duration of such a connection.
const PATIENCE: Duration = Duration::from_secs(2);

/// Paths that are answered in any case: those of operators and of the owner's commands.
const PATHS: [&str; 4] = ["/health", "/metrics", "/admin/proof", "/admin/forget"];

/// Answers one request and closes the connection.
pub(super) async fn answer<S>(
    shared: &Shared<S>,
    wire: Rc<Wire>,
    peer: SocketAddr,
    surplus: Surplus,
) -> io::Result<()>
where
    S: Service<Request, Response = Response<BoxBody>, Error = Response<BoxBody>>,
{
    let is_too_many = shared.connections.stand_aside(surplus);
    let patience = Patience { head: PATIENCE, body: PATIENCE, stall: PATIENCE, ..shared.patience };
    let connection = Connection::new(Rc::clone(&wire), peer, patience, shared);
    let answered = async {
        let request = tokio::select! {
            // Prefer a request that has arrived.
            biased;
            request = connection.next_request(true) => request?,
            _ = is_too_many => None,
        };
        let Some(request) = request else { return Ok(()) };
        if PATHS.contains(&request.path()) {
            connection.answer_last(&shared.routes, request).await?;
        } else {
            connection.refuse(StatusCode::SERVICE_UNAVAILABLE, format!("{surplus}.\n")).await?;
        }
        wire.linger().await;
        io::Result::Ok(())
    };
    let outcome = timeout(PATIENCE, answered).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    wire.close();
    outcome
}
