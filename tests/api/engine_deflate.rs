//! permessage-deflate (RFC 7692) on the WebSockets of Socket.IO, on raw bytes.

use echoroom::{
    socketio::{Ack, Builder, Event, Server, Socket},
    testing::deflate::{Deflater, Inflater},
};

use crate::{
    embedded::{Embedded, WEBSOCKET},
    helpers::{RawClient, TestServer, frame, text},
    sockets::{Poller, next_text, serve},
};

const OFFER: &str = "permessage-deflate; client_max_window_bits";

/// FIN and RSV1, with the opcodes of text and of binary data.
const COMPRESSED_TEXT: u8 = 0xC1;
const COMPRESSED_BINARY: u8 = 0xC2;

fn on() -> Builder {
    Server::builder().per_message_deflate(true)
}

fn large() -> String {
    format!("4{}", "all work and no play makes a dull room ".repeat(60))
}

fn deflated(message: &str) -> Vec<u8> {
    Deflater::new(15).deflate(message.as_bytes()).expect("it shrinks").to_vec()
}

/// The payload of the next frame, which must have this first byte.
async fn next(raw: &mut RawClient, first: u8) -> String {
    let frame = raw.read_frame().await;
    assert_eq!(frame.first, first, "{frame:?}");
    let is_compressed = first & 0x40 != 0;
    let payload = match is_compressed {
        true => Inflater::default().inflate(&frame.payload, 1 << 20).expect("it inflates").to_vec(),
        false => frame.payload,
    };
    String::from_utf8(payload).expect("UTF-8")
}

/// Large and small messages of both kinds come back, the large ones compressed.
async fn assert_compresses(raw: &mut RawClient) {
    for _ in 0..3 {
        raw.send(&frame(COMPRESSED_TEXT, &deflated(&large()))).await;
        assert_eq!(next(raw, COMPRESSED_TEXT).await, large());
        raw.send(&text("4small")).await;
        assert_eq!(next(raw, 0x81).await, "4small");
        raw.send(&frame(0x82, large().as_bytes())).await;
        assert_eq!(next(raw, COMPRESSED_BINARY).await, large());
    }
}

#[actix_web::test]
async fn large_messages_are_compressed_on_a_websocket_that_began_the_session_or_took_it_over() {
    let embedded = Embedded::start(on());
    let mut raw = embedded.server.connect_raw_offering(WEBSOCKET, OFFER).await;
    assert!(next_text(&mut raw).await.starts_with('0'));
    assert_compresses(&mut raw).await;

    let poller = Poller::open(&embedded.server).await;
    assert_eq!(poller.post(&large()).await.status, 200);
    let mut raw =
        embedded.server.connect_raw_offering(&format!("{WEBSOCKET}&sid={}", poller.sid), OFFER).await;
    raw.send(&text("2probe")).await;
    assert_eq!(next_text(&mut raw).await, "3probe");
    raw.send(&text("5")).await;
    assert_eq!(next(&mut raw, 0x81).await, large(), "what waited since it polled is as it was");
    assert_compresses(&mut raw).await;
}

#[actix_web::test]
async fn nothing_is_compressed_if_it_is_off_or_not_offered_or_the_client_takes_base64() {
    let offer = format!("Sec-WebSocket-Extensions: {OFFER}\r\n");
    let off = Embedded::start(Server::builder());
    let on = Embedded::start(on());
    let base64 = format!("{WEBSOCKET}&b64=1");
    for (embedded, path, headers) in
        [(&off, WEBSOCKET, &*offer), (&on, WEBSOCKET, ""), (&on, &base64, &*offer)]
    {
        let head = embedded.shake_hands(path, headers).await;
        assert!(head.starts_with("http/1.1 101 ") && !head.contains("extensions"), "{head}");
    }
}

async fn join(server: &TestServer, offer: Option<&str>) -> RawClient {
    let mut raw = match offer {
        Some(offer) => server.connect_raw_offering(WEBSOCKET, offer).await,
        None => server.connect_raw(WEBSOCKET).await,
    };
    assert!(next_text(&mut raw).await.starts_with('0'));
    raw.send(&text("40")).await;
    assert!(next_text(&mut raw).await.starts_with("40"));
    raw
}

#[actix_web::test]
async fn an_event_to_all_is_compressed_for_those_that_agreed_on_the_full_window() {
    let io = on().build();
    let all = io.namespace("/");
    io.namespace("/")
        .on_any(async move |_: Socket, event: Event| all.local().emit_args(event.args().clone()));
    let server = serve(&io, 2);
    let mut members = [
        (join(&server, Some(OFFER)).await, COMPRESSED_TEXT),
        (join(&server, Some("permessage-deflate; server_max_window_bits=10")).await, 0x81),
        (join(&server, None).await, 0x81),
    ];
    let event = format!(r#"42["said","{}"]"#, &large()[1..]);
    for sender in 0..3 {
        members[sender].0.send(&text(&event)).await;
        for (raw, first) in &mut members {
            assert_eq!(next(raw, *first).await, event);
        }
    }
}

#[actix_web::test]
async fn events_to_all_are_compressed_for_a_socket_that_has_upgraded_since_it_joined() {
    let io = on().build();
    io.namespace("/").on("ready", async |_: Socket, ack: Ack| ack.send(&()));
    let server = serve(&io, 2);
    let poller = Poller::open(&server).await;
    assert_eq!(poller.post("40").await.status, 200);
    assert!(poller.poll().await.body.starts_with("40{"));
    let mut raw = server.connect_raw_offering(&format!("{WEBSOCKET}&sid={}", poller.sid), OFFER).await;
    raw.send(&text("2probe")).await;
    assert_eq!(next_text(&mut raw).await, "3probe");
    raw.send(&text("5")).await;
    raw.send(&text(r#"421["ready"]"#)).await;
    assert_eq!(next(&mut raw, 0x81).await, "431[]");
    for number in 0..3 {
        let said = format!("{number}{}", large());
        io.emit("said", &said);
        assert_eq!(next(&mut raw, COMPRESSED_TEXT).await, format!(r#"42["said","{said}"]"#));
        io.compress(false).emit("said", &said);
        assert_eq!(next(&mut raw, 0x81).await, format!(r#"42["said","{said}"]"#));
    }
}
