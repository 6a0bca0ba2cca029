//! Placeholders of attachments in the JSON of a packet: `{"_placeholder":true,"num":0}`.
//!
//! They are searched in the raw text. Parsing it into values would reject what JavaScript accepts: strings
//! with half of a surrogate pair, numbers beyond `f64`.

use crate::protocol::json::Text;

/// Maximum depth of nested objects and lists: each level takes memory during the search.
const MAX_DEPTH: usize = 10_000;

/// The name of the current field of an object.
#[derive(Clone, Copy, Default, PartialEq)]
enum Field {
    Placeholder,
    Number,
    #[default]
    Other,
}

#[derive(Clone, Copy, PartialEq)]
enum Scalar {
    True,
    Number(f64),
    Other,
}

/// An object or a list that is not closed yet.
#[derive(Default)]
struct Open {
    field: Field,
    is_placeholder: bool,
    number: Option<f64>,
    /// Whether it contains a placeholder without an attachment.
    is_bad: bool,
}

impl Open {
    fn set(&mut self, value: Scalar) {
        match std::mem::take(&mut self.field) {
            Field::Placeholder => self.is_placeholder = value == Scalar::True,
            Field::Number => {
                self.number = if let Scalar::Number(number) = value { Some(number) } else { None };
            }
            Field::Other => {}
        }
    }

    fn is_good(&self, attachments: usize) -> bool {
        if self.is_placeholder {
            self.number.is_some_and(|number| number >= 0.0 && number < attachments as f64)
        } else {
            !self.is_bad
        }
    }
}

/// Whether each placeholder in a text, which must be legal JSON, has a number below `attachments`. False if
/// the text is nested deeper than [`MAX_DEPTH`].
pub(super) fn are_good(json: &str, attachments: usize) -> bool {
    let root = scan(json, |closed, parent| parent.is_bad |= !closed.is_good(attachments));
    root.is_some_and(|root| !root.is_bad)
}

/// Number of placeholders in a text, which must be legal JSON. None if the text is nested deeper than
/// [`MAX_DEPTH`].
pub(super) fn count(json: &str) -> Option<usize> {
    let mut count = 0;
    scan(json, |closed, _| count += usize::from(closed.is_placeholder))?;
    Some(count)
}

/// Reports each object and list of a text when it is closed, with its parent. Returns the root, or None if
/// the text is nested deeper than [`MAX_DEPTH`].
fn scan(json: &str, mut on_closed: impl FnMut(&Open, &mut Open)) -> Option<Open> {
    let mut open = vec![Open::default()];
    let mut rest = json;
    while let Some(first) = rest.chars().next() {
        let mut len = first.len_utf8();
        match first {
            '{' | '[' => {
                if let Some(parent) = open.last_mut() {
                    parent.set(Scalar::Other);
                }
                open.push(Open::default());
                if open.len() > MAX_DEPTH {
                    return None;
                }
            }
            '}' | ']' => {
                if let Some(closed) = open.pop()
                    && let Some(parent) = open.last_mut()
                {
                    on_closed(&closed, parent);
                }
            }
            '"' => {
                len = string_len(rest);
                if let Some(parent) = open.last_mut() {
                    if rest[len..].trim_start().starts_with(':') {
                        parent.field = field(&rest[..len]);
                    } else {
                        parent.set(Scalar::Other);
                    }
                }
            }
            't' | 'f' | 'n' | '-' | '0'..='9' => {
                len = rest.find(|c: char| !is_of_scalar(c)).unwrap_or(rest.len());
                if let Some(parent) = open.last_mut() {
                    parent.set(scalar(&rest[..len]));
                }
            }
            _ => {}
        }
        rest = &rest[len..];
    }
    open.into_iter().next()
}

/// Length in bytes of the string at the start of a text, including its quotes.
fn string_len(text: &str) -> usize {
    // Skips the opening quote, as if it were escaped.
    let mut is_escaped = true;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

fn field(quoted: &str) -> Field {
    let name = serde_json::from_str::<Text<'_>>(quoted);
    match name.as_ref().map(|Text(name)| &**name) {
        Ok("_placeholder") => Field::Placeholder,
        Ok("num") => Field::Number,
        _ => Field::Other,
    }
}

fn is_of_scalar(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')
}

fn scalar(text: &str) -> Scalar {
    match text {
        "true" => Scalar::True,
        "false" | "null" => Scalar::Other,
        number => number.parse().map_or(Scalar::Other, Scalar::Number),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_placeholder_is_what_javascript_reads_as_one() {
        for (json, is_good) in [
            ("[]", true),
            (r#"["a",{"_placeholder":true,"num":1}]"#, true),
            (r#"["a",{"_placeholder":true,"num":2}]"#, false),
            (r#"["a",{ "num" : 1.0 , "_placeholder" : true }]"#, true),
            (r#"["a",{"_placeholder":true,"num":-0}]"#, true),
            (r#"["a",{"_placeholder":true,"num":1e99}]"#, false),
            (r#"["a",{"_placeholder":true,"num":-1}]"#, false),
            (r#"["a",{"_placeholder":true,"num":"0"}]"#, false),
            (r#"["a",{"_placeholder":true,"num":[0]}]"#, false),
            (r#"["a",{"_placeholder":true,"num":0,"num":null}]"#, false),
            (r#"["a",{"_placeholder":true}]"#, false),
            (r#"["a",{"_placeholder":false}]"#, true),
            (r#"["a",{"_placeholder":true,"_placeholder":{"x":true}}]"#, true),
            (r#"["a",{"_placeholder":[true]}]"#, true),
            (r#"["a",{"\u005fplaceholder":true,"num":9}]"#, false),
            (r#"["a","_placeholder",true,{"x":"\\\":{\"_placeholder\":true}"}]"#, true),
            (r#"["\ud83d",{"\ud83d":"\udc00","x":[{"_placeholder":true,"num":0}]}]"#, true),
            (r#"["\ud83d",{"\ud83d":"\udc00","x":[{"_placeholder":true,"num":7}]}]"#, false),
            (r#"["a",{"x":{"_placeholder":true,"num":7},"y":1}]"#, false),
            // The client replaces the whole object by the attachment.
            (r#"["a",{"x":{"_placeholder":true,"num":7},"_placeholder":true,"num":0}]"#, true),
            (r#"["a",1e999,{"b":123456789012345678901234567890}]"#, true),
        ] {
            assert!(crate::protocol::json::is_legal(json), "{json}");
            assert_eq!(are_good(json, 2), is_good, "{json}");
        }
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(are_good(&nested(MAX_DEPTH - 1), 1) && !are_good(&nested(MAX_DEPTH), 1));
    }

    /// The rule, applied to parsed values.
    fn reference(value: &Value, attachments: usize) -> bool {
        match value {
            Value::Object(fields) if fields.get("_placeholder") == Some(&Value::Bool(true)) => fields
                .get("num")
                .and_then(Value::as_f64)
                .is_some_and(|number| number >= 0.0 && number < attachments as f64),
            Value::Object(fields) => fields.values().all(|value| reference(value, attachments)),
            Value::Array(values) => values.iter().all(|value| reference(value, attachments)),
            _ => true,
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let name = prop_oneof![Just("_placeholder".to_owned()), Just("num".to_owned()), "[a:{é\"\\\\]{0,3}"];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-1..4_i64).prop_map(Value::from),
            (0.0..3.0_f64).prop_map(Value::from),
            "[a:{}é\"\\\\]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 30, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((name.clone(), inner), 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_text_is_judged_as_its_value_is(value in values(), attachments in 1..4_usize) {
            let expected = reference(&value, attachments);
            prop_assert_eq!(are_good(&value.to_string(), attachments), expected);
            let pretty = serde_json::to_string_pretty(&value).expect("JSON");
            prop_assert_eq!(are_good(&pretty, attachments), expected);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\]{}\",:truenum_0-9\\\\é -]{0,40}") {
            let _ = are_good(&text, 1);
        }
    }
}
