//! Checks of WebSocket handshakes, RFC 6455 section 4.2.1.

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    http::{
        Method, StatusCode, Version,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
};
use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::in_words;
use crate::{connection::admission::Full, logging::Shown};

/// The only version of the protocol (RFC 6455).
const PROTOCOL_VERSION: &str = "13";

/// Bytes of a decoded `Sec-WebSocket-Key`.
const KEY_LEN: usize = 16;

/// Maximum number of offered subprotocols: each is compared with all before it.
const MAX_SUBPROTOCOLS: usize = 100;

/// Value of `Retry-After` in seconds for a client that found the server full.
pub(crate) const RETRY_AFTER: &str = "5";

/// A rejected handshake. Its message is the body of the response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Rejected {
    /// Not a GET.
    #[error("a WebSocket handshake is a GET request, not {}", Shown(.0.as_str()))]
    Method(Method),
    /// HTTP/1.0 cannot upgrade.
    #[error("a WebSocket handshake needs HTTP/1.1")]
    HttpVersion,
    /// No `Upgrade: websocket`: a plain HTTP request at a WebSocket door.
    #[error("this is a WebSocket address: the request has no header Upgrade: websocket")]
    NoUpgrade,
    /// No `Connection: Upgrade`.
    #[error("the request has no header Connection: Upgrade")]
    NoConnectionUpgrade,
    /// `Connection: close` together with `Upgrade`.
    #[error("the request asks for an upgrade of the connection and for its end")]
    ConnectionClose,
    /// `Upgrade` names other protocols too.
    #[error("the request must ask for one upgrade: Upgrade: websocket")]
    OtherUpgrades,
    /// The request has a body.
    #[error("a WebSocket handshake has no body")]
    Body,
    /// No `Sec-WebSocket-Version`.
    #[error("the request has no header Sec-WebSocket-Version: {PROTOCOL_VERSION}")]
    NoVersion,
    /// Another `Sec-WebSocket-Version`.
    #[error("this server speaks Sec-WebSocket-Version: {PROTOCOL_VERSION} only")]
    OtherVersion,
    /// The key is missing, repeated, or not 16 bytes in base64.
    #[error("the request needs one header Sec-WebSocket-Key of 16 bytes in base64")]
    BadKey,
    /// The offered subprotocols are not a list of different tokens.
    #[error("Sec-WebSocket-Protocol is a list of subprotocols, each one word, and each named once")]
    BadSubprotocols,
    /// Subprotocols are offered, but not the one of this door.
    #[error("this address speaks the subprotocol {0}, or none is named")]
    OtherSubprotocol(&'static str),
    /// The page's origin is not allowed.
    #[error(
        "pages of the origin {:?} may not connect here; the setting --allow-origin (ECHOROOM_ALLOW_ORIGIN) would allow it",
        Shown(origin)
    )]
    ForeignOrigin {
        /// The `Origin` header.
        origin: String,
    },
    /// The session would exceed a bound, or the server stops.
    #[error("{0}")]
    Full(Full),
}

impl Rejected {
    /// The label of the reason in the metrics.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::ForeignOrigin { .. } => "origin",
            Self::Full(Full::Sessions) => "sessions",
            Self::Full(Full::Address) => "address",
            Self::Full(Full::TooOften) => "handshake_rate",
            Self::Full(Full::Draining) => "draining",
            Self::Method(_)
            | Self::HttpVersion
            | Self::NoUpgrade
            | Self::NoConnectionUpgrade
            | Self::ConnectionClose
            | Self::OtherUpgrades
            | Self::Body
            | Self::NoVersion
            | Self::OtherVersion
            | Self::BadSubprotocols
            | Self::OtherSubprotocol(_)
            | Self::BadKey => "handshake",
        }
    }
}

impl ResponseError for Rejected {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoUpgrade | Self::OtherVersion => StatusCode::UPGRADE_REQUIRED,
            Self::ForeignOrigin { .. } => StatusCode::FORBIDDEN,
            Self::Full(Full::TooOften) => StatusCode::TOO_MANY_REQUESTS,
            Self::Full(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::HttpVersion
            | Self::NoConnectionUpgrade
            | Self::ConnectionClose
            | Self::OtherUpgrades
            | Self::Body
            | Self::NoVersion
            | Self::BadKey
            | Self::BadSubprotocols
            | Self::OtherSubprotocol(_) => StatusCode::BAD_REQUEST,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        match self {
            Self::Method(_) => response.insert_header((header::ALLOW, "GET")),
            // The client uses another protocol.
            Self::NoUpgrade => response.force_close().insert_header((header::UPGRADE, "websocket")),
            Self::OtherVersion => response
                .insert_header((header::UPGRADE, "websocket"))
                .insert_header((header::SEC_WEBSOCKET_VERSION, PROTOCOL_VERSION)),
            Self::Full(_) => response.insert_header((header::RETRY_AFTER, RETRY_AFTER)),
            _ => &mut response,
        };
        in_words(response, self)
    }
}

/// Whether `Upgrade` contains `websocket`.
pub(crate) fn asks_for_websocket(headers: &HeaderMap) -> bool {
    has_token(headers, &header::UPGRADE, "websocket")
}

/// Checks a request at a WebSocket door.
///
/// # Errors
/// The first requirement that the request violates.
pub(crate) fn check(method: &Method, version: Version, headers: &HeaderMap) -> Result<(), Rejected> {
    if !asks_for_websocket(headers) {
        return Err(Rejected::NoUpgrade);
    }
    if method != Method::GET {
        return Err(Rejected::Method(method.clone()));
    }
    if version < Version::HTTP_11 {
        return Err(Rejected::HttpVersion);
    }
    if !has_token(headers, &header::CONNECTION, "upgrade") {
        return Err(Rejected::NoConnectionUpgrade);
    }
    if has_token(headers, &header::CONNECTION, "close") {
        return Err(Rejected::ConnectionClose);
    }
    // actix-http must recognise the upgrade, and it does so only for this exact form: otherwise it would
    // parse the frames as a body or a request.
    let is_websocket = |protocol: &str| protocol.trim().eq_ignore_ascii_case("websocket");
    if !single(headers, &header::UPGRADE).is_some_and(is_websocket) {
        return Err(Rejected::OtherUpgrades);
    }
    // Frames follow the head at once: a body would be parsed as frames.
    let announces_body = |length: &HeaderValue| length.as_bytes().trim_ascii() != b"0";
    if headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get_all(header::CONTENT_LENGTH).any(announces_body)
    {
        return Err(Rejected::Body);
    }
    match single(headers, &header::SEC_WEBSOCKET_VERSION) {
        Some(PROTOCOL_VERSION) => {}
        Some(_) => return Err(Rejected::OtherVersion),
        None if headers.contains_key(header::SEC_WEBSOCKET_VERSION) => return Err(Rejected::OtherVersion),
        None => return Err(Rejected::NoVersion),
    }
    let key = single(headers, &header::SEC_WEBSOCKET_KEY).ok_or(Rejected::BadKey)?;
    match BASE64_STANDARD.decode(key) {
        Ok(bytes) if bytes.len() == KEY_LEN => {}
        _ => return Err(Rejected::BadKey),
    }
    offered(headers).map(|_| ())
}

/// The offered subprotocols, in the client's order of preference (RFC 6455, sections 1.9 and 4.1).
fn offered(headers: &HeaderMap) -> Result<Vec<&str>, Rejected> {
    let mut offered = Vec::new();
    for list in headers.get_all(header::SEC_WEBSOCKET_PROTOCOL) {
        let list = list.to_str().map_err(|_| Rejected::BadSubprotocols)?;
        for protocol in list.split(',').map(|protocol| protocol.trim_matches([' ', '\t'])) {
            if !is_token(protocol) || offered.contains(&protocol) || offered.len() >= MAX_SUBPROTOCOLS {
                return Err(Rejected::BadSubprotocols);
            }
            offered.push(protocol);
        }
    }
    Ok(offered)
}

/// Whether a text is a token by RFC 9110, section 5.6.2.
pub(crate) fn is_token(text: &str) -> bool {
    let is_token_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Checks the offer at a door with one subprotocol; no offer is accepted too.
///
/// # Errors
/// Only other subprotocols are offered, or the offer is malformed.
pub(crate) fn check_subprotocol(headers: &HeaderMap, ours: &'static str) -> Result<(), Rejected> {
    let offered = offered(headers)?;
    if offered.is_empty() || offered.contains(&ours) { Ok(()) } else { Err(Rejected::OtherSubprotocol(ours)) }
}

/// Adds the chosen subprotocol to the response to a checked handshake: the first one offered, because
/// browsers fail a handshake without a choice.
///
/// # Errors
/// The error in `answer`, unchanged.
pub(crate) fn agree<E>(req: &HttpRequest, answer: Result<HttpResponse, E>) -> Result<HttpResponse, E> {
    let first = || offered(req.headers()).ok()?.first().copied().map(str::to_owned);
    choose(answer, first().as_deref())
}

/// Adds the subprotocol of a door that has one, if the client offered it.
///
/// # Errors
/// The error in `answer`, unchanged.
pub(crate) fn agree_on<E>(
    req: &HttpRequest,
    ours: &'static str,
    answer: Result<HttpResponse, E>,
) -> Result<HttpResponse, E> {
    let is_offered = offered(req.headers()).is_ok_and(|offered| offered.contains(&ours));
    choose(answer, is_offered.then_some(ours))
}

fn choose<E>(answer: Result<HttpResponse, E>, chosen: Option<&str>) -> Result<HttpResponse, E> {
    let mut response = answer?;
    let chosen = chosen.and_then(|chosen| HeaderValue::from_str(chosen).ok());
    if let Some(chosen) = chosen.filter(|_| response.status() == StatusCode::SWITCHING_PROTOCOLS) {
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, chosen);
    }
    Ok(response)
}

/// Whether a comma-separated header contains `token`, in any case.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(token))
}

/// The value of a header that must occur once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name);
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok().map(str::trim) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 4] = [
        ("upgrade", "websocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for &(name, value) in pairs {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        map
    }

    /// The status for a valid request with one header replaced, or removed for "".
    fn status_with(name: &'static str, value: &'static str) -> Option<StatusCode> {
        let mut pairs: Vec<_> = GOOD.into_iter().filter(|(good, _)| *good != name).collect();
        if !value.is_empty() {
            pairs.push((name, value));
        }
        check(&Method::GET, Version::HTTP_11, &headers(&pairs)).err().map(|refusal| refusal.status_code())
    }

    #[test]
    fn what_is_asked_for_beside_a_websocket_is_refused() {
        for (name, value, refusal) in [
            ("connection", "close, upgrade", "for its end"),
            ("upgrade", "websocket, h2c", "one upgrade"),
            ("transfer-encoding", "chunked", "no body"),
            ("content-length", "3", "no body"),
            ("content-length", "00", "no body"),
        ] {
            let mut headers = headers(&GOOD);
            let value = HeaderValue::from_static(value);
            headers.insert(HeaderName::from_static(name), value);
            let error = check(&Method::GET, Version::HTTP_11, &headers).expect_err(name);
            assert!(error.to_string().contains(refusal), "{error}");
        }
    }

    #[test]
    fn a_good_request_passes() {
        assert_eq!(status_with("upgrade", "WebSocket"), None);
        assert_eq!(status_with("connection", "upgrade"), None);
        assert_eq!(status_with("content-length", "0"), None);
    }

    #[test]
    fn what_is_missing_or_wrong_has_its_status() {
        assert_eq!(status_with("upgrade", ""), Some(StatusCode::UPGRADE_REQUIRED));
        assert_eq!(status_with("upgrade", "websockets"), Some(StatusCode::UPGRADE_REQUIRED));
        assert_eq!(status_with("connection", "close"), Some(StatusCode::BAD_REQUEST));
        assert_eq!(status_with("sec-websocket-version", ""), Some(StatusCode::BAD_REQUEST));
        assert_eq!(status_with("sec-websocket-version", "8"), Some(StatusCode::UPGRADE_REQUIRED));
        assert_eq!(status_with("sec-websocket-key", ""), Some(StatusCode::BAD_REQUEST));
        assert_eq!(status_with("sec-websocket-key", "dGhlIHNhbXBsZQ=="), Some(StatusCode::BAD_REQUEST));
        assert_eq!(status_with("sec-websocket-key", "not base64 at all !!"), Some(StatusCode::BAD_REQUEST));
    }

    #[test]
    fn subprotocols_are_a_list_of_different_tokens() {
        let offers = |lists: &[&'static str]| {
            let mut map = headers(&GOOD);
            for list in lists {
                map.append(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(list));
            }
            check(&Method::GET, Version::HTTP_11, &map)?;
            offered(&map).map(|offered| offered.into_iter().map(str::to_owned).collect::<Vec<_>>())
        };
        assert!(offers(&[]).is_ok_and(|offered| offered.is_empty()));
        for lists in [&["a, b,c"][..], &["a ,b", " c "], &["a", "b", "c"]] {
            assert_eq!(offers(lists).ok(), Some(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]));
        }
        assert!(offers(&["chat.v1, chat.V1"]).is_ok(), "upper and lower case are two");
        for bad in [
            &[""][..],
            &["a,"],
            &[",a"],
            &["a,,b"],
            &["a b"],
            &["a, a"],
            &["a", "a"],
            &["a", ""],
            &["\"a\""],
            &["a/b"],
            &["a;q=1"],
        ] {
            assert!(matches!(offers(bad), Err(Rejected::BadSubprotocols)), "{bad:?}");
        }
    }

    #[test]
    fn a_key_that_stands_there_twice_is_refused() {
        let mut pairs = GOOD.to_vec();
        pairs.push(GOOD[3]);
        let refused = check(&Method::GET, Version::HTTP_11, &headers(&pairs));
        assert!(matches!(refused, Err(Rejected::BadKey)));
    }

    #[test]
    fn only_get_over_http_1_1_upgrades() {
        let good = headers(&GOOD);
        assert!(matches!(check(&Method::POST, Version::HTTP_11, &good), Err(Rejected::Method(_))));
        assert!(matches!(check(&Method::GET, Version::HTTP_10, &good), Err(Rejected::HttpVersion)));
    }
}
