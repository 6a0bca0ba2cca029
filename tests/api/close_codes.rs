//! The close code of a client comes back to it (RFC 6455, section 5.5.1), at every door.

use crate::{
    helpers::{RawClient, RawFrame, TestServer, frame, text},
    sockets::{Poller, connected, next_text, websocket},
};

/// A way to come by a WebSocket.
#[derive(Clone, Copy, Debug)]
enum Way {
    Door(&'static str),
    SocketIoOpen,
    SocketIoJoined,
    SocketIoUpgraded,
    SocketIoProbing,
    /// One that was about to carry a session, and has not said so.
    SocketIoTried,
}

const WAYS: [Way; 12] = [
    Way::Door("/"),
    Way::Door("/ws"),
    Way::Door("/echo"),
    Way::Door("/chat"),
    Way::Door("/lesson/news"),
    Way::Door("/lesson/slow"),
    Way::Door("/lesson/break/bad-utf8"),
    Way::SocketIoOpen,
    Way::SocketIoJoined,
    Way::SocketIoUpgraded,
    Way::SocketIoProbing,
    Way::SocketIoTried,
];

async fn open(server: &TestServer, way: Way) -> RawClient {
    match way {
        Way::Door(path) => server.connect_raw(path).await,
        Way::SocketIoOpen => websocket(server).await.0,
        Way::SocketIoJoined => connected(server).await,
        Way::SocketIoUpgraded => Poller::connected(server).await.upgraded().await,
        Way::SocketIoProbing => {
            let mut raw = Poller::connected(server).await.websocket().await;
            raw.send(&text("2probe")).await;
            assert_eq!(next_text(&mut raw).await, "3probe");
            raw
        }
        Way::SocketIoTried => Poller::connected(server).await.websocket().await,
    }
}

/// The next frame that is no message.
async fn next_control(raw: &mut RawClient) -> RawFrame {
    loop {
        let frame = raw.read_frame().await;
        if frame.first & 0x08 != 0 {
            return frame;
        }
    }
}

#[actix_web::test]
async fn the_close_code_of_a_client_comes_back_to_it() {
    let server = TestServer::start().await;
    for way in WAYS {
        for (sent, expected) in [
            (&b"\x03\xE8"[..], &b"\x03\xE8"[..]),
            (b"\x03\xE9going", b"\x03\xE9"),
            (b"\x0F\xA1my own", b"\x0F\xA1"),
            (b"", b""),
        ] {
            let mut raw = open(&server, way).await;
            raw.send(&frame(0x88, sent)).await;
            let answer = next_control(&mut raw).await;
            assert_eq!((answer.first, &answer.payload[..]), (0x88, expected), "{way:?} {sent:?}");
            raw.expect_end().await;
        }
    }
}

#[actix_web::test]
async fn what_breaks_the_protocol_of_websockets_is_told_by_its_code() {
    let server = TestServer::start().await;
    for way in WAYS {
        for (sent, code) in [
            (frame(0x88, b"\x03"), 1002),
            (frame(0x83, b"reserved"), 1002),
            (frame(0x81, b"\xFF"), 1007),
            (frame(0x88, b"\x03\xE8\xFF"), 1007),
        ] {
            let mut raw = open(&server, way).await;
            raw.send(&sent).await;
            let answer = next_control(&mut raw).await;
            let told = answer.payload.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
            assert_eq!((answer.first, told), (0x88, Some(code)), "{way:?} {sent:?}");
            raw.expect_end().await;
        }
    }
}

#[actix_web::test]
async fn what_was_sent_before_a_close_is_answered_before_it() {
    let server = TestServer::start().await;
    for (way, said, answer) in [
        (Way::Door("/ws"), "a", "A!!!"),
        (Way::Door("/echo"), "a", "a"),
        (Way::Door("/chat"), r#"{"event":"ping","data":{},"ack":1}"#, r#"{"ack":1"#),
        (Way::SocketIoJoined, "421[\"ping\",{}]", "431["),
        (Way::SocketIoUpgraded, "421[\"ping\",{}]", "431["),
    ] {
        let mut raw = open(&server, way).await;
        raw.send(&[text(said), frame(0x88, b"\x03\xE8"), text(said)].concat()).await;
        assert!(next_text(&mut raw).await.starts_with(answer), "{way:?}");
        raw.expect_close(1000).await;
    }
}
