//! What a message looks like on the wire, in JSON or msgpack.

use bytestring::ByteString;

use super::WriteError;
use crate::protocol::socketio::{
    Args,
    msgpack::{
        Unwritable, show_attachments, write_bool, write_json, write_json_text, write_list, write_map,
        write_text, write_unsigned,
    },
};

/// A value of a message. Its fields are written in their order.
#[derive(Clone, Debug)]
pub(super) enum Document<'a> {
    Map(Vec<(&'static str, Document<'a>)>),
    List(Vec<Document<'a>>),
    Text(&'a str),
    Number(u64),
    Bool(bool),
    /// All arguments.
    Args(&'a Args),
    /// The first argument; null if there is none.
    First(&'a Args),
    /// JSON.
    Raw(&'a str),
}

impl<'a> Document<'a> {
    /// A list of texts.
    pub(super) fn texts(texts: &'a [ByteString]) -> Self {
        Self::List(texts.iter().map(|text| Self::Text(text)).collect())
    }

    /// Whether there are attachments in it.
    pub(super) fn has_binary(&self) -> bool {
        match self {
            Self::Map(fields) => fields.iter().any(|(_, value)| value.has_binary()),
            Self::List(values) => values.iter().any(Self::has_binary),
            Self::Args(args) | Self::First(args) => !args.attachments.is_empty(),
            Self::Text(_) | Self::Number(_) | Self::Bool(_) | Self::Raw(_) => false,
        }
    }

    /// Its JSON; attachments are written as `JSON.stringify` writes a `Buffer`.
    pub(super) fn to_json(&self) -> Result<Vec<u8>, WriteError> {
        let mut json = String::with_capacity(self.size());
        self.write_json(&mut json)?;
        Ok(json.into_bytes())
    }

    /// Its msgpack.
    pub(super) fn to_msgpack(&self) -> Result<Vec<u8>, WriteError> {
        let mut out = Vec::with_capacity(self.size());
        self.write_msgpack(&mut out)?;
        Ok(out)
    }

    /// About the number of bytes that it takes in JSON or msgpack.
    fn size(&self) -> usize {
        /// Quotes and a comma, or the head of msgpack.
        const HEAD: usize = 5;
        match self {
            Self::Map(fields) => {
                fields.iter().map(|(name, value)| name.len() + HEAD + value.size()).sum::<usize>() + HEAD
            }
            Self::List(values) => values.iter().map(Self::size).sum::<usize>() + HEAD,
            Self::Text(text) | Self::Raw(text) => text.len() + HEAD,
            Self::Number(_) | Self::Bool(_) => HEAD,
            Self::Args(args) | Self::First(args) => {
                args.json.len() + args.attachments.iter().map(|bytes| bytes.len() + HEAD).sum::<usize>()
            }
        }
    }

    fn write_json(&self, json: &mut String) -> Result<(), Unwritable> {
        match self {
            Self::Map(fields) => {
                for (index, (name, value)) in fields.iter().enumerate() {
                    json.push(if index == 0 { '{' } else { ',' });
                    // A name needs no escapes.
                    json.push('"');
                    json.push_str(name);
                    json.push_str("\":");
                    value.write_json(json)?;
                }
                json.push_str(if fields.is_empty() { "{}" } else { "}" });
            }
            Self::List(values) => {
                for (index, value) in values.iter().enumerate() {
                    json.push(if index == 0 { '[' } else { ',' });
                    value.write_json(json)?;
                }
                json.push_str(if values.is_empty() { "[]" } else { "]" });
            }
            Self::Text(text) => write_json_text(text, json),
            Self::Number(number) => json.push_str(&number.to_string()),
            Self::Bool(value) => json.push_str(if *value { "true" } else { "false" }),
            Self::Args(args) => write_shown(&args.json, args, json)?,
            Self::First(args) => write_shown(first(args), args, json)?,
            Self::Raw(raw) => json.push_str(raw),
        }
        Ok(())
    }

    fn write_msgpack(&self, out: &mut Vec<u8>) -> Result<(), Unwritable> {
        match self {
            Self::Map(fields) => {
                write_map(fields.len(), out)?;
                for (name, value) in fields {
                    write_text(name, out)?;
                    value.write_msgpack(out)?;
                }
            }
            Self::List(values) => {
                write_list(values.len(), out)?;
                for value in values {
                    value.write_msgpack(out)?;
                }
            }
            Self::Text(text) => write_text(text, out)?,
            Self::Number(number) => write_unsigned(*number, out),
            Self::Bool(value) => write_bool(*value, out),
            Self::Args(args) => write_json(&args.json, &args.attachments, out)?,
            Self::First(args) => write_json(first(args), &args.attachments, out)?,
            Self::Raw(raw) => write_json(raw, &[], out)?,
        }
        Ok(())
    }
}

fn first(args: &Args) -> &str {
    args.element(0).unwrap_or("null")
}

fn write_shown(raw: &str, args: &Args, json: &mut String) -> Result<(), Unwritable> {
    if args.attachments.is_empty() {
        json.push_str(raw);
    } else {
        json.push_str(&show_attachments(raw, &args.attachments)?);
    }
    Ok(())
}
