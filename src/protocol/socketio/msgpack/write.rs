//! Writes msgpack, in the smallest form of each value.

use bytes::Bytes;

use super::heads::MAX_DEPTH;
use crate::protocol::json::{
    is_legal,
    walk::{Element, Token, Tokens},
};

/// Why arguments cannot be written as msgpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unwritable {
    /// The text is not JSON.
    #[error("the arguments are not JSON")]
    NotJson,
    /// It is nested too deep.
    #[error("the arguments are nested in more than {MAX_DEPTH} levels")]
    TooDeep,
    /// A placeholder without its attachment.
    #[error("a placeholder has no attachment")]
    Placeholder,
    /// Something is longer than 4 GB.
    #[error("the arguments are longer than msgpack can be")]
    TooLong,
}

/// Appends the beginning of a list.
pub(crate) fn write_list(count: usize, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    write_head(count, Some((0x90, 15)), [None, Some(0xdc), Some(0xdd)], out)
}

/// Appends the beginning of a map.
pub(crate) fn write_map(count: usize, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    write_head(count, Some((0x80, 15)), [None, Some(0xde), Some(0xdf)], out)
}

/// Appends a text.
pub(crate) fn write_text(text: &str, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    write_head(text.len(), Some((0xa0, 31)), [Some(0xd9), Some(0xda), Some(0xdb)], out)?;
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Appends bytes.
fn write_binary(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Unwritable> {
    write_head(bytes.len(), None, [Some(0xc4), Some(0xc5), Some(0xc6)], out)?;
    out.extend_from_slice(bytes);
    Ok(())
}

/// Appends the first byte of a value and its length: both in one byte, or a byte for each width of one, two or four bytes.
fn write_head(
    len: usize,
    in_one: Option<(u8, usize)>,
    widths: [Option<u8>; 3],
    out: &mut Vec<u8>,
) -> Result<(), Unwritable> {
    let len32 = u32::try_from(len).map_err(|_| Unwritable::TooLong)?;
    let [_, _, _, low] = len32.to_be_bytes();
    match (in_one, widths) {
        (Some((first, max)), _) if len <= max => out.push(first | low),
        (_, [Some(first), ..]) if len32 <= 0xff => out.extend_from_slice(&[first, low]),
        (_, [_, Some(first), _]) if len32 <= 0xffff => {
            out.push(first);
            out.extend_from_slice(&(len32 as u16).to_be_bytes());
        }
        (_, [.., last]) => {
            out.extend(last);
            out.extend_from_slice(&len32.to_be_bytes());
        }
    }
    Ok(())
}

/// Appends a boolean.
pub(crate) fn write_bool(value: bool, out: &mut Vec<u8>) {
    out.push(if value { 0xc3 } else { 0xc2 });
}

/// Appends an integer that is not negative.
pub(crate) fn write_unsigned(number: u64, out: &mut Vec<u8>) {
    let bytes = number.to_be_bytes();
    match number {
        0..=0x7f => out.push(bytes[7]),
        0x80..=0xff => out.extend_from_slice(&[0xcc, bytes[7]]),
        0x100..=0xffff => {
            out.push(0xcd);
            out.extend_from_slice(&bytes[6..]);
        }
        0x1_0000..=0xffff_ffff => {
            out.push(0xce);
            out.extend_from_slice(&bytes[4..]);
        }
        _ => {
            out.push(0xcf);
            out.extend_from_slice(&bytes);
        }
    }
}

fn write_signed(number: i64, out: &mut Vec<u8>) {
    if let Ok(number) = u64::try_from(number) {
        return write_unsigned(number, out);
    }
    let bytes = number.to_be_bytes();
    match number {
        -0x20.. => out.push(bytes[7]),
        -0x80.. => out.extend_from_slice(&[0xd0, bytes[7]]),
        -0x8000.. => {
            out.push(0xd1);
            out.extend_from_slice(&bytes[6..]);
        }
        -0x8000_0000.. => {
            out.push(0xd2);
            out.extend_from_slice(&bytes[4..]);
        }
        _ => {
            out.push(0xd3);
            out.extend_from_slice(&bytes);
        }
    }
}

/// Appends a number of JSON: an integer if its value is one that has a form, as JavaScript knows no other difference.
fn write_number(text: &str, out: &mut Vec<u8>) -> Result<(), Unwritable> {
    /// 2^64 and 2^63.
    const UNSIGNED_END: f64 = 18_446_744_073_709_551_616.0;
    const SIGNED_END: f64 = 9_223_372_036_854_775_808.0;
    if let Ok(number) = text.parse() {
        write_unsigned(number, out);
    } else if let Ok(number) = text.parse() {
        write_signed(number, out);
    } else {
        let number: f64 = text.parse().map_err(|_| Unwritable::NotJson)?;
        match number {
            _ if number.fract() != 0.0 || !number.is_finite() => write_float(number, out),
            0.0..UNSIGNED_END => write_unsigned(number as u64, out),
            _ if (-SIGNED_END..0.0).contains(&number) => write_signed(number as i64, out),
            _ => write_float(number, out),
        }
    }
    Ok(())
}

fn write_float(number: f64, out: &mut Vec<u8>) {
    out.push(0xcb);
    out.extend_from_slice(&number.to_be_bytes());
}

/// Appends a value of JSON. Placeholders become the bytes of their attachments; half of a surrogate pair becomes U+FFFD.
///
/// # Errors
/// The text is not JSON, or cannot be written. Something may have been appended.
pub(crate) fn write_json(json: &str, attachments: &[Bytes], out: &mut Vec<u8>) -> Result<(), Unwritable> {
    if !is_legal(json) {
        return Err(Unwritable::NotJson);
    }
    let containers = containers(json, attachments)?;
    let mut next = 0;
    let mut tokens = Tokens::new(json);
    while let Some(token) = tokens.next() {
        match token {
            Token::List | Token::Object => {
                let container = containers.get(next).ok_or(Unwritable::NotJson)?;
                next += 1;
                if let Some(bytes) = container.attachment.and_then(|index| attachments.get(index)) {
                    write_binary(bytes, out)?;
                    tokens.go_on_at(container.end);
                    next = container.next;
                } else if container.is_object {
                    write_map(container.entries / 2, out)?;
                } else {
                    write_list(container.entries, out)?;
                }
            }
            Token::End => {}
            Token::Text(raw) => match Element::of(raw).text() {
                Some(text) => write_text(&text, out)?,
                None => return Err(Unwritable::NotJson),
            },
            Token::Scalar("null") => out.push(0xc0),
            Token::Scalar(value @ ("true" | "false")) => write_bool(value == "true", out),
            Token::Scalar(number) => write_number(number, out)?,
        }
    }
    Ok(())
}

/// A list or an object of a text.
#[derive(Debug, Default)]
struct Container {
    is_object: bool,
    /// Elements; of an object, names and values.
    entries: usize,
    /// The attachment that stands in its place.
    attachment: Option<usize>,
    /// Bytes of the text before it.
    start: usize,
    /// Bytes of the text up to its end.
    end: usize,
    /// Number of the container that begins behind it.
    next: usize,
    /// Whether the last name was `_placeholder`, or `num`.
    field: Field,
    is_placeholder: bool,
    number: Option<usize>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Field {
    Placeholder,
    Number,
    #[default]
    Other,
}

impl Container {
    /// Counts an entry, and looks whether it is a part of a placeholder.
    fn take(&mut self, token: Token<'_>) {
        let is_name = self.is_object && self.entries.is_multiple_of(2);
        self.entries += 1;
        if let (true, Token::Text(name)) = (is_name, token) {
            self.field = match Element::of(name) {
                name if name.is_text("_placeholder") => Field::Placeholder,
                name if name.is_text("num") => Field::Number,
                _ => Field::Other,
            };
            return;
        }
        match self.field {
            Field::Placeholder => self.is_placeholder = token == Token::Scalar("true"),
            Field::Number => {
                self.number = if let Token::Scalar(number) = token { index(number) } else { None }
            }
            Field::Other => {}
        }
    }
}

/// An index, which may be written as `1.0`.
fn index(number: &str) -> Option<usize> {
    /// Beyond the number of attachments that any packet has.
    const END: f64 = 4_294_967_296.0;
    let number: f64 = number.parse().ok()?;
    (number.fract() == 0.0 && (0.0..END).contains(&number)).then_some(number as usize)
}

/// The lists and objects of a legal text in the order of their beginnings.
fn containers(json: &str, attachments: &[Bytes]) -> Result<Vec<Container>, Unwritable> {
    let mut containers: Vec<Container> = Vec::new();
    let mut open = Vec::new();
    let mut tokens = Tokens::new(json);
    while let Some(token) = tokens.next() {
        if token == Token::End {
            let next = containers.len();
            if let Some(closed) = open.pop().and_then(|index: usize| containers.get_mut(index)) {
                closed.end = tokens.at();
                closed.next = next;
                if closed.is_placeholder && !attachments.is_empty() {
                    let index = closed.number.filter(|index| *index < attachments.len());
                    closed.attachment = Some(index.ok_or(Unwritable::Placeholder)?);
                }
            }
            continue;
        }
        if let Some(parent) = open.last().and_then(|index| containers.get_mut(*index)) {
            parent.take(token);
        }
        if matches!(token, Token::List | Token::Object) {
            if open.len() == MAX_DEPTH {
                return Err(Unwritable::TooDeep);
            }
            open.push(containers.len());
            let is_object = token == Token::Object;
            containers.push(Container { is_object, start: tokens.at() - 1, ..Container::default() });
        }
    }
    Ok(containers)
}

/// A text of JSON whose placeholders are written as `JSON.stringify` writes a `Buffer`.
///
/// # Errors
/// The text is not JSON, is nested too deep, or has a placeholder without its attachment.
pub(crate) fn show_attachments(json: &str, attachments: &[Bytes]) -> Result<String, Unwritable> {
    if !is_legal(json) {
        return Err(Unwritable::NotJson);
    }
    let (mut shown, mut done) = (String::with_capacity(json.len()), 0);
    let mut skipped = 0;
    let containers = containers(json, attachments)?;
    for (number, container) in containers.iter().enumerate() {
        if number < skipped {
            continue;
        }
        if let Some(bytes) = container.attachment.and_then(|index| attachments.get(index)) {
            shown.push_str(&json[done..container.start]);
            super::to_json::write_buffer(bytes, &mut shown);
            done = container.end;
            skipped = container.next;
        }
    }
    shown.push_str(&json[done..]);
    Ok(shown)
}
