//! A session that does not answer a ping is gone; one that does stays.

use crate::helpers::{TestServer, frame, settings, soon, text};

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
