//! The host of a request.

use actix_web::{
    dev::RequestHead,
    http::{Version, header},
};

use crate::config::HostName;

/// A host with an optional port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority {
    /// The host: a name or an IP address.
    pub host: HostName,
    /// The port, if one is given.
    pub port: Option<u16>,
}

/// Why the host of a request is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AuthorityError {
    /// No `Host`, which HTTP/1.1 requires.
    #[error("the request has no header Host")]
    Missing,
    /// More than one `Host`.
    #[error("the request has more than one header Host")]
    Several,
    /// `Host` is not a host with an optional port.
    #[error("the header Host is not the name or address of a host, with or without a port")]
    Malformed,
}

/// The host of a request: from its target if that has one, otherwise from its header (RFC 9112, section 3.2).
///
/// # Errors
/// The header is missing in HTTP/1.1, repeated or malformed.
pub(crate) fn of(head: &RequestHead) -> Result<Option<Authority>, AuthorityError> {
    let mut headers = head.headers().get_all(header::HOST);
    let header =
        headers.next().map(|host| parse(host.as_bytes()).ok_or(AuthorityError::Malformed)).transpose()?;
    if headers.next().is_some() {
        return Err(AuthorityError::Several);
    }
    if let Some(target) = head.uri.authority() {
        return parse(target.as_str().as_bytes()).map(Some).ok_or(AuthorityError::Malformed);
    }
    match header {
        None if head.version >= Version::HTTP_11 => Err(AuthorityError::Missing),
        header => Ok(header),
    }
}

/// Parses `host` or `host:port`.
fn parse(bytes: &[u8]) -> Option<Authority> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.is_ascii())?;
    // Colons inside the brackets belong to an IPv6 address.
    let colon = text.rfind(':').filter(|colon| !text[*colon..].contains(']'));
    let (host, port) = match colon {
        Some(colon) => (&text[..colon], &text[colon + 1..]),
        None => (text, ""),
    };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = match port {
        "" => None,
        digits if is_port => Some(digits.parse().ok()?),
        _ => return None,
    };
    Some(Authority { host: host.parse().ok()?, port })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn authority(text: &str) -> Option<(String, Option<u16>)> {
        parse(text.as_bytes()).map(|authority| (authority.host.to_string(), authority.port))
    }

    #[test]
    fn a_host_is_a_name_or_address_with_or_without_a_port() {
        for (text, host, port) in [
            ("localhost", "localhost", None),
            ("Localhost.:3000", "localhost", Some(3000)),
            ("a.example:", "a.example", None),
            ("127.0.0.1:80", "127.0.0.1", Some(80)),
            ("[::1]", "[::1]", None),
            ("[2001:DB8::1]:65535", "[2001:db8::1]", Some(65535)),
        ] {
            assert_eq!(authority(text), Some((host.to_owned(), port)), "{text}");
        }
        for bad in [
            "",
            ":80",
            "a:b",
            "a:65536",
            "a:-1",
            "a:+1",
            "::1",
            "[::1]80",
            "a:1:2",
            "u@a:1",
            "a/b",
            "é.example",
        ] {
            assert_eq!(authority(bad), None, "{bad:?}");
        }
    }

    fn of_request(target: &str, version: Version, hosts: &[&str]) -> Result<Option<String>, AuthorityError> {
        let mut request = TestRequest::with_uri(target).version(version);
        for host in hosts {
            request = request.append_header((header::HOST, *host));
        }
        of(request.to_srv_request().head())
            .map(|authority| authority.map(|authority| authority.host.to_string()))
    }

    #[test]
    fn a_target_that_names_its_host_goes_before_the_header() {
        let is = |host: &str| Ok(Some(host.to_owned()));
        assert_eq!(of_request("/", Version::HTTP_11, &["a.example:3000"]), is("a.example"));
        assert_eq!(of_request("http://b.example/", Version::HTTP_11, &["a.example"]), is("b.example"));
        assert_eq!(
            of_request("http://u:p@b.example/", Version::HTTP_11, &["a.example"]),
            Err(AuthorityError::Malformed)
        );
        assert_eq!(of_request("http://b.example/", Version::HTTP_10, &[]), is("b.example"));
    }

    #[test]
    fn there_is_one_host_and_only_old_requests_may_have_none() {
        assert_eq!(of_request("/", Version::HTTP_11, &[]), Err(AuthorityError::Missing));
        assert_eq!(of_request("/", Version::HTTP_10, &[]), Ok(None));
        assert_eq!(of_request("/", Version::HTTP_11, &["a", "a"]), Err(AuthorityError::Several));
        assert_eq!(of_request("http://b/", Version::HTTP_11, &["a", "b"]), Err(AuthorityError::Several));
        assert_eq!(of_request("/", Version::HTTP_11, &["a b"]), Err(AuthorityError::Malformed));
        assert_eq!(of_request("/", Version::HTTP_10, &[""]), Err(AuthorityError::Malformed));
    }
}
