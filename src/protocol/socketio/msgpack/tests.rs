use bytes::Bytes;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| {
        u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("two hex digits")
    };
    digits.chunks(2).map(byte).collect()
}

fn read(body: &str) -> (String, Vec<Bytes>) {
    let body = Bytes::from(hex(body));
    let args = View::of(&body).expect("msgpack").args(true);
    (args.json.to_string(), args.attachments)
}

fn write(json: &str, attachments: &[Bytes]) -> Vec<u8> {
    let mut out = Vec::new();
    write_json(json, attachments, &mut out).expect("writable");
    out
}

#[test]
fn values_of_javascript_are_read_as_json_shows_them() {
    for (body, json) in [
        ("c0", "null"),
        ("c2", "false"),
        ("c3", "true"),
        ("00", "0"),
        ("7f", "127"),
        ("ff", "-1"),
        ("cc ff", "255"),
        ("cd ffff", "65535"),
        ("ce ffffffff", "4294967295"),
        ("cf ffffffffffffffff", "18446744073709551615"),
        ("cf 0020000000000001", "9007199254740993"),
        ("d0 80", "-128"),
        ("d1 8000", "-32768"),
        ("d2 80000000", "-2147483648"),
        ("d3 8000000000000000", "-9223372036854775808"),
        ("d3 0000000000000005", "5"),
        ("ca 3fc00000", "1.5"),
        ("cb 3ff8000000000000", "1.5"),
        ("cb 4008000000000000", "3"),
        ("cb 8000000000000000", "0"),
        ("cb 4340000000000000", "9007199254740992"),
        ("cb 444b1ae4d6e2ef50", "1e+21"),
        ("cb 4415af1d78b58c40", "100000000000000000000"),
        ("cb 3eb0c6f7a0b5ed8d", "0.000001"),
        ("cb 3e7ad7f29abcaf48", "1e-7"),
        ("cb bfd3333333333333", "-0.3"),
        ("cb 0000000000000001", "5e-324"),
        ("cb 7fefffffffffffff", "1.7976931348623157e+308"),
        ("cb 7ff8000000000000", "null"),
        ("cb 7ff0000000000000", "null"),
        ("cb fff0000000000000", "null"),
        ("a0", r#""""#),
        ("a3 616263", r#""abc""#),
        ("a4 c3bc 22 5c", r#""ü\"\\""#),
        ("a8 00 08 09 0a 0c 0d 1f 7f", "\"\\u0000\\b\\t\\n\\f\\r\\u001f\u{7f}\""),
        // A lone surrogate as @msgpack/msgpack writes it.
        ("a5 61 eda0bd 62", "\"a\u{fffd}\u{fffd}\u{fffd}b\""),
        ("d9 01 61", r#""a""#),
        ("da 0001 61", r#""a""#),
        ("db 00000001 61", r#""a""#),
        ("90", "[]"),
        ("80", "{}"),
        ("dc 0002 01 02", "[1,2]"),
        ("dd 00000002 90 80", "[[],{}]"),
        ("de 0001 a1 61 91 80", r#"{"a":[{}]}"#),
        ("df 00000002 a1 61 80 a1 62 c0", r#"{"a":{},"b":null}"#),
        ("82 2a 01 ff 02", r#"{"42":1,"-1":2}"#),
        // Dates, in 32, 64 and 96 bits.
        ("d6 ff 00000000", r#""1970-01-01T00:00:00.000Z""#),
        ("d6 ff 6a000000", r#""2026-05-10T03:48:16.000Z""#),
        ("d7 ff 1dcd6500 00000000", r#""1970-01-01T00:00:00.125Z""#),
        ("c7 0c ff 00000000 ffffffffffffffff", r#""1969-12-31T23:59:59.000Z""#),
        ("c7 0c ff 00000000 ffffffff00000000", r#""1833-11-24T17:31:44.000Z""#),
        ("c7 0c ff 00000000 ffffffe000000000", r#""-002386-09-25T08:55:28.000Z""#),
        ("c7 0c ff 00000000 000007dba8218000", r#""+275760-09-13T00:00:00.000Z""#),
        ("c7 0c ff 00000000 000007dba8218001", "null"),
        ("c7 0c ff 00000000 7fffffffffffffff", "null"),
        ("c7 03 ff 000000", "null"),
        ("d4 00 00", "null"),
        ("c8 0001 05 00", "null"),
        ("c9 00000000 05", "null"),
    ] {
        let (read, attachments) = read(&format!("91 {body}"));
        assert_eq!((read, attachments.len()), (format!("[{json}]"), 0), "{body}");
    }
}

#[test]
fn bytes_are_read_as_slices_of_the_body() {
    let body = Bytes::from(hex("92 c4 02 0001 81 a1 61 91 c5 0001 ff"));
    let view = View::of(&body).expect("msgpack");
    let args = view.args(true);
    assert_eq!(&*args.json, r#"[{"_placeholder":true,"num":0},{"a":[{"_placeholder":true,"num":1}]}]"#);
    assert_eq!(args.attachments, [Bytes::from_static(&[0, 1]), Bytes::from_static(&[255])]);
    assert_eq!(args.attachments[0].as_ptr(), body[3..].as_ptr());
    assert_eq!(view.json(), r#"[{"type":"Buffer","data":[0,1]},{"a":[{"type":"Buffer","data":[255]}]}]"#);
    let (empty, attachments) = read("91 c6 00000000");
    assert_eq!((&*empty, &*attachments), (r#"[{"_placeholder":true,"num":0}]"#, &[Bytes::new()][..]));
}

#[test]
fn what_is_not_one_value_is_refused() {
    for (body, why) in [
        ("", NotMsgpack::Truncated),
        ("91", NotMsgpack::Truncated),
        ("a1", NotMsgpack::Truncated),
        ("cb 00", NotMsgpack::Truncated),
        ("c6 ffffffff 00", NotMsgpack::Truncated),
        ("dd ffffffff 00", NotMsgpack::Truncated),
        ("df ffffffff 00", NotMsgpack::Truncated),
        ("81 a1 61", NotMsgpack::Truncated),
        ("c1", NotMsgpack::UnknownType),
        ("90 00", NotMsgpack::Trailing),
        ("81 c0 00", NotMsgpack::BadKey),
        ("81 90 00", NotMsgpack::BadKey),
        ("81 cb 0000000000000000 00", NotMsgpack::BadKey),
        ("92 c4 00 81 ac 5f706c616365686f6c646572 c3", NotMsgpack::Placeholder),
    ] {
        assert_eq!(View::of(&Bytes::from(hex(body))).err(), Some(why), "{body}");
    }
}

#[test]
fn nesting_is_read_and_written_up_to_its_limit() {
    let nested = |depth: usize| Bytes::from([vec![0x91; depth - 1], vec![0x90]].concat());
    let text = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let args = View::of(&nested(MAX_DEPTH)).expect("msgpack").args(true);
    assert_eq!(&*args.json, text(MAX_DEPTH));
    assert_eq!(View::of(&nested(MAX_DEPTH + 1)).err(), Some(NotMsgpack::TooDeep));
    assert_eq!(write(&text(MAX_DEPTH), &[]), nested(MAX_DEPTH));
    let too_deep = write_json(&text(MAX_DEPTH + 1), &[], &mut Vec::new());
    assert_eq!(too_deep, Err(Unwritable::TooDeep));
}

#[test]
fn json_is_written_in_the_smallest_form() {
    for (json, body) in [
        ("null", "c0"),
        ("true", "c3"),
        ("127", "7f"),
        ("128", "cc80"),
        ("256", "cd0100"),
        ("65536", "ce00010000"),
        ("4294967296", "cf0000000100000000"),
        ("18446744073709551615", "cfffffffffffffffff"),
        ("18446744073709551616", "cb43f0000000000000"),
        ("-1", "ff"),
        ("-33", "d0df"),
        ("-129", "d1ff7f"),
        ("-32769", "d2ffff7fff"),
        ("-2147483649", "d3ffffffff7fffffff"),
        ("-9223372036854775809", "d38000000000000000"),
        ("-1e300", "cbfe37e43c8800759c"),
        ("1.5", "cb3ff8000000000000"),
        ("1.0", "01"),
        ("-0", "00"),
        ("-0.0", "00"),
        ("2e2", "ccc8"),
        ("1e999", "cb7ff0000000000000"),
        ("-1e999", "cbfff0000000000000"),
        (r#""a\n\ud83d\ude00""#, "a6610af09f9880"),
        (r#""\ud83d""#, "a3efbfbd"),
        ("[ ]", "90"),
        (r#"{ "a" : [1, {}] }"#, "81a161920180"),
    ] {
        assert_eq!(write(json, &[]), hex(body), "{json}");
    }
    for len in [31, 32, 255, 256, 65_535, 65_536] {
        let text = "x".repeat(len);
        let written = write(&format!("\"{text}\""), &[]);
        let head: &[u8] = match len {
            31 => &[0xbf],
            32 => &[0xd9, 32],
            255 => &[0xd9, 255],
            256 => &[0xda, 1, 0],
            65_535 => &[0xda, 255, 255],
            _ => &[0xdb, 0, 1, 0, 0],
        };
        assert_eq!(written, [head, text.as_bytes()].concat());
        let bytes = Bytes::from(vec![7; len]);
        let written = write(r#"{"_placeholder":true,"num":0}"#, std::slice::from_ref(&bytes));
        assert!(written.ends_with(&bytes) && matches!(written[0], 0xc4..=0xc6));
        let list = write(&format!("[{}1]", "1,".repeat(len - 1)), &[]);
        assert_eq!(View::of(&list.into()).expect("msgpack").elements().expect("a list").count(), len);
    }
}

#[test]
fn placeholders_are_written_as_their_attachments() {
    let attachments = [Bytes::from_static(&[1]), Bytes::from_static(&[2, 3])];
    let json = r#"["b",{"_placeholder":true,"num":1},{"x":[{"num":0.0,"_placeholder":true,"y":[[]]}]},[7]]"#;
    assert_eq!(write(json, &attachments), hex("94 a162 c4020203 81 a178 91 c40101 91 07"));
    let shown = show_attachments(json, &attachments).expect("JSON");
    let expected = r#"["b",{"type":"Buffer","data":[2,3]},{"x":[{"type":"Buffer","data":[1]}]},[7]]"#;
    assert_eq!(shown, expected);
    // Without attachments an object is never a placeholder.
    assert_eq!(write(r#"{"_placeholder":true}"#, &[]), hex("81 ac 5f706c616365686f6c646572 c3"));
    for bad in [
        r#"{"_placeholder":true,"num":2}"#,
        r#"{"_placeholder":true}"#,
        r#"{"_placeholder":true,"num":"0"}"#,
        r#"{"_placeholder":true,"num":-1}"#,
        r#"{"_placeholder":true,"num":0.5}"#,
    ] {
        let written = write_json(bad, &attachments, &mut Vec::new());
        assert_eq!(written, Err(Unwritable::Placeholder), "{bad}");
    }
    assert_eq!(write_json("[1", &[], &mut Vec::new()), Err(Unwritable::NotJson));
}
