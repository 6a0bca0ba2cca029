//! The `auth` object of a CONNECT: some fields are the protocol's, the others the application's.

use std::fmt;

use bytestring::ByteString;
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use crate::protocol::json::Text;

/// The fields for recovery: a client comes back as the socket that it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Auth {
    /// The secret from the earlier CONNECT packet of the server.
    pub pid: Option<ByteString>,
    /// The last event that the client received.
    pub offset: Offset,
    /// Whether recovery is off: `"recovery": false`.
    pub no_recovery: bool,
}

/// The offset of the last event that a client received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Offset {
    /// Missing or `null`: the client received no event.
    #[default]
    Missing,
    /// A string, which the server appended to the event's arguments.
    Text(ByteString),
    /// A value of another type.
    Other,
}

impl Auth {
    /// Parses the object of a CONNECT. Other fields are the application's.
    pub(crate) fn read(json: &str) -> Self {
        serde_json::from_str(json).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Auth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AuthVisitor)
    }
}

struct AuthVisitor;

impl<'de> de::Visitor<'de> for AuthVisitor {
    type Value = Auth;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    /// As in JavaScript, the last of repeated fields counts.
    fn visit_map<A: de::MapAccess<'de>>(self, mut fields: A) -> Result<Auth, A::Error> {
        let mut auth = Auth::default();
        while let Some(Text(name)) = fields.next_key()? {
            match &*name {
                "pid" => auth.pid = text(fields.next_value()?),
                "offset" => {
                    let raw: &RawValue = fields.next_value()?;
                    auth.offset = match text(raw) {
                        Some(offset) => Offset::Text(offset),
                        None if raw.get() == "null" => Offset::Missing,
                        None => Offset::Other,
                    };
                }
                "recovery" => auth.no_recovery = fields.next_value::<&RawValue>()?.get() == "false",
                _ => drop(fields.next_value::<de::IgnoredAny>()?),
            }
        }
        Ok(auth)
    }
}

impl Offset {
    /// The offset as a number, the form that this server gives out.
    pub(crate) fn number(&self) -> Option<u64> {
        match self {
            Self::Text(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            _ => None,
        }
    }
}

fn text(raw: &RawValue) -> Option<ByteString> {
    let Text(text) = serde_json::from_str(raw.get()).ok()?;
    Some(text.as_ref().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_the_protocol_are_found_among_those_of_a_program() {
        let is =
            |pid: Option<&str>, offset| Auth { pid: pid.map(ByteString::from), offset, ..Auth::default() };
        let at = |offset: &str| Offset::Text(offset.into());
        for (json, auth) in [
            ("{}", is(None, Offset::Missing)),
            (r#"{"pid":"p"}"#, is(Some("p"), Offset::Missing)),
            (r#"{"pid":"p","offset":null}"#, is(Some("p"), Offset::Missing)),
            (r#"{"offset":"7","token":{"pid":"x"},"pid":"p"}"#, is(Some("p"), at("7"))),
            (r#"{"pid":"p","offset":7}"#, is(Some("p"), Offset::Other)),
            (r#"{"pid":7,"offset":"7"}"#, is(None, at("7"))),
            (r#"{"pid":"p","pid":"q","offset":"\ud83d","\ud83d":"\udc00"}"#, is(Some("q"), at("\u{FFFD}"))),
        ] {
            assert_eq!(Auth::read(json), auth, "{json}");
        }
        for (json, no_recovery) in [
            ("{}", false),
            (r#"{"recovery":false}"#, true),
            (r#"{"pid":"p","recovery": false ,"x":1}"#, true),
            (r#"{"recovery":true}"#, false),
            (r#"{"recovery":null}"#, false),
            (r#"{"recovery":"false"}"#, false),
        ] {
            assert_eq!(Auth::read(json).no_recovery, no_recovery, "{json}");
        }
    }

    #[test]
    fn an_offset_is_a_number_if_it_has_digits_alone() {
        for (text, number) in
            [("0", Some(0)), ("007", Some(7)), ("", None), ("-1", None), ("1 ", None), ("x", None)]
        {
            assert_eq!(Offset::Text(text.into()).number(), number, "{text}");
        }
        assert_eq!((Offset::Missing.number(), Offset::Text("9".repeat(30).into()).number()), (None, None));
    }
}
