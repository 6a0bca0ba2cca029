//! However a client goes, its session is gone from the room, once, and the others talk on.

use crate::helpers::{TestServer, frame, text};

#[actix_web::test]
async fn a_client_that_closes_is_gone() {
    let server = TestServer::start().await;
    let mut ann = server.connect("/ws").await;
    server.until_health_shows(1, 1).await;
    ann.close().await;
    server.until_health_shows(0, 0).await;
}

#[actix_web::test]
async fn a_client_that_vanishes_without_a_close_frame_is_gone() {
    let server = TestServer::start().await;
    let mut ben = server.connect("/ws").await;
    let raw = server.connect_raw("/ws").await;
    server.until_health_shows(2, 1).await;
    drop(raw);
    server.until_health_shows(1, 1).await;
    ben.expect_quiet().await;
}

#[actix_web::test]
async fn a_client_that_resets_its_connection_is_gone() {
    let server = TestServer::start().await;
    let mut ben = server.connect("/ws").await;
    let mut raw = server.connect_raw("/ws").await;
    raw.send(&text("hello")).await;
    assert_eq!(ben.next_text().await, "hello");
    raw.reset();
    server.until_health_shows(1, 1).await;
    ben.expect_quiet().await;
}

#[actix_web::test]
async fn a_client_that_resets_in_the_middle_of_a_frame_is_gone() {
    let server = TestServer::start().await;
    for cut in [1, 3, 6, 50] {
        let mut raw = server.connect_raw("/ws").await;
        raw.send(&frame(0x82, &[7; 100])[..cut]).await;
        raw.reset();
    }
    server.until_health_shows(0, 0).await;
}

#[actix_web::test]
async fn a_client_that_only_stops_sending_still_gets_its_answer() {
    use tokio::io::AsyncWriteExt as _;
    let server = TestServer::start().await;
    let mut raw = server.connect_raw("/ws").await;
    raw.send(&text("half-closed")).await;
    raw.stream.shutdown().await.expect("half-closed");
    assert_eq!(raw.read_frame().await.payload, b"HALF-CLOSED!!!");
    raw.expect_end().await;
    server.until_health_shows(0, 0).await;
}

#[actix_web::test]
async fn a_crowd_that_comes_and_goes_leaves_nothing_behind() {
    let server = TestServer::start().await;
    for _ in 0..5 {
        let mut crowd = Vec::new();
        for number in 0..40 {
            let mut raw = server.connect_raw(&format!("/ws?room=r{}", number % 7)).await;
            raw.send(&text("hi all")).await;
            crowd.push(raw);
        }
        for (number, mut raw) in crowd.into_iter().enumerate() {
            match number % 3 {
                0 => drop(raw),
                1 => raw.reset(),
                _ => raw.send(&frame(0x88, b"")).await,
            }
        }
    }
    server.until_health_shows(0, 0).await;
}
