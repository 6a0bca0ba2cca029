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
