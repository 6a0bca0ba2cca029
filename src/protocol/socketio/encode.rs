//! Arguments to JSON and attachments.

use std::io;

use bytes::Bytes;
use serde::{
    Serialize, Serializer,
    ser::{self, SerializeTuple},
};
use serde_json::{Error, ser::Formatter};

use super::{Args, RESERVED, placeholders};

/// Data that cannot be sent. Nothing is sent of it.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The name is one of those that only libraries emit: `connect`, `connect_error`, `disconnect`,
    /// `disconnecting`, `newListener`, `removeListener`.
    #[error("{0:?} is a reserved name: no event may have it")]
    ReservedName(String),
    /// The data is not JSON with bytes: a map has keys that are neither strings nor numbers, or a type
    /// refuses to be serialized.
    #[error("the data of {of} cannot be encoded: {error}")]
    Data {
        /// What is encoded, such as `event "news"`.
        of: String,
        /// The error of the type.
        #[source]
        error: Error,
    },
    /// Beside bytes, the data has an object with the field `"_placeholder": true`, which the client would
    /// take for bytes, or close the connection for.
    #[error("the data of {of} has bytes, and an object that looks like the placeholder of an attachment")]
    Placeholder {
        /// What is encoded, such as `event "news"`.
        of: String,
    },
}

impl Args {
    /// An event: its name, and its arguments.
    ///
    /// A tuple is one argument for each of its elements, and so is a Rust array, which serde does not tell
    /// from a tuple; `()` is no argument. All other data is one argument: a `Vec` or a slice is one list.
    /// Bytes that are serialized as such, for example [`Bytes`], become attachments. The official client
    /// closes a connection for more than 10 attachments in a packet.
    ///
    /// # Errors
    /// The name is reserved, or the data cannot be encoded.
    pub fn encode(name: &str, data: &(impl Serialize + ?Sized)) -> Result<Self, EncodeError> {
        if RESERVED.contains(&name) {
            return Err(EncodeError::ReservedName(name.to_owned()));
        }
        let of = || format!("event {name:?}");
        let mut encoding = Encoding::new();
        encoding.argument(name).map_err(|error| EncodeError::Data { of: of(), error })?;
        encoding.finish(data, of)
    }

    /// The arguments of an ack; `data` spreads as that of [`encode`](Self::encode).
    ///
    /// # Errors
    /// The data cannot be encoded.
    pub fn encode_answer(data: &(impl Serialize + ?Sized)) -> Result<Self, EncodeError> {
        Encoding::new().finish(data, || "an ack".to_owned())
    }
}

/// The JSON array of a packet while it is written.
struct Encoding {
    json: Vec<u8>,
    attachments: Vec<Bytes>,
    /// Whether the data has JSON text, which need not be written as this encoder writes.
    has_raw: bool,
}

type Json<'a> = serde_json::Serializer<&'a mut Vec<u8>, Attaching<'a>>;

impl Encoding {
    fn new() -> Self {
        /// Enough for most events: the buffer is not moved while it grows.
        const BYTES: usize = 128;
        let mut json = Vec::with_capacity(BYTES);
        json.push(b'[');
        Self { json, attachments: Vec::new(), has_raw: false }
    }

    /// Separates the next argument from what is there.
    fn json(&mut self) -> Json<'_> {
        let Self { json, attachments, has_raw } = self;
        if json.len() > 1 {
            json.push(b',');
        }
        Json::with_formatter(json, Attaching { attachments, has_raw })
    }

    fn argument<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        value.serialize(&mut self.json())
    }

    fn finish(
        mut self,
        data: &(impl Serialize + ?Sized),
        of: impl Fn() -> String,
    ) -> Result<Args, EncodeError> {
        let top = Top { encoding: &mut self, json: &mut None };
        data.serialize(top).map_err(|error| EncodeError::Data { of: of(), error })?;
        self.json.push(b']');
        let Self { json, attachments, has_raw } = self;
        let json = String::from_utf8(json)
            .map_err(|error| EncodeError::Data { of: of(), error: ser::Error::custom(error) })?;
        if !attachments.is_empty() && has_other_placeholders(&json, attachments.len(), has_raw) {
            return Err(EncodeError::Placeholder { of: of() });
        }
        Ok(Args { json: json.into(), attachments })
    }
}

/// Whether a text has more placeholders than those that were written for its attachments.
fn has_other_placeholders(json: &str, attachments: usize, has_raw: bool) -> bool {
    // Raw text may have the name with escapes.
    let is_suspect = has_raw || json.matches("_placeholder").count() != attachments;
    is_suspect && placeholders::count(json) != Some(attachments)
}

/// Writes compact JSON, and placeholders for bytes.
struct Attaching<'a> {
    attachments: &'a mut Vec<Bytes>,
    has_raw: &'a mut bool,
}

impl Formatter for Attaching<'_> {
    fn write_byte_array<W: ?Sized + io::Write>(&mut self, writer: &mut W, bytes: &[u8]) -> io::Result<()> {
        write!(writer, r#"{{"_placeholder":true,"num":{}}}"#, self.attachments.len())?;
        self.attachments.push(Bytes::copy_from_slice(bytes));
        Ok(())
    }

    fn write_raw_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        *self.has_raw = true;
        writer.write_all(text.as_bytes())
    }
}

/// Spreads a tuple over several arguments, and passes everything else on as one.
struct Top<'a, 'b> {
    encoding: &'b mut Encoding,
    /// A place for the serializer of the one argument.
    json: &'a mut Option<Json<'b>>,
}

impl<'a, 'b> Top<'a, 'b> {
    fn one(self) -> &'a mut Json<'b> {
        self.json.insert(self.encoding.json())
    }
}

/// The elements of a tuple, each an argument.
struct Spread<'b>(&'b mut Encoding);

impl SerializeTuple for Spread<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.0.argument(value)
    }

    fn end(self) -> Result<(), Error> {
        Ok(())
    }
}

macro_rules! scalars {
    ($($method:ident: $type:ty,)*) => {
        $(fn $method(self, value: $type) -> Result<(), Error> {
            self.one().$method(value)
        })*
    };
}

/// How `serde_json` serializes a part of a value.
type Part<'a, 'b> = <&'a mut Json<'b> as Serializer>::SerializeSeq;

impl<'a, 'b> Serializer for Top<'a, 'b> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Part<'a, 'b>;
    type SerializeTuple = Spread<'b>;
    type SerializeTupleStruct = Part<'a, 'b>;
    type SerializeTupleVariant = Part<'a, 'b>;
    type SerializeMap = Part<'a, 'b>;
    type SerializeStruct = Part<'a, 'b>;
    type SerializeStructVariant = Part<'a, 'b>;

    scalars! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_u128: u128,
        serialize_f32: f32,
        serialize_f64: f64,
        serialize_char: char,
        serialize_str: &str,
        serialize_bytes: &[u8],
        serialize_unit_struct: &'static str,
    }

    fn serialize_unit(self) -> Result<(), Error> {
        Ok(())
    }

    fn serialize_tuple(self, _len: usize) -> Result<Spread<'b>, Error> {
        Ok(Spread(self.encoding))
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.one().serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.one().serialize_some(value)
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.one().serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.one().serialize_newtype_struct(name, value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.one().serialize_newtype_variant(name, index, variant, value)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Part<'a, 'b>, Error> {
        self.one().serialize_seq(len)
    }

    fn serialize_tuple_struct(self, name: &'static str, len: usize) -> Result<Part<'a, 'b>, Error> {
        self.one().serialize_tuple_struct(name, len)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Part<'a, 'b>, Error> {
        self.one().serialize_tuple_variant(name, index, variant, len)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Part<'a, 'b>, Error> {
        self.one().serialize_map(len)
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Part<'a, 'b>, Error> {
        self.one().serialize_struct(name, len)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Part<'a, 'b>, Error> {
        self.one().serialize_struct_variant(name, index, variant, len)
    }
}
