//! A server that stops tells everybody, waits for them a little, and ends.

use std::time::{Duration, Instant};

use actix_web::rt;
use echoroom::config::Settings;

use crate::helpers::{TestServer, settings, soon, text};

#[actix_web::test]
async fn every_session_is_closed_with_1012() {
    let server = TestServer::start().await;
    let (plain, echo) = (server.connect_raw("/ws").await, server.connect_raw("/echo").await);
    server.until_health_shows(2, 1).await;
    let start = Instant::now();
    soon("the stop", server.handle.clone().stop()).await;
    assert!(start.elapsed() < Duration::from_secs(4), "took {:?}", start.elapsed());
    plain.expect_close(1012).await;
    echo.expect_close(1012).await;
}

#[actix_web::test]
async fn what_was_said_before_the_stop_still_arrives() {
    let server = TestServer::start().await;
    let (mut ann, mut ben) = (server.connect_raw("/ws").await, server.connect_raw("/ws").await);
    ann.send(&text("last words")).await;
    assert_eq!(ann.read_frame().await.payload, b"LAST WORDS!!!");
    soon("the stop", server.handle.clone().stop()).await;
    assert_eq!(ben.read_frame().await.payload, b"last words");
    ben.expect_close(1012).await;
}

#[actix_web::test]
async fn while_it_drains_nobody_is_admitted_and_health_says_so() {
    let patient = Settings { shutdown_timeout: "1s".parse().expect("a time"), ..settings() };
    let server = TestServer::with(patient).await;
    // A session that cannot leave: it reads nothing, and its own answers fill every buffer on the way.
    let jammed = server.connect_raw("/echo").await;
    let (read, mut write) = tokio::io::split(jammed.stream);
    let flood = rt::spawn(async move {
        let frame = crate::helpers::frame(0x82, &[0; 60_000]);
        while tokio::io::AsyncWriteExt::write_all(&mut write, &frame).await.is_ok() {}
    });
    rt::time::sleep(Duration::from_millis(500)).await;
    let stop = rt::spawn(server.handle.clone().stop());
    rt::time::sleep(Duration::from_millis(200)).await;
    let health = server.get_raw("/health", "").await;
    assert!(health.starts_with("HTTP/1.1 503 ") && health.contains("draining"), "{health}");
    let refused = server.connect_tcp().await.handshake_with("/ws", "").await;
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("retry-after"), "{refused}");
    // It stops all the same, in its time.
    soon("the stop", stop).await.expect("it ends");
    flood.abort();
    drop(read);
}
