//! msgpack as JSON text, in one pass over a body that is checked.

use std::fmt::Write as _;

use bytes::Bytes;

use super::{
    heads::{Frame, Head, Heads, MAX_DEPTH},
    number::javascript_number,
    time::{Date, TIMESTAMP},
};

/// Bytes of a placeholder, with the comma behind it.
pub(super) const PLACEHOLDER: usize = r#"{"_placeholder":true,"num":1000000},"#.len();

/// About how large the JSON of a value is, so that it is not moved while it grows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct JsonSize {
    /// Bytes of the JSON without its attachments: enough if no text has an escape.
    pub(super) bytes: usize,
    /// Number of attachments.
    pub(super) attachments: usize,
}

impl JsonSize {
    /// The size of the value that begins at a byte of a checked body.
    pub(super) fn of(body: &[u8], at: usize) -> Self {
        /// Bytes of most numbers with a fraction, and of a date.
        const FLOAT: usize = 19;
        const DATE: usize = 26;
        let mut size = Self::default();
        let mut heads = Heads::new(body, at);
        let mut left = 1_u64;
        while left > 0 {
            let Ok(head) = heads.read() else { break };
            left -= 1;
            left += Frame::of(&head).map_or(0, |frame| frame.left);
            // With a comma or a colon behind each.
            size.bytes += 1 + match head {
                Head::Nil | Head::Bool(_) => 5,
                Head::Unsigned(number) => number.checked_ilog10().map_or(1, |digits| 1 + digits as usize),
                Head::Signed(number) => number.unsigned_abs().ilog10() as usize + 2,
                Head::Float(_) => FLOAT,
                Head::Text(text) => text.len() + 2,
                Head::Binary(_) => 0,
                Head::Extension(..) => DATE,
                Head::List(_) | Head::Map(_) => 2,
            };
            size.attachments += usize::from(matches!(head, Head::Binary(_)));
        }
        size
    }
}

/// What bytes become in JSON.
#[derive(Debug)]
pub(super) enum Binary<'a> {
    /// A placeholder; the bytes are added to the attachments, as slices of the body.
    Attach(&'a Bytes, &'a mut Vec<Bytes>),
    /// What `JSON.stringify` writes for a `Buffer`.
    Show,
}

/// Appends the value that begins at a byte of a checked body.
pub(super) fn write_value(body: &[u8], at: usize, mut binary: Binary<'_>, json: &mut String) {
    let mut heads = Heads::new(body, at);
    let mut open = [Frame::default(); MAX_DEPTH + 1];
    let mut depth = 0;
    // The body is checked: it cannot end early, nor be nested deeper.
    while let Ok(head) = heads.read() {
        if depth > 0 && open[depth].is_at_key() {
            write_key(&head, json);
            open[depth].left -= 1;
            continue;
        }
        if depth > 0 {
            open[depth].left -= 1;
        }
        if let Some(frame) = Frame::of(&head).filter(|_| depth < MAX_DEPTH) {
            depth += 1;
            open[depth] = frame;
            json.push(if frame.is_map { '{' } else { '[' });
        } else {
            write_scalar(&head, &mut binary, json);
        }
        while depth > 0 && open[depth].left == 0 {
            json.push(if open[depth].is_map { '}' } else { ']' });
            depth -= 1;
        }
        if depth == 0 {
            return;
        }
        if !is_opening(&head) {
            json.push(',');
        }
    }
}

/// Whether it is a list or a map with entries: the first of them follows.
fn is_opening(head: &Head<'_>) -> bool {
    matches!(head, Head::List(1..) | Head::Map(1..))
}

fn write_key(head: &Head<'_>, json: &mut String) {
    match head {
        Head::Text(name) => write_text(name, json),
        // Writing into a String cannot fail.
        Head::Unsigned(number) => _ = write!(json, "\"{number}\""),
        Head::Signed(number) => _ = write!(json, "\"{number}\""),
        _ => json.push_str("\"\""),
    }
    json.push(':');
}

fn write_scalar(head: &Head<'_>, binary: &mut Binary<'_>, json: &mut String) {
    match *head {
        Head::Bool(value) => json.push_str(if value { "true" } else { "false" }),
        Head::Unsigned(number) => _ = write!(json, "{number}"),
        Head::Signed(number) => _ = write!(json, "{number}"),
        Head::Float(number) => _ = write!(json, "{}", javascript_number(number)),
        Head::Text(text) => write_text(text, json),
        Head::Binary(bytes) => write_binary(bytes, binary, json),
        Head::Extension(TIMESTAMP, time) => match Date::of(time) {
            Some(date) => _ = write!(json, "\"{date}\""),
            None => json.push_str("null"),
        },
        Head::Nil | Head::Extension(..) | Head::List(_) | Head::Map(_) => json.push_str("null"),
    }
}

fn write_binary(bytes: &[u8], binary: &mut Binary<'_>, json: &mut String) {
    match binary {
        Binary::Attach(body, attachments) => {
            _ = write!(json, r#"{{"_placeholder":true,"num":{}}}"#, attachments.len());
            attachments.push(body.slice_ref(bytes));
        }
        Binary::Show => write_buffer(bytes, json),
    }
}

/// Appends what `JSON.stringify` writes for a `Buffer`.
pub(crate) fn write_buffer(bytes: &[u8], json: &mut String) {
    json.push_str(r#"{"type":"Buffer","data":["#);
    for (index, byte) in bytes.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        _ = write!(json, "{comma}{byte}");
    }
    json.push_str("]}");
}

/// Appends a string; invalid UTF-8 becomes U+FFFD.
fn write_text(text: &[u8], json: &mut String) {
    json.push('"');
    for chunk in text.utf8_chunks() {
        write_escaped(chunk.valid(), json);
        if !chunk.invalid().is_empty() {
            json.push(char::REPLACEMENT_CHARACTER);
        }
    }
    json.push('"');
}

/// Appends a text as a string of JSON.
pub(crate) fn write_json_text(text: &str, json: &mut String) {
    json.push('"');
    write_escaped(text, json);
    json.push('"');
}

fn write_escaped(text: &str, json: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        json.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => json.push_str("\\\""),
            b'\\' => json.push_str("\\\\"),
            b'\n' => json.push_str("\\n"),
            b'\r' => json.push_str("\\r"),
            b'\t' => json.push_str("\\t"),
            0x08 => json.push_str("\\b"),
            0x0c => json.push_str("\\f"),
            other => _ = write!(json, "\\u{other:04x}"),
        }
        rest = &rest[at + 1..];
    }
    json.push_str(rest);
}
