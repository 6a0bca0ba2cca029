//! What a session keeps of the HTTP request that began it.

use std::{
    borrow::Cow,
    fmt,
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use actix_web::{
    HttpRequest,
    http::header::{COOKIE, ORIGIN},
};

use crate::{config::Network, web::peer};

/// The HTTP request that began a session: its target, its headers, and where it came from.
///
/// A session has one, whichever transport it uses later. It is kept in one block of memory as long as the
/// session, and charged to the memory of the engine beyond 4 KiB; the HTTP server bounds the size of a request's
/// head.
#[derive(Default)]
pub struct Request {
    /// The target, then a line `name: value` for each header. HTTP allows no line break in either.
    head: Box<str>,
    target_len: u32,
    path_len: u32,
    is_secure: bool,
    has_origin: bool,
    address: Option<IpAddr>,
    /// Milliseconds since 1970.
    issued: u64,
}

/// A request as another server tells of it.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Path and query.
    pub url: String,
    /// Names in lower case, and values. A header with a line break, or with a colon in its name, is left out.
    pub headers: Vec<(String, String)>,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// Whether the client uses TLS.
    pub is_secure: bool,
    /// Whether the request had a header `Origin`, which may not be among the headers.
    pub has_origin: bool,
    /// Milliseconds since 1970.
    pub issued: u64,
}

/// Divides the name of a header from its value.
const COLON: &str = ": ";

impl Request {
    /// Keeps what is needed of a request. What proxies in the networks `trusted` add to it counts.
    pub(crate) fn of(req: &HttpRequest, trusted: &[Network]) -> Arc<Self> {
        let target = req.uri().path_and_query().map_or("/", |target| target.as_str());
        let lines = req.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 3);
        let mut head = String::with_capacity(target.len() + 1 + lines.sum::<usize>());
        head.push_str(target);
        head.push('\n');
        for (name, value) in req.headers() {
            head.push_str(name.as_str());
            head.push_str(COLON);
            head.push_str(&String::from_utf8_lossy(value.as_bytes()));
            head.push('\n');
        }
        let issued = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        Arc::new(Self {
            target_len: u32::try_from(target.len()).unwrap_or(u32::MAX),
            path_len: u32::try_from(req.uri().path().len()).unwrap_or(u32::MAX),
            head: head.into_boxed_str(),
            has_origin: req.headers().contains_key(ORIGIN),
            is_secure: req.app_config().secure() || peer::came_by_tls(req, trusted),
            address: peer::address(req, trusted),
            issued: u64::try_from(issued).unwrap_or(u64::MAX),
        })
    }

    /// The request of a client of another server.
    pub(super) fn of_another_server(told: Told) -> Arc<Self> {
        let Told { url, headers, address, is_secure, has_origin, issued } = told;
        let has_break = |text: &str| text.contains(['\n', '\r']);
        let target = if has_break(&url) { "" } else { &*url };
        let mut head = format!("{target}\n");
        for (name, value) in &headers {
            if !name.contains(':') && !has_break(name) && !has_break(value) {
                head.extend([name, COLON, value, "\n"]);
            }
        }
        let path_len = target.find('?').unwrap_or(target.len());
        Arc::new(Self {
            target_len: u32::try_from(target.len()).unwrap_or(u32::MAX),
            path_len: u32::try_from(path_len).unwrap_or(u32::MAX),
            head: head.into_boxed_str(),
            is_secure,
            has_origin,
            address,
            issued,
        })
    }

    /// Bytes of the target and the headers.
    pub(super) fn len(&self) -> usize {
        self.head.len()
    }

    /// The value of a header, whose name may be in any case; the first one if there are several. Bytes that
    /// are not UTF-8 are replaced with U+FFFD.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(its, _)| its.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All headers: names in lower case, and values. A header that was sent more than once is there more than
    /// once, in the order of its values; the order of different headers is not kept.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let lines = self.head.get(self.target_len as usize + 1..).unwrap_or_default();
        lines.split_terminator('\n').filter_map(|line| line.split_once(COLON))
    }

    /// The value of a cookie as the client sent it, without quotes around it (RFC 6265, section 4.2).
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let lists = self.headers().filter(|(header, _)| *header == COOKIE.as_str());
        let mut pairs = lists.flat_map(|(_, list)| list.split(';')).filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(its, _)| its.trim() == name)?;
        let value = value.trim();
        Some(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
    }

    /// The client's IP address: of the connection, or what a trusted proxy says; `None` if the connection has
    /// none, as in tests.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Path and query as the client sent them.
    pub fn url(&self) -> &str {
        self.head.get(..self.target_len as usize).unwrap_or_default()
    }

    /// The path as the client sent it, percent-encoded.
    pub fn path(&self) -> &str {
        self.url().get(..self.path_len as usize).unwrap_or_default()
    }

    /// A parameter of the query, decoded; the first one of that name.
    pub fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        self.query_pairs().find(|(its, _)| its == name).map(|(_, value)| value)
    }

    /// All parameters of the query, decoded, in their order. `EIO` and `transport`, which the protocol needs,
    /// are among them.
    pub fn query_pairs(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let query = self.url().split_once('?').map_or("", |(_, query)| query);
        url::form_urlencoded::parse(query.as_bytes())
    }

    /// When the request arrived.
    pub fn time(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.issued)
    }

    /// When the request arrived, in milliseconds since 1970.
    pub fn issued(&self) -> u64 {
        self.issued
    }

    /// Whether the client uses TLS: with this server, or with a trusted proxy that says so by
    /// `X-Forwarded-Proto`.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Whether the request has a header `Origin`, as `xdomain` of the reference tells. Browsers send it for
    /// WebSockets and posts always, and for other requests to a foreign server.
    pub fn is_cross_domain(&self) -> bool {
        self.has_origin
    }
}

impl fmt::Debug for Request {
    /// Without headers and query: they may have secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("path", &self.path()).field("address", &self.address).finish()
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{http::header::HeaderValue, test::TestRequest};

    use super::*;

    fn request(target: &str, headers: &[(&str, &str)]) -> Arc<Request> {
        let mut request =
            TestRequest::with_uri(target).peer_addr("192.0.2.1:80".parse().expect("an address"));
        for header in headers {
            request = request.append_header(*header);
        }
        Request::of(&request.to_http_request(), &[])
    }

    #[test]
    fn headers_are_found_in_any_case_and_all_are_listed() {
        let request =
            request("/", &[("X-Token", "a: b\u{e9}"), ("X-Two", "1"), ("X-Two", "2"), ("X-None", "")]);
        assert_eq!(request.header("x-token"), Some("a: b\u{e9}"));
        assert_eq!(request.header("X-TWO"), Some("1"));
        assert_eq!((request.header("x-none"), request.header("x-other")), (Some(""), None));
        let both: Vec<_> = request.headers().filter(|(name, _)| *name == "x-two").collect();
        assert_eq!(both, [("x-two", "1"), ("x-two", "2")]);
    }

    #[test]
    fn a_value_that_is_not_utf_8_is_readable() {
        let value = HeaderValue::from_bytes(b"caf\xE9").expect("a value");
        let request = TestRequest::default().insert_header(("x-token", value)).to_http_request();
        assert_eq!(Request::of(&request, &[]).header("x-token"), Some("caf\u{FFFD}"));
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let request = request("/", &[("Cookie", "aid=1; id=\"two\"; e=;flag"), ("Cookie", "last=x=y")]);
        let cookies = ["aid", "id", "e", "last", "flag", "d"].map(|name| request.cookie(name));
        assert_eq!(cookies, [Some("1"), Some("two"), Some(""), Some("x=y"), None, None]);
    }

    #[test]
    fn the_target_is_as_sent_and_its_parameters_are_decoded() {
        let request = request("/a%20b/?EIO=4&name=T%C3%A9a+time&name=2&bad=%ff&x", &[]);
        assert_eq!(request.url(), "/a%20b/?EIO=4&name=T%C3%A9a+time&name=2&bad=%ff&x");
        assert_eq!(request.path(), "/a%20b/");
        assert_eq!(request.query("name").as_deref(), Some("T\u{e9}a time"));
        assert_eq!(request.query("bad").as_deref(), Some("\u{FFFD}"));
        assert_eq!((request.query("x").as_deref(), request.query("y")), (Some(""), None));
        assert_eq!(request.query_pairs().count(), 5);
    }

    #[test]
    fn only_a_trusted_proxy_names_address_and_scheme() {
        let headers = [("X-Forwarded-For", "198.51.100.7"), ("X-Forwarded-Proto", "https")];
        let direct = request("/", &headers);
        assert_eq!((direct.address(), direct.is_secure()), ("192.0.2.1".parse().ok(), false));
        let mut behind = TestRequest::default().peer_addr("192.0.2.1:80".parse().expect("an address"));
        for header in headers {
            behind = behind.insert_header(header);
        }
        let behind = Request::of(&behind.to_http_request(), &["192.0.2.0/24".parse().expect("a network")]);
        assert_eq!((behind.address(), behind.is_secure()), ("198.51.100.7".parse().ok(), true));
    }

    #[test]
    fn the_time_of_arrival_is_known_in_milliseconds() {
        let before = SystemTime::now() - Duration::from_millis(1);
        let request = request("/", &[("Origin", "http://a.example")]);
        assert!(before <= request.time() && request.time() <= SystemTime::now());
        assert_eq!(request.time(), UNIX_EPOCH + Duration::from_millis(request.issued()));
        assert!(request.is_cross_domain());
    }

    #[test]
    fn secrets_of_the_head_are_not_in_logs() {
        let request = request("/socket.io/?token=secret", &[("Cookie", "id=secret")]);
        assert!(!format!("{request:?}").contains("secret"), "{request:?}");
    }
}
