//! A request that cannot become a session gets the right HTTP status and a sentence that says why.

use std::sync::Arc;

use actix_web::{App, test};
use echoroom::app::{Node, embed};

use crate::helpers::{TestServer, settings};

/// Sends a handshake with `change` made to it; gives back the whole answer.
async fn answer(server: &TestServer, path: &str, change: impl FnOnce(String) -> String) -> String {
    use tokio::io::AsyncReadExt as _;
    let mut raw = server.connect_tcp().await;
    let request = change(raw.upgrade_request(path)).replacen("\r\n\r\n", "\r\nX-Last: 1\r\n\r\n", 1);
    raw.send(request.as_bytes()).await;
    let mut answer = String::new();
    crate::helpers::soon("an answer and the end", raw.stream.read_to_string(&mut answer))
        .await
        .expect("UTF-8");
    answer
}

fn assert_refused(answer: &str, status: u16, sentence: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").expect("head and body");
    assert!(body.contains(sentence) && body.ends_with(".\n"), "{answer}");
}

#[actix_web::test]
async fn a_handshake_with_something_missing_or_wrong_is_told_what() {
    let server = TestServer::start().await;
    let without = |line: &'static str| move |request: String| request.replace(&format!("{line}\r\n"), "");
    let with = |old: &'static str, new: &'static str| move |request: String| request.replace(old, new);
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    assert_refused(&answer(&server, "/ws", without(key)).await, 400, "Sec-WebSocket-Key");
    assert_refused(&answer(&server, "/ws", with("dGhl", "dGhl!")).await, 400, "16 bytes in base64");
    assert_refused(&answer(&server, "/", without("Sec-WebSocket-Version: 13")).await, 400, "Version: 13");
    let other_version = answer(&server, "/echo", with("Version: 13", "Version: 8")).await;
    assert_refused(&other_version, 426, "Sec-WebSocket-Version: 13 only");
    assert!(other_version.to_ascii_lowercase().contains("sec-websocket-version: 13\r\n"), "{other_version}");
    let no_upgrade = answer(&server, "/ws", without("Upgrade: websocket")).await;
    assert_refused(&no_upgrade, 426, "Upgrade: websocket");
    assert_refused(
        &answer(&server, "/ws", with("Connection: Upgrade", "Connection: close")).await,
        400,
        "Connection: Upgrade",
    );
}

#[actix_web::test]
async fn a_bad_room_name_is_told_what_is_wrong_with_it() {
    let server = TestServer::start().await;
    let same = |request: String| request;
    assert_refused(&answer(&server, "/ws?room=", same).await, 400, "at least 1 character");
    assert_refused(&answer(&server, "/?room=a%E2%80%AEb", same).await, 400, "U+202E");
    let long = format!("/ws?room={}", "x".repeat(65));
    assert_refused(&answer(&server, &long, same).await, 400, "at most 64 characters");
    assert_refused(&answer(&server, "/ws?room=a&room=b", same).await, 400, "duplicate field");
}

#[actix_web::test]
async fn a_page_of_another_site_is_refused_and_told_the_setting() {
    let ours = settings().with(|s| s.origins.host = vec!["chat.example".parse().expect("a host")]);
    let server = TestServer::with(ours).await;
    let from = |origin: &str| {
        let line = format!("Host: chat.example:3000\r\nOrigin: {origin}\r\n");
        move |request: String| {
            let (head, tail) = request.split_once("\r\nUpgrade").expect("our request");
            let first = head.split_once("\r\n").expect("our request").0;
            format!("{first}\r\n{line}Upgrade{tail}")
        }
    };
    for path in ["/", "/ws", "/echo"] {
        let refused = answer(&server, path, from("https://evil.example")).await;
        assert_refused(&refused, 403, "--allow-origin (ECHOROOM_ALLOW_ORIGIN)");
        assert_refused(&answer(&server, path, from("null")).await, 403, "\"null\"");
    }
}

#[actix_web::test]
async fn pages_of_this_machine_and_allowed_ones_come_in() {
    let allowing =
        settings().with(|s| s.origins.allow_origin = vec!["https://app.example".parse().expect("an origin")]);
    let server = TestServer::with(allowing).await;
    for origin in ["null", "http://localhost:5500", "https://app.example"] {
        let mut raw = server.connect_tcp().await;
        let request =
            raw.upgrade_request("/ws").replace("Upgrade: w", &format!("Origin: {origin}\r\nUpgrade: w"));
        raw.send(request.as_bytes()).await;
        let head = raw.read_head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{origin}: {head}");
        assert!(
            head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            "the accept key of RFC 6455's example: {head}"
        );
    }
}

#[actix_web::test]
async fn other_methods_are_told_what_is_allowed() {
    let server = TestServer::start().await;
    let posted = answer(&server, "/ws", |request| request.replace("GET", "POST")).await;
    assert!(posted.starts_with("HTTP/1.1 405 "), "{posted}");
    assert!(posted.contains("allow: GET\r\n"), "{posted}");
}

/// The same routes under actix's own test tools.
#[actix_web::test]
async fn the_routes_answer_on_actix_own_test_server_too() {
    let node = Arc::new(Node::new(settings()).expect("a journal"));
    let for_server = Arc::clone(&node);
    let server = actix_test::start(move || {
        let node = Arc::clone(&for_server);
        App::new().configure(move |cfg| embed::configure(cfg, node.start_worker()))
    });
    let (response, _framed) = awc::Client::new().ws(server.url("/ws")).connect().await.expect("a session");
    assert_eq!(response.status(), 101);
    let refused = awc::Client::new().get(server.url("/ws")).send().await.expect("an answer");
    assert_eq!(refused.status(), 426);

    let app =
        test::init_service(App::new().configure(|cfg| embed::configure(cfg, node.start_worker()))).await;
    for (path, status) in [("/", 200), ("/ws", 426), ("/echo", 426), ("/health", 200), ("/nothing", 404)] {
        let response = test::call_service(&app, test::TestRequest::get().uri(path).to_request()).await;
        assert_eq!(response.status(), status, "{path}");
    }
}
