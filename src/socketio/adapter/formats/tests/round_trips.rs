//! What is written is read again as it was, whatever it is.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::socketio::{
    adapter::formats::{
        classic::{self, read_broadcast, read_request, read_response},
        clustered::{self, OwnBodies},
        sessions, sharded, streams,
    },
    cluster::Session,
};

/// JSON with a number of placeholders, which are in their order.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9..1e9_f64)
            .prop_filter("an integer is written as one", |n| n.fract() != 0.0)
            .prop_map(Value::from),
        "\\PC{0,40}".prop_map(Value::from),
        "[\\x00-\\x7f]{0,5}".prop_map(Value::from),
        // Stands for an attachment.
        Just(Value::from("\u{1}attachment")),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
            prop::collection::btree_map("[a-zé\"\\\\]{0,4}", inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Puts placeholders where they are due.
fn attach(value: &mut Value, attachments: &mut Vec<Bytes>) {
    match value {
        Value::String(text) if text == "\u{1}attachment" => {
            let number = attachments.len();
            *value = serde_json::json!({ "_placeholder": true, "num": number });
            attachments.push(vec![number as u8; 3 * number].into());
        }
        Value::Array(values) => values.iter_mut().for_each(|value| attach(value, attachments)),
        Value::Object(fields) => fields.values_mut().for_each(|value| attach(value, attachments)),
        _ => {}
    }
}

fn text_of(value: &Value) -> ByteString {
    // As it is written: `serde_json` has the fields of a placeholder in this order.
    value.to_string().into()
}

pub(super) fn any_args() -> impl Strategy<Value = Args> {
    prop::collection::vec(values(), 0..4).prop_map(|values| {
        let mut list = vec![Value::from("event")];
        list.extend(values);
        let (mut list, mut attachments) = (Value::from(list), Vec::new());
        attach(&mut list, &mut attachments);
        Args { json: text_of(&list), attachments }
    })
}

fn any_answer() -> impl Strategy<Value = Args> {
    values().prop_map(|value| {
        let (mut list, mut attachments) = (Value::from(vec![value]), Vec::new());
        attach(&mut list, &mut attachments);
        Args { json: text_of(&list), attachments }
    })
}

fn any_names() -> impl Strategy<Value = Vec<ByteString>> {
    prop::collection::vec("\\PC{1,30}".prop_map(ByteString::from), 0..5)
}

fn any_opts() -> impl Strategy<Value = Opts> {
    let flags = (any::<bool>(), any::<bool>(), prop::option::of(0..1_000_000_u64), any::<bool>());
    (any_names(), any_names(), flags).prop_map(|(to, except, (volatile, compress, timeout, single))| Opts {
        target: Target { to, except },
        flags: Flags { volatile, compress, timeout, expect_single_response: single },
    })
}

fn any_socket() -> impl Strategy<Value = SocketShown> {
    let object = values().prop_map(|value| text_of(&serde_json::json!({ "x": value })));
    let data = values().prop_map(|value| text_of(&value));
    ("[a-zA-Z0-9_-]{20}", any_names(), object, data).prop_map(|(id, rooms, handshake, data)| SocketShown {
        id: id.into(),
        rooms,
        handshake,
        data,
    })
}

fn any_id() -> impl Strategy<Value = ByteString> {
    "[a-zA-Z0-9_-]{6,16}".prop_map(ByteString::from)
}

/// What each format has.
pub(super) fn any_common() -> impl Strategy<Value = Message> {
    let changing = (any_opts(), any_names(), 0..3_u8, any::<bool>());
    let changes = changing.prop_map(|(opts, rooms, kind, close)| match kind {
        0 => Message::Join { opts, rooms, request: None },
        1 => Message::Leave { opts, rooms, request: None },
        _ => Message::Disconnect { opts, close, request: None },
    });
    prop_oneof![
        (any_args(), any_opts()).prop_map(|(args, opts)| Message::Broadcast { args, opts }),
        (any_id(), any_args(), any_opts()).prop_map(|(request, args, opts)| Message::Ask {
            request,
            args,
            opts
        }),
        changes,
        (any_id(), any_opts()).prop_map(|(request, opts)| Message::Fetch { request, opts }),
        (any_args(), prop::option::of(any_id()))
            .prop_map(|(args, request)| Message::ServerEvent { args, request }),
        (any_id(), 0..1_000_000_usize).prop_map(|(request, clients)| Message::Asked { request, clients }),
        (any_id(), any_answer()).prop_map(|(request, args)| Message::Acked { request, args }),
        (any_id(), prop::collection::vec(any_socket(), 0..3))
            .prop_map(|(request, sockets)| Message::Sockets { request, sockets }),
        (any_id(), any_answer()).prop_map(|(request, args)| Message::ServerAnswer { request, args }),
    ]
}

/// What the classic format has alone.
fn any_classic() -> impl Strategy<Value = Message> {
    prop_oneof![
        (any_id(), any_names()).prop_map(|(request, rooms)| Message::ListSids { request, rooms }),
        any_id().prop_map(|request| Message::ListRooms { request }),
        (any_id(), prop::collection::vec(any_id(), 1..4))
            .prop_map(|(request, sids)| Message::Sids { request, sids }),
        (any_id(), any_names()).prop_map(|(request, rooms)| Message::Rooms { request, rooms }),
        any_id().prop_map(|request| Message::Done { request }),
    ]
}

/// What is left of a message by the classic format: requests but one kind have no flags, and JSON has no attachments.
fn as_classic(mut message: Message) -> Message {
    match &mut message {
        Message::Join { opts, .. }
        | Message::Leave { opts, .. }
        | Message::Disconnect { opts, .. }
        | Message::Fetch { opts, .. } => opts.flags = Flags::default(),
        Message::ServerEvent { args, .. } | Message::ServerAnswer { args, .. } => {
            for (number, bytes) in std::mem::take(&mut args.attachments).into_iter().enumerate() {
                let placeholder = format!(r#"{{"_placeholder":true,"num":{number}}}"#);
                let bytes: Vec<_> = bytes.iter().map(u8::to_string).collect();
                let buffer = format!(r#"{{"type":"Buffer","data":[{}]}}"#, bytes.join(","));
                args.json = args.json.replacen(&placeholder, &buffer, 1).into();
            }
        }
        _ => {}
    }
    message
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_classic_format_gives_each_message_again(message in prop_oneof![4 => any_common(), 1 => any_classic()]) {
        let body = classic::write("abc123", "/admin", &message).expect("writable");
        let channels = classic::Channels::new("k", "/admin", "abc123");
        let channel = channels.of(&message);
        let read = if channel == channels.requests {
            read_request(&body)
        } else if channel == channels.responses {
            read_response(&body)
        } else {
            read_broadcast(&body)
        };
        let envelope = read.expect("readable");
        prop_assert_eq!(envelope.message, as_classic(message));
        prop_assert!(envelope.uid.is_none_or(|uid| uid == "abc123"));
        prop_assert!(envelope.namespace.is_none_or(|namespace| namespace == "/admin"));
    }

    #[test]
    fn the_sharded_format_gives_each_message_again(message in any_common()) {
        let body = sharded::write("abc123", "/ü\"", &message).expect("writable");
        prop_assert!(OwnBodies::new("abc123", "/ü\"").contain(&body));
        let envelope = clustered::read(&body).expect("readable");
        prop_assert_eq!(envelope.message, message);
        prop_assert_eq!(envelope.uid.as_deref(), Some("abc123"));
        prop_assert_eq!(envelope.namespace.as_deref(), Some("/ü\""));
    }

    #[test]
    fn streams_give_each_message_again(message in any_common()) {
        let envelope = if streams::is_published(&message) {
            let body = streams::write_published("abc123", "/", &message).expect("writable");
            prop_assert!(OwnBodies::new("abc123", "/").contain(&body));
            clustered::read(&body)
        } else {
            let fields = streams::write_entry("abc123", "/", &message).expect("writable");
            let fields: Vec<_> = fields.into_iter().map(|(name, value)| (name.into(), value)).collect();
            streams::read_entry(&fields)
        };
        let envelope = envelope.expect("readable");
        prop_assert_eq!(envelope.message, message);
        prop_assert_eq!(envelope.uid.as_deref(), Some("abc123"));
    }

    #[test]
    fn sessions_are_read_as_they_were(
        socket in any_socket(),
        pid in any_id(),
        since in prop::collection::vec((any_id(), any_id()), 0..4),
    ) {
        let SocketShown { id, rooms, data, .. } = socket;
        let session = Session { sid: id, pid, rooms, data, since };
        let value = sessions::write(&session).expect("writable");
        prop_assert_eq!(sessions::read(&value), Ok(session));
    }
}
