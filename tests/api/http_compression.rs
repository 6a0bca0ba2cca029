//! What a client polls is compressed from 1 KiB on, if the client accepts gzip; small answers never are.

use std::{
    io::Read as _,
    sync::atomic::{AtomicUsize, Ordering},
};

use echoroom::config::Switch;
use flate2::read::GzDecoder;

use crate::{
    helpers::{TestServer, settings, soon},
    sockets::Poller,
};

static CLIENTS: AtomicUsize = AtomicUsize::new(0);

/// The head of an answer, in lower case, and its body without chunks.
async fn ask(server: &TestServer, method: &str, path: &str, headers: &str) -> (String, Vec<u8>) {
    let mut raw = server.connect_tcp().await;
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
    raw.send(request.as_bytes()).await;
    let mut answer = raw.read_to_end().await;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    let body = answer.split_off(end);
    let head = String::from_utf8(answer).expect("UTF-8").to_lowercase();
    let body = if head.contains("transfer-encoding: chunked\r\n") { joined(&body) } else { body };
    (head, body)
}

fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = chunks.windows(2).position(|window| window == b"\r\n").expect("the length of a chunk");
        let len =
            std::str::from_utf8(&chunks[..end]).ok().and_then(|len| usize::from_str_radix(len, 16).ok());
        let len = len.expect("a length");
        body.extend_from_slice(&chunks[end + 2..end + 2 + len]);
        chunks = &chunks[end + 4 + len..];
        if len == 0 {
            assert!(chunks.is_empty(), "nothing follows the last chunk");
            return body;
        }
    }
}

fn unpacked(body: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(body).read_to_string(&mut text).expect("gzip of UTF-8");
    text
}

fn length(head: &str) -> Option<usize> {
    head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
}

/// A client in a room, and what it must be told next: the answer to a message of `len` bytes that it has sent.
async fn said(server: &TestServer, len: usize) -> (Poller<'_>, String) {
    let poller = Poller::connected(server).await;
    // The one before may still be there.
    let number = CLIENTS.fetch_add(1, Ordering::Relaxed);
    let login = format!(r#"420["login",{{"username":"ann{number}","room":"room {number}"}}]"#);
    assert_eq!(poller.post(&login).await.status, 200);
    while !poller.poll().await.body.contains("430[") {}
    let text = "Guten Morgen! ".repeat(len / 14 + 1);
    let message = format!(r#"421["sendMessage",{{"msg":"{}"}}]"#, &text[..len]);
    assert_eq!(poller.post(&message).await.status, 200);
    (poller, text[..len].to_owned())
}

#[actix_web::test]
async fn a_large_answer_to_a_poll_is_compressed_for_a_client_that_accepts_gzip() {
    let large = settings().with(|s| {
        s.limits.max_message_size = "400k".parse().expect("a size");
        s.limits.max_queue_bytes = "4m".parse().expect("a size");
    });
    let server = TestServer::with(large).await;
    for len in [3000, 60_000, 300_000] {
        let (poller, text) = said(&server, len).await;
        let path = format!("/socket.io/?{}", poller.query());
        let mut told = String::new();
        // Answers may come apart.
        while !told.contains(&text) {
            let (head, body) = ask(&server, "GET", &path, "Accept-Encoding: gzip, deflate, br\r\n").await;
            assert!(head.starts_with("http/1.1 200 "), "{head}");
            if head.contains("content-encoding: gzip\r\n") {
                assert!(head.contains("vary: accept-encoding\r\n"), "{head}");
                assert!(body.len() * 10 < len, "{} bytes of {len}", body.len());
                told.push_str(&unpacked(&body));
            } else {
                assert!(body.len() < 1024, "{head}");
                told.push_str(std::str::from_utf8(&body).expect("UTF-8"));
            }
            assert!(length(&head).is_none_or(|length| length == body.len()), "{head}");
            assert!(head.contains("content-type: text/plain; charset=utf-8\r\n"), "{head}");
        }
    }
}

#[actix_web::test]
async fn an_answer_is_as_it_is_for_a_client_that_does_not_accept_gzip() {
    let server = TestServer::start().await;
    for accepts in
        ["", "Accept-Encoding: br\r\n", "Accept-Encoding: identity\r\n", "Accept-Encoding: gzip;q=0, *\r\n"]
    {
        let (poller, text) = said(&server, 3000).await;
        let mut told = String::new();
        while !told.contains(&text) {
            let (head, body) = ask(&server, "GET", &format!("/socket.io/?{}", poller.query()), accepts).await;
            assert!(!head.contains("content-encoding"), "{accepts}: {head}");
            assert_eq!(length(&head), Some(body.len()), "{head}");
            told.push_str(std::str::from_utf8(&body).expect("UTF-8"));
        }
    }
}

#[actix_web::test]
async fn a_small_answer_is_never_compressed() {
    let server = TestServer::start().await;
    let poller = Poller::open(&server).await;
    poller.post("40").await;
    let paths = ["/socket.io/?EIO=4&transport=polling".to_owned(), format!("/socket.io/?{}", poller.query())];
    for path in paths.iter().map(String::as_str).chain(["/rooms", "/socket.io/?EIO=3"]) {
        let (head, body) = ask(&server, "GET", path, "Accept-Encoding: gzip\r\n").await;
        assert!(body.len() < 1024 && !head.contains("content-encoding"), "{path}: {head}");
        assert_eq!(length(&head), Some(body.len()), "{path}: {head}");
    }
}

#[actix_web::test]
async fn the_setting_switches_it_off_and_the_headers_of_cors_stay() {
    let page = "https://page.example";
    for (switch, packed) in [(Switch::On, true), (Switch::Off, false)] {
        let server = TestServer::with(settings().with(|s| {
            s.connections.http_compression = switch;
            s.socketio.cors_origin = vec![page.parse().expect("an origin")];
        }))
        .await;
        let (poller, text) = said(&server, 3000).await;
        let mut told = String::new();
        let mut was_packed = false;
        while !told.contains(&text) {
            let headers = format!("Origin: {page}\r\nAccept-Encoding: gzip\r\n");
            let (head, body) =
                ask(&server, "GET", &format!("/socket.io/?{}", poller.query()), &headers).await;
            assert!(head.contains("vary: origin\r\n"), "{head}");
            assert!(head.contains(&format!("access-control-allow-origin: {page}\r\n")), "{head}");
            let is_packed = head.contains("content-encoding: gzip\r\n");
            was_packed |= is_packed;
            told += &if is_packed { unpacked(&body) } else { String::from_utf8(body).expect("UTF-8") };
        }
        assert_eq!(was_packed, packed);
    }
}

#[actix_web::test]
async fn long_lists_and_metrics_are_compressed_too_and_head_tells_the_length() {
    let server = TestServer::start().await;
    let mut members = Vec::new();
    for number in 0..40 {
        members.push(server.connect(&format!("/ws?room=a-room-with-a-long-name-{number}")).await);
    }
    server.until_health_shows(40, 40).await;
    soon("the list", async {
        while ask(&server, "GET", "/rooms", "").await.1.len() < 2048 {
            actix_web::rt::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    for path in ["/rooms", "/metrics"] {
        let (head, body) = ask(&server, "GET", path, "Accept-Encoding: gzip\r\n").await;
        assert!(head.contains("content-encoding: gzip\r\n"), "{path}: {head}");
        assert_eq!(length(&head), Some(body.len()), "{path}: {head}");
        assert!(unpacked(&body).contains("room"), "{path}");
        let (of_head, nothing) = ask(&server, "HEAD", path, "Accept-Encoding: gzip\r\n").await;
        assert!(of_head.contains("content-encoding: gzip\r\n") && nothing.is_empty(), "{path}: {of_head}");
        assert!(
            length(&of_head).is_some_and(|length| length.abs_diff(body.len()) < 100),
            "{path}: {of_head}"
        );
    }
}

#[actix_web::test]
async fn a_client_of_http_1_0_gets_a_length_it_can_read() {
    let large = settings().with(|s| {
        s.limits.max_message_size = "400k".parse().expect("a size");
        s.limits.max_queue_bytes = "4m".parse().expect("a size");
    });
    let server = TestServer::with(large).await;
    let (poller, text) = said(&server, 300_000).await;
    let mut told = Vec::new();
    while !String::from_utf8_lossy(&told).contains(&text) {
        let mut raw = server.connect_tcp().await;
        let path = format!("/socket.io/?{}", poller.query());
        raw.send(format!("GET {path} HTTP/1.0\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n").as_bytes()).await;
        let answer = raw.read_to_end().await;
        let head = String::from_utf8_lossy(&answer).to_lowercase();
        assert!(head.starts_with("http/1.0 200 ") && !head.contains("transfer-encoding"), "{head}");
        if head.contains("content-encoding: gzip") {
            break;
        }
        told.extend(answer);
    }
}
