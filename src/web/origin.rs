//! The origin check: which web pages may connect. Browsers send a page's `Origin` and let every page try; the
//! server must reject.

use actix_web::{dev::RequestHead, http::header};
use url::{Origin, Url};

use super::{
    host::{self, Authority},
    peer,
};
use crate::config::{AllowedOrigin, HostName, Network};

/// The policy of a door for local pages without an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leniency {
    /// They may connect to a loopback address, in a room of their own: the tutorial's page opened from disk.
    Tutorial,
    /// They count as foreign.
    Strict,
}

/// Where a page may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Welcome {
    /// Like any client.
    Everywhere,
    /// Only in the room of pages without an origin, which includes sandboxed frames of any site.
    AmongPagesWithoutOrigin,
}

/// The settings for pages and for the proxies in front of the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    /// The value of `--allow-origin`.
    pub allowed: &'a [AllowedOrigin],
    /// The value of `--trusted-proxy`.
    pub trusted: &'a [Network],
}

/// Checks the `Origin` of a request, if it has one; clients other than browsers have none.
///
/// # Errors
/// The origin that is not allowed.
pub(crate) fn check(head: &RequestHead, rules: Rules<'_>, leniency: Leniency) -> Result<Welcome, String> {
    let mut origins = head.headers().get_all(header::ORIGIN);
    let Some(origin) = origins.next() else {
        return Ok(Welcome::Everywhere);
    };
    let origin = String::from_utf8_lossy(origin.as_bytes()).into_owned();
    if origins.next().is_some() {
        return Err(origin);
    }
    let welcome = if is_none(&origin) {
        receive_without_origin(head, rules, leniency)
    } else {
        is_allowed(&origin, head, rules).then_some(Welcome::Everywhere)
    };
    welcome.ok_or(origin)
}

/// Whether a page has no own origin: a file, a sandboxed frame, a `data:` address.
fn is_none(origin: &str) -> bool {
    origin == "null" || origin == "file://"
}

fn receive_without_origin(head: &RequestHead, rules: Rules<'_>, leniency: Leniency) -> Option<Welcome> {
    if rules.allowed.iter().any(|entry| matches!(entry, AllowedOrigin::Any | AllowedOrigin::Null)) {
        return Some(Welcome::Everywhere);
    }
    let may_pass = leniency == Leniency::Tutorial && is_addressed_as_loopback(head, rules.trusted);
    may_pass.then_some(Welcome::AmongPagesWithoutOrigin)
}

fn is_allowed(origin: &str, head: &RequestHead, rules: Rules<'_>) -> bool {
    let allowed = rules.allowed;
    if allowed.contains(&AllowedOrigin::Any) {
        return true;
    }
    let Ok(url) = Url::parse(origin) else { return false };
    let parsed = url.origin();
    let serialized = parsed.ascii_serialization();
    if allowed.iter().any(|entry| matches!(entry, AllowedOrigin::Exact(exact) if *exact == serialized)) {
        return true;
    }
    let Origin::Tuple(scheme, origin_host, origin_port) = parsed else { return false };
    let (Ok(origin_host), Ok(Some(Authority { host, port }))) =
        (origin_host.to_string().parse::<HostName>(), host::of(head))
    else {
        return false;
    };
    if origin_host.is_loopback() && is_addressed_as_loopback(head, rules.trusted) {
        return true;
    }
    // Behind a TLS proxy the server does not know the scheme: a `Host` without a port means the default port
    // of the origin's scheme.
    let own_port = port.or(match scheme.as_str() {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    });
    origin_host == host && own_port == Some(origin_port)
}

/// Whether the client addressed the server as loopback. A request through a proxy has the host that the proxy
/// used, so it does not count.
fn is_addressed_as_loopback(head: &RequestHead, trusted: &[Network]) -> bool {
    let is_loopback = |authority: Authority| authority.host.is_loopback();
    host::of(head).is_ok_and(|authority| authority.is_some_and(is_loopback))
        && !peer::came_through_proxy(head, trusted)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn rules(allowed: &[AllowedOrigin]) -> Rules<'_> {
        Rules { allowed, trusted: &[] }
    }

    fn received(
        origin: &str,
        headers: &[(&str, &str)],
        allowed: &[&str],
        leniency: Leniency,
    ) -> Option<Welcome> {
        let mut request = TestRequest::default().insert_header((header::ORIGIN, origin));
        for (name, value) in headers {
            request = request.append_header((*name, *value));
        }
        let allowed: Vec<_> = allowed.iter().map(|text| text.parse().expect("an origin")).collect();
        check(request.to_srv_request().head(), rules(&allowed), leniency).ok()
    }

    fn passes(origin: &str, host: &str, allowed: &[&str]) -> bool {
        passes_with(origin, host, allowed, Leniency::Tutorial)
    }

    fn passes_with(origin: &str, host: &str, allowed: &[&str], leniency: Leniency) -> bool {
        received(origin, &[("host", host)], allowed, leniency).is_some()
    }

    #[test]
    fn a_program_without_an_origin_passes() {
        let request = TestRequest::default().to_srv_request();
        assert_eq!(check(request.head(), rules(&[]), Leniency::Strict), Ok(Welcome::Everywhere));
    }

    #[test]
    fn the_same_origin_passes_also_behind_a_proxy_that_ends_tls() {
        assert!(passes("http://chat.example:3000", "chat.example:3000", &[]));
        assert!(passes("https://chat.example", "chat.example", &[]));
        assert!(passes("https://chat.example", "chat.example:443", &[]));
        assert!(passes("http://CHAT.example", "chat.EXAMPLE:80", &[]));
        assert!(passes("http://[2001:db8::1]:3000", "[2001:db8::1]:3000", &[]));
    }

    #[test]
    fn a_foreign_origin_is_refused() {
        assert!(!passes("https://evil.example", "chat.example", &[]));
        assert!(!passes("http://chat.example:8080", "chat.example:3000", &[]));
        assert!(!passes("https://chat.example.evil.example", "chat.example", &[]));
        assert!(!passes("https://evil.example", "localhost:3000", &[]));
        assert!(!passes("http://localhost.evil.example", "localhost:3000", &[]));
        assert!(!passes("nonsense", "chat.example", &[]));
        assert!(!passes("null", "chat.example", &[]));
        assert!(!passes("http://localhost:5500", "chat.example", &[]));
    }

    #[test]
    fn on_loopback_other_local_pages_pass() {
        for host in ["localhost:3000", "127.0.0.1:3000", "[::1]:3000"] {
            assert!(passes("http://127.0.0.1:5500", host, &[]));
            assert!(passes("http://localhost:8080", host, &[]));
        }
    }

    #[test]
    fn on_loopback_pages_without_origin_are_among_themselves_where_a_door_lets_them_in() {
        let among = Some(Welcome::AmongPagesWithoutOrigin);
        for host in ["localhost:3000", "127.0.0.1:3000", "[::1]:3000"] {
            for origin in ["null", "file://"] {
                let from =
                    |allowed: &[&str], leniency| received(origin, &[("host", host)], allowed, leniency);
                assert_eq!(from(&[], Leniency::Tutorial), among);
                assert_eq!(from(&[], Leniency::Strict), None);
                assert_eq!(from(&["http://app.example"], Leniency::Tutorial), among);
                for allowed in ["null", "*"] {
                    assert_eq!(from(&[allowed], Leniency::Tutorial), Some(Welcome::Everywhere));
                    assert_eq!(from(&[allowed], Leniency::Strict), Some(Welcome::Everywhere));
                }
            }
        }
        assert_eq!(received("null", &[("host", "192.0.2.1")], &[], Leniency::Tutorial), None);
    }

    #[test]
    fn what_came_through_a_proxy_is_not_of_this_machine() {
        for header in [
            ("X-Forwarded-For", "192.0.2.1"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "localhost"),
            ("Forwarded", "for=192.0.2.1"),
            ("Via", "1.1 proxy"),
            ("X-Real-IP", "192.0.2.1"),
        ] {
            let headers = [("host", "localhost:3000"), header];
            for origin in ["null", "file://", "http://localhost:5500"] {
                assert_eq!(received(origin, &headers, &[], Leniency::Tutorial), None, "{origin} {header:?}");
            }
            let own = received("http://localhost:3000", &headers, &[], Leniency::Strict);
            assert_eq!(own, Some(Welcome::Everywhere), "the page of the server itself");
        }
    }

    #[test]
    fn what_a_trusted_proxy_sends_is_not_of_this_machine_whatever_its_headers_say() {
        let trusted = ["127.0.0.1".parse().expect("a network")];
        for (peer, is_local) in [("127.0.0.1:9", false), ("[::1]:9", true)] {
            for origin in ["null", "file://", "http://localhost:5500"] {
                let request = TestRequest::default()
                    .insert_header((header::ORIGIN, origin))
                    .insert_header((header::HOST, "localhost:3000"))
                    .peer_addr(peer.parse().expect("an address"))
                    .to_srv_request();
                let rules = Rules { allowed: &[], trusted: &trusted };
                assert_eq!(
                    check(request.head(), rules, Leniency::Tutorial).is_ok(),
                    is_local,
                    "{peer} {origin}"
                );
            }
        }
    }

    #[test]
    fn the_setting_lets_pages_in() {
        assert!(passes("https://app.example", "chat.example", &["https://app.example"]));
        assert!(passes("https://app.example", "chat.example", &["https://other.example", "*"]));
        assert!(passes("null", "chat.example", &["null"]));
        assert!(!passes("https://app.example", "chat.example", &["http://app.example"]));
    }

    #[test]
    fn two_origins_are_none() {
        let twice = [("host", "chat.example"), ("origin", "http://chat.example")];
        assert_eq!(received("http://chat.example", &twice, &[], Leniency::Tutorial), None);
    }

    #[test]
    fn the_host_of_a_target_is_the_one_that_counts() {
        let request = TestRequest::with_uri("http://chat.example/ws")
            .insert_header((header::HOST, "localhost"))
            .insert_header((header::ORIGIN, "null"));
        assert!(check(request.to_srv_request().head(), rules(&[]), Leniency::Tutorial).is_err());
    }
}
