//! The checks of a door: which pages and how many sessions it admits.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpRequest,
    http::header::{HeaderValue, ORIGIN},
};

use crate::{
    config::{AllowedOrigin, Network, Switch},
    connection::admission::Admission,
    socketio::{
        origins::{Cors, Origins},
        request::Request,
        settings::{self, SettingsError},
    },
    web::{
        cors::{self, Grants, Page, Reader},
        handshake::is_token,
        origin::{self, Leniency, Rules},
    },
};

/// Timeout for the body of a post without a setting.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// What a door checks beside the protocol.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// Pages that may begin a session by either transport.
    pub origins: Origins,
    /// Pages of other origins that may read responses over polling, and so may begin a session by polling.
    pub cors: Cors,
    /// Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` count. None by default.
    pub trusted_proxies: Vec<Network>,
    /// Bounds on sessions and on the rate of handshakes. None by default.
    pub admission: Option<Arc<Admission>>,
    /// Time in which the body of a post must arrive. A body may take longer if it is longer: a second for each
    /// 4096 bytes of the largest payload. 20 seconds by default.
    pub body_timeout: Duration,
    /// Whether the door serves the client's script, `socket.io.js` below its path. On by default.
    pub serve_client: Switch,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            origins: Origins::Same,
            cors: Cors::default(),
            trusted_proxies: Vec::new(),
            admission: None,
            body_timeout: BODY_TIMEOUT,
            serve_client: Switch::On,
        }
    }
}

impl Policy {
    /// Checks each of these settings.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        let cors = &self.cors;
        let names =
            cors.methods.iter().chain(cors.allowed_headers.iter().flatten()).chain(&cors.exposed_headers);
        if let Some(name) = names.into_iter().find(|name| !is_token(name)) {
            return Err(SettingsError::Cors(name.clone()));
        }
        settings::time("body_timeout", self.body_timeout)
    }

    /// The CORS headers of all responses to allowed pages.
    pub(super) fn grants(&self) -> Grants {
        let list = |values: &[String]| HeaderValue::from_str(&values.join(",")).ok();
        let cors = &self.cors;
        Grants {
            credentials: cors.credentials,
            methods: list(&cors.methods).unwrap_or_else(|| HeaderValue::from_static("GET,POST")),
            allowed_headers: cors.allowed_headers.as_deref().and_then(list),
            exposed_headers: list(&cors.exposed_headers).filter(|list| !list.is_empty()),
            max_age: cors.max_age.map(|age| HeaderValue::from(age.as_secs())),
        }
    }

    /// The result of CORS for a request.
    pub(super) fn reader<'a>(&self, req: &HttpRequest, grants: &'a Grants) -> Reader<'a> {
        let origins = &self.cors.origins;
        let varies = match origins {
            Origins::Same | Origins::Any => false,
            Origins::List(list) => list.iter().any(|allowed| *allowed != AllowedOrigin::Any),
            Origins::Function(_) => true,
        };
        Reader::of(req, varies, grants, |origin| match origins {
            Origins::Function(is_allowed) if is_allowed(origin, &Request::of(req, &self.trusted_proxies)) => {
                Page::Named
            }
            listed => cors::find(listed.listed(), origin),
        })
    }

    /// Whether a page of the request's origin may begin a session by either transport.
    pub(super) fn is_welcome(&self, req: &HttpRequest, request: impl FnOnce() -> Arc<Request>) -> bool {
        let rules = Rules { allowed: self.origins.listed(), trusted: &self.trusted_proxies };
        let Err(origin) = origin::check(req.head(), rules, Leniency::Strict) else {
            return true;
        };
        // A request with two origins has none that could be allowed.
        let is_single = req.headers().get_all(ORIGIN).count() == 1;
        matches!(&self.origins, Origins::Function(is_allowed) if is_single && is_allowed(&origin, &request()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_no_response_can_tell_is_refused() {
        assert_eq!(Policy::default().check(), Ok(()));
        let names = |name: &str| vec!["GET".to_owned(), name.to_owned()];
        for name in ["", "a b", "x\r\n", "a,b"] {
            for cors in [
                Cors { methods: names(name), ..Cors::default() },
                Cors { allowed_headers: Some(names(name)), ..Cors::default() },
                Cors { exposed_headers: names(name), ..Cors::default() },
            ] {
                let policy = Policy { cors, ..Policy::default() };
                assert_eq!(policy.check(), Err(SettingsError::Cors(name.to_owned())));
            }
        }
        let hasty = Policy { body_timeout: Duration::ZERO, ..Policy::default() };
        assert!(hasty.check().is_err_and(|error| error.to_string().starts_with("body_timeout is")));
    }
}
