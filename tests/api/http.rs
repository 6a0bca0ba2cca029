//! HTTP connections: every head and every body has its time, every request its answer, and a connection is kept as long
//! as it is said to be. (Their number: `connections.rs`.)

use std::time::Duration;

use echoroom::config::{Period, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::helpers::{RawClient, TestServer, settings, soon, text};

fn period(text: &str) -> Period {
    text.parse().expect("a time")
}

/// A server whose deadlines are short.
async fn hasty() -> TestServer {
    let times = period("200ms");
    TestServer::with(settings().with(|s| {
        s.connections.handshake_timeout = times;
        s.connections.body_timeout = times;
    }))
    .await
}

/// Reads the answer to a request whose body has a known length.
async fn read_answer(raw: &mut RawClient) -> (String, String) {
    let head = raw.read_head().await;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length.unwrap_or_else(|| panic!("no length: {head}")).parse().expect("a number");
    let body = raw.read_exact(length).await;
    (head, String::from_utf8(body).expect("UTF-8"))
}

/// Everything up to the end of the connection.
async fn read_to_end(raw: &mut RawClient) -> String {
    let mut rest = Vec::new();
    soon("the end of the connection", raw.stream.read_to_end(&mut rest)).await.expect("a clean end");
    String::from_utf8_lossy(&rest).into_owned()
}

/// Begins a session that polls.
async fn sid_of(server: &TestServer) -> String {
    let answer = server.get_raw("/socket.io/?EIO=4&transport=polling", "").await;
    let (_, rest) = answer.split_once("\"sid\":\"").expect("a session");
    rest.split_once('"').expect("a session").0.to_owned()
}

#[actix_web::test]
async fn half_a_head_is_waited_for_no_longer_behind_an_answer_than_at_first() {
    let server = hasty().await;
    let half = "GET /limits HTTP/1.1\r\nHost: x\r\n";
    // At first, behind an answer, and in one packet with the request before.
    let mut at_first = server.connect_tcp().await;
    at_first.send(half.as_bytes()).await;
    let mut behind = server.connect_tcp().await;
    behind.send(b"GET /limits HTTP/1.1\r\nHost: x\r\n\r\n").await;
    read_answer(&mut behind).await;
    behind.send(half.as_bytes()).await;
    let mut in_one = server.connect_tcp().await;
    in_one.send(format!("{half}\r\n{half}").as_bytes()).await;
    read_answer(&mut in_one).await;
    for raw in [&mut at_first, &mut behind, &mut in_one] {
        let answer = read_to_end(raw).await;
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("--handshake-timeout"), "{answer}");
    }
}

#[actix_web::test]
async fn a_head_that_trickles_in_is_not_waited_for() {
    let server = hasty().await;
    let mut raw = server.connect_tcp().await;
    raw.send(b"GET /limits HTTP/1.1\r\nHost: x\r\n\r\n").await;
    read_answer(&mut raw).await;
    let (mut read, mut write) = raw.stream.split();
    let mut answer = Vec::new();
    let trickle = async {
        // Until the server has closed the connection.
        while write.write_all(b"G").await.is_ok() {
            actix_web::rt::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let mut buffer = [0; 1024];
    let read_on = async {
        while let Ok(len @ 1..) = read.read(&mut buffer).await {
            answer.extend_from_slice(&buffer[..len]);
        }
    };
    soon("the end of a trickle", futures_util::future::join(trickle, read_on)).await;
    assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
}

#[actix_web::test]
async fn a_body_that_does_not_end_is_not_waited_for() {
    let server = hasty().await;
    let sid = sid_of(&server).await;
    let polling = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
    for path in [&polling, "/socket.io/?EIO=4&transport=polling&sid=unknown", "/limits", "/nothing"] {
        for (framing, part) in [("Content-Length: 1000", "40"), ("Transfer-Encoding: chunked", "3e8\r\n40")] {
            let mut raw = server.connect_tcp().await;
            raw.send(format!("POST {path} HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n{part}").as_bytes()).await;
            let answer = read_to_end(&mut raw).await;
            assert!(answer.starts_with("HTTP/1.1 4"), "{path} with {framing}: {answer}");
        }
    }
    let mut raw = server.connect_tcp().await;
    raw.send(b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n").await;
    let answer = read_to_end(&mut raw).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("connection: close\r\n"), "{answer}");
}

#[actix_web::test]
async fn an_idle_connection_is_kept_for_the_time_that_is_set_and_not_for_ever() {
    assert_eq!(Settings::default().connections.keep_alive, period("75s"));
    let server = TestServer::with(settings().with(|s| {
        s.connections.handshake_timeout = period("100ms");
        s.connections.keep_alive = period("900ms");
    }))
    .await;
    let mut raw = server.connect_tcp().await;
    for _ in 0..3 {
        raw.send(b"GET /limits HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let (head, _) = read_answer(&mut raw).await;
        assert!(!head.contains("connection: "), "{head}");
        // Longer than a head may take.
        actix_web::rt::time::sleep(Duration::from_millis(150)).await;
    }
    assert_eq!(read_to_end(&mut raw).await, "", "an idle connection ends without a word");
}

#[actix_web::test]
async fn an_answer_to_a_poll_leaves_the_connection_as_it_is() {
    let server = TestServer::start().await;
    let mut raw = server.connect_tcp().await;
    // What a proxy sends that passes `Connection: upgrade` on for every request.
    for upgrade in ["", "Connection: upgrade\r\n", "Connection: upgrade\r\nUpgrade: \r\n"] {
        let path = "/socket.io/?EIO=4&transport=polling";
        raw.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n").as_bytes()).await;
        let (head, body) = read_answer(&mut raw).await;
        assert!(head.starts_with("HTTP/1.1 200 ") && !head.contains("connection: "), "{head}");
        let sid = body.split('"').nth(3).expect("a session").to_owned();
        let path = format!("{path}&sid={sid}");
        let post = "Content-Length: 2\r\n\r\n40";
        raw.send(format!("POST {path} HTTP/1.1\r\nHost: x\r\n{upgrade}{post}").as_bytes()).await;
        let (head, body) = read_answer(&mut raw).await;
        assert!(body == "ok" && !head.contains("connection: "), "{head}{body}");
        raw.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n").as_bytes()).await;
        let (head, body) = read_answer(&mut raw).await;
        assert!(body.starts_with("40{") && !head.contains("connection: "), "{head}{body}");
    }
}

#[actix_web::test]
async fn a_request_and_an_upgrade_behind_it_in_one_packet_are_both_answered() {
    let server = TestServer::start().await;
    for path in ["/health", "/rooms", "/limits"] {
        let mut raw = server.connect_tcp().await;
        let mut packet =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n{}", raw.upgrade_request("/ws")).into_bytes();
        packet.extend(text("hello"));
        raw.send(&packet).await;
        let (head, _) = read_answer(&mut raw).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let head = raw.read_head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert_eq!(raw.read_frame().await.payload, b"HELLO!!!");
    }
}

#[actix_web::test]
async fn a_client_that_has_closed_its_side_is_still_answered() {
    let server = TestServer::start().await;
    for path in ["/health", "/rooms", "/limits", "/", "/nothing"] {
        let mut raw = server.connect_tcp().await;
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        raw.send(request.repeat(2).as_bytes()).await;
        raw.stream.shutdown().await.expect("the client's side is closed");
        let answers = read_to_end(&mut raw).await;
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 2, "{path}: {answers}");
    }
}

#[actix_web::test]
async fn requests_in_one_packet_are_answered_in_their_order() {
    let server = TestServer::start().await;
    let mut raw = server.connect_tcp().await;
    let paths: Vec<_> = (0..40).map(|number| ["/health", "/limits", "/nothing"][number % 3]).collect();
    let packet: String = paths.iter().map(|path| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).collect();
    raw.send(packet.as_bytes()).await;
    for path in paths {
        let (head, body) = read_answer(&mut raw).await;
        let (status, part) = match path {
            "/health" => ("200", "uptime_seconds"),
            "/limits" => ("200", "max_message_size"),
            _ => ("404", ""),
        };
        assert!(head.contains(status) && body.contains(part), "{path}: {head}{body}");
    }
}

#[actix_web::test]
async fn a_handshake_with_a_body_is_refused_at_every_door() {
    let server = TestServer::start().await;
    let doors = [
        "/",
        "/ws",
        "/echo",
        "/chat",
        "/socket.io/?EIO=4&transport=websocket",
        "/lesson/news",
        "/lesson/slow",
        "/lesson/break/reset",
    ];
    for door in doors {
        for (framing, body) in [
            ("Content-Length: 6\r\n", text("").as_slice()),
            ("Content-Length: 9\r\n", b""),
            ("Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
        ] {
            let mut raw = server.connect_tcp().await;
            let request = raw.upgrade_request(door).replace("Upgrade: w", &format!("{framing}Upgrade: w"));
            raw.send(&[request.as_bytes(), body].concat()).await;
            let answer = read_to_end(&mut raw).await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{door} with {framing}: {answer}");
        }
        let empty = server.connect_tcp().await.handshake_with(door, "Content-Length: 0\r\n").await;
        assert!(!empty.starts_with("HTTP/1.1 400 "), "{door}: {empty}");
    }
}

#[actix_web::test]
async fn the_body_of_a_get_is_passed_over_and_never_read_as_a_request() {
    let server = TestServer::start().await;
    let inner = "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n";
    for framed in [
        format!("Content-Length: {}\r\n\r\n{inner}", inner.len()),
        format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len()),
    ] {
        for path in ["/health", "/limits", "/rooms", "/socket.io/?EIO=4&transport=polling"] {
            let mut raw = server.connect_tcp().await;
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{framed}");
            raw.send(
                format!("{request}GET /limits HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes(),
            )
            .await;
            let answers = read_to_end(&mut raw).await;
            assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 2, "{path}: {answers}");
            assert_eq!(answers.matches("HTTP/1.1 ").count(), 2, "{path}: {answers}");
        }
    }
}

#[actix_web::test]
async fn what_is_no_request_is_told_what_is_wrong_and_the_connection_ends() {
    let server = TestServer::start().await;
    let huge = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Huge: {}\r\n\r\n", "x".repeat(200_000));
    for (request, status) in [
        ("nonsense\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n", 400),
        (&huge, 431),
    ] {
        let mut raw = server.connect_tcp().await;
        // The server may close before it has read all of it.
        let _ = raw.stream.write_all(request.as_bytes()).await;
        let head = raw.read_head().await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert!(head.contains("connection: close\r\n"), "{head}");
    }
}

#[actix_web::test]
async fn a_client_that_waits_for_leave_to_send_its_body_gets_it() {
    let server = TestServer::start().await;
    let path = format!("/socket.io/?EIO=4&transport=polling&sid={}", sid_of(&server).await);
    let expecting = "Host: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    let mut raw = server.connect_tcp().await;
    raw.send(format!("POST {path} HTTP/1.1\r\n{expecting}").as_bytes()).await;
    assert_eq!(raw.read_head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    raw.send(b"40").await;
    assert_eq!(read_answer(&mut raw).await.1, "ok");
    // One whose body is not wanted is answered without it.
    raw.send(format!("POST /limits HTTP/1.1\r\n{expecting}").as_bytes()).await;
    let answer = read_to_end(&mut raw).await;
    assert!(answer.starts_with("HTTP/1.1 4") && answer.contains("connection: close\r\n"), "{answer}");
}

#[actix_web::test]
async fn a_connection_of_http_1_0_is_kept_if_it_asks_for_that() {
    let server = TestServer::start().await;
    let mut raw = server.connect_tcp().await;
    raw.send(b"GET /limits HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
    let (head, _) = read_answer(&mut raw).await;
    assert!(head.starts_with("HTTP/1.0 200 ") && head.contains("connection: keep-alive\r\n"), "{head}");
    raw.send(b"GET /style.css HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n").await;
    let answer = read_to_end(&mut raw).await;
    assert!(!answer.contains("transfer-encoding"), "HTTP/1.0 knows no chunks");
}
