//! `/lesson/log`: a page is told what its own session writes to the log, and nothing of others.

use std::net::TcpStream;

use serde_json::{Value, json};

use crate::helpers::{RawClient, RawFrame, TestServer, frame, settings, soon, text};

async fn next_json(page: &mut RawClient) -> Value {
    let frame = soon("a line", page.read_frame()).await;
    assert_eq!(frame.first, 0x81, "a text frame, not {frame:?}");
    serde_json::from_slice(&frame.payload).expect("JSON")
}

/// A page that is told a log, and the path of the session that it may open.
async fn page_with_a_session(server: &TestServer) -> (RawClient, String) {
    let mut page = server.connect_raw("/lesson/log").await;
    let told = next_json(&mut page).await;
    assert_eq!(told["event"], "expected", "{told}");
    let name = told["data"]["session"].as_str().expect("a name").to_owned();
    (page, format!("/lesson/log/{name}"))
}

async fn next_line(page: &mut RawClient) -> (String, String) {
    let told = next_json(page).await;
    assert_eq!(told["event"], "line", "{told}");
    let part = |name: &str| told["data"][name].as_str().expect("a text").to_owned();
    (part("method"), format!("{} {}", part("level"), part("line")))
}

#[actix_web::test]
async fn a_page_is_told_what_its_session_logs_from_its_start_to_its_end() {
    let server = TestServer::start().await;
    let (mut page, path) = page_with_a_session(&server).await;
    let mut session = server.connect_raw(&path).await;
    let (method, line) = next_line(&mut page).await;
    assert_eq!(method, "started");
    assert!(line.starts_with("INFO s") && line.contains("opened: plain session in room \"lesson-"), "{line}");
    assert!(line.ends_with("from 127.0.0.1"), "{line}");
    session.send(&text("hello")).await;
    assert_eq!(session.read_frame().await.payload, b"HELLO!!!");
    let (method, line) = next_line(&mut page).await;
    assert_eq!(method, "handle");
    assert!(line.starts_with("DEBUG s") && line.ends_with(" sent a text of 5 bytes"), "{line}");
    session.send(&frame(0x88, &4001_u16.to_be_bytes())).await;
    let (method, line) = next_line(&mut page).await;
    assert_eq!(method, "stopped");
    assert!(
        line.contains("closed: closed by the peer with 4001") && line.ends_with("and 1 messages"),
        "{line}"
    );
    assert_eq!(page.read_frame().await, RawFrame { first: 0x88, payload: Vec::new() });
}

#[actix_web::test]
async fn what_is_said_is_not_in_the_log() {
    let server = TestServer::start().await;
    let (mut page, path) = page_with_a_session(&server).await;
    let mut session = server.connect_raw(&path).await;
    session.send(&text("the secret word")).await;
    for _ in 0..2 {
        let (_, line) = next_line(&mut page).await;
        assert!(!line.contains("secret"), "{line}");
    }
}

#[actix_web::test]
async fn a_page_is_told_nothing_of_other_sessions() {
    let server = TestServer::start().await;
    let (mut page, path) = page_with_a_session(&server).await;
    let (mut other_page, other_path) = page_with_a_session(&server).await;
    let mut plain = server.connect_raw("/ws?room=team").await;
    let mut other = server.connect_raw(&other_path).await;
    for client in [&mut plain, &mut other] {
        client.send(&text("hello")).await;
        assert_eq!(client.read_frame().await.payload, b"HELLO!!!");
    }
    let (_, begun) = next_line(&mut other_page).await;
    let id = begun.split(' ').nth(1).expect("an id").to_owned();
    let session = server.connect_raw(&path).await;
    let (method, line) = next_line(&mut page).await;
    assert_eq!(method, "started", "the first line is that of its own session");
    assert_ne!(line.split(' ').nth(1), Some(id.as_str()));
    drop(session);
    assert_eq!(next_line(&mut page).await.0, "stopped");
}

#[actix_web::test]
async fn a_session_comes_by_its_name_once_and_only_while_its_page_is_there() {
    let server = TestServer::start().await;
    let (page, path) = page_with_a_session(&server).await;
    let session = server.connect_raw(&path).await;
    let again = server.get_raw(&path, "").await;
    assert!(again.starts_with("HTTP/1.1 404"), "{again}");
    drop((session, page));
    let one = settings().with(|s| s.lessons.max_lessons = 1.try_into().expect("not zero"));
    let server = TestServer::with(one).await;
    let (page, path) = page_with_a_session(&server).await;
    drop(page);
    // The place of a lesson is free once the lesson is over.
    soon("the end of the lesson", async {
        while !server.connect_tcp().await.handshake_with("/lesson/log", "").await.starts_with("HTTP/1.1 101")
        {
        }
    })
    .await;
    let answer = server.connect_tcp().await.handshake_with(&path, "").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    let server = TestServer::start().await;
    // The name of one kind of client opens no door of another kind.
    let (_page, path) = page_with_a_session(&server).await;
    let other = path.replace("/lesson/log/", "/lesson/slow-client/");
    let answer = server.get_raw(&other, "").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

#[actix_web::test]
async fn the_session_counts_as_any_other() {
    let settings = settings().with(|s| s.admission.max_sessions = 1.try_into().expect("not zero"));
    let server = TestServer::with(settings).await;
    let (mut page, path) = page_with_a_session(&server).await;
    let _first = server.connect_raw("/ws").await;
    let refused = server.connect_tcp().await.handshake_with(&path, "").await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    // No client can connect by that name any more, and the lesson ends.
    assert_eq!(soon("the end", page.read_frame()).await.first, 0x88);
}

#[actix_web::test]
async fn a_foreign_page_gets_neither_the_log_nor_the_session() {
    let server = TestServer::start().await;
    let foreign = "Origin: http://elsewhere.example\r\n";
    let (_page, path) = page_with_a_session(&server).await;
    for path in ["/lesson/log", &path] {
        let answer = server.connect_tcp().await.handshake_with(path, foreign).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{path}: {answer}");
    }
}

#[actix_web::test]
async fn a_closed_port_is_closed() {
    let server = TestServer::start().await;
    let answer = server.get_raw("/lesson/closed-port", "").await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("no-store"), "{head}");
    let body: Value = serde_json::from_str(body).expect("JSON");
    let port = body["port"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
    assert_eq!(body, json!({ "port": port }));
    let error = TcpStream::connect(("127.0.0.1", port)).expect_err("closed");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}
