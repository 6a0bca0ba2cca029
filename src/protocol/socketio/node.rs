//! An argument between its JSON and its Rust type. Placeholders are resolved here, so that no type sees one.
//!
//! Texts stay in the JSON where possible, and attachments are shared.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use serde::{
    Deserializer,
    de::{self, Unexpected},
};

use super::value::keep_last;
use crate::protocol::json::Text;

/// The name of the only field of an object by which `serde_json` shows a number, with its digits as a text, if a
/// crate of the program turns its feature `arbitrary_precision` on. Only then would numbers be objects here.
const EXACT_NUMBER: &str = "$serde_json::private::Number";

/// A value of an argument.
#[derive(Debug)]
pub(super) enum Node<'a> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
    Binary(&'a Bytes),
    /// A placeholder without an attachment. An error only if it is used.
    Lost,
}

impl<'a> Node<'a> {
    /// The value of an object with these fields: with attachments, it may be a placeholder.
    fn object(mut fields: Vec<(Cow<'a, str>, Node<'a>)>, attachments: &'a [Bytes]) -> Self {
        keep_last(&mut fields);
        if let [(name, Node::Text(text))] = &*fields
            && name == EXACT_NUMBER
            && let Some(number) = Self::number(text)
        {
            return number;
        }
        let field = |name| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value);
        if attachments.is_empty() || !matches!(field("_placeholder"), Some(Node::Bool(true))) {
            return Self::Object(fields);
        }
        let index = match field("num") {
            Some(Node::Unsigned(index)) => usize::try_from(*index).ok(),
            // `1.0` is an integer of JavaScript.
            Some(Node::Float(index)) if index.fract() == 0.0 && *index >= 0.0 => Some(*index as usize),
            _ => None,
        };
        index.and_then(|index| attachments.get(index)).map_or(Self::Lost, Self::Binary)
    }

    fn number(text: &str) -> Option<Self> {
        let unsigned = text.parse().map(Self::Unsigned);
        let signed = unsigned.or_else(|_| text.parse().map(Self::Signed));
        signed.ok().or_else(|| text.parse().map(Self::Float).ok())
    }

    /// The value as error messages show it.
    pub(super) fn unexpected(&self) -> Unexpected<'_> {
        match self {
            Self::Null => Unexpected::Unit,
            Self::Bool(value) => Unexpected::Bool(*value),
            Self::Unsigned(value) => Unexpected::Unsigned(*value),
            Self::Signed(value) => Unexpected::Signed(*value),
            Self::Float(value) => Unexpected::Float(*value),
            Self::Text(text) => Unexpected::Str(text),
            Self::List(_) => Unexpected::Seq,
            Self::Object(_) => Unexpected::Map,
            Self::Binary(_) => Unexpected::Other("bytes"),
            Self::Lost => Unexpected::Other("placeholder without attachment"),
        }
    }
}

/// Reads one value.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) attachments: &'a [Bytes],
}

impl<'a> de::DeserializeSeed<'a> for Reader<'a> {
    type Value = Node<'a>;

    fn deserialize<D: Deserializer<'a>>(self, json: D) -> Result<Node<'a>, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'a> de::Visitor<'a> for Reader<'a> {
    type Value = Node<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node<'a>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node<'a>, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node<'a>, E> {
        Ok(Node::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node<'a>, E> {
        Ok(Node::Signed(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node<'a>, E> {
        Ok(Node::Float(value))
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Node<'a>, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node<'a>, E> {
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: de::SeqAccess<'a>>(self, mut values: A) -> Result<Node<'a>, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = values.next_element_seed(self)? {
            list.push(value);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: de::MapAccess<'a>>(self, mut entries: A) -> Result<Node<'a>, A::Error> {
        let mut fields = Vec::new();
        while let Some(Text(name)) = entries.next_key()? {
            fields.push((name, entries.next_value_seed(self)?));
        }
        Ok(Node::object(fields, self.attachments))
    }
}

#[cfg(test)]
mod tests {
    use serde::de::{DeserializeSeed as _, value::MapDeserializer};

    use super::*;

    #[test]
    fn a_number_that_is_shown_with_its_digits_is_a_number() {
        let read = |digits| {
            let map = MapDeserializer::<_, serde_json::Error>::new([(EXACT_NUMBER, digits)].into_iter());
            Reader { attachments: &[] }.deserialize(map).expect("a value")
        };
        assert!(matches!(read("7"), Node::Unsigned(7)));
        assert!(matches!(read("-7"), Node::Signed(-7)));
        assert!(matches!(read("0.5e1"), Node::Float(5.0)));
        assert!(matches!(read("18446744073709551616"), Node::Float(_)));
        assert!(matches!(read("x"), Node::Object(_)));
    }
}
