//! The reply of a plain session: the text in upper case with `!!!`, as in the original tutorial.

use bytes::BytesMut;

use super::websocket::frame::{self, OpCode};

const SUFFIX: &[u8] = b"!!!";

/// Appends the reply to `text` to `out`, as one finished text frame.
///
/// Upper case is Unicode's full mapping (`ß` becomes `SS`), as in JavaScript's `toUpperCase`.
pub(crate) fn write_answer(out: &mut BytesMut, text: &str) {
    if text.is_ascii() {
        frame::write_header(out, OpCode::Text, text.len() + SUFFIX.len());
        write_text(out, text);
    } else {
        let mut answer = BytesMut::new();
        write_text(&mut answer, text);
        frame::write(out, OpCode::Text, &answer);
    }
}

/// Appends the reply to `text` to `out`, without a frame.
pub(crate) fn write_text(out: &mut BytesMut, text: &str) {
    let start = out.len();
    if text.is_ascii() {
        out.extend_from_slice(text.as_bytes());
        out[start..].make_ascii_uppercase();
    } else {
        out.extend_from_slice(text.to_uppercase().as_bytes());
    }
    out.extend_from_slice(SUFFIX);
}

/// The reply to `text`.
pub(crate) fn upper_case(text: &str) -> String {
    let mut answer = text.to_uppercase();
    answer.push_str("!!!");
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Vec<u8> {
        let mut out = BytesMut::new();
        write_answer(&mut out, text);
        out.to_vec()
    }

    #[test]
    fn hello_becomes_hello_in_upper_case_with_three_marks() {
        assert_eq!(answer("hello"), b"\x81\x08HELLO!!!");
        assert_eq!(answer(""), b"\x81\x03!!!");
    }

    #[test]
    fn upper_case_is_that_of_unicode() {
        assert_eq!(
            answer("straße"),
            "\u{81}".chars().map(|_| 0x81).chain([10]).chain(*b"STRASSE!!!").collect::<Vec<u8>>()
        );
        assert_eq!(&answer("你好 é")[2..], "你好 É!!!".as_bytes());
    }
}
