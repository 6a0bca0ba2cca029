//! A path that a proxy leaves before the addresses of the server: it is taken away here, before anything else looks at them.

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

use super::handshake;

/// The path, without a slash at its end; empty if there is none.
#[derive(Clone, Debug, Default)]
pub struct Prefix(String);

/// What a request's path is to the server.
#[derive(Debug, PartialEq, Eq)]
enum Below<'a> {
    /// The path itself, with no slash behind: relative addresses of a page there would not be below it.
    Root,
    /// What is behind the prefix.
    Path(&'a str),
    /// Not below it: a program on this machine, or a proxy that takes the path away itself.
    Elsewhere,
}

impl Prefix {
    /// As it is set, with or without a slash at its end.
    pub fn new(path: &str) -> Self {
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

/// Middleware of the program's application.
///
/// # Errors
/// Those of the service.
pub async fn take_away(
    mut req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let prefix = req.app_data::<web::Data<Prefix>>().cloned();
    let uri = req.uri().clone();
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = match prefix.as_ref().map(|prefix| prefix.look(uri.path())) {
        Some(Below::Root) if !handshake::asks_for_websocket(req.headers()) => {
            let to = format!("{}/{query}", uri.path());
            let response = HttpResponse::PermanentRedirect().insert_header((LOCATION, to)).finish();
            return Ok(req.into_response(response).map_into_right_body());
        }
        Some(Below::Root) => Some("/"),
        Some(Below::Path(path)) => Some(path),
        Some(Below::Elsewhere) | None => None,
    };
    if let Some(uri) = path.and_then(|path| with_path(&uri, &format!("{path}{query}"))) {
        req.match_info_mut().get_mut().update(&uri);
        req.head_mut().uri = uri;
    }
    Ok(next.call(req).await?.map_into_left_body())
}

fn with_path(uri: &Uri, path_and_query: &str) -> Option<Uri> {
    let mut parts: Parts = uri.clone().into_parts();
    parts.path_and_query = Some(path_and_query.parse::<PathAndQuery>().ok()?);
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
