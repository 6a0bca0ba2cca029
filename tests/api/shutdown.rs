//! A server that stops tells everybody, waits for them a little, and ends.

use std::time::{Duration, Instant};

use actix_web::rt;

use crate::{
    helpers::{TestServer, settings, soon, text},
    program::{echoroom, start},
};

#[actix_web::test]
async fn every_session_is_closed_with_1012() {
    let server = TestServer::start().await;
    let (plain, echo) = (server.connect_raw("/ws").await, server.connect_raw("/echo").await);
    server.until_health_shows(2, 1).await;
    let start = Instant::now();
    soon("the stop", server.handle().stop()).await;
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
    soon("the stop", server.handle().stop()).await;
    assert_eq!(ben.read_frame().await.payload, b"last words");
    ben.expect_close(1012).await;
}

#[actix_web::test]
async fn while_it_drains_nobody_is_admitted_and_health_says_so() {
    let patient = settings().with(|s| s.operation.shutdown_timeout = "1s".parse().expect("a time"));
    let server = TestServer::with(patient).await;
    // A session that cannot leave: it reads nothing, and its own answers fill every buffer on the way.
    let jammed = server.connect_raw("/echo").await;
    let (read, mut write) = tokio::io::split(jammed.stream);
    let flood = rt::spawn(async move {
        let frame = crate::helpers::frame(0x82, &[0; 60_000]);
        while tokio::io::AsyncWriteExt::write_all(&mut write, &frame).await.is_ok() {}
    });
    rt::time::sleep(Duration::from_millis(500)).await;
    let stop = rt::spawn(server.handle().stop());
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

/// A connection to an echo session that is jammed: it sends without ever reading, until nothing moves.
fn jam(link: &str) -> std::net::TcpStream {
    use std::io::{Read as _, Write as _};
    let address = link.trim_start_matches("http://").replace("localhost", "127.0.0.1");
    let mut stream = std::net::TcpStream::connect(&address).expect("connected");
    write!(
        stream,
        "GET /echo HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .expect("sent");
    let mut head = [0; 12];
    stream.read_exact(&mut head).expect("an answer");
    assert_eq!(&head, b"HTTP/1.1 101");
    stream.set_write_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    let frame = crate::helpers::frame(0x82, &[0; 60_000]);
    while stream.write_all(&frame).is_ok() {}
    stream
}

#[test]
fn sigterm_ends_the_program_with_code_0() {
    let (running, _) = start(echoroom().args(["--bind", "127.0.0.1", "--port", "0"]));
    running.signal("-TERM");
    assert_eq!(running.exit_code(), Some(0));
}

#[test]
fn a_session_that_cannot_leave_is_waited_for_and_no_longer() {
    let args = ["--bind", "127.0.0.1", "--port", "0", "--rate", "0", "--shutdown-timeout", "700ms"];
    let (running, link) = start(echoroom().args(args));
    let _jammed = jam(&link);
    let start = Instant::now();
    running.signal("-INT");
    assert_eq!(running.exit_code(), Some(0));
    assert!(start.elapsed() >= Duration::from_millis(700), "took only {:?}", start.elapsed());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let args = ["--bind", "127.0.0.1", "--port", "0", "--rate", "0", "--shutdown-timeout", "1m"];
    let (running, link) = start(echoroom().args(args));
    let _jammed = jam(&link);
    let start = Instant::now();
    running.signal("-TERM");
    // The first one is being handled once the server says so; two that come at once would count as one.
    std::thread::sleep(Duration::from_millis(300));
    running.signal("-TERM");
    assert_eq!(running.exit_code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(30), "took {:?}", start.elapsed());
}
