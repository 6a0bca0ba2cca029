//! Values of arguments whose type is not known in advance: JSON, and bytes.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    fmt,
};

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeTuple as _};
use serde_json::Number;

/// An argument of any type: what JSON has, and bytes, which become an attachment.
///
/// Two objects are equal if they have equal fields in one order.
#[derive(Clone, Default, PartialEq)]
pub enum Value {
    /// `null`, and an argument that is missing.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number: an integer that fits `u64` or `i64`, otherwise a finite `f64`.
    Number(Number),
    /// A text.
    String(String),
    /// A list.
    Array(Vec<Value>),
    /// An object: its fields in their order. Of repeated fields, a received object has the last value.
    Object(Vec<(String, Value)>),
    /// Bytes: an attachment on the wire.
    Binary(Bytes),
}

/// All arguments of an event or an ack, however many.
///
/// As the type of a handler's data it takes every argument; as data of `emit` it sends each value as an
/// argument of its own, while a `Vec` is one argument, a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arguments(pub Vec<Value>);

/// The name by which [`Arguments`] asks a decoder for all arguments.
pub(super) const ALL: &str = "$echoroom::Arguments";

impl Value {
    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// The number, if it is an integer that fits.
    pub fn as_i64(&self) -> Option<i64> {
        if let Self::Number(number) = self { number.as_i64() } else { None }
    }

    /// The number, if it is an integer that fits.
    pub fn as_u64(&self) -> Option<u64> {
        if let Self::Number(number) = self { number.as_u64() } else { None }
    }

    /// The number, if it is one; large integers are rounded.
    pub fn as_f64(&self) -> Option<f64> {
        if let Self::Number(number) = self { number.as_f64() } else { None }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The bytes, if it is an attachment.
    pub fn as_bytes(&self) -> Option<&Bytes> {
        if let Self::Binary(bytes) = self { Some(bytes) } else { None }
    }

    /// The elements, if it is a list.
    pub fn as_array(&self) -> Option<&[Value]> {
        if let Self::Array(values) = self { Some(values) } else { None }
    }

    /// The fields in their order, if it is an object.
    pub fn as_object(&self) -> Option<&[(String, Value)]> {
        if let Self::Object(fields) = self { Some(fields) } else { None }
    }

    /// The field `name`, if it is an object that has it.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_object()?.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }
}

/// Removes repeated fields as JavaScript does: the first place stays, with the last value.
pub(super) fn keep_last<K: AsRef<str>, V>(fields: &mut Vec<(K, V)>) {
    if !is_repeating(fields) {
        return;
    }
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut kept: Vec<(K, V)> = Vec::with_capacity(fields.len());
    for (name, value) in fields.drain(..) {
        match places.entry(name.as_ref().to_owned()) {
            Entry::Occupied(place) => kept[*place.get()].1 = value,
            Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push((name, value));
            }
        }
    }
    *fields = kept;
}

fn is_repeating<K: AsRef<str>, V>(fields: &[(K, V)]) -> bool {
    /// Up to this number of fields, comparing each with each is faster than hashing.
    const FEW: usize = 16;
    let names = fields.iter().map(|(name, _)| name.as_ref());
    if fields.len() > FEW {
        let mut seen = HashSet::with_capacity(fields.len());
        return !names.into_iter().all(|name| seen.insert(name));
    }
    names.enumerate().any(|(index, name)| fields[..index].iter().any(|(other, _)| other.as_ref() == name))
}

/// Like JSON, with the number of bytes for an attachment.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::String(text) => write!(f, "{text:?}"),
            Self::Array(values) => f.debug_list().entries(values).finish(),
            Self::Object(fields) => {
                f.debug_map().entries(fields.iter().map(|(name, value)| (name, value))).finish()
            }
            Self::Binary(bytes) => write!(f, "<{} bytes>", bytes.len()),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            // A unit would be no argument at all.
            Self::Null => serializer.serialize_none(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(values) => serializer.collect_seq(values),
            Self::Object(fields) => serializer.collect_map(fields.iter().map(|(name, value)| (name, value))),
            Self::Binary(bytes) => serializer.serialize_bytes(bytes),
        }
    }
}

impl Serialize for Arguments {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        for value in &self.0 {
            tuple.serialize_element(value)?;
        }
        tuple.end()
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

impl<'de> Deserialize<'de> for Arguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple_struct(ALL, 0, ArgumentsVisitor)
    }
}

struct ArgumentsVisitor;

impl<'de> de::Visitor<'de> for ArgumentsVisitor {
    type Value = Arguments;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("arguments")
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, values: A) -> Result<Arguments, A::Error> {
        list(values).map(Arguments)
    }
}

fn list<'de, A: de::SeqAccess<'de>>(mut values: A) -> Result<Vec<Value>, A::Error> {
    let mut list = Vec::new();
    while let Some(value) = values.next_element()? {
        list.push(value);
    }
    Ok(list)
}

struct ValueVisitor;

impl<'de> de::Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Bytes::copy_from_slice(bytes).into())
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Value, E> {
        Ok(Bytes::from(bytes).into())
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, values: A) -> Result<Value, A::Error> {
        list(values).map(Value::Array)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = entries.next_entry::<String, Value>()? {
            fields.push(field);
        }
        keep_last(&mut fields);
        Ok(Value::Object(fields))
    }
}

// ----- conversions -----

macro_rules! from {
    ($($type:ty => |$value:ident| $made:expr;)*) => {
        $(impl From<$type> for Value {
            fn from($value: $type) -> Self {
                $made
            }
        })*
    };
}

from! {
    () => |_value| Self::Null;
    bool => |value| Self::Bool(value);
    u8 => |value| Self::Number(value.into());
    u16 => |value| Self::Number(value.into());
    u32 => |value| Self::Number(value.into());
    u64 => |value| Self::Number(value.into());
    usize => |value| Self::Number(value.into());
    i8 => |value| Self::Number(value.into());
    i16 => |value| Self::Number(value.into());
    i32 => |value| Self::Number(value.into());
    i64 => |value| Self::Number(value.into());
    isize => |value| Self::Number(value.into());
    &str => |value| Self::String(value.to_owned());
    String => |value| Self::String(value);
    Bytes => |value| Self::Binary(value);
}

/// A number that is not finite becomes `null`, as in JavaScript's JSON.
impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Number::from_f64(value).map_or(Self::Null, Self::Number)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Self::Array(values.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Objects of named fields.
impl<K: Into<String>, V: Into<Value>> FromIterator<(K, V)> for Value {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(fields: I) -> Self {
        Self::Object(fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(value),
            serde_json::Value::Number(number) => Self::Number(number),
            serde_json::Value::String(text) => Self::String(text),
            serde_json::Value::Array(values) => values.into(),
            serde_json::Value::Object(fields) => fields.into_iter().collect(),
        }
    }
}
