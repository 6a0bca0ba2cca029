//! The path prefix that a proxy leaves in front of the server's paths: removed here, before any other code
//! uses the path.

use actix_web::{
    Error, HttpResponse,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Uri,
        header::LOCATION,
        uri::{Parts, PathAndQuery},
    },
    middleware::Next,
    web,
};

use crate::web::handshake;

/// The prefix, without a trailing slash; empty if there is none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prefix(String);

/// The relation of a request's path to the prefix.
#[derive(Debug, PartialEq, Eq)]
enum Below<'a> {
    /// The prefix without a trailing slash, where relative links of the page would be resolved wrongly.
    Root,
    /// The path after the prefix.
    Path(&'a str),
    /// Not below the prefix: from a local program, or from a proxy that removes the prefix itself.
    Elsewhere,
}

impl Prefix {
    /// Creates a prefix from the setting, with or without a trailing slash.
    pub(crate) fn new(path: &str) -> Self {
        Self(path.trim_end_matches('/').to_owned())
    }

    fn look<'a>(&self, path: &'a str) -> Below<'a> {
        let rest = if self.0.is_empty() { None } else { path.strip_prefix(self.0.as_str()) };
        match rest {
            Some("") => Below::Root,
            Some(rest) if rest.starts_with('/') => Below::Path(rest),
            _ => Below::Elsewhere,
        }
    }
}

/// Middleware of the program's application: removes the prefix, and redirects from the prefix without a
/// slash.
///
/// # Errors
/// The error of the service.
pub(crate) async fn take_away(
    mut req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let prefix = req.app_data::<web::Data<Prefix>>();
    let path = match prefix.map_or(Below::Elsewhere, |prefix| prefix.look(req.path())) {
        Below::Root if !handshake::asks_for_websocket(req.headers()) => {
            let to = format!("{}/{}", req.path(), query_of(req.uri()));
            let response = HttpResponse::PermanentRedirect().insert_header((LOCATION, to)).finish();
            return Ok(req.into_response(response).map_into_right_body());
        }
        Below::Root => Some("/"),
        Below::Path(path) => Some(path),
        Below::Elsewhere => None,
    };
    if let Some(uri) = path.and_then(|path| with_path(req.uri(), path)) {
        req.match_info_mut().get_mut().update(&uri);
        req.head_mut().uri = uri;
    }
    Ok(next.call(req).await?.map_into_left_body())
}

/// The query of a URI, with its question mark.
fn query_of(uri: &Uri) -> String {
    uri.query().map(|query| format!("?{query}")).unwrap_or_default()
}

/// The URI with another path.
fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let mut parts: Parts = uri.clone().into_parts();
    parts.path_and_query = Some(format!("{path}{}", query_of(uri)).parse::<PathAndQuery>().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_the_path_is_taken_for_what_is_behind_it() {
        for prefix in ["/app", "/app/"] {
            let prefix = Prefix::new(prefix);
            assert_eq!(prefix.look("/app"), Below::Root);
            assert_eq!(prefix.look("/app/"), Below::Path("/"));
            assert_eq!(prefix.look("/app/ws"), Below::Path("/ws"));
            for other in ["/", "/ws", "/apple", "/App/ws", "/x/app/ws"] {
                assert_eq!(prefix.look(other), Below::Elsewhere, "{other}");
            }
        }
        assert_eq!(Prefix::new("/").look("/ws"), Below::Elsewhere);
        assert_eq!(Prefix::default().look("/"), Below::Elsewhere);
    }
}
