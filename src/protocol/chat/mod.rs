//! The chat protocol `chat.v1`: JSON events, equal over a WebSocket and over Socket.IO.
//!
//! A client sends a [`Request`]; the reply is an [`Answer`] or a [`Failure`]; the members of its room get an
//! [`Event`]: three types, so that they cannot be confused. Over a WebSocket each is wrapped in an
//! [`Envelope`], `{"event": NAME, "data": {...}, "ack": N?}`, answered by `{"ack": N, "data": {...}}` or
//! `{"ack": N, "error": {...}}`.

use serde::Serialize;

pub use self::failure::CODES;
pub(crate) use self::{
    answer::{
        Answer, HistoryMessage, HistoryPage, LoginSuccess, PrivateReceipt, Receipt, RoomJoined, UsersPage,
    },
    event::{Event, Private, Profile, Said, UserChange},
    failure::{Code, Failure},
    request::{
        Content, Envelope, History, JoinRoom, Login, Presence, Request, SendImage, SendMessage, SendPrivate,
        Typing, UserList,
    },
};

mod answer;
mod event;
mod failure;
mod request;

/// The subprotocol's name, RFC 6455 section 1.9.
pub(crate) const SUBPROTOCOL: &str = "chat.v1";

/// Maximum length of a message `id`, in bytes.
pub(crate) const MAX_ID_BYTES: usize = 64;

/// In a room of more users than this, logins and logouts are combined into one event, and the list of users
/// is sent less often.
pub(crate) const MAX_USERS_AT_ONCE: usize = 50;

/// Maximum number of users in one list; a client requests further pages.
pub(crate) const USERS_PAGE: usize = 100;

/// Default number of messages in one page of history.
pub(crate) const HISTORY_LIMIT: u64 = 50;

/// Maximum number of messages in one page of history.
pub(crate) const MAX_HISTORY_LIMIT: u64 = 200;

/// `{"event": NAME, "data": DATA}`
pub(crate) fn event(name: &str, data: &impl Serialize) -> Vec<u8> {
    #[derive(Serialize)]
    struct Text<'a, T> {
        event: &'a str,
        data: &'a T,
    }
    json(&Text { event: name, data })
}

/// `{"ack": N, "data": DATA}`
pub(crate) fn ack(number: u64, data: &impl Serialize) -> Vec<u8> {
    #[derive(Serialize)]
    struct Text<'a, T> {
        ack: u64,
        data: &'a T,
    }
    json(&Text { ack: number, data })
}

/// `{"ack": N, "error": FAILURE}`
pub(crate) fn ack_failure(number: u64, error: &Failure) -> Vec<u8> {
    #[derive(Serialize)]
    struct Text<'a> {
        ack: u64,
        error: &'a Failure,
    }
    json(&Text { ack: number, error })
}

/// A value as a JSON text.
pub(crate) fn json_text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("structs of texts and numbers are always JSON")
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
    fn an_ack_is_read_whatever_else_the_object_holds() {
        let cases = [
            (r#"{"event":"\ud83d","data":{},"ack":3}"#, "there is no event \"\u{FFFD}\""),
            (
                r#"{"event":"sendMessage","data":{"msg":"x\ud83d"},"ack":3}"#,
                "data.msg: half of a surrogate pair is not a character",
            ),
            (r#"{"event":"ping2","\ud83d":"\udc00","ack":3}"#, "there is no event \"ping2\""),
            (
                r#"{"event":"login","data":{"username":"a","\udc00":1},"ack":3}"#,
                "data: half of a surrogate pair is not a character",
            ),
            (r#"{"event":5,"ack":3}"#, "event: invalid type: integer `5`, expected a string"),
            (r#"{"event":null,"ack":3}"#, "event: invalid type: null, expected a string"),
            (r#"{"event":["ping"],"ack":3}"#, "event: invalid type: sequence, expected a string"),
            (r#"{"ack":3}"#, "the message: missing field `event`"),
            (
                r#"{"data":"\ud83d","ack":3,"event":"typing"}"#,
                "data: half of a surrogate pair is not a character",
            ),
            (r#"{"event":"typing","data":[true],"ack":3}"#, "data: expected an object"),
            (r#"{"ack":7,"event":"jump","ack":3}"#, "there is no event \"jump\""),
            (r#"{"event":"jump","ack":3.0}"#, "there is no event \"jump\""),
            (r#"{"event":"jump","ack":30e-1}"#, "there is no event \"jump\""),
            (r#"{"event":"jump","\u0061ck":3}"#, "there is no event \"jump\""),
        ];
        for (text, sentence) in cases {
            let Envelope { request, ack } = Envelope::parse(text);
            assert_eq!(ack, Some(3), "{text}");
            assert_eq!(request.expect_err("refused").msg, sentence, "{text}");
        }
        for text in [
            r#"{"event":"ping","ack":-1}"#,
            r#"{"event":"ping","ack":0.5}"#,
            r#"{"event":"ping","ack":1e300}"#,
            r#"{"event":"ping","ack":[3]}"#,
            r#"{"event":"ping","ack":"\ud83d"}"#,
        ] {
            let Envelope { request, ack } = Envelope::parse(text);
            assert_eq!(ack, None);
            assert!(request.expect_err("refused").msg.starts_with("ack: "), "{text}");
        }
        assert_eq!(
            Envelope::parse(r#"{"event":"ping","ack":null}"#),
            Envelope { request: Ok(Request::Ping), ack: None }
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
            uid: None,
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
        // Rounded up: a client that waits so long must be accepted.
        let failure = Failure::too_fast(std::time::Duration::from_micros(39_001));
        assert_eq!(
            String::from_utf8(ack_failure(7, &failure)).expect("UTF-8"),
            r#"{"ack":7,"error":{"code":"rate_limited","msg":"too many messages: this one was rejected","retry_after_ms":40}}"#
        );
        assert_eq!(ack(1, &Answer::Done {}), br#"{"ack":1,"data":{}}"#);
    }
}
