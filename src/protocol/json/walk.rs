//! A walk over legal JSON text, which parses no values and allocates nothing.

use std::borrow::Cow;

use super::{Text, is_legal};

/// What stands in JSON text. Commas and colons are passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// `[`
    List,
    /// `{`
    Object,
    /// `]` or `}`
    End,
    /// A string, with its quotes.
    Text(&'a str),
    /// A number, `true`, `false` or `null`.
    Scalar(&'a str),
}

/// The tokens of a text. Text that is not JSON gives some tokens.
#[derive(Clone, Debug)]
pub(crate) struct Tokens<'a> {
    json: &'a str,
    /// Bytes of `json` that are passed.
    at: usize,
}

impl<'a> Tokens<'a> {
    /// The tokens of a text.
    pub(crate) fn new(json: &'a str) -> Self {
        Self { json, at: 0 }
    }

    /// Bytes of the text that are passed.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Continues at a byte of the text, which must be behind a token.
    pub(crate) fn go_on_at(&mut self, at: usize) {
        self.at = at;
    }

    /// Passes a whole value, and returns its text. None at the end of a list, an object or the text.
    pub(crate) fn value(&mut self) -> Option<&'a str> {
        let first = self.next()?;
        let start = match first {
            Token::End => return None,
            Token::Text(text) | Token::Scalar(text) => return Some(text),
            Token::List | Token::Object => self.at - 1,
        };
        let mut depth = 1_usize;
        while depth > 0 {
            match self.next()? {
                Token::List | Token::Object => depth += 1,
                Token::End => depth -= 1,
                Token::Text(_) | Token::Scalar(_) => {}
            }
        }
        self.json.get(start..self.at)
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let rest = self.json.as_bytes().get(self.at..)?;
        let start = self.at + rest.iter().position(|byte| !is_between(*byte))?;
        let rest = &self.json.as_bytes()[start..];
        let (token, len): (fn(&'a str) -> Token<'a>, usize) = match rest[0] {
            b'[' => (|_| Token::List, 1),
            b'{' => (|_| Token::Object, 1),
            b']' | b'}' => (|_| Token::End, 1),
            b'"' => (Token::Text, string_len(rest)),
            _ => (Token::Scalar, rest.iter().position(|byte| is_delimiter(*byte)).unwrap_or(rest.len())),
        };
        self.at = start + len;
        // Both ends are ASCII, or an end of the text.
        self.json.get(start..self.at).map(token)
    }
}

fn is_between(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':')
}

fn is_delimiter(byte: u8) -> bool {
    is_between(byte) || matches!(byte, b'[' | b']' | b'{' | b'}' | b'"')
}

/// Length in bytes of the string at the start of a text, including its quotes.
fn string_len(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) =
        text.get(at..).and_then(|rest| rest.iter().position(|b| matches!(b, b'"' | b'\\')))
    {
        at += found;
        if text[at] == b'"' {
            return at + 1;
        }
        // An escaped character of several bytes has none that is a quote or a backslash.
        at += 2;
    }
    text.len()
}

/// Whether a text is legal JSON whose lists and objects are nested in at most `max_depth` levels. Allocates at most a byte
/// for each level.
pub(crate) fn is_legal_within(json: &str, max_depth: usize) -> bool {
    let mut depth = 0_usize;
    for token in Tokens::new(json) {
        match token {
            Token::List | Token::Object => depth += 1,
            Token::End => depth = depth.saturating_sub(1),
            Token::Text(_) | Token::Scalar(_) => {}
        }
        if depth > max_depth {
            return false;
        }
    }
    is_legal(json)
}

/// A value in legal JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Element<'a>(&'a str);

impl<'a> Element<'a> {
    /// The value of a whole text, which must be legal JSON.
    pub(crate) fn of(json: &'a str) -> Self {
        Self(Tokens::new(json).value().unwrap_or("null"))
    }

    /// Its text, without space around it.
    pub(crate) fn raw(self) -> &'a str {
        self.0
    }

    /// Its elements, if it is a list.
    pub(crate) fn elements(self) -> Option<Elements<'a>> {
        let mut tokens = Tokens::new(self.0);
        (tokens.next() == Some(Token::List)).then_some(Elements(tokens))
    }

    /// Its names, with their quotes, and values, if it is an object.
    pub(crate) fn fields(self) -> Option<Fields<'a>> {
        let mut tokens = Tokens::new(self.0);
        (tokens.next() == Some(Token::Object)).then_some(Fields(tokens))
    }

    /// Its text, if it is a string. Half of a surrogate pair becomes U+FFFD.
    pub(crate) fn text(self) -> Option<Cow<'a, str>> {
        let inner = self.0.strip_prefix('"')?.strip_suffix('"')?;
        if inner.contains('\\') {
            serde_json::from_str::<Text<'_>>(self.0).ok().map(|Text(text)| text)
        } else {
            Some(Cow::Borrowed(inner))
        }
    }

    /// Whether it is a string with this text, which needs no escape and is short.
    pub(crate) fn is_text(self, text: &str) -> bool {
        /// Bytes of an escaped character.
        const ESCAPED: usize = 6;
        match self.0.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            Some(inner) if inner == text => true,
            Some(inner) => {
                inner.len() <= ESCAPED * text.len()
                    && inner.contains('\\')
                    && self.text().is_some_and(|own| own == text)
            }
            None => false,
        }
    }

    /// Whether it is a number.
    pub(crate) fn is_number(self) -> bool {
        self.0.starts_with(|first: char| first == '-' || first.is_ascii_digit())
    }
}

/// The elements of a list.
#[derive(Clone, Debug)]
pub(crate) struct Elements<'a>(Tokens<'a>);

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        self.0.value().map(Element)
    }
}

/// The fields of an object: name and value.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a>(Tokens<'a>);

impl<'a> Iterator for Fields<'a> {
    type Item = (Element<'a>, Element<'a>);

    fn next(&mut self) -> Option<(Element<'a>, Element<'a>)> {
        Some((self.0.value().map(Element)?, self.0.value().map(Element)?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_walk_finds_elements_and_fields() {
        let json = r#" [1, "a\\\"]",{"b":[true,null] , "\u0063":-1e5},[],{}] "#;
        let element = Element::of(json);
        let raw: Vec<_> = element.elements().expect("a list").map(Element::raw).collect();
        assert_eq!(raw, ["1", r#""a\\\"]""#, r#"{"b":[true,null] , "\u0063":-1e5}"#, "[]", "{}"]);
        let elements: Vec<_> = element.elements().expect("a list").collect();
        assert_eq!(elements[1].text().as_deref(), Some("a\\\"]"));
        let fields: Vec<_> = elements[2].fields().expect("an object").collect();
        assert!(fields[0].0.is_text("b") && fields[1].0.is_text("c") && !fields[1].0.is_text("d"));
        assert_eq!(fields[1].1.raw(), "-1e5");
        assert!(fields[1].1.is_number() && !fields[0].1.is_number());
        assert!(elements[2].elements().is_none() && element.fields().is_none());
    }

    #[test]
    fn text_is_legal_up_to_a_depth() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(is_legal_within(&nested(5), 5) && !is_legal_within(&nested(6), 5));
        assert!(is_legal_within(r#"["[[[[[[[["]"#, 1) && !is_legal_within("[1", 5));
    }

    proptest! {
        #[test]
        fn any_text_can_be_walked(text in "[\\[\\]{}\",:tru0-9\\\\é -]{0,40}") {
            let _ = (Tokens::new(&text).count(), is_legal_within(&text, 3), Element::of(&text).raw());
        }
    }
}
