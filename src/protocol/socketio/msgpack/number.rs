//! Numbers as JavaScript writes them.

use std::fmt;

/// A number as `JSON.stringify` writes it: the shortest digits that give it again, with an exponent below 1e-6 and from 1e21
/// on, and `null` for NaN and the infinities.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JavascriptNumber(f64);

/// A number as `JSON.stringify` writes it.
pub(crate) fn javascript_number(number: f64) -> JavascriptNumber {
    JavascriptNumber(number)
}

impl fmt::Display for JavascriptNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number) = *self;
        let size = number.abs();
        if !number.is_finite() {
            return f.write_str("null");
        }
        if size == 0.0 {
            return f.write_str("0");
        }
        if (1e-6..1e21).contains(&size) {
            return write!(f, "{number}");
        }
        let text = format!("{number:e}");
        match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => write!(f, "{digits}e+{exponent}"),
            _ => f.write_str(&text),
        }
    }
}
