//! Handshakes as JSON, with the fields of the reference server.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    hash::Hash,
    net::IpAddr,
};

use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::date::js_date;
use crate::{
    protocol::socketio::Value,
    socketio::{
        request::{Request, Told},
        socket::{Handshake, from_json},
    },
};

/// Bytes of headers that are read of a socket of another server. Those beyond are left out.
const MAX_HEADER_BYTES: usize = 64 << 10;

/// A handshake as this server writes it.
#[derive(Serialize)]
struct Written<'a> {
    headers: Names<'a>,
    time: String,
    address: String,
    xdomain: bool,
    secure: bool,
    issued: u64,
    url: &'a str,
    query: Names<'a>,
    auth: Option<&'a RawValue>,
}

/// Names with their values, in their order.
struct Names<'a>(Vec<(Cow<'a, str>, Values<'a>)>);

#[derive(Serialize)]
#[serde(untagged)]
enum Values<'a> {
    One(Cow<'a, str>),
    Several(Vec<Cow<'a, str>>),
}

impl Serialize for Names<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, values)| (name, values)))
    }
}

/// The values of each name.
fn grouped<K: Eq + Hash + Clone, V>(pairs: impl Iterator<Item = (K, V)>) -> Vec<(K, Vec<V>)> {
    let (mut all, mut places) = (Vec::<(K, Vec<V>)>::new(), HashMap::new());
    for (name, value) in pairs {
        let place = *places.entry(name.clone()).or_insert(all.len());
        match all.get_mut(place) {
            Some((_, values)) => values.push(value),
            None => all.push((name, vec![value])),
        }
    }
    all
}

/// Headers as Node has them: the values of one name are one text.
fn headers(request: &Request) -> Names<'_> {
    let joined = grouped(request.headers()).into_iter().map(|(name, values)| {
        let between = if name == "cookie" { "; " } else { ", " };
        (Cow::Borrowed(name), Values::One(values.join(between).into()))
    });
    Names(joined.collect())
}

/// Parameters of the query: the values of one name are a list if they are several.
fn query(request: &Request) -> Names<'_> {
    let lists = grouped(request.query_pairs()).into_iter().map(|(name, mut values)| {
        let value = if values.len() > 1 { None } else { values.pop() };
        (name, value.map_or_else(|| Values::Several(values), Values::One))
    });
    Names(lists.collect())
}

/// JSON of a handshake.
pub(super) fn handshake_json(handshake: &Handshake, with_headers: bool) -> String {
    let request = handshake.request();
    let written = Written {
        headers: if with_headers { headers(request) } else { Names(Vec::new()) },
        time: js_date(request.issued()),
        address: request.address().map_or_else(String::new, |address| address.to_string()),
        xdomain: request.is_cross_domain(),
        secure: request.is_secure(),
        issued: request.issued(),
        url: request.url(),
        query: query(request),
        auth: serde_json::from_str(handshake.auth_json()).or_else(|_| serde_json::from_str("{}")).ok(),
    };
    serde_json::to_string(&written).unwrap_or_else(|_| "{}".to_owned())
}

/// A handshake of another server. A field that is missing, or of another type, is passed over.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Read<'a> {
    #[serde(borrow)]
    headers: Option<&'a RawValue>,
    #[serde(borrow)]
    address: Option<&'a RawValue>,
    #[serde(borrow)]
    xdomain: Option<&'a RawValue>,
    #[serde(borrow)]
    secure: Option<&'a RawValue>,
    #[serde(borrow)]
    issued: Option<&'a RawValue>,
    #[serde(borrow)]
    url: Option<&'a RawValue>,
    #[serde(borrow)]
    auth: Option<&'a RawValue>,
}

/// The value of a field, if it has this type.
fn field<T: DeserializeOwned>(raw: Option<&RawValue>) -> Option<T> {
    from_json(raw?.get())
}

/// A handshake from the JSON of another server, which may be anything.
pub(crate) fn handshake_of(json: &str) -> Handshake {
    let read: Read<'_> = serde_json::from_str(json).unwrap_or_default();
    let address: Option<String> = field(read.address);
    let address: Option<IpAddr> = address.and_then(|address| address.parse().ok());
    let told = Told {
        url: field(read.url).unwrap_or_default(),
        headers: headers_of(field(read.headers).unwrap_or_default()),
        address: address.map(|address| address.to_canonical()),
        is_secure: field(read.secure).unwrap_or_default(),
        has_origin: field(read.xdomain).unwrap_or_default(),
        issued: field::<f64>(read.issued).unwrap_or_default() as u64,
    };
    let auth = read.auth.map_or("{}", RawValue::get);
    Handshake::new(Request::of_another_server(told), auth.into())
}

/// Headers, each of one value or several, as far as the bound allows.
fn headers_of(values: BTreeMap<String, Value>) -> Vec<(String, String)> {
    let (mut headers, mut bytes) = (Vec::new(), 0);
    for (name, value) in values {
        let one = value.as_str().into_iter();
        for value in one.chain(value.as_array().into_iter().flatten().filter_map(Value::as_str)) {
            bytes += name.len() + value.len();
            if bytes > MAX_HEADER_BYTES {
                return headers;
            }
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    /// As a server of Node shows it.
    const OF_NODE: &str = r#"{"headers":{"host":"127.0.0.1:7802","x-two":["1","2"]},"time":"Thu Nov 26 2026 10:56:37 GMT+0000 (Coordinated Universal Time)","address":"::ffff:127.0.0.1","xdomain":true,"secure":true,"issued":1795690597328,"url":"/socket.io/?EIO=4&transport=websocket","query":{"EIO":"4","transport":"websocket"},"auth":{"who":"b1","rooms":["red"]}}"#;

    fn handshake(target: &str, headers: &[(&str, &str)], auth: &'static str) -> Handshake {
        let mut request =
            TestRequest::with_uri(target).peer_addr("192.0.2.1:80".parse().expect("an address"));
        for header in headers {
            request = request.append_header(*header);
        }
        Handshake::new(Request::of(&request.to_http_request(), &[]), auth.into())
    }

    #[test]
    fn a_handshake_of_node_is_read() {
        let handshake = handshake_of(OF_NODE);
        assert_eq!(handshake.header("Host"), Some("127.0.0.1:7802"));
        assert_eq!(handshake.headers().filter(|(name, _)| *name == "x-two").count(), 2);
        assert_eq!(handshake.address(), "127.0.0.1".parse().ok());
        assert_eq!(
            (handshake.url(), handshake.path()),
            ("/socket.io/?EIO=4&transport=websocket", "/socket.io/")
        );
        assert_eq!(handshake.query("transport").as_deref(), Some("websocket"));
        assert_eq!(handshake.issued(), 1_795_690_597_328);
        assert!(handshake.is_secure() && handshake.is_cross_domain());
        assert_eq!(handshake.auth_json(), r#"{"who":"b1","rooms":["red"]}"#);
    }

    #[test]
    fn a_handshake_that_is_shown_is_the_one_that_is_read() {
        let headers = [
            ("Origin", "http://a.example"),
            ("Cookie", "a=1"),
            ("Cookie", "b=2"),
            ("X-Two", "1"),
            ("X-Two", "2"),
        ];
        let written = handshake("/io/?b=1&a=%C3%A9&b=2", &headers, r#"{"token":"\ud800"}"#);
        for with_headers in [true, false] {
            let json = handshake_json(&written, with_headers);
            let read = handshake_of(&json);
            assert_eq!(read.url(), written.url());
            assert_eq!(read.auth_json(), written.auth_json());
            assert_eq!((read.address(), read.issued()), (written.address(), written.issued()));
            assert!(read.is_cross_domain() && !read.is_secure());
            let shown = with_headers.then_some("a=1; b=2");
            assert_eq!(
                (read.header("cookie"), read.header("x-two")),
                (shown, with_headers.then_some("1, 2"))
            );
        }
    }

    #[test]
    fn the_fields_are_those_of_node_in_their_order_and_headers_are_kept_back() {
        let json =
            handshake_json(&handshake("/io/?b=1&a=%C3%A9&b=2", &[("Cookie", "secret")], r#"{"a":1}"#), false);
        let (before, behind) = json.split_once(r#""time":"#).expect("a time");
        let (time, behind) = behind.split_once(r#","address""#).expect("an address");
        let (issued, behind) = behind.split_once(r#","url""#).expect("a url");
        assert_eq!(before, r#"{"headers":{},"#);
        assert!(time.ends_with(r#" GMT+0000 (Coordinated Universal Time)""#), "{time}");
        let start = r#":"192.0.2.1","xdomain":false,"secure":false,"issued":"#;
        assert!(issued.strip_prefix(start).is_some_and(|issued| issued.parse::<u64>().is_ok()), "{issued}");
        assert_eq!(behind, r#":"/io/?b=1&a=%C3%A9&b=2","query":{"b":["1","2"],"a":"é"},"auth":{"a":1}}"#);
    }

    #[test]
    fn what_is_missing_or_of_another_type_is_passed_over() {
        for json in
            ["", "[]", "7", "{", "{}", r#"{"headers":7,"address":{},"secure":"x","issued":-1,"url":[]}"#]
        {
            let read = handshake_of(json);
            assert_eq!((read.url(), read.headers().count(), read.address()), ("", 0, None), "{json}");
            assert_eq!((read.issued(), read.auth_json()), (0, "{}"), "{json}");
        }
        let json =
            r#"{"url":7,"issued":1e300,"secure":true,"address":"nowhere","headers":{"a":1,"b":["x",2]}}"#;
        let read = handshake_of(json);
        assert!(read.is_secure() && read.issued() == u64::MAX);
        assert_eq!(read.headers().collect::<Vec<_>>(), [("b", "x")]);
    }

    #[test]
    fn no_text_of_another_server_becomes_a_header_that_it_did_not_show() {
        let json = r#"{"url":"/a\nb: c","headers":{"a":"1\nx: 2","b: y":"3","c\r":"4","d":"5"}}"#;
        let read = handshake_of(json);
        assert_eq!((read.url(), read.path()), ("", ""));
        assert_eq!(read.headers().collect::<Vec<_>>(), [("d", "5")]);
    }

    #[test]
    fn no_more_headers_are_read_than_the_bound_allows() {
        let value = "x".repeat(1000);
        let headers: BTreeMap<_, _> = (0..100).map(|at| (format!("x-{at}"), &value)).collect();
        let json = serde_json::json!({ "headers": headers }).to_string();
        let read = handshake_of(&json);
        let bytes: usize = read.headers().map(|(name, value)| name.len() + value.len()).sum();
        assert!((MAX_HEADER_BYTES - 2000..=MAX_HEADER_BYTES).contains(&bytes), "{bytes}");
    }
}
