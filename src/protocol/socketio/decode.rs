//! JSON and attachments to arguments of Rust types.

use std::fmt;

use bytes::Bytes;
use serde::{Deserializer, de, de::DeserializeOwned};

use super::{
    Args,
    fault::Fault,
    node::{Node, Reader},
    value::{ALL, Arguments, Value},
};
use crate::protocol::json;

/// Arguments that are not of the expected type. Texts of the client in it are shortened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The arguments are not a JSON array, or not one that begins with an event's name.
    #[error("the arguments are no list")]
    NoList,
    /// An argument that is needed is missing.
    #[error("argument {number} is missing")]
    Missing {
        /// Which argument; the first one behind the event's name is 1.
        number: usize,
    },
    /// An argument is not of its type.
    #[error("argument {number}{path}: {message}")]
    Argument {
        /// Which argument; the first one behind the event's name is 1.
        number: usize,
        /// Where in the argument, such as `.users[3].name`. Empty for the argument itself.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// Each argument is of its type; their type refuses them together.
    #[error("the arguments are refused: {message}")]
    Refused {
        /// What is wrong.
        message: String,
    },
}

impl Args {
    /// The arguments of an event, without its name.
    ///
    /// A tuple, or a Rust array, takes an argument for each of its elements. A missing argument is `null`,
    /// which is `None` for an `Option`; further arguments are ignored. `()` takes no argument, and every
    /// other type the first one.
    ///
    /// An attachment is taken by [`Bytes`], by other types that ask for bytes, and by [`Value`]. It is an
    /// error where another type stands, for example a [`serde_json::Value`], a `String` or a `Vec<u8>`; so is
    /// a text or a list where bytes are expected. (Inside of enums that are untagged or internally tagged,
    /// and of flattened structs, serde itself takes texts for bytes, and bytes for texts.) The bytes are
    /// copied once.
    ///
    /// As in JavaScript, the last of repeated fields counts, and half of a surrogate pair is U+FFFD. Numbers
    /// beyond `f64`, such as `1e999`, and more than 127 levels of lists and objects are errors.
    ///
    /// # Errors
    /// An argument is not of its type.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        decode(self, true)
    }

    /// The arguments of an ack, by the rules of [`decode`](Self::decode).
    ///
    /// # Errors
    /// An argument is not of its type.
    pub fn decode_answer<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        decode(self, false)
    }

    /// All arguments of an event, without its name.
    ///
    /// # Errors
    /// An argument has a number beyond `f64`, or too many levels.
    pub fn values(&self) -> Result<Vec<Value>, DecodeError> {
        self.decode().map(|Arguments(values)| values)
    }

    /// All arguments of an ack.
    ///
    /// # Errors
    /// An argument has a number beyond `f64`, or too many levels.
    pub fn answer_values(&self) -> Result<Vec<Value>, DecodeError> {
        self.decode_answer().map(|Arguments(values)| values)
    }
}

fn decode<T: DeserializeOwned>(args: &Args, has_name: bool) -> Result<T, DecodeError> {
    let text = json::mended(&args.json);
    let mut decoded = None;
    let reading = Reading { attachments: &args.attachments, has_name, decoded: &mut decoded };
    // What follows the arguments that were taken is an error here, and is ignored.
    let _ = serde_json::Deserializer::from_str(&text).deserialize_seq(reading);
    decoded.unwrap_or(Err(DecodeError::NoList))
}

/// Decodes the elements of the array as they are read.
struct Reading<'a, 'r, T> {
    attachments: &'a [Bytes],
    has_name: bool,
    decoded: &'r mut Option<Result<T, DecodeError>>,
}

impl<'a, T: DeserializeOwned> de::Visitor<'a> for Reading<'a, '_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: de::SeqAccess<'a>>(self, mut elements: A) -> Result<(), A::Error> {
        if self.has_name && elements.next_element::<de::IgnoredAny>()?.is_none() {
            return Ok(());
        }
        let mut source = Source { elements, attachments: self.attachments, taken: 0, failed: None };
        let decoded = T::deserialize(Top(&mut source));
        *self.decoded = Some(decoded.map_err(|fault| source.error(&fault)));
        Ok(())
    }
}

/// The arguments that are not read yet.
struct Source<'a, A> {
    elements: A,
    attachments: &'a [Bytes],
    /// Number of arguments that were taken, including missing ones.
    taken: usize,
    /// The error of an argument, when there is one.
    failed: Option<DecodeError>,
}

impl<'a, A: de::SeqAccess<'a>> Source<'a, A> {
    /// The next argument, if there is one.
    fn next(&mut self) -> Result<Option<Node<'a>>, Fault> {
        self.taken += 1;
        let next = self.elements.next_element_seed(Reader { attachments: self.attachments });
        next.map_err(|error| self.failed(de::Error::custom(error), false))
    }

    /// Makes something of an argument, or of `null` if it is missing.
    fn decode<T>(
        &mut self,
        argument: Option<Node<'a>>,
        decode: impl FnOnce(Node<'a>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let is_missing = argument.is_none();
        decode(argument.unwrap_or(Node::Null)).map_err(|fault| self.failed(fault, is_missing))
    }

    fn failed(&mut self, fault: Fault, is_missing: bool) -> Fault {
        let number = self.taken;
        self.failed = Some(if is_missing {
            DecodeError::Missing { number }
        } else {
            DecodeError::Argument { number, path: fault.path(), message: fault.message().to_owned() }
        });
        fault
    }

    fn error(self, fault: &Fault) -> DecodeError {
        self.failed.unwrap_or_else(|| DecodeError::Refused { message: fault.message().to_owned() })
    }
}

/// Gives a tuple all the arguments that it takes, and every other type the first one.
struct Top<'s, 'a, A>(&'s mut Source<'a, A>);

impl<'a, A: de::SeqAccess<'a>> Top<'_, 'a, A> {
    fn first<T>(self, decode: impl FnOnce(Node<'a>) -> Result<T, Fault>) -> Result<T, Fault> {
        let first = self.0.next()?;
        self.0.decode(first, decode)
    }
}

/// Methods for one argument.
macro_rules! first {
    ($($method:ident($($name:ident: $type:ty),*),)*) => {
        $(fn $method<V: de::Visitor<'a>>(self, $($name: $type,)* visitor: V) -> Result<V::Value, Fault> {
            self.first(|argument| argument.$method($($name,)* visitor))
        })*
    };
}

impl<'a, A: de::SeqAccess<'a>> Deserializer<'a> for Top<'_, 'a, A> {
    type Error = Fault;

    fn deserialize_unit<V: de::Visitor<'a>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    fn deserialize_tuple<V: de::Visitor<'a>>(self, len: usize, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_seq(Elements { source: self.0, left: Some(len) })
    }

    fn deserialize_tuple_struct<V: de::Visitor<'a>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name == ALL {
            return visitor.visit_seq(Elements { source: self.0, left: None });
        }
        self.first(|argument| argument.deserialize_tuple_struct(name, len, visitor))
    }

    first! {
        deserialize_any(),
        deserialize_bool(),
        deserialize_i8(),
        deserialize_i16(),
        deserialize_i32(),
        deserialize_i64(),
        deserialize_i128(),
        deserialize_u8(),
        deserialize_u16(),
        deserialize_u32(),
        deserialize_u64(),
        deserialize_u128(),
        deserialize_f32(),
        deserialize_f64(),
        deserialize_char(),
        deserialize_str(),
        deserialize_string(),
        deserialize_bytes(),
        deserialize_byte_buf(),
        deserialize_option(),
        deserialize_unit_struct(name: &'static str),
        deserialize_newtype_struct(name: &'static str),
        deserialize_seq(),
        deserialize_map(),
        deserialize_struct(name: &'static str, fields: &'static [&'static str]),
        deserialize_enum(name: &'static str, variants: &'static [&'static str]),
        deserialize_identifier(),
        deserialize_ignored_any(),
    }
}

/// The arguments for the elements of a tuple.
struct Elements<'s, 'a, A> {
    source: &'s mut Source<'a, A>,
    /// Number of elements that the tuple still has, which are `null` if there are no arguments for them. None
    /// for [`Arguments`], which has as many as there are.
    left: Option<usize>,
}

impl<'a, A: de::SeqAccess<'a>> de::SeqAccess<'a> for Elements<'_, 'a, A> {
    type Error = Fault;

    fn next_element_seed<T: de::DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        if self.left == Some(0) {
            return Ok(None);
        }
        let next = self.source.next()?;
        match &mut self.left {
            Some(left) => *left -= 1,
            None if next.is_none() => return Ok(None),
            None => {}
        }
        self.source.decode(next, |argument| seed.deserialize(argument)).map(Some)
    }
}
