//! An argument between its JSON and its Rust type. Placeholders are resolved here, so that no type sees one.
//!
//! Texts stay in the JSON where possible, and attachments are shared.

use std::{borrow::Cow, fmt, vec};

use bytes::Bytes;
use serde::{
    Deserializer, de,
    de::{Error as _, Unexpected, value::BorrowedStrDeserializer},
    forward_to_deserialize_any,
};

use super::{fault::Fault, value::keep_last};
use crate::protocol::json::Text;

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
}

impl<'a> Node<'a> {
    /// The value of an object with these fields: with attachments, it may be a placeholder.
    fn object(
        mut fields: Vec<(Cow<'a, str>, Node<'a>)>,
        attachments: &'a [Bytes],
    ) -> Result<Self, &'static str> {
        keep_last(&mut fields);
        let field = |name| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value);
        if attachments.is_empty() || !matches!(field("_placeholder"), Some(Node::Bool(true))) {
            return Ok(Self::Object(fields));
        }
        let index = match field("num") {
            Some(Node::Unsigned(index)) => usize::try_from(*index).ok(),
            // `1.0` is an integer of JavaScript.
            Some(Node::Float(index)) if index.fract() == 0.0 && *index >= 0.0 => Some(*index as usize),
            _ => None,
        };
        index
            .and_then(|index| attachments.get(index))
            .map(Self::Binary)
            .ok_or("a placeholder has no attachment")
    }

    fn unexpected(&self) -> Unexpected<'_> {
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
        }
    }
}

// ----- from JSON -----

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
        Node::object(fields, self.attachments).map_err(A::Error::custom)
    }
}

// ----- to a Rust type -----

/// Methods for types that must not be made of bytes.
macro_rules! never_of_bytes {
    ($($method:ident($($name:ident: $type:ty),*)),* $(,)?) => {
        $(fn $method<V: de::Visitor<'de>>(self, $($name: $type,)* visitor: V) -> Result<V::Value, Fault> {
            $(let _ = $name;)*
            self.visit_unless_bytes(visitor)
        })*
    };
}

impl<'de> Node<'de> {
    fn visit_unless_bytes<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            // A `String` would take them for UTF-8.
            Self::Binary(_) => Err(Fault::invalid_type(self.unexpected(), &visitor)),
            other => other.deserialize_any(visitor),
        }
    }
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Fault;

    fn deserialize_any<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Self::Null => visitor.visit_unit(),
            Self::Bool(value) => visitor.visit_bool(value),
            Self::Unsigned(value) => visitor.visit_u64(value),
            Self::Signed(value) => visitor.visit_i64(value),
            Self::Float(value) => visitor.visit_f64(value),
            Self::Text(Cow::Borrowed(text)) => visitor.visit_borrowed_str(text),
            Self::Text(Cow::Owned(text)) => visitor.visit_string(text),
            Self::List(values) => visit_list(values, visitor),
            Self::Object(fields) => visitor.visit_map(Fields { rest: fields.into_iter(), current: None }),
            Self::Binary(bytes) => visitor.visit_borrowed_bytes(bytes),
        }
    }

    fn deserialize_bytes<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Self::Binary(bytes) => visitor.visit_borrowed_bytes(bytes),
            // `Bytes` would take texts and lists of numbers too.
            other => Err(Fault::invalid_type(other.unexpected(), &visitor)),
        }
    }

    fn deserialize_byte_buf<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self {
            Self::Null => visitor.visit_none(),
            other => visitor.visit_some(other),
        }
    }

    fn deserialize_newtype_struct<V: de::Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: de::Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self {
            Self::Text(name) => visitor.visit_enum(Variant { name, value: None }),
            Self::Object(fields) => {
                let mut fields = fields.into_iter();
                match (fields.next(), fields.next()) {
                    (Some((name, value)), None) => visitor.visit_enum(Variant { name, value: Some(value) }),
                    _ => Err(Fault::invalid_value(Unexpected::Map, &"an object with one field")),
                }
            }
            other => Err(Fault::invalid_type(other.unexpected(), &"a string or an object")),
        }
    }

    never_of_bytes! {
        deserialize_bool(),
        deserialize_char(),
        deserialize_str(),
        deserialize_string(),
        deserialize_unit(),
        deserialize_unit_struct(name: &'static str),
        deserialize_seq(),
        deserialize_tuple(len: usize),
        deserialize_tuple_struct(name: &'static str, len: usize),
        deserialize_map(),
        deserialize_struct(name: &'static str, fields: &'static [&'static str]),
        deserialize_identifier(),
    }

    // No visitor of a number takes bytes.
    forward_to_deserialize_any! { i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 ignored_any }
}

fn visit_list<'de, V: de::Visitor<'de>>(list: Vec<Node<'de>>, visitor: V) -> Result<V::Value, Fault> {
    let len = list.len();
    let mut elements = Elements { rest: list.into_iter(), next: 0 };
    let value = visitor.visit_seq(&mut elements)?;
    match elements.rest.len() {
        0 => Ok(value),
        _ => Err(Fault::invalid_length(len, &"fewer elements in the list")),
    }
}

struct Elements<'de> {
    rest: vec::IntoIter<Node<'de>>,
    next: usize,
}

impl<'de> de::SeqAccess<'de> for Elements<'de> {
    type Error = Fault;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some(node) = self.rest.next() else { return Ok(None) };
        let index = self.next;
        self.next += 1;
        seed.deserialize(node).map(Some).map_err(|fault| fault.in_element(index))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

struct Fields<'de> {
    rest: vec::IntoIter<(Cow<'de, str>, Node<'de>)>,
    current: Option<(Cow<'de, str>, Node<'de>)>,
}

impl<'de> de::MapAccess<'de> for Fields<'de> {
    type Error = Fault;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.current = self.rest.next();
        let Some((name, _)) = &self.current else { return Ok(None) };
        seed.deserialize(Key(name)).map(Some).map_err(|fault| fault.in_field(name))
    }

    fn next_value_seed<T: de::DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        let (name, node) = self.current.take().ok_or_else(|| Fault::custom("a value without its key"))?;
        seed.deserialize(node).map_err(|fault| fault.in_field(&name))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// The name of a field.
struct Key<'a, 'de>(&'a Cow<'de, str>);

/// Keys that JSON writes as strings: numbers and booleans.
macro_rules! parsed {
    ($($method:ident => $visit:ident,)*) => {
        $(fn $method<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            match self.0.parse() {
                Ok(value) => visitor.$visit(value),
                Err(_) => self.deserialize_any(visitor),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for Key<'_, 'de> {
    type Error = Fault;

    fn deserialize_any<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Cow::Borrowed(name) => visitor.visit_borrowed_str(name),
            Cow::Owned(name) => visitor.visit_str(name),
        }
    }

    fn deserialize_option<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: de::Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: de::Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_enum(Variant { name: self.0.clone(), value: None })
    }

    fn deserialize_bytes<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        Err(Fault::invalid_type(Unexpected::Str(self.0), &visitor))
    }

    fn deserialize_byte_buf<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_bytes(visitor)
    }

    parsed! {
        deserialize_bool => visit_bool,
        deserialize_i8 => visit_i8,
        deserialize_i16 => visit_i16,
        deserialize_i32 => visit_i32,
        deserialize_i64 => visit_i64,
        deserialize_i128 => visit_i128,
        deserialize_u8 => visit_u8,
        deserialize_u16 => visit_u16,
        deserialize_u32 => visit_u32,
        deserialize_u64 => visit_u64,
        deserialize_u128 => visit_u128,
        deserialize_f32 => visit_f32,
        deserialize_f64 => visit_f64,
    }

    forward_to_deserialize_any! {
        char str string unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// A variant of an enum, with its value if it is an object's field.
struct Variant<'de> {
    name: Cow<'de, str>,
    value: Option<Node<'de>>,
}

impl<'de> de::EnumAccess<'de> for Variant<'de> {
    type Error = Fault;
    type Variant = Payload<'de>;

    fn variant_seed<T: de::DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Payload<'de>), Fault> {
        let payload = Payload(self.value);
        match self.name {
            Cow::Borrowed(name) => seed.deserialize(BorrowedStrDeserializer::new(name)),
            Cow::Owned(name) => seed.deserialize(Node::Text(Cow::Owned(name))),
        }
        .map(|variant| (variant, payload))
    }
}

/// The value of a variant.
struct Payload<'de>(Option<Node<'de>>);

impl<'de> Payload<'de> {
    fn node(self, expected: &'static str) -> Result<Node<'de>, Fault> {
        self.0.ok_or_else(|| Fault::invalid_type(Unexpected::UnitVariant, &expected))
    }
}

impl<'de> de::VariantAccess<'de> for Payload<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        self.0.map_or(Ok(()), de::Deserialize::deserialize)
    }

    fn newtype_variant_seed<T: de::DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(self.node("newtype variant")?)
    }

    fn tuple_variant<V: de::Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Fault> {
        self.node("tuple variant")?.deserialize_seq(visitor)
    }

    fn struct_variant<V: de::Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.node("struct variant")?.deserialize_map(visitor)
    }
}
