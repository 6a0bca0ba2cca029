//! Every rule of RFC 6455 that a client can break, on raw bytes. The close code is the promise.

use std::time::{Duration, Instant};

use crate::helpers::{RawClient, TestServer, frame, text};

const PROTOCOL_ERROR: u16 = 1002;
const INVALID_TEXT: u16 = 1007;
const TOO_BIG: u16 = 1009;

/// Sends `bytes` to each kind of session, with and without compression agreed on; each must end with `code`.
async fn assert_closed_with(code: u16, bytes: &[u8]) {
    let server = TestServer::start().await;
    for path in ["/ws", "/echo"] {
        let plain = server.connect_raw(path).await;
        let deflating = server.connect_raw_offering(path, "permessage-deflate").await;
        for mut raw in [plain, deflating] {
            raw.send(bytes).await;
            raw.expect_close(code).await;
        }
    }
    server.until_health_shows(0, 0).await;
}

/// A frame header with a 64-bit length.
fn huge_header(first: u8, len: u64) -> Vec<u8> {
    [&[first, 0xFF][..], &len.to_be_bytes(), &[0; 4]].concat()
}

async fn echo(raw: &mut RawClient) {
    raw.send(&text("alive")).await;
    assert_eq!(raw.read_frame().await.payload, b"alive");
}

#[actix_web::test]
async fn a_reserved_bit_without_an_extension_is_a_protocol_error() {
    for bit in [0x20, 0x10] {
        assert_closed_with(PROTOCOL_ERROR, &frame(0x81 | bit, b"x")).await;
    }
    assert_closed_with(PROTOCOL_ERROR, &frame(0x89 | 0x40, b"")).await;
    // RSV1 is legal where compression was agreed on, and only there.
    let server = TestServer::start().await;
    let mut raw = server.connect_raw("/echo").await;
    raw.send(&frame(0xC1, b"x")).await;
    raw.expect_close(PROTOCOL_ERROR).await;
}

#[actix_web::test]
async fn a_reserved_opcode_is_a_protocol_error() {
    for opcode in [3, 7, 11, 15] {
        assert_closed_with(PROTOCOL_ERROR, &frame(0x80 | opcode, b"")).await;
    }
}

#[actix_web::test]
async fn a_control_frame_over_125_bytes_is_a_protocol_error() {
    for opcode in [8, 9, 10] {
        assert_closed_with(PROTOCOL_ERROR, &frame(0x80 | opcode, &[b'x'; 126])).await;
    }
}

#[actix_web::test]
async fn a_fragmented_control_frame_is_a_protocol_error() {
    for opcode in [8, 9, 10] {
        assert_closed_with(PROTOCOL_ERROR, &frame(opcode, b"")).await;
    }
}

#[actix_web::test]
async fn a_continuation_of_nothing_is_a_protocol_error() {
    assert_closed_with(PROTOCOL_ERROR, &frame(0x80, b"x")).await;
    assert_closed_with(PROTOCOL_ERROR, &frame(0x00, b"x")).await;
}

#[actix_web::test]
async fn a_new_message_inside_an_unfinished_one_is_a_protocol_error() {
    assert_closed_with(PROTOCOL_ERROR, &[frame(0x01, b"a"), frame(0x81, b"b")].concat()).await;
    assert_closed_with(PROTOCOL_ERROR, &[frame(0x02, b"a"), frame(0x01, b"b")].concat()).await;
}

#[actix_web::test]
async fn an_unmasked_frame_is_a_protocol_error() {
    assert_closed_with(PROTOCOL_ERROR, b"\x81\x05hello").await;
}

#[actix_web::test]
async fn a_64_bit_length_with_the_top_bit_set_is_a_protocol_error() {
    assert_closed_with(PROTOCOL_ERROR, &huge_header(0x82, 1 << 63)).await;
}

#[actix_web::test]
async fn a_close_payload_of_one_byte_is_a_protocol_error() {
    assert_closed_with(PROTOCOL_ERROR, &frame(0x88, b"\x03")).await;
}

#[actix_web::test]
async fn a_close_code_that_must_not_travel_is_a_protocol_error() {
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
        assert_closed_with(PROTOCOL_ERROR, &frame(0x88, &code.to_be_bytes())).await;
    }
}

#[actix_web::test]
async fn a_close_reason_that_is_not_utf8_is_invalid_text() {
    assert_closed_with(INVALID_TEXT, &frame(0x88, b"\x03\xe8\xff\xfe")).await;
}

#[actix_web::test]
async fn bad_utf8_is_invalid_text_in_every_form() {
    for bad in [
        &b"\xff"[..],
        b"ok\xc0\xaf",               // overlong
        b"\xed\xa0\x80",             // a surrogate
        b"\xf4\x90\x80\x80",         // beyond Unicode
        b"\xe4\xbd",                 // cut at the end of the message
        b"\xce\xba\xe1\xbd\xb9\x80", // a continuation byte alone
    ] {
        assert_closed_with(INVALID_TEXT, &frame(0x81, bad)).await;
    }
}

#[actix_web::test]
async fn bad_utf8_fails_at_once_inside_an_unfinished_frame_and_across_fragments() {
    // The frame claims 100 bytes; the third is wrong, and the rest never comes.
    let mut unfinished = frame(0x81, b"ab\xff");
    unfinished[1] = 0x80 | 100;
    assert_closed_with(INVALID_TEXT, &unfinished).await;
    // Half a character in one fragment, no second half in the next, and the message not finished.
    assert_closed_with(INVALID_TEXT, &[frame(0x01, b"\xe4\xbd"), frame(0x00, b"x")].concat()).await;
}

#[actix_web::test]
async fn a_character_may_be_cut_by_fragments() {
    let server = TestServer::start().await;
    let mut raw = server.connect_raw("/echo").await;
    raw.send(&[frame(0x01, b"\xe4\xbd"), frame(0x00, b""), frame(0x80, b"\xa0")].concat()).await;
    assert_eq!(raw.read_frame().await.payload, "你".as_bytes());
}

#[actix_web::test]
async fn a_message_over_the_limit_is_refused_by_its_header() {
    assert_closed_with(TOO_BIG, &huge_header(0x82, 64 * 1024 + 1)).await;
    assert_closed_with(TOO_BIG, &huge_header(0x81, 1 << 40)).await;
}

#[actix_web::test]
async fn fragments_are_too_big_together() {
    let parts = [frame(0x02, &[0; 40_000]), huge_header(0x80, 30_000)].concat();
    assert_closed_with(TOO_BIG, &parts).await;
}

#[actix_web::test]
async fn more_fragments_than_allowed_are_too_many() {
    let parts = [frame(0x01, b""), frame(0x00, b"").repeat(1024)].concat();
    assert_closed_with(TOO_BIG, &parts).await;
}

#[actix_web::test]
async fn a_ping_that_claims_a_terabyte_is_refused_by_its_header() {
    assert_closed_with(PROTOCOL_ERROR, &huge_header(0x89, 1 << 40)).await;
}

#[actix_web::test]
async fn a_pong_carries_exactly_the_bytes_of_its_ping() {
    let server = TestServer::start().await;
    let mut raw = server.connect_raw("/ws").await;
    for payload in [&b""[..], b"\x00\xff\xfe", &[b'p'; 125]] {
        raw.send(&frame(0x89, payload)).await;
        let pong = raw.read_frame().await;
        assert_eq!((pong.first, &pong.payload[..]), (0x8A, payload));
    }
}

#[actix_web::test]
async fn control_frames_between_fragments_are_answered_at_once() {
    let server = TestServer::start().await;
    let mut raw = server.connect_raw("/echo").await;
    raw.send(&[frame(0x01, b"a"), frame(0x89, b"p")].concat()).await;
    assert_eq!(raw.read_frame().await.first, 0x8A, "before the message is finished");
    raw.send(&[frame(0x8A, b"unasked"), frame(0x80, b"b")].concat()).await;
    assert_eq!(raw.read_frame().await.payload, b"ab");
}

#[actix_web::test]
async fn empty_messages_and_empty_fragments_are_legal() {
    let server = TestServer::start().await;
    let mut raw = server.connect_raw("/echo").await;
    raw.send(&[text(""), frame(0x02, b""), frame(0x00, b""), frame(0x80, b"")].concat()).await;
    assert_eq!(raw.read_frame().await.first, 0x81);
    let empty = raw.read_frame().await;
    assert_eq!((empty.first, empty.payload.len()), (0x82, 0));
}

#[actix_web::test]
async fn frames_arrive_one_byte_at_a_time() {
    let server = TestServer::start().await;
    let mut raw = server.connect_raw("/echo").await;
    let bytes = [frame(0x01, "你".as_bytes()), frame(0x89, b"p"), frame(0x80, &[b'x'; 200])].concat();
    for byte in bytes {
        raw.send(&[byte]).await;
    }
    assert_eq!(raw.read_frame().await.payload, b"p");
    assert_eq!(raw.read_frame().await.payload, ["你".as_bytes(), &[b'x'; 200]].concat());
}

#[actix_web::test]
async fn data_that_came_before_an_error_is_still_answered() {
    let server = TestServer::start().await;
    let mut raw = server.connect_raw("/ws").await;
    raw.send(&[text("first"), text("second"), frame(0x83, b"")].concat()).await;
    assert_eq!(raw.read_frame().await.payload, b"FIRST!!!");
    assert_eq!(raw.read_frame().await.payload, b"SECOND!!!");
    raw.expect_close(PROTOCOL_ERROR).await;
}

#[actix_web::test]
async fn a_close_is_answered_once_with_its_own_code_and_nothing_comes_after() {
    let server = TestServer::start().await;
    for code in [1000_u16, 1001, 1003, 1007, 1014, 3000, 4999] {
        let mut raw = server.connect_raw("/echo").await;
        let close = frame(0x88, &[&code.to_be_bytes()[..], b"because"].concat());
        raw.send(&[close.clone(), text("late"), close, frame(0x83, b"")].concat()).await;
        raw.expect_close(code).await;
    }
    let mut raw = server.connect_raw("/echo").await;
    raw.send(&frame(0x88, b"")).await;
    let answer = raw.read_frame().await;
    assert_eq!((answer.first, answer.payload.len()), (0x88, 0));
    raw.expect_end().await;
}

#[actix_web::test]
async fn the_server_closes_tcp_first_and_promptly() {
    let server = TestServer::start().await;
    let mut raw = server.connect_raw("/ws").await;
    let start = Instant::now();
    raw.send(&frame(0x88, b"\x03\xe8")).await;
    // We keep our side open: the end can only come from the server.
    raw.expect_close(1000).await;
    assert!(start.elapsed() < Duration::from_secs(5), "took {:?}", start.elapsed());
}

#[actix_web::test]
async fn one_broken_client_costs_the_others_nothing() {
    let server = TestServer::start().await;
    let mut healthy = server.connect_raw("/echo").await;
    let mut broken = server.connect_raw("/echo").await;
    broken.send(&frame(0x83, b"")).await;
    echo(&mut healthy).await;
    broken.expect_close(PROTOCOL_ERROR).await;
    echo(&mut healthy).await;
}
