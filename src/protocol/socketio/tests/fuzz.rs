//! Arguments by chance: there and back, and what other code makes of them.

use std::collections::{BTreeMap, VecDeque};

use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::json;
use socketioxide_core::{Value as TheirValue, parser::Parse as _};
use socketioxide_parser_common::CommonParser;

use super::*;

/// More attachments than a generated value has.
const WIDE: Limits = Limits { attachments: 1000, attachment_bytes: 1_000_000 };

/// Sends an event over the wire. Returns its name and arguments.
fn over_the_wire(args: &Args) -> (ByteString, Args) {
    let event = ServerPacket::Event { json: &args.json, attachments: args.attachments.len(), id: None };
    let message = event.to_message(MAIN);
    let mut decoder = Decoder::new(WIDE);
    let mut packet = decoder.text(&message[1..].into()).expect("a packet");
    for attachment in &args.attachments {
        packet = decoder.binary(attachment.clone()).expect("an attachment");
    }
    match packet.expect("a whole packet").body {
        Body::Event { name, args, .. } => (name, args),
        other => panic!("{other:?}"),
    }
}

fn binary() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..6).prop_map(Bytes::from)
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        binary().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 30, 5, |inner| {
        let name = prop_oneof!["[a-c]{0,2}", Just("_placeholder".to_owned()), any::<String>()];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::btree_map(name, inner, 0..5).prop_map(Value::from_iter),
        ]
    })
}

fn has_placeholder(value: &Value) -> bool {
    match value {
        Value::Array(values) => values.iter().any(has_placeholder),
        Value::Object(fields) => {
            value.get("_placeholder") == Some(&Value::Bool(true))
                || fields.iter().any(|(_, value)| has_placeholder(value))
        }
        _ => false,
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Content {
    Empty,
    Raw(Bytes),
    Pair(i64, Option<Bytes>),
    Named { title: String, parts: Vec<Content>, by_name: BTreeMap<String, Bytes> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    text_line: String,
    content: Option<Content>,
    score: f64,
    #[serde(flatten)]
    more: BTreeMap<String, bool>,
}

fn contents() -> impl Strategy<Value = Content> {
    let leaf = prop_oneof![
        Just(Content::Empty),
        binary().prop_map(Content::Raw),
        (any::<i64>(), prop::option::of(binary())).prop_map(|(number, raw)| Content::Pair(number, raw)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        let by_name = prop::collection::btree_map("[a-z]{0,3}", binary(), 0..3);
        (any::<String>(), prop::collection::vec(inner, 0..3), by_name)
            .prop_map(|(title, parts, by_name)| Content::Named { title, parts, by_name })
    })
}

fn messages() -> impl Strategy<Value = Message> {
    let score = any::<f64>().prop_filter("JSON has it", |score| score.is_finite());
    let more = prop::collection::btree_map("[d-f]{1,2}", any::<bool>(), 0..3);
    (any::<String>(), prop::option::of(contents()), score, more)
        .prop_map(|(text_line, content, score, more)| Message { text_line, content, score, more })
}

proptest! {
    #[test]
    fn values_come_back_as_they_were_sent(name in any::<String>(), values in prop::collection::vec(values(), 0..4)) {
        prop_assume!(!RESERVED.contains(&name.as_str()));
        let sent = Arguments(values);
        match Args::encode(&name, &sent) {
            Ok(args) => {
                let (found, args) = over_the_wire(&args);
                prop_assert_eq!(&*found, name.as_str());
                prop_assert_eq!(args.values(), Ok(sent.0));
            }
            Err(EncodeError::Placeholder { .. }) => prop_assert!(sent.0.iter().any(has_placeholder)),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn types_come_back_as_they_were_sent(sent in (messages(), contents(), prop::option::of(binary()))) {
        let args = Args::encode("e", &sent).expect("data to send");
        let (_, args) = over_the_wire(&args);
        prop_assert_eq!(args.decode(), Ok(sent.clone()));
        prop_assert_eq!(Args::encode("e", &Arguments(args.values().expect("values"))).expect("data"), args);
        let answer = Args::encode_answer(&sent).expect("data to send");
        prop_assert_eq!(answer.decode_answer(), Ok(sent));
    }
}

// ----- packets of hostile clients -----

/// Pieces of JSON that are special for a decoder.
fn pieces() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "null",
        "true",
        "0",
        "-0",
        "1.0",
        "0.5",
        "-1",
        "1e3",
        "1e999",
        "18446744073709551616",
        "\"\"",
        "\"a\"",
        r#""\ud83d""#,
        r#""\ud83d\ude00\udc00""#,
        r#""\\ud83d""#,
        r#""é\u0000""#,
        " ",
        "\n",
        "{}",
        "[]",
        r#"{"_placeholder":true,"num":0}"#,
        r#"{"_placeholder":true,"num":1}"#,
        r#"{"_placeholder":true,"num":0.5}"#,
        r#"{ "num" : 1.0, "_placeholder" : true }"#,
        r#"{"_placeholder":true,"num":7,"num":0}"#,
        r#"{"_placeholder":false,"num":0}"#,
        r#"{"\u005fplaceholder":true,"num":0}"#,
        r#"{"_placeholder":true}"#,
    ]);
    known.prop_map(str::to_owned)
}

/// Texts that mostly are JSON.
fn documents() -> impl Strategy<Value = String> {
    let tree = pieces().prop_recursive(4, 24, 4, |inner| {
        let name = prop::sample::select(vec!["a", "b", r"\ud83d", "_placeholder", "num", "Raw", "Pair", "7"]);
        let field = (name, inner.clone()).prop_map(|(name, value)| format!("\"{name}\":{value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|values| format!("[{}]", values.join(","))),
            prop::collection::vec(field, 0..4).prop_map(|fields| format!("{{{}}}", fields.join(","))),
        ]
    });
    let event = prop::collection::vec(tree, 0..4).prop_map(|values| {
        let values: String = values.iter().map(|value| format!(",{value}")).collect();
        format!("[\"e\"{values}]")
    });
    prop_oneof![8 => event, 1 => "[0-9\\[\\]{}\",:.\\\\utd83enull -]{0,20}", 1 => any::<String>()]
}

/// What a document means to JavaScript: `serde_json`'s value with attachments in place of placeholders.
fn resolved(value: serde_json::Value, attachments: &[Bytes]) -> Option<serde_json::Value> {
    use serde_json::Value as Json;
    match value {
        Json::Object(fields)
            if !attachments.is_empty() && fields.get("_placeholder") == Some(&Json::Bool(true)) =>
        {
            let number =
                fields.get("num")?.as_f64().filter(|number| *number >= 0.0 && number.fract() == 0.0)?;
            Some(json!({"bytes": attachments.get(number as usize)?.as_ref()}))
        }
        Json::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| Some((name, resolved(value, attachments)?)));
            fields.collect::<Option<_>>().map(Json::Object)
        }
        Json::Array(values) => values
            .into_iter()
            .map(|value| resolved(value, attachments))
            .collect::<Option<_>>()
            .map(Json::Array),
        other => Some(other),
    }
}

/// A value in the form of [`resolved`].
fn shown(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => json!(null),
        Value::Bool(value) => json!(value),
        Value::Number(number) => json!(number),
        Value::String(text) => json!(text),
        Value::Array(values) => values.iter().map(shown).collect(),
        Value::Object(fields) => serde_json::Value::Object(
            fields.iter().map(|(name, value)| (name.clone(), shown(value))).collect(),
        ),
        Value::Binary(bytes) => json!({"bytes": bytes.as_ref()}),
    }
}

/// Decodes to types of all kinds: none may panic.
fn decode_to_types(args: &Args) {
    fn decode<T: DeserializeOwned>(args: &Args) {
        if let Err(error) = args.decode::<T>() {
            assert!(error.to_string().len() < 1000, "{error}");
        }
        let _ = args.decode_answer::<T>();
    }
    decode::<()>(args);
    decode::<(String, Bytes)>(args);
    decode::<(Option<i64>, f64, Vec<u8>)>(args);
    decode::<(Content, Message)>(args);
    decode::<(serde_json::Value, Box<str>)>(args);
    decode::<BTreeMap<u8, Value>>(args);
    decode::<[Option<bool>; 3]>(args);
    decode::<(char, IgnoredAny)>(args);
}

/// The event of a text message and its attachments, if it is one.
fn event_of(json: &str, attachments: &[Bytes]) -> Option<Args> {
    let mut decoder = Decoder::new(WIDE);
    let text = match attachments.len() {
        0 => format!("2{json}"),
        count => format!("5{count}-{json}"),
    };
    let mut packet = decoder.text(&text.into()).ok()?;
    for attachment in attachments {
        packet = decoder.binary(attachment.clone()).ok()?;
    }
    match packet?.body {
        Body::Event { args, .. } => Some(args),
        _ => None,
    }
}

fn is_equal_after_another_turn(args: &Args, json: &str) -> Result<(), TestCaseError> {
    let Ok(values) = args.values() else { return Ok(()) };
    let again = Args::encode("e", &Arguments(values.clone())).expect("what came can be sent");
    let (_, again) = over_the_wire(&again);
    prop_assert_eq!(again.values(), Ok(values), "{}", json);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_packet_that_is_read_decodes_as_javascript_reads_it(
        json in documents(),
        attachments in prop_oneof![
            Just(Vec::new()),
            Just(vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")]),
        ],
    ) {
        let args = Args { json: json.as_str().into(), attachments: attachments.clone() };
        decode_to_types(&args);
        if let Some(args) = event_of(&json, &attachments) {
            decode_to_types(&args);
            let values = args.values().map(|values| values.iter().map(shown).collect::<Vec<_>>());
            // Halves of surrogate pairs are an error there.
            let mended = crate::protocol::json::mended(&json);
            let expected = serde_json::from_str::<Vec<serde_json::Value>>(&mended).ok();
            let expected = expected.and_then(|values| {
                values.into_iter().skip(1).map(|value| resolved(value, &attachments)).collect::<Option<Vec<_>>>()
            });
            prop_assert_eq!(values.ok(), expected, "{}", json);
            is_equal_after_another_turn(&args, &json)?;
        }
    }
}

// ----- beside another implementation -----

fn their_value(args: &Args) -> TheirValue {
    let attachments = (!args.attachments.is_empty()).then(|| VecDeque::from(args.attachments.clone()));
    TheirValue::Str(args.json.to_string().into(), attachments)
}

/// It finds bytes in structs and lists, and not in maps, options and enums.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Plain {
    title: String,
    parts: Vec<Bytes>,
    data: Bytes,
}

proptest! {
    #[test]
    fn the_other_codec_encodes_and_decodes_alike(
        sent in (any::<String>(), binary(), any::<i64>(), prop::collection::vec(binary(), 0..3)),
        data in binary(),
    ) {
        let args = Args::encode("e", &sent).expect("data to send");
        let theirs = CommonParser.encode_value(&sent, Some("e")).expect("data to send");
        prop_assert_eq!(&theirs, &their_value(&args));
        let decoded = CommonParser.decode_value(&mut their_value(&args), true);
        prop_assert_eq!(decoded.ok(), Some(sent.clone()));
        // One argument.
        let (title, _, _, parts) = sent;
        let plain = Plain { title, parts, data };
        let args = Args::encode_answer(&plain).expect("data to send");
        prop_assert_eq!(&CommonParser.encode_value(&plain, None).expect("data to send"), &their_value(&args));
        let decoded = CommonParser.decode_value(&mut their_value(&args), false);
        prop_assert_eq!(decoded.ok(), Some(plain));
    }
}
