//! Strings of JSON as JavaScript has them: they may contain half of a surrogate pair (`"\ud83d"`), which
//! UTF-8 cannot encode.
//!
//! A program may cut an emoji in two and send the halves: the text is still legal JSON and must be parsed as
//! such.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, de};

pub(crate) mod walk;

/// A string of JSON. Half of a surrogate pair becomes U+FFFD, as when JavaScript encodes a string as UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text<'a>(pub Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As bytes, because these may be invalid UTF-8.
        deserializer.deserialize_bytes(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> de::Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_bytes<E: de::Error>(self, bytes: &'de [u8]) -> Result<Text<'de>, E> {
        Ok(Text(whole(bytes)))
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(whole(bytes).into_owned())))
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

/// Replaces halves of surrogate pairs, three bytes each, by U+FFFD.
fn whole(bytes: &[u8]) -> Cow<'_, str> {
    /// The first byte of every encoded surrogate, and of no other invalid UTF-8 here.
    const SURROGATE: u8 = 0xED;
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if chunk.invalid().first() == Some(&SURROGATE) {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    Cow::Owned(text)
}

/// Replaces halves of surrogate pairs in a text, which must be legal JSON, by the escape of U+FFFD: then all
/// its strings are UTF-8.
pub(crate) fn mended(json: &str) -> Cow<'_, str> {
    let mut mended = String::new();
    // Bytes of `json` that are in `mended`.
    let mut done = 0;
    let mut at = 0;
    while let Some(found) = json.get(at..).and_then(|rest| rest.find('\\')) {
        at += found;
        let (unit, next) = (unit_at(json, at), unit_at(json, at + ESCAPE));
        match (unit, next) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => at += 2 * ESCAPE,
            (Some(0xD800..=0xDFFF), _) => {
                mended.push_str(&json[done..at]);
                mended.push_str(r"\ufffd");
                at += ESCAPE;
                done = at;
            }
            (Some(_), _) => at += ESCAPE,
            // An escape of one character, such as `\\`.
            (None, _) => at = (at + 2).min(json.len()),
        }
    }
    if done == 0 {
        return Cow::Borrowed(json);
    }
    mended.push_str(&json[done..]);
    Cow::Owned(mended)
}

/// Length in bytes of an escape such as `\ud83d`.
const ESCAPE: usize = 6;

/// The UTF-16 unit that is escaped at a byte of a text.
fn unit_at(json: &str, at: usize) -> Option<u16> {
    let digits = json.get(at..at + ESCAPE)?.strip_prefix(r"\u")?;
    u16::from_str_radix(digits, 16).ok()
}

/// Whether a text is legal JSON, including strings with half of a surrogate pair.
pub(crate) fn is_legal(text: &str) -> bool {
    serde_json::from_str::<de::IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<String> {
        serde_json::from_str::<Text<'_>>(json).ok().map(|text| text.0.into_owned())
    }

    #[test]
    fn half_of_a_pair_reads_as_one_replacement_and_a_whole_one_as_it_is() {
        for (json, text) in [
            (r#""""#, ""),
            (r#""hi""#, "hi"),
            (r#""\u0068i\n""#, "hi\n"),
            (r#""😀""#, "😀"),
            (r#""\ud83d\ude00""#, "😀"),
            (r#""\ud83d""#, "\u{FFFD}"),
            (r#""\ude00""#, "\u{FFFD}"),
            (r#""\ude00\ud83d""#, "\u{FFFD}\u{FFFD}"),
            (r#""a\uD83Db\ud83d\ud83d\ude00é\udfff""#, "a\u{FFFD}b\u{FFFD}😀é\u{FFFD}"),
            (r#""\ud83dA""#, "\u{FFFD}A"),
            (r#""\ud7ff\ue000""#, "\u{D7FF}\u{E000}"),
            (r#""\ufffd""#, "\u{FFFD}"),
        ] {
            assert_eq!(read(json).as_deref(), Some(text), "{json}");
            assert!(is_legal(json), "{json}");
        }
        for bad in ["", "7", "null", "[1]", r#"""#, r#""\ud8""#, r#""\ud83d\u""#, r#""\x""#] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
