//! Many clients, badly behaved: nothing is left behind.

use std::time::Duration;

use actix_web::rt;
use futures_util::future::join_all;

use crate::{
    helpers::{TestServer, frame, settings, soon, text},
    program::{echoroom, start},
};

#[actix_web::test]
async fn ten_thousand_connections_in_bursts_leave_nothing_behind() {
    // A process of its own: what is open and held there is the server's alone.
    let (running, link) = start(echoroom().args(["--bind", "127.0.0.1", "--port", "0"]));
    let server = TestServer::elsewhere(&link);
    // Workers open descriptors of their own as they start; each has, once it has served somebody.
    drop(join_all((0..8).map(|_| server.connect_raw("/ws"))).await);
    server.until_health_shows(0, 0).await;
    let (descriptors, kib) = (running.descriptors(), running.resident_kib());
    for _ in 0..100 {
        let crowd = join_all((0..100).map(|_| server.connect_raw("/ws?room=burst"))).await;
        for (number, raw) in crowd.into_iter().enumerate() {
            if number % 2 == 0 { drop(raw) } else { raw.reset() }
        }
    }
    server.until_health_shows(0, 0).await;
    soon("the last descriptors to be closed", async {
        // The health check that looked last may still be there itself.
        while running.descriptors() > descriptors + 2 {
            rt::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let grown = running.resident_kib().saturating_sub(kib);
    assert!(grown < 20 * 1024, "{grown} KiB more than before, 2 KiB for each connection that has gone");
}

#[actix_web::test]
async fn a_client_that_takes_a_byte_now_and_then_is_cut() {
    use tokio::io::AsyncReadExt as _;
    let strict = settings().with(|s| {
        s.limits.max_queue_bytes = "64k".parse().expect("a size");
        s.connections.stall_timeout = "500ms".parse().expect("a time");
    });
    let server = TestServer::with(strict).await;
    let mut trickling = server.connect_raw("/ws").await;
    let mut ann = server.connect("/ws").await;
    let mut ben = server.connect("/ws").await;
    let line = "x".repeat(60_000);
    for _ in 0..300 {
        ann.send(&line).await;
        assert_eq!(ben.next_text().await.len(), line.len());
        ann.next_text().await;
    }
    // It reads on, but too slowly ever to see the end of what the kernel holds for it.
    soon("the cut", async {
        loop {
            // What the kernel has taken for the client is read before the reset is seen.
            let mut few = [0; 1000];
            match trickling.stream.read(&mut few).await {
                Ok(1..) => rt::time::sleep(Duration::from_millis(10)).await,
                Ok(0) | Err(_) => break,
            }
        }
    })
    .await;
    server.until_health_shows(2, 1).await;
    ben.expect_quiet().await;
}

#[actix_web::test]
async fn a_client_that_floods_and_never_reads_is_cut() {
    use tokio::io::AsyncWriteExt as _;
    let strict = settings().with(|s| s.connections.stall_timeout = "1s".parse().expect("a time"));
    let server = TestServer::with(strict).await;
    let mut flooding = server.connect_raw("/echo").await;
    let message = frame(0x82, &[7; 60_000]);
    soon("the cut", async { while flooding.stream.write_all(&message).await.is_ok() {} }).await;
    server.until_health_shows(0, 0).await;
}

#[actix_web::test]
async fn half_closed_and_reset_clients_in_the_middle_of_anything_are_gone() {
    use tokio::io::AsyncWriteExt as _;
    let server = TestServer::start().await;
    let whole = [frame(0x01, b"he"), frame(0x89, b"p"), frame(0x80, b"llo"), text("x")].concat();
    for cut in 0..whole.len() {
        let mut raw = server.connect_raw("/ws").await;
        raw.send(&whole[..cut]).await;
        if cut % 2 == 0 { raw.reset() } else { raw.stream.shutdown().await.expect("half-closed") }
    }
    server.until_health_shows(0, 0).await;
}
