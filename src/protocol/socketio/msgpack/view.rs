//! A value inside of a body that is checked.

use std::borrow::Cow;

use bytes::Bytes;

use super::{
    heads::{Head, Heads, NotMsgpack, check},
    number::javascript_number,
    to_json::{Binary, JsonSize, PLACEHOLDER, write_value},
};
use crate::protocol::socketio::Args;

/// A value inside of a checked body. Nothing is copied until it is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    body: &'a Bytes,
    at: usize,
}

impl<'a> View<'a> {
    /// The value of a body.
    ///
    /// # Errors
    /// The body is not one value that can be read.
    pub(crate) fn of(body: &'a Bytes) -> Result<Self, NotMsgpack> {
        check(body)?;
        Ok(Self { body, at: 0 })
    }

    fn head(self) -> Head<'a> {
        Heads::new(self.body, self.at).read().unwrap_or(Head::Nil)
    }

    /// Its elements, if it is a list.
    pub(crate) fn elements(self) -> Option<Entries<'a>> {
        let mut heads = Heads::new(self.body, self.at);
        match heads.read() {
            Ok(Head::List(count)) => Some(Entries { body: self.body, heads, left: count.into() }),
            _ => None,
        }
    }

    /// Its keys and values by turns, if it is a map.
    pub(crate) fn keys_and_values(self) -> Option<Entries<'a>> {
        let mut heads = Heads::new(self.body, self.at);
        match heads.read() {
            Ok(Head::Map(count)) => Some(Entries { body: self.body, heads, left: 2 * u64::from(count) }),
            _ => None,
        }
    }

    /// Its text, if it is one. Invalid UTF-8 becomes U+FFFD.
    pub(crate) fn text(self) -> Option<Cow<'a, str>> {
        if let Head::Text(text) = self.head() { Some(String::from_utf8_lossy(text)) } else { None }
    }

    /// Whether it is this text.
    pub(crate) fn is_text(self, text: &str) -> bool {
        self.head() == Head::Text(text.as_bytes())
    }

    /// Whether it is any text.
    pub(crate) fn is_any_text(self) -> bool {
        matches!(self.head(), Head::Text(_))
    }

    /// Its digits, if it is a number.
    pub(crate) fn digits(self) -> Option<String> {
        match self.head() {
            Head::Unsigned(number) => Some(number.to_string()),
            Head::Signed(number) => Some(number.to_string()),
            Head::Float(number) => Some(javascript_number(number).to_string()),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub(crate) fn number(self) -> Option<f64> {
        match self.head() {
            Head::Unsigned(number) => Some(number as f64),
            Head::Signed(number) => Some(number as f64),
            Head::Float(number) => Some(number),
            _ => None,
        }
    }

    /// The boolean, if it is one.
    pub(crate) fn bool(self) -> Option<bool> {
        if let Head::Bool(value) = self.head() { Some(value) } else { None }
    }

    /// Whether it is nil.
    pub(crate) fn is_nil(self) -> bool {
        self.head() == Head::Nil
    }

    /// JSON and attachments: of a list if `is_list`, otherwise of a list with this value.
    pub(crate) fn args(self, is_list: bool) -> Args {
        let size = JsonSize::of(self.body, self.at);
        let mut json = String::with_capacity(size.bytes + 2 + size.attachments * PLACEHOLDER);
        let mut attachments = Vec::with_capacity(size.attachments);
        let binary = Binary::Attach(self.body, &mut attachments);
        if is_list {
            write_value(self.body, self.at, binary, &mut json);
        } else {
            json.push('[');
            write_value(self.body, self.at, binary, &mut json);
            json.push(']');
        }
        Args { json: json.into(), attachments }
    }

    /// JSON, with bytes as `JSON.stringify` writes a `Buffer`.
    pub(crate) fn json(self) -> String {
        let mut json = String::with_capacity(JsonSize::of(self.body, self.at).bytes);
        write_value(self.body, self.at, Binary::Show, &mut json);
        json
    }
}

/// The entries of a list or a map.
#[derive(Clone, Debug)]
pub(crate) struct Entries<'a> {
    body: &'a Bytes,
    heads: Heads<'a>,
    left: u64,
}

impl<'a> Iterator for Entries<'a> {
    type Item = View<'a>;

    fn next(&mut self) -> Option<View<'a>> {
        self.left = self.left.checked_sub(1)?;
        let view = View { body: self.body, at: self.heads.at() };
        self.heads.skip().ok()?;
        Some(view)
    }
}
