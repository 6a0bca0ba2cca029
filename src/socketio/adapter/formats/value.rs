//! A value of a body, in JSON or msgpack.

use std::borrow::Cow;

use bytes::Bytes;
use bytestring::ByteString;

use super::Junk;
use crate::protocol::{
    json::walk::{self, Element, is_legal_within},
    socketio::{
        Args,
        msgpack::{self, MAX_DEPTH, View},
    },
};

/// A body that is well-formed.
#[derive(Clone, Debug)]
pub(super) enum Body<'a> {
    Json(ByteString),
    Msgpack(View<'a>),
}

impl<'a> Body<'a> {
    /// Checks a body. Its first byte says what it is: JSON of an object begins with `{`.
    pub(super) fn of(bytes: &'a Bytes) -> Result<Self, Junk> {
        if !bytes.starts_with(b"{") {
            return Ok(Self::Msgpack(View::of(bytes)?));
        }
        let json = ByteString::try_from(bytes.clone()).map_err(|_| Junk::NotJson)?;
        if is_legal_within(&json, MAX_DEPTH) { Ok(Self::Json(json)) } else { Err(Junk::NotJson) }
    }

    /// The value that it is.
    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Self::Json(json) => Value::Json(json, Element::of(json)),
            Self::Msgpack(view) => Value::Msgpack(*view),
        }
    }
}

/// A value inside of a body. Nothing is copied until it is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    /// The text of the body, and the value.
    Json(&'a ByteString, Element<'a>),
    Msgpack(View<'a>),
}

impl<'a> Value<'a> {
    /// The fields with these names; the last, if there are several with one name. None if it is not an object.
    pub(super) fn fields<const N: usize>(self, names: [&str; N]) -> Option<[Option<Value<'a>>; N]> {
        let mut found = [None; N];
        match self {
            Self::Json(body, element) => {
                for (name, value) in element.fields()? {
                    if let Some(index) = names.iter().position(|wanted| name.is_text(wanted)) {
                        found[index] = Some(Self::Json(body, value));
                    }
                }
            }
            Self::Msgpack(view) => {
                let mut entries = view.keys_and_values()?;
                while let (Some(name), Some(value)) = (entries.next(), entries.next()) {
                    if let Some(index) = names.iter().position(|wanted| name.is_text(wanted)) {
                        found[index] = Some(Self::Msgpack(value));
                    }
                }
            }
        }
        Some(found)
    }

    /// The elements, if it is a list.
    pub(super) fn elements(self) -> Option<Elements<'a>> {
        match self {
            Self::Json(body, element) => Some(Elements::Json(body, element.elements()?)),
            Self::Msgpack(view) => Some(Elements::Msgpack(view.elements()?)),
        }
    }

    pub(super) fn is_null(self) -> bool {
        match self {
            Self::Json(_, element) => element.raw() == "null",
            Self::Msgpack(view) => view.is_nil(),
        }
    }

    pub(super) fn is_any_text(self) -> bool {
        match self {
            Self::Json(_, element) => element.raw().starts_with('"'),
            Self::Msgpack(view) => view.is_any_text(),
        }
    }

    pub(super) fn is_number(self) -> bool {
        self.number().is_some()
    }

    pub(super) fn is_object(self) -> bool {
        match self {
            Self::Json(_, element) => element.raw().starts_with('{'),
            Self::Msgpack(view) => view.keys_and_values().is_some(),
        }
    }

    /// Whether it is this text.
    pub(super) fn is_text(self, text: &str) -> bool {
        match self {
            Self::Json(_, element) => element.is_text(text),
            Self::Msgpack(view) => view.is_text(text),
        }
    }

    /// The boolean, if it is one.
    pub(super) fn bool(self) -> Option<bool> {
        match self {
            Self::Json(_, element) => match element.raw() {
                "true" => Some(true),
                "false" => Some(false),
                _ => None,
            },
            Self::Msgpack(view) => view.bool(),
        }
    }

    /// The number, if it is one.
    pub(super) fn number(self) -> Option<f64> {
        match self {
            Self::Json(_, element) if element.is_number() => element.raw().parse().ok(),
            Self::Json(..) => None,
            Self::Msgpack(view) => view.number(),
        }
    }

    /// The number, if it is one that counts something.
    pub(super) fn count(self) -> Option<u64> {
        /// 2^53: integers of JavaScript are exact up to here.
        const END: f64 = 9_007_199_254_740_992.0;
        let number = self.number()?;
        (number.fract() == 0.0 && (0.0..END).contains(&number)).then_some(number as u64)
    }

    /// The word of null, true or false.
    pub(super) fn word(self) -> Option<&'static str> {
        match self.bool() {
            Some(true) => Some("true"),
            Some(false) => Some("false"),
            None => self.is_null().then_some("null"),
        }
    }

    /// A copy of the text, the digits of the number, or the word; empty if it is none of them.
    pub(super) fn to_name(self) -> ByteString {
        if let Some(word) = self.word() {
            return ByteString::from_static(word);
        }
        let copy = |text: Cow<'_, str>| ByteString::from(text.into_owned().into_boxed_str());
        match self {
            Self::Json(_, element) if element.is_number() => copy(Cow::Borrowed(element.raw())),
            Self::Json(_, element) => element.text().map(copy).unwrap_or_default(),
            Self::Msgpack(view) => match view.text() {
                Some(text) => copy(text),
                None => view.digits().map(|digits| copy(digits.into())).unwrap_or_default(),
            },
        }
    }

    /// The arguments that the list is.
    pub(super) fn to_args(self) -> Args {
        match self {
            Self::Json(body, element) => Args { json: part(body, element.raw()), attachments: Vec::new() },
            Self::Msgpack(view) => view.args(true),
        }
    }

    /// A list of one argument.
    pub(super) fn to_one_argument(self) -> Args {
        match self {
            Self::Json(_, element) => {
                Args { json: format!("[{}]", element.raw()).into(), attachments: Vec::new() }
            }
            Self::Msgpack(view) => view.args(false),
        }
    }

    /// JSON of the value, with bytes as `JSON.stringify` writes a `Buffer`.
    pub(super) fn to_json(self) -> ByteString {
        match self {
            Self::Json(body, element) => part(body, element.raw()),
            Self::Msgpack(view) => view.json().into(),
        }
    }
}

/// A part of a text: a slice, or a copy if the slice would keep more than twice its bytes.
fn part(body: &ByteString, part: &str) -> ByteString {
    if part.len() >= body.len() / 2 { body.slice_ref(part) } else { part.into() }
}

/// The elements of a list.
#[derive(Clone, Debug)]
pub(super) enum Elements<'a> {
    Json(&'a ByteString, walk::Elements<'a>),
    Msgpack(msgpack::Entries<'a>),
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        match self {
            Self::Json(body, elements) => elements.next().map(|element| Value::Json(body, element)),
            Self::Msgpack(entries) => entries.next().map(Value::Msgpack),
        }
    }
}
