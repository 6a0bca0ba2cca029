//! Each rule of the protocol, and a comparison with another codec.

use proptest::prelude::*;

use super::*;

mod arguments;
mod fuzz;
mod javascript;

const LIMITS: Limits = Limits { attachments: 10, attachment_bytes: 1000 };

fn decode(text: &str) -> Result<Option<Packet>, PacketError> {
    Decoder::new(LIMITS).text(&text.into())
}

fn body(text: &str) -> Body {
    decode(text).expect("a packet").expect("a whole one").body
}

fn event(name: &str, json: &str, id: Option<&str>) -> Body {
    let args = Args { json: json.into(), attachments: Vec::new() };
    Body::Event { name: name.into(), args, id: id.map(ByteString::from) }
}

#[test]
fn a_connect_may_bring_an_object_and_name_a_namespace() {
    assert_eq!(body("0"), Body::Connect(None));
    assert_eq!(body(r#"0{"token":"x"}"#), Body::Connect(Some(r#"{"token":"x"}"#.into())));
    for (text, namespace) in [
        ("0/custom,", "/custom"),
        ("0/custom", "/custom"),
        ("0/a,{}", "/a"),
        ("0/a?x=1,", "/a?x=1"),
        ("0", "/"),
    ] {
        assert_eq!(decode(text).expect("a packet").expect("whole").namespace, namespace, "{text}");
    }
    for bad in ["0[]", "0\"x\"", "0x", "0null", "0{", "0{}{}", "0/a,[]"] {
        assert_eq!(decode(bad), Err(PacketError::BadPayload), "{bad}");
    }
}

#[test]
fn an_event_is_a_list_that_begins_with_a_name() {
    assert_eq!(body(r#"2["hi",1,{"a":[]}]"#), event("hi", r#"["hi",1,{"a":[]}]"#, None));
    assert_eq!(body(r#"212["hi"]"#), event("hi", r#"["hi"]"#, Some("12")));
    assert_eq!(body(r#"20["hi"]"#), event("hi", r#"["hi"]"#, Some("0")));
    assert_eq!(body("2[7]"), event("7", "[7]", None));
    assert_eq!(body(r#"2/a,7["\u0068i"]"#), event("hi", r#"["\u0068i"]"#, Some("7")));
    let huge = "9".repeat(30);
    assert_eq!(body(&format!(r#"2{huge}["hi"]"#)), event("hi", r#"["hi"]"#, Some(&huge)));
    assert_eq!(body("2"), Body::Nothing);
}

#[test]
fn only_a_text_that_is_not_reserved_or_a_number_is_the_name_of_an_event() {
    let has_name = |json: &'static str| Args { json: json.into(), attachments: Vec::new() }.has_event_name();
    for json in [r#"["a"]"#, r#" [ "a" ,{}]"#, r#"[""]"#, "[7,8]", "[-1.5]"] {
        assert!(has_name(json), "{json}");
    }
    for json in
        ["[]", "", "7", "[null]", "[{}]", r#"[["a"]]"#, r#"["connect"]"#, r#"["disc\u006fnnect",1]"#, "[\"a"]
    {
        assert!(!has_name(json), "{json}");
    }
}

#[test]
fn what_the_reference_closes_for_is_refused() {
    for bad in [
        "2[]",
        "2{}",
        "2[null]",
        "2[{}]",
        "2[[]]",
        "2[true]",
        "2abc[\"a\"]",
        "2-1[\"a\"]",
        "21.5[\"a\"]",
        "2123abc[\"a\"]",
        "2[\"a\"",
        "2[\"a\"]x",
        "3{}",
        "3\"x\"",
        "1{}",
        "1[]",
        "2/a[\"x\"]x,[\"a\"",
        "31x[]",
    ] {
        assert_eq!(decode(bad), Err(PacketError::BadPayload), "{bad}");
    }
    for name in RESERVED {
        assert_eq!(decode(&format!("2[\"{name}\"]")), Err(PacketError::ReservedName));
    }
    for (bad, found) in [("4{}", '4'), ("7", '7'), ("abc", 'a'), ("-", '-')] {
        assert_eq!(decode(bad), Err(PacketError::UnknownType(found)), "{bad}");
    }
    assert_eq!(decode(""), Err(PacketError::Empty));
    // Any depth is accepted: a relayed event is not parsed into values.
    let deep = format!("2[\"a\",{}{}]", "[".repeat(100_000), "]".repeat(100_000));
    assert!(decode(&deep).is_ok());
    let mut decoder = Decoder::new(LIMITS);
    assert!(decoder.text(&format!("51-{}", &deep[1..]).into()).is_ok_and(|packet| packet.is_none()));
    assert!(decoder.binary(Bytes::new()).is_err(), "placeholders are looked for to a bounded depth");
}

#[test]
fn an_ack_bears_the_id_of_its_event() {
    let args = Args { json: r#"["x"]"#.into(), attachments: Vec::new() };
    assert_eq!(body(r#"312["x"]"#), Body::Ack { id: "12".into(), args });
    assert_eq!(
        body(r#"30[]"#),
        Body::Ack { id: "0".into(), args: Args { json: "[]".into(), ..Args::default() } }
    );
    assert_eq!(body(r#"3["x"]"#), Body::Nothing, "an ack of nothing");
}

#[test]
fn attachments_follow_in_order_and_nothing_comes_between() {
    let mut decoder = Decoder::new(LIMITS);
    let json = r#"["a",{"_placeholder":true,"num":1},{"b":{"_placeholder":true,"num":0}}]"#;
    assert_eq!(decoder.text(&format!("52-/n,7{json}").into()), Ok(None));
    assert_eq!(decoder.binary(Bytes::from_static(b"one")), Ok(None));
    let packet = decoder.binary(Bytes::from_static(b"two")).expect("a packet").expect("a whole one");
    assert_eq!(packet.namespace, "/n");
    let attachments = vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")];
    let args = Args { json: json.into(), attachments };
    assert_eq!(packet.body, Body::Event { name: "a".into(), args, id: Some("7".into()) });
    assert_eq!(decoder.text(&"1".into()).map(|packet| packet.is_some()), Ok(true), "ready for the next");

    let mut decoder = Decoder::new(LIMITS);
    assert_eq!(decoder.text(&r#"51-["a"]"#.into()), Ok(None));
    assert_eq!(decoder.text(&r#"2["b"]"#.into()), Err(PacketError::AttachmentDue));
    assert_eq!(Decoder::new(LIMITS).binary(Bytes::new()), Err(PacketError::UnexpectedAttachment));
}

#[test]
fn attachments_are_counted_and_bounded() {
    for bad in [
        "50-[\"a\"]",
        "511-[\"a\"]",
        "5-[\"a\"]",
        "51[\"a\"]",
        "5x-[\"a\"]",
        "51.5-[\"a\"]",
        "5-1-[\"a\"]",
        "6-[]",
    ] {
        assert_eq!(decode(bad), Err(PacketError::BadAttachments { limit: 10 }), "{bad}");
    }
    assert_eq!(
        decode(&format!("5{}-[\"a\"]", "9".repeat(40))),
        Err(PacketError::BadAttachments { limit: 10 })
    );
    let mut decoder = Decoder::new(LIMITS);
    assert_eq!(decoder.text(&r#"52-["a"]"#.into()), Ok(None));
    assert_eq!(decoder.binary(vec![0; 600].into()), Ok(None));
    assert_eq!(decoder.binary(vec![0; 600].into()), Err(PacketError::TooLarge { limit: 1000 }));
}

#[test]
fn a_placeholder_stands_for_an_attachment_that_is_there() {
    for (json, is_good) in [
        (r#"["a",{"_placeholder":true,"num":0}]"#, true),
        (r#"["a"]"#, true),
        (r#"["a",{"_placeholder":true,"num":1}]"#, false),
        (r#"["a",{"_placeholder":true,"num":-1}]"#, false),
        (r#"["a",{"_placeholder":true}]"#, false),
        (r#"["a",[{"x":{"_placeholder":true,"num":"0"}}]]"#, false),
    ] {
        let mut decoder = Decoder::new(LIMITS);
        assert_eq!(decoder.text(&format!("51-{json}").into()), Ok(None));
        let packet = decoder.binary(Bytes::from_static(b"x"));
        assert_eq!(packet.is_ok(), is_good, "{json}: {packet:?}");
    }
    assert!(
        matches!(body(r#"2["a",{"_placeholder":true,"num":9}]"#), Body::Event { .. }),
        "no attachments, no meaning"
    );
}

#[test]
fn the_servers_packets_have_the_bytes_that_the_protocol_shows() {
    let message = |packet: ServerPacket<'_>, namespace| packet.to_message(namespace);
    assert_eq!(message(ServerPacket::Connect { sid: "abc", pid: None }, "/"), r#"40{"sid":"abc"}"#);
    assert_eq!(
        message(ServerPacket::Connect { sid: "a", pid: Some("p") }, "/n"),
        r#"40/n,{"sid":"a","pid":"p"}"#
    );
    assert_eq!(message(ServerPacket::Disconnect, "/"), "41");
    assert_eq!(message(ServerPacket::Disconnect, "/n"), "41/n,");
    let auth = ServerPacket::Event { json: r#"["auth",{}]"#, attachments: 0, id: None };
    assert_eq!(message(auth, "/"), r#"42["auth",{}]"#);
    assert_eq!(message(auth, "/custom"), r#"42/custom,["auth",{}]"#);
    let two = r#"["message-back",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;
    let event = ServerPacket::Event { json: two, attachments: 2, id: None };
    assert_eq!(message(event, "/"), format!("452-{two}"));
    let event = ServerPacket::Event { json: r#"["a"]"#, attachments: 0, id: Some(0) };
    assert_eq!(message(event, "/"), r#"420["a"]"#);
    let ack = ServerPacket::Ack { id: "456", json: r#"[1,"2",{"3":[false]}]"#, attachments: 0 };
    assert_eq!(message(ack, "/"), r#"43456[1,"2",{"3":[false]}]"#);
    let ack = ServerPacket::Ack { id: "789", json: "[]", attachments: 2 };
    assert_eq!(message(ack, "/"), "462-789[]");
    let refused = ServerPacket::ConnectError { json: r#"{"message":"Invalid namespace"}"# };
    assert_eq!(message(refused, "/random"), r#"44/random,{"message":"Invalid namespace"}"#);
}

#[test]
fn arguments_are_passed_on_as_they_stand() {
    let args = |json: &str| Args { json: json.into(), attachments: Vec::new() };
    let event = args(r#"["a", 1 ,{"b": [ ]}]"#);
    assert_eq!(event.renamed("c\"d").json, r#"["c\"d",1 ,{"b": [ ]}]"#);
    assert_eq!(event.without_name().json, r#"[1 ,{"b": [ ]}]"#);
    assert_eq!(
        (args(r#"["a"]"#).renamed("b").json, args(r#"["a"]"#).without_name().json),
        (r#"["b"]"#.into(), "[]".into())
    );
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(texts in prop::collection::vec("[0-9/,\\-\\[\\]{}\"a-c_é ]{0,30}", 1..5)) {
        let mut decoder = Decoder::new(LIMITS);
        for text in texts {
            let _ = decoder.text(&text.into());
            let _ = decoder.binary(Bytes::from_static(b"x"));
        }
    }
}

// ----- beside another implementation -----

/// Packets that the other codec encodes and this one decodes.
mod differential {
    use socketioxide_core::parser::{Parse as _, ParseConfig, ParserState};
    use socketioxide_parser_common::CommonParser;

    use super::*;

    fn theirs(text: &str) -> bool {
        let state = ParserState::default();
        CommonParser.decode_str(&ParseConfig::default(), &state, text.to_owned().into()).is_ok()
    }

    proptest! {
        /// This codec is the stricter one: the other accepts every packet that this one accepts.
        #[test]
        fn what_we_read_they_read(
            kind in "[01235]",
            namespace in prop::option::of("/[a-z]{0,4}"),
            id in prop::option::of(0..1_000_000_000_u64),
            json in prop_oneof![
                Just(String::new()),
                "\\[\"[a-z]{1,5}\"(,[0-9]{1,3})?\\]",
                "\\{\"[a-z]\":[0-9]\\}",
                "[\\[\\]{}\",a0]{0,8}",
            ],
        ) {
            let namespace = namespace.map_or_else(String::new, |name| format!("{name},"));
            let id = id.map_or_else(String::new, |id| id.to_string());
            let text = format!("{kind}{namespace}{id}{json}");
            if let Ok(Some(Packet { body, .. })) = decode(&text)
                // A packet without data is ignored, as by the reference.
                && body != Body::Nothing
            {
                prop_assert!(theirs(&text), "{text}");
            }
        }
    }

    /// The intended differences: the reference and this codec close the connection for these.
    #[test]
    fn what_they_read_and_we_do_not_is_known() {
        for text in ["2{}", "2[]", "2abc[\"a\"]", "2[\"connect\"]", "0[]"] {
            assert!(theirs(text), "no difference any more: {text}");
            assert!(decode(text).is_err(), "{text}");
        }
    }
}
