//! Against what Node servers have said in the sharded format and over streams.

use super::*;
use crate::socketio::{
    adapter::{
        formats::{
            clustered::{self, Channels, OwnBodies},
            sessions, sharded,
            streams::{self, EntryHead},
        },
        settings::SubscriptionMode,
    },
    cluster::Session,
};

const UID: &str = "6503c1b3d4a54d46";
const STREAMS_UID: &str = "f44950c8ed9bfb96";

fn socket() -> SocketShown {
    SocketShown { handshake: r#"{"issued":1795690618489,"auth":{"who":"b1"}}"#.into(), ..b1() }
}

/// Bodies of a Node server in JSON.
fn in_json() -> Vec<(&'static str, Message)> {
    let volatile = Flags { volatile: true, compress: false, ..Flags::default() };
    let single = Flags { expect_single_response: true, ..Flags::default() };
    let request = || ByteString::from_static("1edfa20ec3616a04");
    vec![
        (
            r#"{"type":3,"data":{"packet":{"type":2,"data":["all",1,{"a":"x"},null]},"opts":{"rooms":[],"except":[],"flags":{}}},"uid":"6503c1b3d4a54d46","nsp":"/"}"#,
            Message::Broadcast { args: args(r#"["all",1,{"a":"x"},null]"#), opts: opts(&[], &[]) },
        ),
        (
            r#"{"type":3,"data":{"packet":{"type":2,"data":["vol"]},"opts":{"rooms":[],"except":[],"flags":{"volatile":true,"compress":false}}},"uid":"6503c1b3d4a54d46","nsp":"/"}"#,
            Message::Broadcast { args: args(r#"["vol"]"#), opts: Opts { flags: volatile, ..opts(&[], &[]) } },
        ),
        (
            r#"{"type":3,"data":{"packet":{"type":2,"data":["question","?"]},"requestId":"1edfa20ec3616a04","opts":{"rooms":["red"],"except":[],"flags":{"timeout":1000}}},"uid":"6503c1b3d4a54d46","nsp":"/"}"#,
            Message::Ask {
                request: request(),
                args: args(r#"["question","?"]"#),
                opts: with_timeout(opts(&["red"], &[])),
            },
        ),
        (
            r#"{"type":11,"data":{"requestId":"1edfa20ec3616a04","clientCount":1},"uid":"6503c1b3d4a54d46","nsp":"/"}"#,
            Message::Asked { request: request(), clients: 1 },
        ),
        (
            r#"{"type":12,"data":{"requestId":"1edfa20ec3616a04","packet":"answer of b1"},"uid":"6503c1b3d4a54d46","nsp":"/"}"#,
            Message::Acked { request: request(), args: args(r#"["answer of b1"]"#) },
        ),
        (
            r#"{"type":7,"data":{"opts":{"rooms":["red"],"except":[],"flags":{}},"requestId":"1edfa20ec3616a04"},"uid":"6503c1b3d4a54d46","nsp":"/"}"#,
            Message::Fetch { request: request(), opts: opts(&["red"], &[]) },
        ),
        (
            r#"{"type":8,"data":{"requestId":"1edfa20ec3616a04","sockets":[{"id":"P7Xl6q1XLhAJ2XngAAAA","handshake":{"issued":1795690618489,"auth":{"who":"b1"}},"rooms":["P7Xl6q1XLhAJ2XngAAAA","red"],"data":{"who":"b1"}}]},"uid":"6503c1b3d4a54d46","nsp":"/"}"#,
            Message::Sockets { request: request(), sockets: vec![socket()] },
        ),
        (
            r#"{"type":4,"data":{"opts":{"rooms":["red"],"except":[],"flags":{}},"rooms":["green","g2"]},"uid":"6503c1b3d4a54d46","nsp":"/"}"#,
            Message::Join { opts: opts(&["red"], &[]), rooms: names(&["green", "g2"]), request: None },
        ),
        (
            r#"{"type":5,"data":{"opts":{"rooms":["fN7T1FsHCxvvh7FWAAAB"],"except":[],"flags":{"expectSingleResponse":true}},"rooms":["vip"]},"uid":"6503c1b3d4a54d46","nsp":"/"}"#,
            Message::Leave {
                opts: Opts { flags: single, ..opts(&["fN7T1FsHCxvvh7FWAAAB"], &[]) },
                rooms: names(&["vip"]),
                request: None,
            },
        ),
        (
            r#"{"type":6,"data":{"opts":{"rooms":["42"],"except":[],"flags":{}},"close":false},"uid":"6503c1b3d4a54d46","nsp":"/"}"#,
            Message::Disconnect { opts: opts(&["42"], &[]), close: false, request: None },
        ),
        (
            r#"{"type":9,"data":{"packet":["hello",1,{"x":"y"}]},"uid":"6503c1b3d4a54d46","nsp":"/"}"#,
            Message::ServerEvent { args: args(r#"["hello",1,{"x":"y"}]"#), request: None },
        ),
        (
            r#"{"type":9,"data":{"requestId":"1edfa20ec3616a04","packet":["hello",2]},"uid":"6503c1b3d4a54d46","nsp":"/"}"#,
            Message::ServerEvent { args: args(r#"["hello",2]"#), request: Some(request()) },
        ),
        (
            r#"{"type":10,"data":{"requestId":"1edfa20ec3616a04","packet":{"from":"B"}},"uid":"6503c1b3d4a54d46","nsp":"/"}"#,
            Message::ServerAnswer { request: request(), args: args(r#"[{"from":"B"}]"#) },
        ),
    ]
}

#[test]
fn sharded_messages_are_written_and_read_as_node_writes_them() {
    let in_msgpack = [
        (
            "84a47479706503a46461746182a67061636b657482a47479706502a46461746193a362696ec404000102ff81a46465657091c4026869a46f70747383a5726f6f6d7391a3726564a665786365707490a5666c61677380a3756964b036353033633162336434613534643436a36e7370a12f",
            Message::Broadcast { args: bin(), opts: opts(&["red"], &[]) },
        ),
        (
            "84a47479706503a46461746183a67061636b657482a47479706502a46461746192a47162696ec40109a9726571756573744964b038393130326165346230613933323033a46f70747383a5726f6f6d7390a665786365707490a5666c61677381a774696d656f7574cd03e8a3756964b036353033633162336434613534643436a36e7370a12f",
            Message::Ask {
                request: "89102ae4b0a93203".into(),
                args: qbin(),
                opts: with_timeout(opts(&[], &[])),
            },
        ),
    ];
    let in_json = in_json().into_iter().map(|(body, message)| (Bytes::from_static(body.as_bytes()), message));
    let in_msgpack = in_msgpack.into_iter().map(|(body, message)| (hex(body), message));
    let own = OwnBodies::new(UID, "/");
    let others = [OwnBodies::new(UID, "/admin"), OwnBodies::new("7503c1b3d4a54d46", "/")];
    for (body, message) in in_json.chain(in_msgpack) {
        let envelope = clustered::read(&body).expect("a message");
        assert_eq!(envelope.message, message);
        assert_eq!((envelope.uid.as_deref(), envelope.namespace.as_deref()), (Some(UID), Some("/")));
        assert_eq!(sharded::write(UID, "/", &message), Ok(body.clone()));
        assert!(own.contain(&body) && !others.iter().any(|others| others.contain(&body)));
    }
    assert!(!own.contain(b""));
    let rooms = sharded::write(UID, "/", &Message::ListRooms { request: "r".into() });
    assert_eq!(rooms, Err(WriteError::NotInFormat));
}

#[test]
fn a_room_has_a_channel_of_its_own_by_the_mode() {
    use SubscriptionMode::{Dynamic, DynamicPrivate, Static};
    let channels = Channels::new("socket.io", "/", UID);
    assert_eq!((&*channels.all, &*channels.own), ("socket.io#/#", "socket.io#/#6503c1b3d4a54d46#"));
    let of = |mode: SubscriptionMode, to: &[&str]| {
        mode.channel(&channels, &Message::Broadcast { args: args("[\"e\"]"), opts: opts(to, &[]) })
    };
    let sid = "bYVhUdpGppC8EJgmAAAA";
    assert_eq!(&*of(Dynamic, &["red"]), "socket.io#/#red#");
    assert_eq!(&*of(Dynamic, &[sid]), "socket.io#/#");
    assert_eq!(&*of(DynamicPrivate, &[sid]), format!("socket.io#/#{sid}#"));
    assert_eq!(&*of(Static, &["red"]), "socket.io#/#");
    assert_eq!(&*of(Dynamic, &["red", "blue"]), "socket.io#/#");
    assert_eq!(&*of(Dynamic, &[]), "socket.io#/#");
    let ask = Message::Ask { request: "r".into(), args: args("[\"e\"]"), opts: opts(&["red"], &[]) };
    assert_eq!(&*Dynamic.channel(&channels, &ask), "socket.io#/#");
}

/// Entries of a Node server: type and data.
fn entries() -> Vec<(&'static str, &'static str, Message)> {
    let single = Flags { expect_single_response: true, ..Flags::default() };
    vec![
        (
            "3",
            r#"{"packet":{"type":2,"data":["one","ünï"]},"opts":{"rooms":["red"],"except":[],"flags":{}}}"#,
            Message::Broadcast { args: args(r#"["one","ünï"]"#), opts: opts(&["red"], &[]) },
        ),
        (
            "3",
            "gqZwYWNrZXSCpHR5cGUCpGRhdGGTo2JpbsQEAAEC/4GkZGVlcJHEAmhppG9wdHODpXJvb21zkaNyZWSmZXhjZXB0kKVmbGFnc4A=",
            Message::Broadcast { args: bin(), opts: opts(&["red"], &[]) },
        ),
        (
            "4",
            r#"{"opts":{"rooms":["NO__5r7ZL75PtFyNAAAC"],"except":[],"flags":{"expectSingleResponse":true}},"rooms":["vip"]}"#,
            Message::Join {
                opts: Opts { flags: single, ..opts(&["NO__5r7ZL75PtFyNAAAC"], &[]) },
                rooms: names(&["vip"]),
                request: None,
            },
        ),
        (
            "5",
            r#"{"opts":{"rooms":["green"],"except":["blue"],"flags":{}},"rooms":["g2"]}"#,
            Message::Leave { opts: opts(&["green"], &["blue"]), rooms: names(&["g2"]), request: None },
        ),
        (
            "6",
            r#"{"opts":{"rooms":["42"],"except":[],"flags":{}},"close":false}"#,
            Message::Disconnect { opts: opts(&["42"], &[]), close: false, request: None },
        ),
    ]
}

#[test]
fn entries_are_written_and_read_as_node_writes_them() {
    for (kind, data, message) in entries() {
        assert!(!streams::is_published(&message));
        let written = streams::write_entry(STREAMS_UID, "/admin", &message).expect("writable");
        let expected = [("uid", STREAMS_UID), ("nsp", "/admin"), ("type", kind), ("data", data)];
        assert_eq!(written, expected.map(|(field, value)| (field, Bytes::from_static(value.as_bytes()))));
        let fields: Vec<_> =
            written.into_iter().map(|(name, value)| (Bytes::from_static(name.as_bytes()), value)).collect();
        let envelope = streams::read_entry(&fields).expect("an entry");
        assert_eq!(envelope.message, message);
        assert_eq!(
            (envelope.uid.as_deref(), envelope.namespace.as_deref()),
            (Some(STREAMS_UID), Some("/admin"))
        );
        let head = EntryHead::of(&fields);
        assert_eq!((head.uid, head.namespace), (STREAMS_UID.as_bytes(), &b"/admin"[..]));
        assert_eq!(head.is_broadcast, kind == "3");
    }
    assert_eq!(streams::read_entry(&[]), Err(Junk::Field("type")));
    let entry = |data: &'static str| {
        streams::read_entry(&[
            (Bytes::from_static(b"type"), Bytes::from_static(b"3")),
            (Bytes::from_static(b"data"), Bytes::from_static(data.as_bytes())),
        ])
    };
    assert_eq!(entry("%"), Err(Junk::NotBase64));
    assert_eq!(entry("{}"), Err(Junk::Field("packet")));
}

#[test]
fn what_streams_publish_is_written_and_read_as_node_writes_it() {
    let own = OwnBodies::new(STREAMS_UID, "/");
    for (body, message) in [
        (
            "84a47479706503a46461746183a67061636b657482a47479706502a46461746192a87175657374696f6ea13fa9726571756573744964b065316465316466363562353936623664a46f70747383a5726f6f6d7391a3726564a665786365707490a5666c61677381a774696d656f7574cd03e8a3756964b066343439353063386564396266623936a36e7370a12f",
            Message::Ask {
                request: "e1de1df65b596b6d".into(),
                args: args(r#"["question","?"]"#),
                opts: with_timeout(opts(&["red"], &[])),
            },
        ),
        (
            "84a47479706507a46461746182a46f70747383a5726f6f6d7391a3726564a665786365707490a5666c61677380a9726571756573744964b033613237626335343339653764373930a3756964b066343439353063386564396266623936a36e7370a12f",
            Message::Fetch { request: "3a27bc5439e7d790".into(), opts: opts(&["red"], &[]) },
        ),
        (
            "84a47479706509a46461746182a9726571756573744964b033643266323035636136666635353738a67061636b657492a568656c6c6f02a3756964b066343439353063386564396266623936a36e7370a12f",
            Message::ServerEvent { args: args(r#"["hello",2]"#), request: Some("3d2f205ca6ff5578".into()) },
        ),
        (
            "84a4747970650aa46461746182a9726571756573744964b033643266323035636136666635353738a67061636b657481a466726f6da142a3756964b066343439353063386564396266623936a36e7370a12f",
            Message::ServerAnswer { request: "3d2f205ca6ff5578".into(), args: args(r#"[{"from":"B"}]"#) },
        ),
        (
            "84a4747970650ba46461746182a9726571756573744964b065316465316466363562353936623664ab636c69656e74436f756e7401a3756964b066343439353063386564396266623936a36e7370a12f",
            Message::Asked { request: "e1de1df65b596b6d".into(), clients: 1 },
        ),
        (
            "84a4747970650ca46461746182a9726571756573744964b065316465316466363562353936623664a67061636b6574ac616e73776572206f66206231a3756964b066343439353063386564396266623936a36e7370a12f",
            Message::Acked { request: "e1de1df65b596b6d".into(), args: args(r#"["answer of b1"]"#) },
        ),
    ] {
        let body = hex(body);
        assert!(streams::is_published(&message) && own.contain(&body));
        assert_eq!(clustered::read(&body).map(|envelope| envelope.message), Ok(message.clone()));
        assert_eq!(streams::write_published(STREAMS_UID, "/", &message), Ok(body));
    }
    let sockets = "84a47479706508a46461746182a9726571756573744964b033613237626335343339653764373930a7736f636b6574739184a26964b46e36556c354647794c5f504e49424d6441414141a968616e647368616b6583a6697373756564cf000001a217832553a57175657279\
                   81a345494fa134a46175746881a377686fa26231a5726f6f6d7392b46e36556c354647794c5f504e49424d6441414141a3726564a46461746181a377686fc40101a3756964b066343439353063386564396266623936a36e7370a12f";
    let Ok(Message::Sockets { sockets, .. }) = clustered::read(&hex(sockets)).map(|read| read.message) else {
        panic!("sockets");
    };
    let handshake = r#"{"issued":1795690800467,"query":{"EIO":"4"},"auth":{"who":"b1"}}"#;
    assert_eq!(&*sockets[0].handshake, handshake);
    assert_eq!(&*sockets[0].data, r#"{"who":{"type":"Buffer","data":[1]}}"#);
}

#[test]
fn a_claim_is_published_with_a_type_that_node_has_not() {
    let message = Message::Claim { pid: "9sKGbDDgX5Gk".into() };
    assert!(streams::is_published(&message));
    let body = streams::write_published(UID, "/", &message).expect("writable");
    let envelope = clustered::read(&body).expect("a message");
    assert_eq!((&envelope.message, envelope.uid.as_deref()), (&message, Some(UID)));
    let json = sharded::write(UID, "/", &message).expect("writable");
    let expected = r#"{"type":100,"data":{"pid":"9sKGbDDgX5Gk"},"uid":"6503c1b3d4a54d46","nsp":"/"}"#;
    assert_eq!(json, expected);
    for body in [r#"{"type":100}"#, r#"{"type":100,"data":{}}"#, r#"{"type":100,"data":{"pid":[]}}"#] {
        clustered::read(&Bytes::from_static(body.as_bytes())).expect_err(body);
    }
    let classic = super::super::classic::write(UID, "/", &message);
    assert_eq!(classic, Err(WriteError::NotInFormat));
}

#[test]
fn sessions_of_node_are_read_and_own_ones_know_since_when() {
    let of_node = "hKNzaWS0VVlaa1ZxWVN4eGRFZ3FyS0FBQUGjcGlktFhMRWx0anRtZmVCLS12Z2dBQUFCpXJvb21zlbRVWVprVnFZU3h4ZEVncXJLQUFBQaNyZWSkYmx1ZaVncmVlbqJnMqRkYXRhgaN3aG+iYTE=";
    let mut session = sessions::read(of_node.as_bytes()).expect("a session");
    let expected = Session {
        sid: "UYZkVqYSxxdEgqrKAAAA".into(),
        pid: "XLEltjtmfeB--vggAAAB".into(),
        rooms: names(&["UYZkVqYSxxdEgqrKAAAA", "red", "blue", "green", "g2"]),
        data: r#"{"who":"a1"}"#.into(),
        since: Vec::new(),
    };
    assert_eq!(session, expected);
    session.since = vec![("red".into(), "1795690810621-0".into()), ("g2".into(), "1795690810621-7".into())];
    let written = sessions::write(&session).expect("writable");
    assert_eq!(sessions::read(&written), Ok(session.clone()));
    // Node's fields come first, as Node writes them.
    let decode = |text: &[u8]| base64::from_base64(text).expect("Base64");
    let (own, node) = (decode(&written), decode(of_node.as_bytes()));
    assert_eq!((own[0], &own[1..node.len()]), (0x85, &node[1..]));
    assert_eq!(&*sessions::key("sio:session:", &session.pid), "sio:session:XLEltjtmfeB--vggAAAB");
    assert_eq!(sessions::read(b"gA=="), Err(Junk::Field("sid")));
}

#[test]
fn halves_of_surrogate_pairs_pass_in_json_and_are_replaced_in_msgpack() {
    let event = r#"["e","\ud83d"]"#;
    let message = Message::Broadcast { args: args(event), opts: opts(&[], &[]) };
    let body = sharded::write(UID, "/", &message).expect("writable");
    assert_eq!(clustered::read(&body).map(|envelope| envelope.message), Ok(message.clone()));
    let body = streams::write_published(UID, "/", &message).expect("writable");
    let replaced = Message::Broadcast { args: args("[\"e\",\"\u{fffd}\"]"), opts: opts(&[], &[]) };
    assert_eq!(clustered::read(&body).map(|envelope| envelope.message), Ok(replaced));
}
