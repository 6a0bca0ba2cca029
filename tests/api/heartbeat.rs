//! A session that does not answer a ping is gone; one that does stays.

use echoroom::config::JournalKind;
use serde_json::json;

use crate::{
    chatters::{CHAT_WEBSOCKETS, Chatter},
    helpers::{TestServer, frame, settings, soon, text},
};

async fn quick_server() -> TestServer {
    let time = |text: &str| text.parse().expect("a time");
    TestServer::with(settings().with(|s| {
        s.heartbeat.ping_interval = time("100ms");
        s.heartbeat.ping_timeout = time("300ms");
    }))
    .await
}

#[actix_web::test]
async fn a_silent_client_is_closed_with_1001() {
    let server = quick_server().await;
    let mut raw = server.connect_raw("/ws").await;
    let ping = raw.read_frame().await;
    assert_eq!((ping.first, ping.payload.len()), (0x89, 0));
    raw.expect_close(1001).await;
    server.until_health_shows(0, 0).await;
}

#[actix_web::test]
async fn a_client_that_answers_stays() {
    let server = quick_server().await;
    let mut raw = server.connect_raw("/echo").await;
    for _ in 0..8 {
        assert_eq!(raw.read_frame().await.first, 0x89);
        raw.send(&frame(0x8A, b"")).await;
    }
}

#[actix_web::test]
async fn any_byte_is_a_sign_of_life() {
    let server = quick_server().await;
    let mut raw = server.connect_raw("/echo").await;
    // A message that takes longer than the deadline to arrive, one byte after each ping.
    let message = text("slow but alive");
    for byte in &message {
        assert_eq!(raw.read_frame().await.first, 0x89);
        raw.send(&[*byte]).await;
    }
    loop {
        let frame = raw.read_frame().await;
        if frame.first == 0x81 {
            assert_eq!(frame.payload, b"slow but alive");
            break;
        }
    }
}

#[actix_web::test]
async fn a_client_we_hold_back_ourselves_is_not_given_up() {
    let time = |text: &str| text.parse().expect("a time");
    let slow = settings().with(|s| {
        s.heartbeat.ping_interval = time("100ms");
        s.heartbeat.ping_timeout = time("100ms");
        s.rates.rate = 5;
        s.rates.rate_burst = 1;
    });
    let server = TestServer::with(slow).await;
    let mut raw = server.connect_raw("/echo").await;
    // Six messages at five a second: more than a second behind a shut gate, the pongs behind them.
    raw.send(&text("x").repeat(6)).await;
    let mut echoes = 0;
    soon("all echoes", async {
        while echoes < 6 {
            match raw.read_frame().await.first {
                0x81 => echoes += 1,
                0x89 => raw.send(&frame(0x8A, b"")).await,
                other => panic!("unexpected frame {other:#x}"),
            }
        }
    })
    .await;
}

/// While the journal takes nothing, a session whose intake is full is not read from, so that the end of its connection is
/// not seen.
#[actix_web::test]
async fn a_client_that_we_hold_back_and_that_is_gone_is_given_up_at_every_websocket() {
    let time = |text: &str| text.parse().expect("a time");
    for door in CHAT_WEBSOCKETS {
        let folder = tempfile::tempdir().expect("a folder");
        let server = TestServer::with(settings().with(|s| {
            s.journal.kind = JournalKind::Sqlite;
            s.journal.data_dir = folder.path().into();
            s.heartbeat.ping_interval = time("300ms");
            s.heartbeat.ping_timeout = time("300ms");
            s.limits.max_intake_bytes = "1k".parse().expect("a size");
        }))
        .await;
        let mut ann = Chatter::settled(&server, door, "ann").await;
        let mut guest = server.connect("/ws?room=tea").await;
        assert!(server.post_raw("/stall/journal-writer?ms=60000").await.starts_with("HTTP/1.1 204 "));
        ann.send("sendMessage", &json!({"msg": "x".repeat(2000)})).await;
        assert_eq!(guest.next_text().await.len(), 2000, "{door:?}");
        guest.close().await;
        server.until_health_shows(1, 1).await;
        ann.reset();
        soon(&format!("the end of a session at {door:?}"), async {
            while server.health().await["sessions"] != 0 {}
        })
        .await;
    }
}
