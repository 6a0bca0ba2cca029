//! Which web pages may connect. Browsers send a page's `Origin` and let every page try; refusing is up to the server.

use std::net::IpAddr;

use actix_web::http::header::{self, HeaderMap};
use url::{Host, Origin, Url};

use crate::config::AllowedOrigin;

/// How strict a door is with pages of this machine that have no origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leniency {
    /// `null` and `file://` pass when the server is addressed as loopback: the tutorial's page opened from disk.
    Tutorial,
    /// They are foreign.
    Strict,
}

/// Checks the `Origin` of a request, if it has one; programs have none.
///
/// # Errors
/// The origin that is not allowed.
pub fn check(headers: &HeaderMap, allowed: &[AllowedOrigin], leniency: Leniency) -> Result<(), String> {
    let mut origins = headers.get_all(header::ORIGIN);
    let Some(origin) = origins.next() else {
        return Ok(());
    };
    let origin = String::from_utf8_lossy(origin.as_bytes()).into_owned();
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).and_then(parse_host);
    let may_pass = origins.next().is_none() && is_allowed(&origin, host.as_ref(), allowed, leniency);
    if may_pass { Ok(()) } else { Err(origin) }
}

fn is_allowed(
    origin: &str,
    host: Option<&(Host, Option<u16>)>,
    allowed: &[AllowedOrigin],
    leniency: Leniency,
) -> bool {
    if allowed.contains(&AllowedOrigin::Any) {
        return true;
    }
    let addressed_as_loopback = host.is_some_and(|(host, _)| is_loopback(host));
    if origin == "null" || origin == "file://" {
        return allowed.contains(&AllowedOrigin::Null)
            || (leniency == Leniency::Tutorial && addressed_as_loopback);
    }
    let Ok(url) = Url::parse(origin) else { return false };
    let parsed = url.origin();
    let serialized = parsed.ascii_serialization();
    if allowed.iter().any(|entry| matches!(entry, AllowedOrigin::Exact(exact) if *exact == serialized)) {
        return true;
    }
    let (Origin::Tuple(scheme, origin_host, origin_port), Some((host, port))) = (parsed, host) else {
        return false;
    };
    if addressed_as_loopback && is_loopback(&origin_host) {
        return true;
    }
    // Behind a proxy that ends TLS we do not see our own scheme: a Host without a port means the scheme's own.
    let own_port = port.or(match scheme.as_str() {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    });
    origin_host == *host && own_port == Some(origin_port)
}

/// A `Host` header, taken apart.
fn parse_host(text: &str) -> Option<(Host, Option<u16>)> {
    // A scheme without a default port keeps the port as it stands; its host must be parsed like that of http.
    let url = Url::parse(&format!("http://{text}")).ok()?;
    let port = Url::parse(&format!("x://{text}")).ok()?.port();
    Some((url.host()?.to_owned(), port))
}

fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(ip) => IpAddr::from(*ip).is_loopback(),
        Host::Ipv6(ip) => IpAddr::from(*ip).is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn passes(origin: &str, host: &str, allowed: &[&str]) -> bool {
        passes_with(origin, host, allowed, Leniency::Tutorial)
    }

    fn passes_with(origin: &str, host: &str, allowed: &[&str], leniency: Leniency) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, HeaderValue::from_str(origin).expect("a header value"));
        headers.insert(header::HOST, HeaderValue::from_str(host).expect("a header value"));
        let allowed: Vec<_> = allowed.iter().map(|text| text.parse().expect("an origin")).collect();
        check(&headers, &allowed, leniency).is_ok()
    }

    #[test]
    fn a_program_without_an_origin_passes() {
        assert_eq!(check(&HeaderMap::new(), &[], Leniency::Strict), Ok(()));
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
            assert!(passes("null", host, &[]));
            assert!(passes("file://", host, &[]));
            assert!(!passes_with("null", host, &[], Leniency::Strict));
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
        let mut headers = HeaderMap::new();
        for _ in 0..2 {
            headers.append(header::ORIGIN, HeaderValue::from_static("http://chat.example"));
        }
        headers.insert(header::HOST, HeaderValue::from_static("chat.example"));
        assert!(check(&headers, &[], Leniency::Tutorial).is_err());
    }
}
