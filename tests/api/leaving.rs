//! Whose name is held: a client that is lost is expected back; one that leaves, and knows of no token, is not kept out by
//! its own name.

use serde_json::{Value, json};

use crate::{
    helpers::{RawClient, TestServer, frame, settings, text},
    people::Person,
    sockets::{Poller, connected, next_text},
};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn login(token: Option<&str>) -> Value {
    match token {
        Some(token) => json!({"username": "Ann", "room": "tea", "token": token}),
        None => json!({"username": "Ann", "room": "tea"}),
    }
}

/// A client at `/chat` that has logged in.
async fn at_chat(server: &TestServer, token: Option<&str>) -> RawClient {
    let mut raw = server.connect_raw("/chat").await;
    raw.send(&text(&json!({"event": "login", "data": login(token)}).to_string())).await;
    while !next_text(&mut raw).await.contains("userList") {}
    raw
}

/// A client of Socket.IO over a WebSocket that has logged in.
async fn by_websocket(server: &TestServer, token: Option<&str>) -> RawClient {
    let mut raw = connected(server).await;
    raw.send(&text(&format!("42{}", json!(["login", login(token)])))).await;
    while !next_text(&mut raw).await.contains("userList") {}
    raw
}

/// Whether another client, or the client itself without its token, may be called Ann now.
async fn is_free(server: &TestServer) -> bool {
    let mut stranger = Person::stranger(server).await;
    let answer = stranger.ask("login", login(None)).await;
    assert!(answer["data"].is_object() || answer["error"]["code"] == "name_taken", "{answer}");
    let is_free = answer["data"].is_object();
    if is_free {
        stranger.ask("logout", json!({})).await;
    }
    is_free
}

/// Reads to the end of the connection: the server has seen what was sent.
async fn until_closed(mut raw: RawClient) {
    while raw.read_frame().await.first != 0x88 {}
    raw.expect_end().await;
}

fn close_frame(code: Option<u16>) -> Vec<u8> {
    frame(0x88, &code.map_or(Vec::new(), |code| code.to_be_bytes().to_vec()))
}

const CLOSES: [Option<u16>; 4] = [Some(1000), Some(1001), Some(4001), None];

#[actix_web::test]
async fn a_client_that_closes_may_come_back_at_once_without_a_token() {
    let server = TestServer::start().await;
    for code in CLOSES {
        for token in [None, Some(TOKEN)] {
            let mut raw = at_chat(&server, token).await;
            raw.send(&close_frame(code)).await;
            until_closed(raw).await;
            assert_eq!(is_free(&server).await, token.is_none(), "{code:?} {token:?}");
            // Its bearer may always.
            at_chat(&server, Some(TOKEN)).await.send(&text(r#"{"event":"logout"}"#)).await;
            while !is_free(&server).await {}
        }
    }
}

#[actix_web::test]
async fn so_may_a_client_of_socketio_that_closes_by_a_frame_or_a_packet() {
    let server = TestServer::start().await;
    let closes = CLOSES.map(close_frame).into_iter().chain([text("1")]);
    for close in closes {
        for token in [None, Some(TOKEN)] {
            let mut raw = by_websocket(&server, token).await;
            raw.send(&close).await;
            until_closed(raw).await;
            assert_eq!(is_free(&server).await, token.is_none(), "{close:?} {token:?}");
            at_chat(&server, Some(TOKEN)).await.send(&text(r#"{"event":"logout"}"#)).await;
            while !is_free(&server).await {}
        }
    }
    let poller = Poller::connected(&server).await;
    poller.post(&format!("42{}", json!(["login", login(None)]))).await;
    while !poller.poll().await.body.contains("userList") {}
    assert_eq!(poller.post("1").await.status, 200);
    assert!(is_free(&server).await);
}

#[actix_web::test]
async fn a_client_that_was_lost_is_expected_back() {
    let server = TestServer::start().await;
    let mut watcher = Person::settled(&server, "Watcher").await;
    let raw = at_chat(&server, None).await;
    drop(raw);
    assert_eq!(watcher.next_named("delUser").await["username"], "Ann");
    assert!(!is_free(&server).await);
}

#[actix_web::test]
async fn a_client_that_was_sent_away_for_a_message_too_large_may_come_back_at_once() {
    let server =
        TestServer::with(settings().with(|s| s.events.max_payload = "2k".parse().expect("a size"))).await;
    let large = text(&"x".repeat(4000));
    let mut raw = at_chat(&server, None).await;
    raw.send(&large).await;
    until_closed(raw).await;
    assert!(is_free(&server).await);
    let mut raw = by_websocket(&server, None).await;
    raw.send(&large).await;
    while raw.read_frame().await.first != 0x88 {}
    assert!(is_free(&server).await);
}

/// Leaves the main namespace and comes back.
async fn out_and_in(raw: &mut RawClient) {
    raw.send(&text("41")).await;
    raw.send(&text("40")).await;
    while !next_text(raw).await.starts_with("40") {}
}

#[actix_web::test]
async fn a_socket_that_leaves_its_namespace_may_come_back_at_once_without_a_token() {
    let server = TestServer::start().await;
    for token in [None, Some(TOKEN)] {
        let mut raw = by_websocket(&server, token).await;
        out_and_in(&mut raw).await;
        assert_eq!(is_free(&server).await, token.is_none(), "{token:?}");
        raw.send(&text(&format!("421{}", json!(["login", login(None)])))).await;
        let answer = loop {
            let next = next_text(&mut raw).await;
            if next.starts_with("431") {
                break next;
            }
        };
        assert_eq!(answer.contains("name_taken"), token.is_some(), "{answer}");
        out_and_in(&mut raw).await;
    }
}

#[actix_web::test]
async fn a_client_of_socketio_that_was_lost_is_expected_back() {
    let server = TestServer::start().await;
    let mut watcher = Person::settled(&server, "Watcher").await;
    let raw = by_websocket(&server, None).await;
    drop(raw);
    assert_eq!(watcher.next_named("delUser").await["username"], "Ann");
    assert!(!is_free(&server).await);
}
