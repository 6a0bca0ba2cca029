//! Values of arguments to Rust types, strict about bytes.

use std::{borrow::Cow, vec};

use serde::{
    Deserializer, de,
    de::{Error as _, Unexpected, value::BorrowedStrDeserializer},
    forward_to_deserialize_any,
};

use super::{fault::Fault, node::Node};

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
            Self::Lost => Err(Fault::invalid_type(self.unexpected(), &visitor)),
        }
    }

    fn deserialize_ignored_any<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
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
    forward_to_deserialize_any! { i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 }
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
