//! The address of a request's client, also behind proxies.

use std::net::IpAddr;

use actix_web::{HttpRequest, dev::RequestHead, http::header::HeaderMap};

use crate::{config::Network, logging};

/// The header in which proxies name the clients that they forward for.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The header in which proxies name the scheme that the client used.
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// Headers that proxies add, besides those that begin with `x-forwarded-`.
const OF_PROXIES: [&str; 3] = ["forwarded", "via", "x-real-ip"];

/// Whether a proxy forwarded the request: any peer that `--trusted-proxy` names, or a peer that sends headers
/// of proxies.
pub(crate) fn came_through_proxy(head: &RequestHead, trusted: &[Network]) -> bool {
    let is_of_proxy = |name: &str| name.starts_with("x-forwarded-") || OF_PROXIES.contains(&name);
    head.headers().keys().any(|name| is_of_proxy(name.as_str()))
        || head.peer_addr.is_some_and(|peer| is_trusted(peer.ip(), trusted))
}

/// Whether the request is from this machine and not forwarded, as far as the server can tell.
pub(crate) fn is_of_this_machine(req: &HttpRequest, trusted: &[Network]) -> bool {
    let is_loopback = req.peer_addr().is_some_and(|peer| peer.ip().to_canonical().is_loopback());
    is_loopback && !came_through_proxy(req.head(), trusted)
}

/// Whether `--trusted-proxy` contains an address.
pub(crate) fn is_trusted(address: IpAddr, trusted: &[Network]) -> bool {
    trusted.iter().any(|network| network.contains(address))
}

/// Whether the client used TLS with a trusted proxy. Of several proxies the last one counts.
pub(crate) fn came_by_tls(req: &HttpRequest, trusted: &[Network]) -> bool {
    let is_peer_trusted = req.peer_addr().is_some_and(|peer| is_trusted(peer.ip(), trusted));
    let schemes = req.headers().get_all(FORWARDED_PROTO).filter_map(|schemes| schemes.to_str().ok());
    let last = schemes.flat_map(|schemes| schemes.split(',')).last();
    is_peer_trusted && last.is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"))
}

/// The client's address: that of the peer, or the last one in `X-Forwarded-For` before those of trusted
/// proxies. The header counts only from a trusted peer.
pub(crate) fn address(req: &HttpRequest, trusted: &[Network]) -> Option<IpAddr> {
    let peer = req.peer_addr()?.ip().to_canonical();
    let has_hops = req.headers().contains_key(FORWARDED_FOR);
    if has_hops && !is_trusted(peer, trusted) {
        logging::refused(
            "--trusted-proxy (ECHOROOM_TRUSTED_PROXY)",
            format_args!(
                "{peer} sends X-Forwarded-For, but is no proxy that this setting names: what it forwards counts as its own"
            ),
        );
    }
    Some(if has_hops { forwarded(req.headers(), peer, trusted) } else { peer })
}

fn forwarded(headers: &HeaderMap, peer: IpAddr, trusted: &[Network]) -> IpAddr {
    let hops: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    let mut address = peer;
    for hop in hops.iter().rev() {
        if !is_trusted(address, trusted) {
            break;
        }
        // A hop that is not an address ends the chain: the preceding address counts.
        let Some(next) = parse(hop) else { break };
        address = next.to_canonical();
    }
    address
}

/// Parses one hop: an address with an optional port, optionally quoted. Some proxies write ports (RFC 7239
/// has a grammar for them); an IPv6 address with a port is in brackets.
fn parse(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let hop = hop.strip_prefix('"').and_then(|hop| hop.strip_suffix('"')).unwrap_or(hop);
    if let Ok(address) = hop.parse() {
        return Some(address);
    }
    let (host, port) = match hop.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']')?;
            let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
            (host.parse().map(IpAddr::V6), port)
        }
        None => {
            let (host, port) = hop.split_once(':')?;
            (host.parse().map(IpAddr::V4), Some(port))
        }
    };
    let is_port = |port: &str| {
        !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
    };
    host.ok().filter(|_| port.is_none_or(is_port))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn from(peer: &str, header: &'static str, trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("x-forwarded-for"), HeaderValue::from_static(header));
        let trusted: Vec<Network> = trusted.iter().map(|text| text.parse().expect("a network")).collect();
        forwarded(&headers, peer.parse().expect("an address"), &trusted).to_string()
    }

    #[test]
    fn only_a_loopback_peer_without_a_proxy_is_of_this_machine() {
        let request =
            |peer: &str| actix_web::test::TestRequest::default().peer_addr(peer.parse().expect("an address"));
        let is_of_this_machine = |req: &HttpRequest| is_of_this_machine(req, &[]);
        for own in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(is_of_this_machine(&request(own).to_http_request()), "{own}");
            for header in ["X-Forwarded-For", "x-forwarded-host", "Forwarded", "Via", "X-Real-IP"] {
                let forwarded = request(own).insert_header((header, "127.0.0.1"));
                assert!(!is_of_this_machine(&forwarded.to_http_request()), "{header}");
            }
        }
        for other in ["192.0.2.1:1", "10.0.0.1:1", "172.17.0.1:1", "[2001:db8::1]:1", "0.0.0.0:1"] {
            assert!(!is_of_this_machine(&request(other).to_http_request()), "{other}");
        }
        assert!(!is_of_this_machine(&actix_web::test::TestRequest::default().to_http_request()));
    }

    #[test]
    fn a_named_proxy_is_one_whatever_it_sends() {
        let request = |peer: &str| {
            actix_web::test::TestRequest::default()
                .peer_addr(peer.parse().expect("an address"))
                .to_http_request()
        };
        let trusted: Vec<Network> =
            ["127.0.0.1", "::1"].iter().map(|text| text.parse().expect("a network")).collect();
        for proxy in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(!is_of_this_machine(&request(proxy), &trusted), "{proxy}");
        }
        assert!(is_of_this_machine(&request("127.0.0.2:1"), &trusted));
    }

    #[test]
    fn no_proxy_is_believed_unless_named() {
        assert_eq!(from("192.0.2.1", "198.51.100.7", &[]), "192.0.2.1");
        assert_eq!(from("192.0.2.1", "198.51.100.7", &["10.0.0.0/8"]), "192.0.2.1");
    }

    #[test]
    fn a_trusted_proxy_says_who_comes() {
        assert_eq!(from("10.0.0.1", "198.51.100.7", &["10.0.0.0/8"]), "198.51.100.7");
        assert_eq!(from("::1", "2001:db8::7", &["::1"]), "2001:db8::7");
    }

    #[test]
    fn a_port_behind_an_address_and_quotes_around_it_are_passed_over() {
        for (hop, address) in [
            ("192.0.2.1:5678", "192.0.2.1"),
            ("192.0.2.1:0", "192.0.2.1"),
            ("\"192.0.2.1:5678\"", "192.0.2.1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("\"[2001:db8::1]:443\"", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("\"[2001:db8::1]\"", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[::ffff:192.0.2.1]:80", "192.0.2.1"),
            ("10.0.0.9:1", "10.0.0.9"),
        ] {
            assert_eq!(from("10.0.0.1", hop, &["10.0.0.0/8"]), address, "{hop}");
        }
        assert_eq!(from("10.0.0.1", "198.51.100.7:1, 10.0.0.2:2, 10.0.0.3", &["10.0.0.0/8"]), "198.51.100.7");
        assert_eq!(from("::1", "[2001:db8::7]:1, [::1]:2", &["::1"]), "2001:db8::7");
        for nonsense in [
            "192.0.2.1:",
            "192.0.2.1:65536",
            "192.0.2.1:http",
            "192.0.2.1:+1",
            "192.0.2.1:1:2",
            "[192.0.2.1]:1",
            "[2001:db8::1",
            "[2001:db8::1]443",
            "[2001:db8::1]:",
            "\"192.0.2.1",
            "unknown",
            "_hidden:1",
            ":1",
            "",
        ] {
            assert_eq!(from("10.0.0.1", nonsense, &["10.0.0.0/8"]), "10.0.0.1", "{nonsense:?}");
        }
    }

    #[test]
    fn what_the_client_wrote_itself_is_not_believed() {
        assert_eq!(from("10.0.0.1", "1.2.3.4, 198.51.100.7", &["10.0.0.0/8"]), "198.51.100.7");
        assert_eq!(from("10.0.0.1", "198.51.100.7, 10.0.0.2", &["10.0.0.0/8"]), "198.51.100.7");
        assert_eq!(from("10.0.0.1", "nonsense", &["10.0.0.0/8"]), "10.0.0.1");
        assert_eq!(from("10.0.0.1", "1.2.3.4:5, 198.51.100.7:6", &["10.0.0.0/8"]), "198.51.100.7");
    }
}
