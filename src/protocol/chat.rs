//! The chat vocabulary, `chat.v1`: JSON events, the same over a WebSocket and over Socket.IO.
//!
//! What a client says is a [`Request`], what it is answered an [`Answer`] or a [`Failure`], and what everybody in its
//! room hears an [`Event`]: three types, so that none can be taken for another. Over a WebSocket each is wrapped in an
//! [`Envelope`], `{"event": NAME, "data": {...}, "ack": N?}`, answered by `{"ack": N, "data": {...}}` or
//! `{"ack": N, "error": {...}}`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The subprotocol's name, RFC 6455 section 1.9.
pub const SUBPROTOCOL: &str = "chat.v1";

/// Longest `id` a client may give a message, in bytes.
pub const MAX_ID_BYTES: usize = 64;

/// Messages of one page of history: the default, and what a client may ask for.
pub const HISTORY_LIMIT: u64 = 50;

/// Most messages a client may ask for in one page of history.
pub const MAX_HISTORY_LIMIT: u64 = 200;

// ----- what a client says -----

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

// ----- what it is answered -----

/// What went wrong, in one stable word. The table of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The text is no JSON, or not a text.
    BadJson,
    /// A field is missing or of another type.
    BadField,
    /// There is no such event.
    UnknownEvent,
    /// A message before `login`.
    NotLoggedIn,
    /// The nickname breaks a rule.
    BadName,
    /// Somebody has the nickname, or is expected back.
    NameTaken,
    /// The room's name breaks a rule.
    BadRoom,
    /// There are as many rooms as there may be.
    TooManyRooms,
    /// The token is none.
    BadToken,
    /// Nobody of that name is in the room.
    NoSuchUser,
    /// The message or the picture is over its limit.
    TooLarge,
    /// The picture is none that we pass on.
    BadImage,
    /// Messages come faster than they may; this one was not taken.
    RateLimited,
    /// The message cannot be kept, or what was kept cannot be read.
    JournalUnavailable,
}

/// One row of the table of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeRow {
    /// The code.
    pub code: Code,
    /// The stable word.
    pub word: &'static str,
    /// The reason for people, unless there is a better one.
    pub reason: &'static str,
    /// Whether the same request may succeed later.
    pub retry: bool,
}

/// All codes.
pub const CODES: [CodeRow; 14] = [
    row(Code::BadJson, "bad_json", "the message is no JSON", false),
    row(Code::BadField, "bad_field", "a field is missing or of another type", false),
    row(Code::UnknownEvent, "unknown_event", "there is no such event", false),
    row(Code::NotLoggedIn, "not_logged_in", "log in first", false),
    row(Code::BadName, "bad_name", "this is no nickname", false),
    row(Code::NameTaken, "name_taken", "somebody in the room has this name, or has just left it", true),
    row(Code::BadRoom, "bad_room", "this is no name of a room", false),
    row(Code::TooManyRooms, "too_many_rooms", "there are too many rooms", true),
    row(Code::BadToken, "bad_token", "a token is 32 hexadecimal digits", false),
    row(Code::NoSuchUser, "no_such_user", "nobody of this name is in the room", false),
    row(Code::TooLarge, "too_large", "the message is too large", false),
    row(Code::BadImage, "bad_image", "this is no image that can be shown", false),
    row(Code::RateLimited, "rate_limited", "too many messages, this one was not taken", true),
    row(
        Code::JournalUnavailable,
        "journal_unavailable",
        "messages cannot be kept now, so none are taken",
        true,
    ),
];

const fn row(code: Code, word: &'static str, reason: &'static str, retry: bool) -> CodeRow {
    CodeRow { code, word, reason, retry }
}

impl Code {
    /// Its row in the table.
    pub fn row(self) -> &'static CodeRow {
        // The table is in the order of the variants; a test holds it to that.
        &CODES[self as usize]
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.row().word)
    }
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The stable word.
    pub code: Code,
    /// The reason for people.
    pub msg: Cow<'static, str>,
    /// When to try again, with [`Code::RateLimited`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Failure {
    /// With the reason that the table gives.
    pub fn of(code: Code) -> Self {
        Self::with(code, code.row().reason)
    }

    /// With a reason of its own.
    pub fn with(code: Code, msg: impl Into<Cow<'static, str>>) -> Self {
        Self { code, msg: msg.into(), retry_after_ms: None }
    }
}

/// What a request is answered when it was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Answer<'a> {
    /// To `login`; without an ack it is the event `loginSuccess`.
    LoginSuccess(LoginSuccess),
    /// To `joinRoom`; without an ack it is the event `roomJoined`.
    RoomJoined(RoomJoined),
    /// To `sendMessage` and `sendImage`, once the message is durable.
    Receipt(Receipt),
    /// To `sendPrivate`.
    PrivateReceipt(PrivateReceipt),
    /// To `history`.
    HistoryPage(HistoryPage<'a>),
    /// To `ping`.
    Pong {
        /// The server's time, in milliseconds since 1970.
        at: u64,
    },
    /// To `typing` and `logout`.
    Done {},
}

/// Somebody is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoginSuccess {
    /// The nickname, normalized.
    pub username: String,
    /// The face that others see.
    pub avatar: String,
    /// The room.
    pub room: String,
    /// The secret to come back with.
    pub token: String,
    /// What offsets count in.
    pub epoch: String,
    /// The offset of the room's last message.
    pub offset: u64,
    /// Whether all that was said since the client's own offset follows.
    pub recovered: bool,
    /// If not: how many messages since then do not follow.
    pub missed: u64,
}

/// Somebody has changed rooms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoomJoined {
    /// The room.
    pub room: String,
    /// What offsets count in.
    pub epoch: String,
    /// The offset of the room's last message.
    pub offset: u64,
}

/// A message is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// The client's own name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its place in the room.
    pub offset: u64,
    /// When it was said, in milliseconds since 1970.
    pub at: u64,
    /// A text in upper case with `!!!`; a picture has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub echo: Option<String>,
}

/// A private message has been dealt with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PrivateReceipt {
    /// The client's own name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// When it was said, in milliseconds since 1970.
    pub at: u64,
    /// Whether somebody got it; not so while its reader is away and expected back.
    pub delivered: bool,
}

/// Older messages, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryPage<'a> {
    /// The messages.
    pub messages: Vec<HistoryMessage<'a>>,
    /// Whether there are older ones.
    pub more: bool,
}

/// One message of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryMessage<'a> {
    /// `message` or `image`.
    pub kind: &'static str,
    /// The message.
    #[serde(flatten)]
    pub message: Said<'a>,
}

// ----- what a room hears -----

/// What everybody in a room, or one session of it, is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// `addUser`
    AddUser(Somebody<'a>),
    /// `delUser`
    DelUser(Somebody<'a>),
    /// `userList`
    UserList(&'a [UserRef<'a>]),
    /// `receiveMessage`
    ReceiveMessage(Said<'a>),
    /// `receiveImage`
    ReceiveImage(Said<'a>),
    /// `receivePrivate`
    ReceivePrivate(Private<'a>),
    /// `typing`
    Typing {
        /// Who.
        username: &'a str,
        /// Whether they write.
        typing: bool,
    },
}

/// Somebody came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Somebody<'a> {
    /// The nickname.
    pub username: &'a str,
    /// The face.
    pub avatar: &'a str,
    /// How many people are in the room now.
    pub count: usize,
}

/// Somebody who is in the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct UserRef<'a> {
    /// The nickname.
    pub username: &'a str,
    /// The face.
    pub avatar: &'a str,
}

/// A message of the room: a text or a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Said<'a> {
    /// Who said it.
    pub username: &'a str,
    /// The speaker's face.
    pub avatar: &'a str,
    /// The text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msg: Option<&'a str>,
    /// The picture, a data URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub img: Option<&'a str>,
    /// Its place in the room.
    pub offset: u64,
    /// When it was said, in milliseconds since 1970.
    pub at: u64,
    /// The name its client gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    /// Whether it was said before its reader came.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub replay: bool,
}

/// A message for one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Private<'a> {
    /// Who said it.
    pub username: &'a str,
    /// The speaker's face.
    pub avatar: &'a str,
    /// To whom.
    pub to: &'a str,
    /// The text.
    pub msg: &'a str,
    /// When it was said, in milliseconds since 1970.
    pub at: u64,
    /// The name its client gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
}

impl Event<'_> {
    /// The event's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::AddUser(_) => "addUser",
            Self::DelUser(_) => "delUser",
            Self::UserList(_) => "userList",
            Self::ReceiveMessage(_) => "receiveMessage",
            Self::ReceiveImage(_) => "receiveImage",
            Self::ReceivePrivate(_) => "receivePrivate",
            Self::Typing { .. } => "typing",
        }
    }

    /// The whole event as a JSON text.
    pub fn to_json(&self) -> Vec<u8> {
        match self {
            Self::AddUser(data) | Self::DelUser(data) => event(self.name(), data),
            Self::UserList(data) => event(self.name(), data),
            Self::ReceiveMessage(data) | Self::ReceiveImage(data) => event(self.name(), data),
            Self::ReceivePrivate(data) => event(self.name(), data),
            Self::Typing { username, typing } => event(self.name(), &TypingNow { username, typing: *typing }),
        }
    }
}

#[derive(Serialize)]
struct TypingNow<'a> {
    username: &'a str,
    typing: bool,
}

// ----- as JSON texts -----

/// `{"event": NAME, "data": DATA}`
pub fn event(name: &str, data: &impl Serialize) -> Vec<u8> {
    #[derive(Serialize)]
    struct Text<'a, T> {
        event: &'a str,
        data: &'a T,
    }
    json(&Text { event: name, data })
}

/// `{"ack": N, "data": DATA}`
pub fn ack(number: u64, data: &impl Serialize) -> Vec<u8> {
    #[derive(Serialize)]
    struct Text<'a, T> {
        ack: u64,
        data: &'a T,
    }
    json(&Text { ack: number, data })
}

/// `{"ack": N, "error": FAILURE}`
pub fn ack_failure(number: u64, error: &Failure) -> Vec<u8> {
    #[derive(Serialize)]
    struct Text<'a> {
        ack: u64,
        error: &'a Failure,
    }
    json(&Text { ack: number, error })
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("structs of texts and numbers are always JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(text: &str) -> (Code, String) {
        let failure = Envelope::parse(text).request.expect_err("refused");
        (failure.code, failure.msg.into_owned())
    }

    #[test]
    fn the_table_of_codes_has_each_once_and_in_order() {
        for (index, row) in CODES.iter().enumerate() {
            assert_eq!(row.code as usize, index);
            assert_eq!(CODES.iter().filter(|other| other.word == row.word).count(), 1, "{}", row.word);
        }
    }

    #[test]
    fn a_request_is_read_with_its_ack_and_without_what_is_unknown() {
        let text =
            r#"{"event":"sendMessage","data":{"msg":"hi","id":"a","username":"eve","x":[{}]},"ack":7,"y":1}"#;
        let Envelope { request, ack } = Envelope::parse(text);
        assert_eq!(ack, Some(7));
        let expected = SendMessage { msg: "hi".to_owned(), id: Some("a".to_owned()) };
        assert_eq!(request, Ok(Request::SendMessage(expected)));
        assert_eq!(Envelope::parse(r#"{"event":"ping"}"#).request, Ok(Request::Ping));
        assert_eq!(
            Envelope::parse(r#"{"event":"pi\u006eg"}"#).request,
            Ok(Request::Ping),
            "escapes are read"
        );
        let Ok(Request::Login(login)) =
            Envelope::parse(r#"{"event":"login","data":{"username":"a","room":null}}"#).request
        else {
            panic!("a login")
        };
        assert_eq!((&*login.username, login.room), ("a", None));
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(failure("hello").0, Code::BadJson);
        assert_eq!(failure("trash").0, Code::BadJson);
        assert_eq!(failure(r#"{"event":"ping"} {}"#).0, Code::BadJson);
        assert_eq!(failure("[]").0, Code::BadField);
        assert_eq!(failure(r#"{"event":"typing","data":[true]}"#).1, "data: expected an object");
        assert_eq!(
            failure(r#"{"data":{}}"#),
            (Code::BadField, "the message: missing field `event`".to_owned())
        );
        assert_eq!(failure(r#"{"event":5}"#).1, "event: invalid type: integer `5`, expected a string");
        assert_eq!(
            failure(r#"{"event":"ping","ack":"x"}"#).1,
            "ack: invalid type: string \"x\", expected u64"
        );
        assert_eq!(
            failure(r#"{"event":"sendMessage","data":{"msg":5}}"#).1,
            "data.msg: invalid type: integer `5`, expected a string"
        );
        assert_eq!(failure(r#"{"event":"sendMessage"}"#).1, "data: missing field `msg`");
        assert_eq!(
            failure(r#"{"event":"typing","data":7}"#).1,
            "data: invalid type: integer `7`, expected an object"
        );
        assert_eq!(failure("trash").0, Code::BadJson);
        assert_eq!(
            failure(r#"{"event":"jump"}"#),
            (Code::UnknownEvent, "there is no event \"jump\"".to_owned())
        );
    }

    #[test]
    fn no_text_makes_it_panic() {
        let deep = "[".repeat(100_000);
        for text in [&deep, "", "\u{0}", "{\"event\":\"login\",\"data\":null}", "{\"event\":\"\\ud800\"}"] {
            let _ = Envelope::parse(text).request.expect_err("refused");
        }
        let deep_data = format!("{{\"event\":\"ping\",\"data\":{deep}{}}}", "]".repeat(100_000));
        let _ = Envelope::parse(&deep_data);
    }

    #[test]
    fn events_and_answers_are_json_of_the_documented_form() {
        let said = Said {
            username: "a",
            avatar: "cat",
            msg: Some("hi"),
            img: None,
            offset: 3,
            at: 9,
            id: None,
            replay: true,
        };
        assert_eq!(
            String::from_utf8(Event::ReceiveMessage(said).to_json()).expect("UTF-8"),
            r#"{"event":"receiveMessage","data":{"username":"a","avatar":"cat","msg":"hi","offset":3,"at":9,"replay":true}}"#
        );
        let receipt =
            Answer::Receipt(Receipt { id: Some("x".into()), offset: 3, at: 9, echo: Some("HI!!!".into()) });
        assert_eq!(
            String::from_utf8(ack(7, &receipt)).expect("UTF-8"),
            r#"{"ack":7,"data":{"id":"x","offset":3,"at":9,"echo":"HI!!!"}}"#
        );
        let mut failure = Failure::of(Code::RateLimited);
        failure.retry_after_ms = Some(40);
        assert_eq!(
            String::from_utf8(ack_failure(7, &failure)).expect("UTF-8"),
            r#"{"ack":7,"error":{"code":"rate_limited","msg":"too many messages, this one was not taken","retry_after_ms":40}}"#
        );
        assert_eq!(ack(1, &Answer::Done {}), br#"{"ack":1,"data":{}}"#);
    }
}
