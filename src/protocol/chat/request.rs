//! What a client says.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Code, Failure};

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `login`
    Login(Login),
    /// `sendMessage`
    SendMessage(SendMessage),
    /// `sendImage`
    SendImage(SendImage),
    /// `sendPrivate`
    SendPrivate(SendPrivate),
    /// `typing`
    Typing(Typing),
    /// `joinRoom`
    JoinRoom(JoinRoom),
    /// `history`
    History(History),
    /// `ping`
    Ping,
    /// `logout`
    Logout,
}

/// Somebody says who they are, and where they were if they come back.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Login {
    /// The nickname they want.
    pub username: String,
    /// Their face: a name of the set, or a small picture as a data URL. Anything else becomes the default.
    pub avatar: Option<String>,
    /// The room; the lobby if there is none.
    pub room: Option<String>,
    /// The secret that the server gave them the last time.
    pub token: Option<String>,
    /// With `offset`: where they left off.
    pub epoch: Option<String>,
    /// The offset of the last message they processed.
    pub offset: Option<u64>,
}

/// A text for the room.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SendMessage {
    /// The text.
    pub msg: String,
    /// The client's own name for it, by which a repetition is known.
    pub id: Option<String>,
}

/// A picture for the room.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SendImage {
    /// A data URL of a png, jpeg, gif or webp.
    pub img: String,
    /// The client's own name for it, by which a repetition is known.
    pub id: Option<String>,
}

/// A text for one person in the room.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SendPrivate {
    /// The nickname.
    pub to: String,
    /// The text.
    pub msg: String,
    /// The client's own name for it.
    pub id: Option<String>,
}

/// Somebody begins or stops to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Typing {
    /// Whether they write.
    pub typing: bool,
}

/// To another room.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct JoinRoom {
    /// The room.
    pub room: String,
}

/// Older messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct History {
    /// Messages before this offset, itself left out; the newest if there is none.
    pub before: Option<u64>,
    /// How many at most.
    pub limit: Option<u64>,
}

/// A request as it comes over a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// What is wanted, or why it cannot be read.
    pub request: Result<Request, Failure>,
    /// The number the answer must bear.
    pub ack: Option<u64>,
}

#[derive(Deserialize)]
struct RawEnvelope<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    ack: Option<u64>,
}

impl Envelope {
    /// Reads one frame. Whatever it holds, there is something to answer.
    pub fn parse(text: &str) -> Self {
        match read::<RawEnvelope<'_>>(text, "") {
            Ok(raw) => Self {
                request: Request::parse(&raw.event, raw.data.map_or("{}", RawValue::get)),
                ack: raw.ack,
            },
            Err(failure) => Self { request: Err(failure), ack: None },
        }
    }
}

impl Request {
    /// Reads the event `name` with its argument, a JSON text.
    ///
    /// # Errors
    /// There is no such event, or a field of it is missing or of another type: the failure names it.
    pub fn parse(name: &str, data: &str) -> Result<Self, Failure> {
        Ok(match name {
            "login" => Self::Login(read(data, "data")?),
            "sendMessage" => Self::SendMessage(read(data, "data")?),
            "sendImage" => Self::SendImage(read(data, "data")?),
            "sendPrivate" => Self::SendPrivate(read(data, "data")?),
            "typing" => Self::Typing(read(data, "data")?),
            "joinRoom" => Self::JoinRoom(read(data, "data")?),
            "history" => Self::History(read(data, "data")?),
            "ping" => Self::Ping,
            "logout" => Self::Logout,
            other => {
                let shown: String = other.chars().take(40).collect();
                return Err(Failure::with(Code::UnknownEvent, format!("there is no event {shown:?}")));
            }
        })
    }

    /// The id that a message bears, if it may have one.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::SendMessage(SendMessage { id, .. })
            | Self::SendImage(SendImage { id, .. })
            | Self::SendPrivate(SendPrivate { id, .. }) => id.as_deref(),
            _ => None,
        }
    }
}

/// Reads a JSON text; the failure says which field is wrong, seen from `root`.
fn read<'a, T: Deserialize<'a>>(text: &'a str, root: &str) -> Result<T, Failure> {
    // A list could be read as a struct, field by field, and is not meant.
    if text.trim_start().starts_with('[') {
        let what = if root.is_empty() { "the message" } else { root };
        return Err(Failure::with(Code::BadField, format!("{what}: expected an object")));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        let sentence = inner.to_string();
        // Where in the text it is helps nobody who did not write it by hand.
        let sentence = sentence.split(" at line ").next().unwrap_or_default();
        let sentence = match sentence.split_once("struct ") {
            Some((before, _)) => format!("{before}an object"),
            None => sentence.to_owned(),
        };
        if !inner.is_data() {
            return Failure::with(Code::BadJson, format!("the message is no JSON: {sentence}"));
        }
        let field = match (root, &*path) {
            ("", ".") => "the message".to_owned(),
            (root, ".") => root.to_owned(),
            ("", path) => path.to_owned(),
            (root, path) => format!("{root}.{path}"),
        };
        Failure::with(Code::BadField, format!("{field}: {sentence}"))
    })?;
    json.end().map_err(|_| Failure::with(Code::BadJson, "the message goes on behind its JSON"))?;
    Ok(value)
}
