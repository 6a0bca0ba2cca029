//! Arguments as JavaScript has them, and JSON's parsers in Rust have not.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::json;

use super::{
    arguments::{args, bytes, decoded},
    *,
};

#[test]
fn a_placeholder_is_resolved_as_javascript_resolves_it() {
    let value = |json: &str| args(json, &["one", "two"]).decode::<Value>();
    for json in [
        r#"["e",{"_placeholder":true,"num":1}]"#,
        r#"["e",{ "num" : 1.0, "_placeholder" : true }]"#,
        r#"["e",{"_placeholder":true,"num":9,"num":1}]"#,
        r#"["e",{"_placeholder":0,"num":1,"\u005fplaceholder":true,"more":{}}]"#,
    ] {
        assert_eq!(value(json), Ok(bytes("two").into()), "{json}");
    }
    assert_eq!(value(r#"["e",{"_placeholder":true,"num":-0}]"#), Ok(bytes("one").into()));
    for json in [
        r#"["e",{"_placeholder":true}]"#,
        r#"["e",{"_placeholder":true,"num":2}]"#,
        r#"["e",{"_placeholder":true,"num":-1}]"#,
        r#"["e",{"_placeholder":true,"num":0.5}]"#,
        r#"["e",{"_placeholder":true,"num":"0"}]"#,
        r#"["e",{"_placeholder":true,"num":1e300}]"#,
    ] {
        let error = value(json).expect_err(json).to_string();
        assert_eq!(error, "argument 1: invalid type: placeholder without attachment, expected any value");
        assert_eq!(args(json, &["one"]).decode(), Ok(()));
    }
    let overwritten = r#"["e",{"a":{"_placeholder":true},"a":1}]"#;
    assert_eq!(value(overwritten), Ok(Value::from_iter([("a", 1)])));
    let plain = r#"["e",{"_placeholder":true,"num":0}]"#;
    assert_eq!(
        decoded(plain),
        Ok(json!({"_placeholder": true, "num": 0})),
        "without attachments it is an object"
    );
}

#[test]
fn what_javascript_takes_and_utf8_has_not_is_replaced() {
    assert_eq!(decoded(r#"["\ud83d","\ud83d\ude00 \ude00\\ud83d"]"#), Ok("😀 \u{FFFD}\\ud83d".to_owned()));
    assert_eq!(decoded(r#"["e",{"\ud83d":1}]"#), Ok(HashMap::from([(String::from('\u{FFFD}'), 1)])));
    assert_eq!(decoded(r#"["e",["a","\ud83d"]]"#), Ok(json!(["a", "\u{FFFD}"])));
}

#[test]
fn the_last_of_repeated_fields_counts_at_the_place_of_the_first() {
    let twice = Value::from_iter([("a", 3), ("b", 2)]);
    assert_eq!(decoded(r#"["e",{"a":1,"b":2,"a":3}]"#), Ok(twice.clone()));
    assert_eq!(serde_json::from_str::<Value>(r#"{"a":1,"b":2,"a":3}"#).ok(), Some(twice));
    assert_eq!(
        decoded(r#"["e",{"name":7,"name":"n","data":1,"small":null}]"#).map(|name: Named| name.name),
        Ok("n".into())
    );
    let many: Vec<_> = (0..100).map(|number| format!(r#""{}":{number}"#, number % 50)).collect();
    let fields = (50..100).map(|number| ((number - 50).to_string(), number));
    assert_eq!(decoded(&format!(r#"["e",{{{}}}]"#, many.join(","))), Ok(Value::from_iter(fields)));
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

#[test]
fn numbers_stay_what_they_are() {
    for (json, value) in [
        ("18446744073709551615", u64::MAX.into()),
        ("-9223372036854775808", i64::MIN.into()),
        ("18446744073709551616", 18_446_744_073_709_551_616.0.into()),
        ("5e-324", 5e-324.into()),
        ("1.7976931348623157e308", f64::MAX.into()),
        ("0.1", 0.1.into()),
        ("-0", Value::from(-0.0)),
    ] {
        assert_eq!(decoded::<Value>(&format!("[\"e\",{json}]")), Ok(value), "{json}");
    }
    assert_eq!(decoded(r#"["e",1,2]"#), Ok((1.0_f64, 2.0_f32)));
    assert!(decoded::<i32>(r#"["e",3000000000]"#).is_err());
    assert!(decoded::<i32>(r#"["e",1.0]"#).is_err());
    assert_eq!(decoded(r#"["e",18446744073709551615]"#), Ok(i128::from(u64::MAX)));
}

#[test]
fn values_are_decoded_to_127_levels() {
    let nested = |depth: usize| format!("[\"e\",{}{}]", "[".repeat(depth), "]".repeat(depth));
    assert!(decoded::<Value>(&nested(126)).is_ok());
    for depth in [127, 128, 100_000] {
        let error = decoded::<Value>(&nested(depth)).expect_err("too deep");
        assert!(error.starts_with("argument 1: recursion limit exceeded"), "{error}");
        assert_eq!(decoded(&nested(depth)), Ok(()), "nothing is read of it");
        let placed = args(&nested(depth), &["one"]);
        assert!(placed.values().is_err());
    }
}
