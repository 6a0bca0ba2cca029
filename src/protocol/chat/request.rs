//! Requests of clients.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use super::{Code, Failure};
use crate::{
    logging::Shown,
    protocol::json::{self, Text},
};

/// A request of a client, by its event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// `login`
    Login(Login),
    /// `sendMessage`
    SendMessage(SendMessage),
    /// `sendImage` without `to`
    SendImage(SendImage),
    /// `sendPrivate`, and `sendImage` with `to`
    SendPrivate(SendPrivate),
    /// `typing`
    Typing(Typing),
    /// `joinRoom`
    JoinRoom(JoinRoom),
    /// `history`
    History(History),
    /// `userList`
    UserList(UserList),
    /// `ping`
    Ping,
    /// `logout`
    Logout,
}

/// Data of `login`: the user, and after a lost connection, the position in the room.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Login {
    /// The nickname wanted.
    pub username: String,
    /// The avatar: a built-in name, or a small picture as a data URL. Anything else becomes the default.
    pub avatar: Option<String>,
    /// The room; the lobby if missing.
    pub room: Option<String>,
    /// The token from an earlier login.
    pub token: Option<String>,
    /// The epoch of `offset`.
    pub epoch: Option<String>,
    /// The offset of the last message that the client processed.
    pub offset: Option<u64>,
    /// How the client is told of logins and logouts; by lists if missing.
    pub presence: Option<Presence>,
}

/// How a client is told of logins and logouts, after the first list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Presence {
    /// By lists and by events; of many changes at once only some have events.
    #[default]
    List,
    /// By an event for every change, without further lists.
    Changes,
}

/// Data of `sendMessage`: a text to the room.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct SendMessage {
    /// The text.
    pub msg: String,
    /// The client's message id, to detect repetitions.
    pub id: Option<String>,
}

/// Data of `sendImage`: a picture to the room. One with `to` is read as [`SendPrivate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SendImage {
    /// A data URL of a png, jpeg, gif or webp.
    pub img: String,
    /// The client's message id, to detect repetitions.
    pub id: Option<String>,
}

/// A text or a picture to one user of the room: `sendPrivate`, or `sendImage` with `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SendPrivate {
    /// The nickname of the receiver.
    pub to: String,
    /// The text or the picture.
    pub content: Content,
    /// The client's message id.
    pub id: Option<String>,
}

/// The content of a private message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// A text.
    Text(String),
    /// A picture, a data URL.
    Image(String),
}

/// The data of `sendPrivate`.
#[derive(Deserialize)]
struct PrivateData {
    to: String,
    msg: String,
    id: Option<String>,
}

/// The data of `sendImage`.
#[derive(Deserialize)]
struct ImageData {
    img: String,
    id: Option<String>,
    #[serde(default, deserialize_with = "present")]
    to: Option<String>,
}

/// A field that may be missing, but not `null`: a client that lost the receiver's name must not send the
/// picture to the room.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

impl From<PrivateData> for Request {
    fn from(PrivateData { to, msg, id }: PrivateData) -> Self {
        Self::SendPrivate(SendPrivate { to, content: Content::Text(msg), id })
    }
}

impl From<ImageData> for Request {
    fn from(ImageData { img, id, to }: ImageData) -> Self {
        match to {
            Some(to) => Self::SendPrivate(SendPrivate { to, content: Content::Image(img), id }),
            None => Self::SendImage(SendImage { img, id }),
        }
    }
}

/// Data of `typing`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Typing {
    /// Whether the user is typing.
    pub typing: bool,
}

/// Data of `joinRoom`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct JoinRoom {
    /// The room to join.
    pub room: String,
}

/// Data of `history`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct History {
    /// Messages before this offset, exclusive; the newest ones if missing.
    pub before: Option<u64>,
    /// Maximum number of messages.
    pub limit: Option<u64>,
}

/// Data of `userList`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct UserList {
    /// Users after this nickname in the order of names; the first ones if missing.
    pub after: Option<String>,
    /// Maximum number of users.
    pub limit: Option<u64>,
}

/// A request in its envelope, as sent over a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// The request, or the reason why it is invalid.
    pub request: Result<Request, Failure>,
    /// The number that the ack must have.
    pub ack: Option<u64>,
}

/// An envelope with unparsed fields. As in JavaScript, the last of repeated fields counts, and strings may
/// contain half of a surrogate pair.
#[derive(Default)]
struct RawEnvelope<'a> {
    event: Option<&'a RawValue>,
    data: Option<&'a RawValue>,
    ack: Option<&'a RawValue>,
}

impl<'de> Deserialize<'de> for RawEnvelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EnvelopeVisitor)
    }
}

struct EnvelopeVisitor;

impl<'de> de::Visitor<'de> for EnvelopeVisitor {
    type Value = RawEnvelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut fields: A) -> Result<RawEnvelope<'de>, A::Error> {
        let mut raw = RawEnvelope::default();
        while let Some(Text(name)) = fields.next_key()? {
            match &*name {
                "event" => raw.event = Some(fields.next_value()?),
                "data" => raw.data = Some(fields.next_value()?),
                "ack" => raw.ack = Some(fields.next_value()?),
                _ => drop(fields.next_value::<de::IgnoredAny>()?),
            }
        }
        Ok(raw)
    }
}

impl Envelope {
    /// Parses one message. Every input has a reply: an invalid one becomes a failure, with the `ack` number
    /// if that is readable.
    pub(crate) fn parse(text: &str) -> Self {
        let raw = match read::<RawEnvelope<'_>>(text, "") {
            Ok(raw) => raw,
            Err(failure) => return Self { request: Err(failure), ack: None },
        };
        match raw.ack.map_or(Ok(None), read_ack) {
            Ok(ack) => Self { request: raw.request(), ack },
            Err(failure) => Self { request: Err(failure), ack: None },
        }
    }
}

impl RawEnvelope<'_> {
    fn request(&self) -> Result<Request, Failure> {
        let Some(event) = self.event else {
            return Err(Failure::with(Code::BadField, "the message: missing field `event`"));
        };
        let Text(name) = serde_json::from_str(event.get()).map_err(|error| wrong("event", &error))?;
        let data = self.data.map(RawValue::get).filter(|data| *data != "null");
        Request::parse(&name, data.unwrap_or("{}"))
    }
}

/// Parses the number of an ack. JSON has one type of numbers: `3.0` is 3.
fn read_ack(raw: &RawValue) -> Result<Option<u64>, Failure> {
    /// 2^53: from here on `f64` does not represent every integer.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let text = raw.get();
    let error = match serde_json::from_str::<Option<u64>>(text) {
        Ok(number) => return Ok(number),
        Err(error) => error,
    };
    match text.parse::<f64>() {
        Ok(number) if number.fract() == 0.0 && (0.0..EXACT).contains(&number) => Ok(Some(number as u64)),
        _ => Err(wrong("ack", &error)),
    }
}

/// The failure for an invalid field.
fn wrong(field: &str, error: &serde_json::Error) -> Failure {
    Failure::with(Code::BadField, format!("{field}: {}", sentence_of(error)))
}

/// The error message without the position in the text, which is useless in generated JSON.
fn sentence_of(error: &serde_json::Error) -> String {
    let sentence = error.to_string();
    let sentence = sentence.split(" at line ").next().unwrap_or_default();
    match sentence.split_once("struct ") {
        Some((before, _)) => format!("{before}an object"),
        None => sentence.to_owned(),
    }
}

impl Request {
    /// Parses the event `name` with its argument, a JSON text.
    ///
    /// # Errors
    /// The event is unknown, or a field is missing or of another type: the failure names it.
    pub(crate) fn parse(name: &str, data: &str) -> Result<Self, Failure> {
        Ok(match name {
            "login" => Self::Login(read(data, "data")?),
            "sendMessage" => Self::SendMessage(read(data, "data")?),
            "sendImage" => read::<ImageData>(data, "data")?.into(),
            "sendPrivate" => read::<PrivateData>(data, "data")?.into(),
            "typing" => Self::Typing(read(data, "data")?),
            "joinRoom" => Self::JoinRoom(read(data, "data")?),
            "history" => Self::History(read(data, "data")?),
            "userList" => Self::UserList(read(data, "data")?),
            "ping" => Self::Ping,
            "logout" => Self::Logout,
            other => {
                let sentence = format!("there is no event {:?}", Shown(other));
                return Err(Failure::with(Code::UnknownEvent, sentence));
            }
        })
    }

    /// The message id, if the request is a message and has one.
    pub(crate) fn id(&self) -> Option<&str> {
        match self {
            Self::SendMessage(SendMessage { id, .. })
            | Self::SendImage(SendImage { id, .. })
            | Self::SendPrivate(SendPrivate { id, .. }) => id.as_deref(),
            _ => None,
        }
    }
}

/// Parses a JSON text; the failure has the path of the invalid field, starting at `root`.
fn read<'a, T: Deserialize<'a>>(text: &'a str, root: &str) -> Result<T, Failure> {
    // serde would accept a list as a struct, field by field.
    if text.trim_start().starts_with('[') {
        let what = if root.is_empty() { "the message" } else { root };
        return Err(Failure::with(Code::BadField, format!("{what}: expected an object")));
    }
    if let Ok(value) = serde_json::from_str(text) {
        return Ok(value);
    }
    // Only after a failure, because tracking the path costs more than parsing twice.
    let mut source = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut source).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        let sentence = if inner.is_data() {
            sentence_of(&inner)
        } else if json::is_legal(text) {
            // Legal JSON, but not representable in UTF-8.
            "half of a surrogate pair is not a character".to_owned()
        } else {
            return Failure::with(
                Code::BadJson,
                format!("the message is not JSON: {}", Shown(&sentence_of(&inner))),
            );
        };
        // `?` is a field with an unreadable name.
        let field = match (root, &*path) {
            ("", "." | "?") => "the message".to_owned(),
            (root, "." | "?") => root.to_owned(),
            ("", path) => path.to_owned(),
            (root, path) => format!("{root}.{path}"),
        };
        Failure::with(Code::BadField, format!("{}: {}", Shown(&field), Shown(&sentence)))
    })?;
    source
        .end()
        .map_err(|_| Failure::with(Code::BadJson, "there is more text after the JSON of the message"))?;
    Ok(value)
}
