//! The error of decoding a value: what is wrong, and where in the value.

use std::fmt::{self, Write as _};

use serde::de;

/// Maximum bytes of a message, which may show a text of the client.
const MAX_MESSAGE_BYTES: usize = 200;

/// Maximum bytes of a path, which shows keys of the client.
const MAX_PATH_BYTES: usize = 200;

#[derive(Debug)]
pub(super) struct Fault(Box<Inner>);

#[derive(Debug)]
struct Inner {
    message: String,
    /// The innermost step is first.
    path: Vec<String>,
}

impl Fault {
    /// The fault, when it happened in the element at `index` of a list.
    pub(super) fn in_element(self, index: usize) -> Self {
        self.inside(format!("[{index}]"))
    }

    /// The fault, when it happened in a field of an object.
    pub(super) fn in_field(self, name: &str) -> Self {
        self.inside(shortened(format_args!(".{name}"), MAX_PATH_BYTES))
    }

    fn inside(mut self, step: String) -> Self {
        self.0.path.push(step);
        self
    }

    /// What is wrong.
    pub(super) fn message(&self) -> &str {
        &self.0.message
    }

    /// Where it is wrong, such as `.users[3].name`. Empty for the value itself.
    pub(super) fn path(&self) -> String {
        shortened(Joined(&self.0.path), MAX_PATH_BYTES)
    }
}

struct Joined<'a>(&'a [String]);

impl fmt::Display for Joined<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().rev().try_for_each(|step| f.write_str(step))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(Box::new(Inner { message: shortened(message, MAX_MESSAGE_BYTES), path: Vec::new() }))
    }
}

/// A text, cut to a number of bytes.
fn shortened(text: impl fmt::Display, max_bytes: usize) -> String {
    let mut short = Short { text: String::new(), max_bytes };
    if write!(short, "{text}").is_err() {
        short.text.push('…');
    }
    short.text
}

/// Takes a text up to a number of bytes, and refuses the rest.
struct Short {
    text: String,
    max_bytes: usize,
}

impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.max_bytes - self.text.len();
        let cut = text.floor_char_boundary(room);
        self.text.push_str(&text[..cut]);
        if cut < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}
