//! A plain session is answered at once: the text in upper case with `!!!`, bytes as they are.

use crate::helpers::TestServer;

#[actix_web::test]
async fn a_text_comes_back_in_upper_case_with_three_marks() {
    let server = TestServer::start().await;
    for path in ["/", "/ws"] {
        let mut client = server.connect(path).await;
        client.send("hello").await;
        assert_eq!(client.next_text().await, "HELLO!!!");
    }
}

#[actix_web::test]
async fn upper_case_is_that_of_unicode() {
    let server = TestServer::start().await;
    let mut client = server.connect("/ws").await;
    for (sent, answer) in [
        ("你好，世界", "你好，世界!!!"),
        ("straße", "STRASSE!!!"),
        ("\u{149} \u{FB01} \u{390}", "\u{2BC}N FI \u{399}\u{308}\u{301}!!!"),
        ("", "!!!"),
        ("😀 emoji\nand a line", "😀 EMOJI\nAND A LINE!!!"),
    ] {
        client.send(sent).await;
        assert_eq!(client.next_text().await, answer);
    }
}

#[actix_web::test]
async fn a_text_of_64_kib_is_answered() {
    let server = TestServer::start().await;
    let mut client = server.connect("/ws").await;
    let large = "abcdefgh".repeat(8 * 1024);
    assert_eq!(large.len(), 64 * 1024);
    client.send(&large).await;
    assert_eq!(client.next_text().await, large.to_uppercase() + "!!!");
}

#[actix_web::test]
async fn bytes_come_back_as_they_are() {
    let server = TestServer::start().await;
    let mut client = server.connect("/").await;
    for bytes in [&b""[..], &[0, 255, 128], &[7; 64 * 1024]] {
        client.send_binary(bytes).await;
        assert_eq!(client.next_binary().await, bytes);
    }
}

#[actix_web::test]
async fn a_message_sent_in_fragments_is_answered_once() {
    use crate::helpers::{frame, text};
    let server = TestServer::start().await;
    let mut raw = server.connect_raw("/ws").await;
    let parts = [frame(0x01, b"he"), frame(0x00, b""), frame(0x00, b"ll"), frame(0x80, b"o")].concat();
    raw.send(&parts).await;
    assert_eq!(raw.read_frame().await.payload, b"HELLO!!!");
    raw.send(&text("next")).await;
    assert_eq!(raw.read_frame().await.payload, b"NEXT!!!");
}
