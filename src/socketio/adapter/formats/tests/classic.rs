//! Against what Node servers and the emitter have said.

use super::*;
use crate::socketio::adapter::formats::classic::{
    Channels, read_broadcast, read_request, read_response, uid_of, write,
};

fn broadcast(args: Args, opts: Opts) -> Message {
    Message::Broadcast { args, opts }
}

/// Broadcasts of a Node server: body, namespace, message.
fn broadcasts() -> Vec<(&'static str, &'static str, Message)> {
    let volatile = Flags { volatile: true, compress: false, ..Flags::default() };
    let single = Flags { expect_single_response: true, ..Flags::default() };
    vec![
        (
            "93a679746372593783a47479706502a46461746194a3616c6c0181a161a178c0a36e7370a12f83a5726f6f6d7390a665786365707490a5666c61677380",
            "/",
            broadcast(args(r#"["all",1,{"a":"x"},null]"#), opts(&[], &[])),
        ),
        (
            "93a679746372593783a47479706502a46461746192a36f6e65a5c3bc6ec3afa36e7370a12f83a5726f6f6d7391a3726564a665786365707490a5666c61677380",
            "/",
            broadcast(args(r#"["one","ünï"]"#), opts(&["red"], &[])),
        ),
        (
            "93a679746372593783a47479706502a46461746192a374776f02a36e7370a12f83a5726f6f6d7392a3726564a4626c7565a665786365707491a23432a5666c61677380",
            "/",
            broadcast(args(r#"["two",2]"#), opts(&["red", "blue"], &["42"])),
        ),
        (
            "93a679746372593783a47479706502a46461746193a362696ec404000102ff81a46465657091c4026869a36e7370a12f83a5726f6f6d7391a3726564a665786365707490a5666c61677380",
            "/",
            broadcast(bin(), opts(&["red"], &[])),
        ),
        (
            "93a679746372593783a47479706502a46461746191a3766f6ca36e7370a12f83a5726f6f6d7390a665786365707490a5666c61677382a8766f6c6174696c65c3a8636f6d7072657373c2",
            "/",
            broadcast(args(r#"["vol"]"#), Opts { flags: volatile, ..opts(&[], &[]) }),
        ),
        (
            "93a679746372593783a47479706502a46461746192a36e737001a36e7370a62f61646d696e83a5726f6f6d7391a3726564a665786365707490a5666c61677380",
            "/admin",
            broadcast(args(r#"["nsp",1]"#), opts(&["red"], &[])),
        ),
        (
            "93a679746372593783a47479706502a46461746191a976696152656d6f7465a36e7370a12f83a5726f6f6d7391b46d436673444d4758655333775a32797541414142a665786365707490a5666c61677381b465787065637453696e676c65526573706f6e7365c3",
            "/",
            broadcast(
                args(r#"["viaRemote"]"#),
                Opts { flags: single, ..opts(&["mCfsDMGXeS3wZ2yuAAAB"], &[]) },
            ),
        ),
    ]
}

#[test]
fn broadcasts_are_written_and_read_as_node_writes_them() {
    for (body, namespace, message) in broadcasts() {
        let body = hex(body);
        let envelope = read_broadcast(&body).expect("a broadcast");
        assert_eq!(envelope.message, message);
        assert_eq!(envelope.uid.as_deref(), Some("ytcrY7"));
        assert_eq!(envelope.namespace.as_deref(), Some(namespace));
        assert_eq!(write("ytcrY7", namespace, &message), Ok(body.clone()));
        assert_eq!(uid_of(&body), Some(&b"ytcrY7"[..]));
    }
}

#[test]
fn a_room_that_is_a_number_is_read_as_its_digits() {
    let body = "93a679746372593783a47479706502a46461746191a36e756da36e7370a12f83a5726f6f6d73912aa665786365707490a5666c61677380";
    let envelope = read_broadcast(&hex(body)).expect("a broadcast");
    assert_eq!(envelope.message, broadcast(args(r#"["num"]"#), opts(&["42"], &[])));
}

#[test]
fn the_emitter_is_read() {
    let volatile = Flags { volatile: true, ..Flags::default() };
    let red = Args {
        json: r#"["e-red",{"b":{"_placeholder":true,"num":0}}]"#.into(),
        attachments: vec![Bytes::from_static(&[7])],
    };
    for (body, message) in [
        (
            "93a7656d697474657283a47479706502a46461746192a5652d616c6c01a36e7370a12f83a5726f6f6d7390a5666c61677380a665786365707490",
            broadcast(args(r#"["e-all",1]"#), opts(&[], &[])),
        ),
        (
            "93a7656d697474657283a47479706502a46461746192a5652d72656481a162c40107a36e7370a12f83a5726f6f6d7391a3726564a5666c61677380a665786365707490",
            broadcast(red, opts(&["red"], &[])),
        ),
        (
            "93a7656d697474657283a47479706502a46461746191a5652d74776fa36e7370a12f83a5726f6f6d7392a3726564a4626c7565a5666c61677381a8766f6c6174696c65c3a665786365707491a178",
            broadcast(args(r#"["e-two"]"#), Opts { flags: volatile, ..opts(&["red", "blue"], &["x"]) }),
        ),
    ] {
        let envelope = read_broadcast(&hex(body)).expect("a broadcast");
        assert_eq!((envelope.uid.as_deref(), envelope.message), (Some("emitter"), message));
    }
    for (body, uid, message) in [
        (
            r#"{"type":2,"opts":{"rooms":["red"],"except":[]},"rooms":["emi"]}"#,
            None,
            Message::Join { opts: opts(&["red"], &[]), rooms: names(&["emi"]), request: None },
        ),
        (
            r#"{"type":3,"opts":{"rooms":[],"except":[]},"rooms":["emi"]}"#,
            None,
            Message::Leave { opts: opts(&[], &[]), rooms: names(&["emi"]), request: None },
        ),
        (
            r#"{"type":4,"opts":{"rooms":["green"],"except":[]},"close":true}"#,
            None,
            Message::Disconnect { opts: opts(&["green"], &[]), close: true, request: None },
        ),
        (
            r#"{"uid":"emitter","type":6,"data":["hello","from emitter"]}"#,
            Some("emitter"),
            Message::ServerEvent { args: args(r#"["hello","from emitter"]"#), request: None },
        ),
    ] {
        let envelope = read_request(&Bytes::from_static(body.as_bytes())).expect("a request");
        assert_eq!((envelope.uid.as_deref(), envelope.message), (uid, message), "{body}");
    }
}

/// Requests of a Node server in JSON.
fn requests() -> Vec<(&'static str, Message)> {
    vec![
        (
            r#"{"uid":"ytcrY7","requestId":"gta4lF","type":5,"opts":{"rooms":["red"],"except":[]}}"#,
            Message::Fetch { request: "gta4lF".into(), opts: opts(&["red"], &[]) },
        ),
        (
            r#"{"uid":"ytcrY7","requestId":"khw8D3","type":1}"#,
            Message::ListRooms { request: "khw8D3".into() },
        ),
        (
            r#"{"uid":"ytcrY7","type":2,"opts":{"rooms":["red"],"except":[]},"rooms":["green","g2"]}"#,
            Message::Join { opts: opts(&["red"], &[]), rooms: names(&["green", "g2"]), request: None },
        ),
        (
            r#"{"uid":"ytcrY7","type":3,"opts":{"rooms":["green"],"except":["blue"]},"rooms":["g2"]}"#,
            Message::Leave { opts: opts(&["green"], &["blue"]), rooms: names(&["g2"]), request: None },
        ),
        (
            r#"{"uid":"ytcrY7","type":4,"opts":{"rooms":["42"],"except":[]},"close":false}"#,
            Message::Disconnect { opts: opts(&["42"], &[]), close: false, request: None },
        ),
        (
            r#"{"uid":"ytcrY7","type":6,"data":["hello",1,{"x":"y"}]}"#,
            Message::ServerEvent { args: args(r#"["hello",1,{"x":"y"}]"#), request: None },
        ),
        (
            r#"{"uid":"ytcrY7","requestId":"H4lyJN","type":6,"data":["hello",2]}"#,
            Message::ServerEvent { args: args(r#"["hello",2]"#), request: Some("H4lyJN".into()) },
        ),
        (
            r#"{"uid":"ytcrY7","requestId":"jFFLja","type":0,"rooms":["red"]}"#,
            Message::ListSids { request: "jFFLja".into(), rooms: names(&["red"]) },
        ),
    ]
}

#[test]
fn requests_are_written_and_read_as_node_writes_them() {
    for (body, message) in requests() {
        let bytes = Bytes::from_static(body.as_bytes());
        let envelope = read_request(&bytes).expect("a request");
        assert_eq!((envelope.uid.as_deref(), &envelope.message), (Some("ytcrY7"), &message), "{body}");
        assert_eq!(write("ytcrY7", "/", &message), Ok(bytes));
    }
    for (body, message) in [
        (
            "85a3756964a6797463725937a9726571756573744964a6334c6465594fa47479706507a67061636b657483a47479706502a46461746192a87175657374696f6ea13fa36e7370a12fa46f70747383a5726f6f6d7391a3726564a665786365707490a5666c61677381a774696d656f7574cd03e8",
            Message::Ask {
                request: "3LdeYO".into(),
                args: args(r#"["question","?"]"#),
                opts: with_timeout(opts(&["red"], &[])),
            },
        ),
        (
            "85a3756964a6797463725937a9726571756573744964a6556958464a6aa47479706507a67061636b657483a47479706502a46461746192a47162696ec40109a36e7370a12fa46f70747383a5726f6f6d7390a665786365707490a5666c61677381a774696d656f7574cd03e8",
            Message::Ask { request: "UiXFJj".into(), args: qbin(), opts: with_timeout(opts(&[], &[])) },
        ),
    ] {
        let body = hex(body);
        let envelope = read_request(&body).expect("a request");
        assert_eq!((envelope.namespace.as_deref(), &envelope.message), (Some("/"), &message));
        assert_eq!(write("ytcrY7", "/", &message), Ok(body));
    }
}

#[test]
fn old_requests_name_one_socket_and_are_answered() {
    let request = || Some(ByteString::from_static("r1"));
    for (body, message) in [
        (
            r#"{"uid":"a","requestId":"r1","type":2,"sid":"s1","room":7}"#,
            Message::Join { opts: opts(&["s1"], &[]), rooms: names(&["7"]), request: request() },
        ),
        (
            r#"{"requestId":"r1","type":3,"sid":"s1","room":"red"}"#,
            Message::Leave { opts: opts(&["s1"], &[]), rooms: names(&["red"]), request: request() },
        ),
        (
            r#"{"requestId":"r1","type":4,"sid":"s1","close":true}"#,
            Message::Disconnect { opts: opts(&["s1"], &[]), close: true, request: request() },
        ),
    ] {
        let envelope = read_request(&Bytes::from_static(body.as_bytes())).expect("a request");
        assert_eq!(envelope.message, message, "{body}");
    }
}

#[test]
fn answers_are_written_and_read_as_node_writes_them() {
    let request = || ByteString::from_static("gta4lF");
    let socket = concat!(
        r#"{"requestId":"gta4lF","sockets":[{"id":"P7Xl6q1XLhAJ2XngAAAA","handshake":{"headers":{"host":"127.0.0.1:7802"},"#,
        r#""issued":1795690597328,"query":{"EIO":"4"},"auth":{"who":"b1"}},"rooms":["P7Xl6q1XLhAJ2XngAAAA","red"],"#,
        r#""data":{"who":"b1"}}]}"#
    );
    for (body, message) in [
        (
            r#"{"type":8,"requestId":"gta4lF","clientCount":1}"#,
            Message::Asked { request: request(), clients: 1 },
        ),
        (socket, Message::Sockets { request: request(), sockets: vec![b1()] }),
        (r#"{"requestId":"gta4lF","sockets":[]}"#, Message::Sockets { request: request(), sockets: vec![] }),
        (
            r#"{"requestId":"gta4lF","sockets":["s1","s2"]}"#,
            Message::Sids { request: request(), sids: names(&["s1", "s2"]) },
        ),
        (
            r#"{"requestId":"gta4lF","rooms":["P7Xl6q1XLhAJ2XngAAAA","red"]}"#,
            Message::Rooms { request: request(), rooms: names(&["P7Xl6q1XLhAJ2XngAAAA", "red"]) },
        ),
        (
            r#"{"type":6,"requestId":"gta4lF","data":{"from":"B"}}"#,
            Message::ServerAnswer { request: request(), args: args(r#"[{"from":"B"}]"#) },
        ),
        (r#"{"requestId":"gta4lF"}"#, Message::Done { request: request() }),
    ] {
        let bytes = Bytes::from_static(body.as_bytes());
        assert_eq!(read_response(&bytes).map(|envelope| envelope.message), Ok(message.clone()), "{body}");
        assert_eq!(write("b", "/", &message), Ok(bytes));
    }
    let body =
        hex("83a47479706509a9726571756573744964a6334c6465594fa67061636b6574ac616e73776572206f66206231");
    let message = Message::Acked { request: "3LdeYO".into(), args: args(r#"["answer of b1"]"#) };
    assert_eq!(read_response(&body).map(|envelope| envelope.message), Ok(message.clone()));
    assert_eq!(write("b", "/", &message), Ok(body));
}

#[test]
fn bytes_in_json_are_shown_as_a_buffer() {
    let event = Args {
        json: r#"["hello",{"_placeholder":true,"num":0}]"#.into(),
        attachments: vec![Bytes::from_static(&[1, 2])],
    };
    let body = r#"{"uid":"ytcrY7","type":6,"data":["hello",{"type":"Buffer","data":[1,2]}]}"#;
    let message = Message::ServerEvent { args: event, request: None };
    assert_eq!(write("ytcrY7", "/", &message), Ok(Bytes::from_static(body.as_bytes())));
}

#[test]
fn messages_go_to_the_channels_of_node() {
    let channels = Channels::new("socket.io", "/", "ytcrY7");
    assert_eq!(&*channels.pattern, "socket.io#/#*");
    assert_eq!(&*channels.requests, "socket.io-request#/#");
    assert_eq!(&*channels.responses, "socket.io-response#/#");
    assert_eq!(&*channels.own_responses, "socket.io-response#/#ytcrY7#");
    assert_eq!(&*channels.responses_of("JaEqj5"), "socket.io-response#/#JaEqj5#");
    let of = |to: &[&str]| channels.of(&broadcast(args("[\"e\"]"), opts(to, &["x"])));
    assert_eq!(&*of(&[]), "socket.io#/#");
    assert_eq!(&*of(&["red"]), "socket.io#/#red#");
    assert_eq!(&*of(&["red", "blue"]), "socket.io#/#");
    let done = Message::Done { request: "r".into() };
    assert_eq!(channels.of(&done), channels.responses);
    let fetch = Message::Fetch { request: "r".into(), opts: opts(&["red"], &[]) };
    assert_eq!(channels.of(&fetch), channels.requests);
    for (channel, room) in [
        ("socket.io#/#", Some(None)),
        ("socket.io#/#red#", Some(Some("red"))),
        ("socket.io#/#a#b#", Some(Some("a#b"))),
        ("socket.io#/admin#red#", None),
        ("socket.io", None),
    ] {
        assert_eq!(channels.room_of(channel), room, "{channel}");
    }
    let special = Channels::new("a*[b]?", r"/x\y", "u");
    assert_eq!(&*special.pattern, r"a\*\[b\]\?#/x\\y#*");
}

#[test]
fn what_is_no_message_is_junk() {
    for (body, junk) in [
        ("{", Junk::NotJson),
        (r#"{"type":2}x"#, Junk::NotJson),
        ("{}", Junk::Field("type")),
        (r#"{"type":99}"#, Junk::UnknownType),
        (r#"{"type":1}"#, Junk::Field("requestId")),
        (r#"{"type":2}"#, Junk::Field("sid")),
        (r#"{"type":2,"sid":"a"}"#, Junk::Field("room")),
        (r#"{"type":2,"opts":{"rooms":[[]]}}"#, Junk::Field("rooms")),
        (r#"{"type":5,"requestId":"r"}"#, Junk::Field("opts")),
        (r#"{"type":6,"data":[]}"#, Junk::BadName),
        (r#"{"type":6,"data":[{}]}"#, Junk::BadName),
        (r#"{"type":6,"data":["disconnect"]}"#, Junk::BadName),
        (r#"{"type":6}"#, Junk::Field("data")),
        (r#"{"type":7,"requestId":"r","packet":{"type":3,"data":["e"]}}"#, Junk::Field("type")),
    ] {
        assert_eq!(read_request(&Bytes::from_static(body.as_bytes())), Err(junk), "{body}");
    }
    assert_eq!(read_broadcast(&Bytes::new()), Err(Junk::NotMsgpack(NotMsgpack::Truncated)));
    assert_eq!(read_broadcast(&hex("80")), Err(Junk::Field("packet")));
    assert_eq!(read_response(&Bytes::from_static(b"{}")), Err(Junk::Field("requestId")));
}

#[test]
fn a_room_that_is_undefined_or_a_boolean_is_the_room_of_its_word() {
    let body =
        br#"{"requestId":"r","sockets":[{"id":"a","rooms":["a",null,true],"handshake":{},"data":{}}]}"#;
    let read = read_response(&Bytes::from_static(body)).map(|envelope| envelope.message);
    let Ok(Message::Sockets { sockets, .. }) = read else { panic!("{read:?}") };
    assert_eq!(sockets[0].rooms, names(&["a", "null", "true"]));
    // ["u", {type: 2, data: ["e"], nsp: "/"}, {rooms: [nil]}] is not for all sockets.
    let read = read_broadcast(&hex("93a17583a47479706502a46461746191a165a36e7370a12f81a5726f6f6d7391c0"));
    let Ok(Message::Broadcast { opts, .. }) = read.map(|envelope| envelope.message) else {
        panic!("no event")
    };
    assert_eq!(opts.target.to, names(&["null"]));
}
