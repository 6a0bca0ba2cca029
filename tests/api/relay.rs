//! What a plain session says goes verbatim to every other session of its room.

use crate::helpers::TestServer;

#[actix_web::test]
async fn a_text_goes_verbatim_to_the_others_and_not_to_its_sender() {
    let server = TestServer::start().await;
    let (mut ann, mut ben, mut cid) =
        (server.connect("/").await, server.connect("/ws").await, server.connect("/ws").await);
    ann.send("Hello, Straße").await;
    assert_eq!(ann.next_text().await, "HELLO, STRASSE!!!");
    assert_eq!(ben.next_text().await, "Hello, Straße");
    assert_eq!(cid.next_text().await, "Hello, Straße");
    ann.expect_quiet().await;
}

#[actix_web::test]
async fn bytes_go_to_the_others_too() {
    let server = TestServer::start().await;
    let (mut ann, mut ben) = (server.connect("/ws").await, server.connect("/ws").await);
    ann.send_binary(&[0, 159, 146, 150]).await;
    assert_eq!(ben.next_binary().await, [0, 159, 146, 150]);
    assert_eq!(ann.next_binary().await, [0, 159, 146, 150]);
}

#[actix_web::test]
async fn who_joins_later_hears_nothing_from_before() {
    let server = TestServer::start().await;
    let (mut ann, mut ben) = (server.connect("/ws").await, server.connect("/ws").await);
    ann.send("before").await;
    assert_eq!(ben.next_text().await, "before");
    let mut late = server.connect("/ws").await;
    ann.send("after").await;
    assert_eq!(late.next_text().await, "after");
}

#[actix_web::test]
async fn a_message_sent_right_before_the_close_still_arrives() {
    use crate::helpers::{frame, text};
    let server = TestServer::start().await;
    let mut ben = server.connect("/ws").await;
    for round in 0..50 {
        let mut raw = server.connect_raw("/ws").await;
        let last = format!("last words {round}");
        raw.send(&[text(&last), frame(0x88, b"\x03\xe8")].concat()).await;
        drop(raw);
        assert_eq!(ben.next_text().await, last);
    }
}

#[actix_web::test]
async fn a_large_text_is_relayed_whole() {
    let server = TestServer::start().await;
    let (mut ann, mut ben) = (server.connect("/ws").await, server.connect("/ws").await);
    let large = "说".repeat(20_000);
    ann.send(&large).await;
    assert_eq!(ben.next_text().await, large);
}
