//! permessage-deflate (RFC 7692), on raw bytes: what is agreed, what is compressed, and what is refused.

use echoroom::{
    config::Switch,
    testing::deflate::{Deflater, Inflater},
};

use crate::helpers::{RawClient, TestServer, frame, settings, text};

const OFFER: &str = "permessage-deflate; client_max_window_bits";
/// Text with FIN and RSV1.
const COMPRESSED_TEXT: u8 = 0xC1;

fn deflated(message: &str) -> Vec<u8> {
    Deflater::new(15).deflate(message.as_bytes()).expect("it shrinks").to_vec()
}

fn inflated(payload: &[u8]) -> String {
    let bytes = Inflater::default().inflate(payload, 1 << 20).expect("it inflates");
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn large() -> String {
    "all work and no play makes a dull room ".repeat(60)
}

async fn agreed(server: &TestServer, offer: &str) -> Option<String> {
    let raw = server.connect_tcp().await;
    let head = raw.handshake_with("/echo", &format!("Sec-WebSocket-Extensions: {offer}\r\n")).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    head.lines().find_map(|line| line.strip_prefix("sec-websocket-extensions: ")).map(str::to_owned)
}

async fn next_as_text(raw: &mut RawClient, compressed: bool) -> String {
    let frame = raw.read_frame().await;
    assert_eq!(frame.first, if compressed { COMPRESSED_TEXT } else { 0x81 });
    if compressed { inflated(&frame.payload) } else { String::from_utf8(frame.payload).expect("UTF-8") }
}

#[actix_web::test]
async fn the_first_acceptable_offer_is_answered() {
    let server = TestServer::start().await;
    let plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    assert_eq!(agreed(&server, OFFER).await.as_deref(), Some(plain));
    let with_bits = agreed(
        &server,
        "permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=10",
    )
    .await;
    assert_eq!(with_bits, Some(format!("{plain}; server_max_window_bits=10")));
    assert_eq!(agreed(&server, "permessage-deflate; unknown_parameter").await, None);
    assert_eq!(agreed(&server, "x-webkit-deflate-frame").await, None);
}

#[actix_web::test]
async fn it_can_be_switched_off() {
    let server = TestServer::with(settings().with(|s| s.connections.compression = Switch::Off)).await;
    assert_eq!(agreed(&server, OFFER).await, None);
}

#[actix_web::test]
async fn large_answers_are_compressed_and_small_ones_are_not() {
    let server = TestServer::start().await;
    for offer in [OFFER, "permessage-deflate; server_max_window_bits=9"] {
        let mut echo = server.connect_raw_offering("/echo", offer).await;
        echo.send(&[text(&large()), text("small")].concat()).await;
        assert_eq!(next_as_text(&mut echo, true).await, large());
        assert_eq!(next_as_text(&mut echo, false).await, "small");
    }
    let mut plain = server.connect_raw_offering("/ws", OFFER).await;
    plain.send(&text(&large())).await;
    assert_eq!(next_as_text(&mut plain, true).await, large().to_uppercase() + "!!!");
}

#[actix_web::test]
async fn compressed_messages_come_in_whole_and_in_fragments() {
    let server = TestServer::start().await;
    let mut raw = server.connect_raw_offering("/echo", OFFER).await;
    let payload = deflated(&large());
    raw.send(&frame(COMPRESSED_TEXT, &payload)).await;
    assert_eq!(next_as_text(&mut raw, true).await, large());
    // RSV1 on the first frame only, a ping between, and an empty last frame.
    let (head, tail) = payload.split_at(payload.len() / 2);
    raw.send(&[frame(0x41, head), frame(0x89, b"p"), frame(0x00, tail), frame(0x80, b"")].concat()).await;
    assert_eq!(raw.read_frame().await.payload, b"p");
    assert_eq!(next_as_text(&mut raw, true).await, large());
    // An uncompressed one may follow, and the empty message.
    raw.send(&[text("plain"), frame(COMPRESSED_TEXT, b"\x00")].concat()).await;
    assert_eq!(next_as_text(&mut raw, false).await, "plain");
    assert_eq!(next_as_text(&mut raw, false).await, "");
}

#[actix_web::test]
async fn a_broadcast_is_compressed_for_those_who_agreed_and_plain_for_the_others() {
    let server = TestServer::start().await;
    let mut deflating = server.connect_raw_offering("/ws", OFFER).await;
    let mut small_window =
        server.connect_raw_offering("/ws", "permessage-deflate; server_max_window_bits=10").await;
    let mut plain = server.connect_raw("/ws").await;
    let mut sender = server.connect_raw("/ws").await;
    sender.send(&[text("one"), text(&large()), text("three")].concat()).await;
    for (raw, compressed) in [(&mut deflating, true), (&mut small_window, false), (&mut plain, false)] {
        assert_eq!(next_as_text(raw, false).await, "one");
        assert_eq!(next_as_text(raw, compressed).await, large());
        assert_eq!(next_as_text(raw, false).await, "three");
    }
}

#[actix_web::test]
async fn over_64_kib_nobody_waits_for_a_compressor() {
    let larger = settings().with(|s| s.limits.max_message_size = "1m".parse().expect("a size"));
    let server = TestServer::with(larger).await;
    let mut raw = server.connect_raw_offering("/echo", OFFER).await;
    let huge = "x".repeat(64 * 1024 + 1);
    raw.send(&text(&huge)).await;
    assert_eq!(next_as_text(&mut raw, false).await, huge);
}

async fn assert_closed_with(code: u16, bytes: &[u8]) {
    let server = TestServer::start().await;
    let mut raw = server.connect_raw_offering("/echo", OFFER).await;
    raw.send(bytes).await;
    raw.expect_close(code).await;
}

#[actix_web::test]
async fn the_compressed_bit_on_a_continuation_is_a_protocol_error() {
    let payload = deflated(&large());
    assert_closed_with(1002, &[frame(0x41, &payload), frame(0xC0, b"")].concat()).await;
}

#[actix_web::test]
async fn data_that_does_not_inflate_is_invalid() {
    assert_closed_with(1007, &frame(COMPRESSED_TEXT, b"\xff\xff\xff\xff")).await;
}

#[actix_web::test]
async fn text_is_checked_after_inflating() {
    // A stored block with a byte that is never UTF-8.
    assert_closed_with(1007, &frame(COMPRESSED_TEXT, b"\x00\x01\x00\xfe\xff\xff\x00")).await;
}

#[actix_web::test]
async fn a_bomb_is_too_big_whatever_its_size_on_the_wire() {
    use std::io::Write as _;
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![b'0'; 32 << 20]).expect("in memory");
    encoder.flush().expect("in memory");
    let bomb = encoder.get_ref().clone();
    assert!(bomb.len() < 64 * 1024, "{} bytes", bomb.len());
    assert_closed_with(1009, &frame(COMPRESSED_TEXT, &bomb)).await;
    let halves = bomb.split_at(bomb.len() / 2);
    assert_closed_with(1009, &[frame(0x42, halves.0), frame(0x80, halves.1)].concat()).await;
}
