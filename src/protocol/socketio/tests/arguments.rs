//! Arguments of Rust types: each rule, in both directions.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

use super::*;

pub(super) fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

pub(super) fn args(json: &str, attachments: &[&'static str]) -> Args {
    Args { json: json.into(), attachments: attachments.iter().map(|text| bytes(text)).collect() }
}

/// The JSON of an event `e`.
fn encoded(data: &impl Serialize) -> String {
    let Args { json, attachments } = Args::encode("e", data).expect("data to send");
    assert!(attachments.is_empty(), "no bytes in {json}");
    json.to_string()
}

pub(super) fn decoded<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    args(json, &[]).decode().map_err(|error| error.to_string())
}

/// The error of an event with the attachments `one` and `two`.
fn refused<T: DeserializeOwned + fmt::Debug>(json: &str) -> String {
    args(json, &["one", "two"]).decode::<T>().expect_err(json).to_string()
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Picture {
    name: String,
    data: Bytes,
    small: Option<Bytes>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Nothing,
    Blob(Bytes),
    Pair(i32, Bytes),
    Picture { picture: Picture, more: Vec<Shape> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Point(i32, i32);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Wrapped((i32, i32));

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Marker;

#[test]
fn only_a_tuple_is_several_arguments() {
    for (found, expected) in [
        (encoded(&()), r#"["e"]"#),
        (encoded(&(1,)), r#"["e",1]"#),
        (encoded(&("a", 2, [3, 4])), r#"["e","a",2,[3,4]]"#),
        (encoded(&[3, 4]), r#"["e",3,4]"#),
        (encoded(&[0; 0]), r#"["e"]"#),
        (encoded(&vec![3, 4]), r#"["e",[3,4]]"#),
        (encoded(&"a\"\u{1e}é"), r#"["e","a\"\u001eé"]"#),
        (encoded(&None::<i32>), r#"["e",null]"#),
        (encoded(&Some((1, 2))), r#"["e",[1,2]]"#),
        (encoded(&((), ())), r#"["e",null,null]"#),
        (encoded(&Point(1, 2)), r#"["e",[1,2]]"#),
        (encoded(&Wrapped((1, 2))), r#"["e",[1,2]]"#),
        (encoded(&Marker), r#"["e",null]"#),
        (encoded(&Shape::Nothing), r#"["e","Nothing"]"#),
        (encoded(&json!({"b": 1, "a": [1.5]})), r#"["e",{"a":[1.5],"b":1}]"#),
        (encoded(&BTreeMap::from([(1, true)])), r#"["e",{"1":true}]"#),
        (encoded(&f64::NAN), r#"["e",null]"#),
        (encoded(&'x'), r#"["e","x"]"#),
        (encoded(&u128::MAX), r#"["e",340282366920938463463374607431768211455]"#),
        (encoded(&Arguments(vec![1.into(), Value::Null])), r#"["e",1,null]"#),
        (encoded(&Arguments::default()), r#"["e"]"#),
        (encoded(&vec![Value::Null]), r#"["e",[null]]"#),
        (encoded(&Vec::<u8>::from("ab")), r#"["e",[97,98]]"#),
    ] {
        assert_eq!(found, expected);
    }
}

#[test]
fn an_ack_has_arguments_and_no_name() {
    let answer = |data: &dyn Fn() -> Result<Args, EncodeError>| data().expect("data to send").json;
    assert_eq!(answer(&|| Args::encode_answer(&())), "[]");
    assert_eq!(answer(&|| Args::encode_answer(&(1, "b"))), r#"[1,"b"]"#);
    assert_eq!(answer(&|| Args::encode_answer(&vec![1])), "[[1]]");
    let ack = args(r#"["a",2]"#, &[]);
    assert_eq!(ack.decode_answer(), Ok(("a".to_owned(), 2)));
    assert_eq!(ack.answer_values(), Ok(vec!["a".into(), 2.into()]));
    assert_eq!(args("[]", &[]).decode_answer(), Ok(()));
    assert_eq!(args("[]", &[]).decode_answer::<i32>(), Err(DecodeError::Missing { number: 1 }));
}

#[test]
fn bytes_become_attachments_in_the_order_of_their_placeholders() {
    let picture = Picture { name: "p".into(), data: bytes("two"), small: Some(bytes("three")) };
    let data = (bytes("one"), vec![picture.clone()], serde_bytes_like(b"four"), "end");
    let encoded = Args::encode("e", &data).expect("data to send");
    assert_eq!(
        encoded,
        args(
            concat!(
                r#"["e",{"_placeholder":true,"num":0},[{"name":"p","data":{"_placeholder":true,"num":1},"#,
                r#""small":{"_placeholder":true,"num":2}}],{"_placeholder":true,"num":3},"end"]"#
            ),
            &["one", "two", "three", "four"]
        )
    );
    assert_eq!(encoded.decode(), Ok((bytes("one"), vec![picture], bytes("four"), "end".to_owned())));
    let binary = encoded.values().expect("values");
    assert_eq!((binary[0].as_bytes(), binary[3].as_str()), (Some(&bytes("one")), Some("end")));
    assert_eq!(binary[1].as_array().and_then(|list| list[0].get("small")), Some(&bytes("three").into()));
    assert_eq!(format!("{:?}", &binary[..1]), "[<3 bytes>]");
    assert_eq!(Args::encode("e", &Arguments(binary)).expect("data to send"), encoded);

    let answer = Args::encode_answer(&Bytes::new()).expect("data to send");
    assert_eq!(answer, args(r#"[{"_placeholder":true,"num":0}]"#, &[""]));
    assert_eq!(answer.decode_answer(), Ok(Bytes::new()));
}

/// A type that serializes itself as bytes, as those of `serde_bytes` do.
fn serde_bytes_like(bytes: &'static [u8]) -> impl Serialize {
    struct Raw(&'static [u8]);
    impl Serialize for Raw {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(self.0)
        }
    }
    Raw(bytes)
}

#[test]
fn bytes_are_found_in_maps_enums_and_options() {
    let more = vec![Shape::Nothing, Shape::Blob(bytes("b")), Shape::Pair(7, bytes("c"))];
    let picture = Picture { name: "p".into(), data: bytes("a"), small: None };
    let sent = (Shape::Picture { picture, more }, HashMap::from([(-7, Some(bytes("d")))]));
    let args = Args::encode("e", &sent).expect("data to send");
    assert_eq!(args.attachments, ["a", "b", "c", "d"]);
    assert_eq!(args.decode(), Ok(sent));
    assert_eq!(
        args.decode::<(serde::de::IgnoredAny, Value)>().map(|(_, map)| map),
        Ok(Value::from_iter([("-7", bytes("d"))]))
    );
}

#[test]
fn what_cannot_be_sent_is_an_error_that_names_the_event() {
    for name in RESERVED {
        let error = Args::encode(name, &()).expect_err(name);
        assert!(matches!(&error, EncodeError::ReservedName(found) if found == name), "{error}");
    }
    for odd in ["", "e\"\n", "é", "Connect"] {
        assert!(Args::encode(odd, &()).is_ok(), "{odd}");
    }
    let keys = Args::encode("e", &HashMap::from([((1, 2), 3)])).expect_err("a key");
    assert_eq!(keys.to_string(), r#"the data of event "e" cannot be encoded: key must be a string"#);
    let keys = Args::encode_answer(&HashMap::from([(bytes("k"), 3)])).expect_err("a key");
    assert_eq!(keys.to_string(), "the data of an ack cannot be encoded: key must be a string");
    struct Unwilling;
    impl Serialize for Unwilling {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("not today"))
        }
    }
    let own = Args::encode("e", &(1, Unwilling)).expect_err("its own error");
    assert_eq!(own.to_string(), r#"the data of event "e" cannot be encoded: not today"#);
}

/// A client takes every object with the field for bytes, if the packet has attachments.
#[test]
fn an_object_like_a_placeholder_is_not_sent_beside_bytes() {
    let raw = |json: &str| RawValue::from_string(json.to_owned()).expect("JSON");
    let alike = json!({"_placeholder": true, "num": 0});
    assert!(Args::encode("e", &alike).is_ok(), "without bytes it means nothing");
    assert!(Args::encode("e", &raw(r#"{"\u005fplaceholder":true}"#)).is_ok());
    let refused = |data| matches!(data, Err(EncodeError::Placeholder { .. }));
    assert!(refused(Args::encode("e", &(bytes("x"), &alike))));
    assert!(refused(Args::encode("e", &(&alike, bytes("x")))));
    assert!(refused(Args::encode_answer(&(json!([{"a": {"_placeholder": true}}]), bytes("x")))));
    assert!(refused(Args::encode("e", &(raw(r#"{ "\u005fplaceholder" : true }"#), bytes("x")))));
    for fine in [
        json!({"_placeholder": false, "num": 0}),
        json!({"_placeholder": "true"}),
        json!("\"_placeholder\":true"),
        json!({"x,\"_placeholder": true}),
        json!(["_placeholder", true]),
    ] {
        assert!(Args::encode("_placeholder", &(bytes("x"), &fine)).is_ok(), "{fine}");
        assert!(Args::encode("e", &(bytes("x"), raw(&fine.to_string()))).is_ok(), "{fine}");
    }
}

#[test]
fn a_tuple_takes_arguments_and_another_type_the_first() {
    assert_eq!(decoded(r#"["e"]"#), Ok(()));
    assert_eq!(decoded(r#"["e",1,2]"#), Ok(()));
    assert_eq!(decoded(r#"["e","a"]"#), Ok("a".to_owned()));
    assert_eq!(decoded(r#"["e","a"]"#), Ok(("a".to_owned(),)));
    assert_eq!(decoded(r#"["e",1,"b",[3]]"#), Ok((1, "b".to_owned(), vec![3])));
    assert_eq!(decoded(r#"["e",1,"ignored",{}]"#), Ok(1));
    assert_eq!(decoded(r#"["e",1,"ignored",1e999]"#), Ok((1,)));
    assert_eq!(decoded(r#"["e",[1,2],3]"#), Ok(vec![1, 2]));
    assert_eq!(decoded(r#"["e",1,2]"#), Ok([1, 2]));
    assert_eq!(decoded(r#"["e",[1,2]]"#), Ok(Point(1, 2)));
    assert_eq!(decoded(r#"["e",[1,2]]"#), Ok(Wrapped((1, 2))));
    assert_eq!(decoded(r#"["e",null]"#), Ok(Marker));
    assert_eq!(decoded(r#"["e",{"b":1}]"#), Ok(json!({"b": 1})));
    assert_eq!(decoded(r#"["e",[1,2]]"#), Ok(Some((1, 2))));
    assert_eq!(decoded(r#"["e",1,null]"#), Ok(Arguments(vec![1.into(), Value::Null])));
    assert_eq!(decoded(r#"["e",{"1":true}]"#), Ok(HashMap::from([(1_u8, true)])));
    assert_eq!(
        decoded(r#"["e",{"a":1,"b":2}]"#),
        Ok(BTreeMap::from([("a".into(), 1), (String::from("b"), 2)]))
    );
    assert_eq!(decoded(r#"["e","Nothing"]"#), Ok(Shape::Nothing));
    assert_eq!(decoded(r#"[7,"a"]"#), Ok("a".to_owned()), "the name is a number");
    assert_eq!(decoded::<()>("[]"), Err("the arguments are no list".into()));
    assert_eq!(decoded::<()>("{}"), Err("the arguments are no list".into()));
}

#[test]
fn a_missing_argument_is_null() {
    assert_eq!(decoded(r#"["e",1]"#), Ok((1, None::<i32>)));
    assert_eq!(decoded(r#"["e"]"#), Ok((None::<i32>, Value::Null, ())));
    assert_eq!(decoded(r#"["e"]"#), Ok([None::<i32>; 2]));
    assert_eq!(decoded(r#"["e"]"#), Ok(None::<i32>));
    assert_eq!(decoded(r#"["e"]"#), Ok(Value::Null));
    assert_eq!(decoded(r#"["e"]"#), Ok(Arguments::default()));
    assert_eq!(decoded::<(i32, i32)>(r#"["e",1]"#), Err("argument 2 is missing".into()));
    assert_eq!(decoded::<String>(r#"["e"]"#), Err("argument 1 is missing".into()));
}

/// A type that asks for two elements, and reads on until there are no more.
#[derive(Debug, PartialEq)]
struct Greedy(Vec<Value>);

impl<'de> Deserialize<'de> for Greedy {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Greedy;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("two values")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut values: A) -> Result<Greedy, A::Error> {
                let mut all = Vec::new();
                while let Some(value) = values.next_element()? {
                    all.push(value);
                }
                Ok(Greedy(all))
            }
        }
        deserializer.deserialize_tuple(2, Visitor)
    }
}

#[test]
fn a_tuple_gets_no_more_elements_than_it_has() {
    for (json, values) in [
        (r#"["e"]"#, [Value::Null, Value::Null]),
        (r#"["e",1]"#, [1.into(), Value::Null]),
        (r#"["e",1,2,3]"#, [1.into(), 2.into()]),
    ] {
        assert_eq!(decoded(json), Ok(Greedy(values.into())), "{json}");
    }
}

#[test]
fn an_error_says_which_argument_is_wrong_and_where() {
    let (number, path, message) = (2, String::new(), "invalid type: string \"x\", expected i32".into());
    let error = DecodeError::Argument { number, path, message };
    assert_eq!(args(r#"["e",1,"x"]"#, &[]).decode::<(i32, i32)>(), Err(error));
    assert_eq!(
        decoded::<(i32, BTreeMap<String, Vec<Picture>>)>(r#"["e",1,{"a":[],"b":[{"name":[]}]}]"#),
        Err("argument 2.b[0].name: invalid type: sequence, expected a string".into())
    );
    assert_eq!(
        decoded::<Vec<(i32, i32)>>(r#"["e",[[1,2],[1,2,3]]]"#),
        Err("argument 1[1]: invalid length 3, expected fewer elements in the list".into())
    );
    let out_of_range = decoded::<(Value,)>(r#"["e",1e999]"#).expect_err("out of range");
    assert!(out_of_range.starts_with("argument 1: number out of range"), "{out_of_range}");
    // Texts of the client are shortened, at a whole character.
    let long = "é".repeat(100_000);
    let error =
        decoded::<HashMap<String, i32>>(&format!(r#"["e",{{"{long}":"{long}"}}]"#)).expect_err("long");
    assert!(error.len() < 500 && error.contains("éé…"), "{error}");

    #[derive(Debug, Deserialize)]
    #[serde(try_from = "(i32, i32)")]
    struct Ordered;
    impl TryFrom<(i32, i32)> for Ordered {
        type Error = &'static str;

        fn try_from((low, high): (i32, i32)) -> Result<Self, &'static str> {
            if low < high { Ok(Self) } else { Err("not in order") }
        }
    }
    assert!(decoded::<Ordered>(r#"["e",1,2]"#).is_ok());
    assert_eq!(
        decoded::<Ordered>(r#"["e",2,1]"#).err(),
        Some("the arguments are refused: not in order".into())
    );
}

#[test]
fn bytes_and_nothing_else_are_taken_for_bytes() {
    const BYTES: &str = r#"["e",1,{"_placeholder":true,"num":1}]"#;
    assert_eq!(args(BYTES, &["one", "two"]).decode(), Ok((1, bytes("two"))));
    assert_eq!(args(BYTES, &["one", "two"]).decode(), Ok((1, Some(bytes("two")))));
    assert_eq!(args(BYTES, &["one", "two"]).decode(), Ok((1, Value::Binary(bytes("two")))));
    for error in [
        refused::<(i32, serde_json::Value)>(BYTES),
        refused::<(i32, String)>(BYTES),
        refused::<(i32, Vec<u8>)>(BYTES),
        refused::<(i32, [u8; 3])>(BYTES),
        refused::<(i32, HashMap<String, Value>)>(BYTES),
        refused::<(i32, Picture)>(BYTES),
        refused::<(i32, Shape)>(BYTES),
        refused::<(i32, ())>(BYTES),
        refused::<(i32, i32)>(BYTES),
        refused::<(i32, char)>(BYTES),
        refused::<(i32, Option<serde_json::Value>)>(BYTES),
    ] {
        assert!(error.starts_with("argument 2: invalid type: "), "{error}");
        assert!(error.contains("bytes") || error.contains("byte array"), "{error}");
    }
    for (json, shown) in [
        (r#"["e","one"]"#, "string \"one\""),
        (r#"["e",[111,110,101]]"#, "sequence"),
        (r#"["e",null]"#, "unit value"),
        (r#"["e",{"_placeholder":false,"num":0}]"#, "map"),
    ] {
        let expected = format!("argument 1: invalid type: {shown}, expected byte array");
        assert_eq!(refused::<Bytes>(json), expected);
        assert_eq!(decoded::<Bytes>(json), Err(expected));
    }
    assert_eq!(refused::<(Bytes,)>(r#"["e"]"#), "argument 1 is missing");
}
