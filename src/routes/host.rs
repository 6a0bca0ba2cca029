//! The host check: whether the server answers for the host of a request.
//!
//! A page whose name resolves to this server's address (DNS rebinding) has the server's own origin: no origin
//! check rejects it, and it can read every response. But it needs a public name, which its browser sends as
//! `Host`. So the server answers for such names only if `--host` allows them.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use actix_web::{
    Error, HttpResponse,
    body::{EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{StatusCode, header},
    middleware::Next,
    web,
};
use log::warn;

use crate::{
    config::{AllowedHost, HostName, Network, Settings},
    logging::Shown,
    metrics::Metrics,
    web::{
        host::{self, Authority, AuthorityError},
        in_words, peer,
    },
};

/// Burst of log lines for rejected names; a client can send any number of names.
const BURST: u32 = 64;

/// Interval of further lines after the burst, so that noise hides a repeated name only briefly.
const ONE_MORE_AFTER: Duration = Duration::from_secs(5);

/// Time after which logged names are logged again.
const KNOWN_FOR: Duration = Duration::from_secs(600);

/// Errors of the host check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HostError {
    /// The host is not known.
    #[error(transparent)]
    Unknown(#[from] AuthorityError),
    /// The server does not answer for this host.
    #[error(
        "this server does not answer for the host {host:?}; the setting --host (ECHOROOM_HOST) would allow it, as in \
         --host {host}", host = host.to_string()
    )]
    NotOurs {
        /// The host of the request.
        host: HostName,
    },
}

impl HostError {
    fn status(&self) -> StatusCode {
        match self {
            Self::NotOurs { .. } => StatusCode::MISDIRECTED_REQUEST,
            Self::Unknown(_) => StatusCode::BAD_REQUEST,
        }
    }

    fn response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status());
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        in_words(response, self)
    }
}

/// The hosts that the server answers for. One per process.
#[derive(Debug)]
pub(crate) struct Hosts {
    allowed: Vec<AllowedHost>,
    trusted: Vec<Network>,
    metrics: Arc<Metrics>,
    known: Mutex<Known>,
}

impl Hosts {
    /// The hosts of the settings.
    pub(crate) fn of(settings: &Settings, metrics: Arc<Metrics>) -> Self {
        Self {
            allowed: settings.origins.host.clone(),
            trusted: settings.admission.trusted_proxy.clone(),
            metrics,
            known: Mutex::default(),
        }
    }

    fn check(&self, req: &ServiceRequest) -> Result<(), HostError> {
        let authority = host::of(req.head())?;
        let Some(Authority { host, .. }) = authority.filter(|authority| !self.is_ours(&authority.host))
        else {
            return Ok(());
        };
        let address = req.peer_addr().map(|peer| peer.ip());
        // A trusted proxy accepts only names that its owner configured.
        if address.is_some_and(|peer| peer::is_trusted(peer, &self.trusted)) {
            return Ok(());
        }
        if self.known.lock().unwrap_or_else(PoisonError::into_inner).is_new(&host, Instant::now()) {
            let peer = address.map_or_else(|| "an unknown address".to_owned(), |ip| ip.to_string());
            let path = Shown(req.path());
            warn!(
                "refused a request of {peer} for the host {host} at {path}: --host {host} (ECHOROOM_HOST) would allow it"
            );
        }
        Err(HostError::NotOurs { host })
    }

    fn is_ours(&self, host: &HostName) -> bool {
        !host.is_public()
            || self.allowed.iter().any(|allowed| match allowed {
                AllowedHost::Any => true,
                AllowedHost::Name(name) => name == host,
            })
    }
}

/// The rejected names logged in this period; the number of lines bounds them.
#[derive(Debug, Default)]
struct Known {
    names: HashSet<String>,
    /// The start of the period.
    since: Option<Instant>,
    /// Lines spent of the burst, and the time up to which lines were returned.
    spent: u32,
    given_back: Option<Instant>,
}

impl Known {
    /// Whether a name is new in this period and may be logged.
    fn is_new(&mut self, host: &HostName, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        if now.saturating_duration_since(since) >= KNOWN_FOR {
            self.names.clear();
            self.since = Some(now);
        }
        self.give_back(now);
        let is_new = self.spent < BURST && self.names.insert(host.to_string());
        self.spent += u32::from(is_new);
        is_new
    }

    fn give_back(&mut self, now: Instant) {
        let from = self.given_back.get_or_insert(now);
        let due = now.saturating_duration_since(*from).as_secs() / ONE_MORE_AFTER.as_secs();
        *from += ONE_MORE_AFTER * u32::try_from(due).unwrap_or(u32::MAX);
        self.spent = self.spent.saturating_sub(u32::try_from(due).unwrap_or(u32::MAX));
    }
}

/// Middleware of the program's application: rejects requests for other hosts, and adds `nosniff` to all
/// responses. The routes themselves do neither: a program with its own application decides about its hosts.
///
/// # Errors
/// The error of the service.
pub(crate) async fn guard(
    req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody>>, Error> {
    let check = |hosts: &web::Data<Hosts>| hosts.check(&req).inspect_err(|_| hosts.metrics.refused("host"));
    let verdict = req.app_data().map_or(Ok(()), check);
    let mut response = match verdict {
        Ok(()) => next.call(req).await?.map_into_left_body(),
        Err(error) => req.into_response(error.response()).map_into_right_body(),
    };
    let nosniff = header::HeaderValue::from_static("nosniff");
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_logged_once_and_any_number_of_names_takes_no_memory() {
        let (mut known, start) = (Known::default(), Instant::now());
        let host = |text: &str| text.parse::<HostName>().expect("a host");
        assert!(known.is_new(&host("a.example"), start) && !known.is_new(&host("A.example."), start));
        let new =
            (0..1000).filter(|number| known.is_new(&host(&format!("a{number}.example")), start)).count();
        assert_eq!((new, known.names.len()), (BURST as usize - 1, BURST as usize));
        let later = start + ONE_MORE_AFTER;
        assert!(!known.is_new(&host("a.example"), later), "it was logged");
        assert!(known.is_new(&host("real.example"), later), "noise does not hide it");
        assert!(!known.is_new(&host("other.example"), later), "one after that time");
        assert!(known.is_new(&host("a.example"), start + KNOWN_FOR), "told again after a while");
    }
}
