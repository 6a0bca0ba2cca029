//! The same bounds on memory at the doors of Socket.IO: messages, attachments, posts, and what a client does not read.

use std::time::Duration;

use echoroom::config::Switch;
use serde_json::json;

use crate::{
    helpers::{RawClient, TestServer, frame, text},
    memory::{begun, close_code, hasty, small},
    sockets::{Poller, connected, joined, next_text, websocket},
};

/// A client of the chat on a WebSocket that has logged in.
async fn logged_in(server: &TestServer, name: &str) -> RawClient {
    let mut raw = connected(server).await;
    raw.send(&text(&format!("42{}", json!(["login", {"username": name, "room": name}])))).await;
    while !next_text(&mut raw).await.contains("loginSuccess") {}
    raw
}

/// An event that announces so many attachments, and the first of them.
fn attachments(announced: usize, sent: usize, len: usize) -> Vec<u8> {
    let event = text(&format!(r#"45{announced}-["shot",{{"_placeholder":true,"num":0}}]"#));
    [event, frame(0x82, &vec![7; len]).repeat(sent)].concat()
}

async fn assert_bystander_is_served(server: &TestServer, name: &str) {
    let mut bystander = logged_in(server, name).await;
    bystander.send(&text(r#"427["sendMessage",{"msg":"hello"}]"#)).await;
    while !next_text(&mut bystander).await.starts_with("437[{") {}
    let poller = Poller::connected(server).await;
    assert_eq!(poller.post(r#"427["ping",{}]"#).await.status, 200);
    assert!(poller.poll().await.body.starts_with("437["));
}

/// How many of these sessions have been ended for want of memory.
async fn count_refused(greedy: Vec<RawClient>) -> usize {
    let mut refused = 0;
    for mut raw in greedy {
        // It may end for another reason: what is whole now is not an event.
        let frame = loop {
            let frame = raw.read_frame().await;
            if frame.first == 0x88 {
                break frame;
            }
        };
        refused += usize::from(frame.payload.starts_with(&1013_u16.to_be_bytes()));
    }
    refused
}

#[actix_web::test]
async fn unfinished_messages_and_attachments_have_the_bound_of_all_clients() {
    let server = TestServer::with(small()).await;
    // The last piece of each is no event, so that a session which was not refused ends, too.
    let beginnings = [(begun(900_000, 899_999), vec![b'x']), (attachments(10, 9, 90_000), text("nonsense"))];
    for (number, (beginning, last)) in beginnings.into_iter().enumerate() {
        let mut greedy = Vec::new();
        for _ in 0..8 {
            let mut raw = connected(&server).await;
            raw.send(&beginning).await;
            greedy.push(raw);
        }
        assert_bystander_is_served(&server, &format!("Ann{number}")).await;
        for raw in &mut greedy {
            raw.send(&last).await;
        }
        let refused = count_refused(greedy).await;
        assert!((4..=7).contains(&refused), "{refused} of 8");
        let mut later = connected(&server).await;
        later.send(&attachments(1, 1, 900_000)).await;
        later.send(&text(r#"427["ping",{}]"#)).await;
        while !next_text(&mut later).await.starts_with("437[") {}
    }
}

#[actix_web::test]
async fn posts_under_way_have_the_bound_of_all_clients_and_one_too_many_gets_503() {
    let server = TestServer::with(small()).await;
    let mut posts = Vec::new();
    for _ in 0..8 {
        let poller = Poller::connected(&server).await;
        let mut raw = server.connect_tcp().await;
        let head = format!(
            "POST /socket.io/?{} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: 900000\r\n\r\n",
            poller.query(),
            server.address
        );
        raw.send(head.as_bytes()).await;
        raw.send(&[b'x'; 899_999]).await;
        posts.push(raw);
    }
    assert_bystander_is_served(&server, "Ann").await;
    let mut refused = 0;
    for mut raw in posts {
        raw.send(b"x").await;
        let head = raw.read_head().await;
        refused += usize::from(head.starts_with("HTTP/1.1 503 ") && head.contains("retry-after: "));
    }
    assert!((3..=7).contains(&refused), "{refused} of 8");
    assert_bystander_is_served(&server, "Ben").await;
}

#[actix_web::test]
async fn what_waits_for_clients_that_do_not_read_has_the_bound_of_all_clients() {
    let relay = Switch::On;
    let server = TestServer::with(small().with(|s| {
        s.socketio.relay = relay;
        s.limits.max_queue_bytes = "8m".parse().expect("a size");
    }))
    .await;
    // Each event of the speaker waits for both, and they are charged once for all.
    let mut lazy = Vec::new();
    for _ in 0..2 {
        let (mut raw, _) = joined(&server, "/relay", "").await;
        raw.send(&text(r#"42/relay,0["join","tea"]"#)).await;
        next_text(&mut raw).await;
        lazy.push(raw);
    }
    let poller = Poller::open(&server).await;
    poller.post("40/relay,").await;
    poller.poll().await;
    poller.post(r#"42/relay,0["join","tea"]"#).await;
    poller.poll().await;

    let (mut speaker, _) = joined(&server, "/relay", "").await;
    speaker.send(&text(r#"42/relay,0["join","tea"]"#)).await;
    next_text(&mut speaker).await;
    for number in 0..60 {
        speaker.send(&text(&format!(r#"42/relay,{number}["say","{}"]"#, "x".repeat(200_000)))).await;
        assert!(next_text(&mut speaker).await.starts_with(&format!("43/relay,{number}[")));
    }
    for mut raw in lazy {
        assert_eq!(close_code(&mut raw).await, 1013);
    }
    assert_eq!(poller.poll().await.status, 400, "its session has ended");
    assert_bystander_is_served(&server, "Ann").await;
}

#[actix_web::test]
async fn what_has_begun_and_does_not_go_on_ends_its_session() {
    let server = TestServer::with(hasty()).await;
    let beginnings =
        [begun(60_000, 10), vec![0x81], frame(0x01, b"2"), attachments(2, 1, 10), attachments(1, 0, 0)];
    for (number, beginning) in beginnings.into_iter().enumerate() {
        let mut raw = logged_in(&server, &format!("Ann{number}")).await;
        raw.send(&beginning).await;
        assert_eq!(close_code(&mut raw).await, 1008, "{beginning:.40?}");
        server.until_health_shows(0, 0).await;
    }
    // Nor do pongs help, nor a piece now and then.
    let mut raw = logged_in(&server, "Ann").await;
    raw.send(&attachments(10, 0, 0)).await;
    let trickle = async {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if tokio::io::AsyncWriteExt::write_all(&mut raw.stream, &frame(0x8A, b"")).await.is_err() {
                return;
            }
        }
    };
    crate::helpers::soon("the end of the session", trickle).await;
}

#[actix_web::test]
async fn who_has_not_joined_and_logged_in_may_send_64_kib_at_most() {
    let server = TestServer::start().await;
    let (mut raw, _) = websocket(&server).await;
    raw.send(&begun(65_537, 0)).await;
    assert_eq!(close_code(&mut raw).await, 1009, "before CONNECT");
    let mut raw = connected(&server).await;
    raw.send(&begun(65_537, 0)).await;
    assert_eq!(close_code(&mut raw).await, 1009, "before login");
    let mut raw = connected(&server).await;
    raw.send(&attachments(3, 2, 40_000)).await;
    assert_eq!(close_code(&mut raw).await, 1009, "in attachments");
    let mut raw = logged_in(&server, "Ann").await;
    raw.send(&text(&format!("427{}", json!(["sendMessage", {"msg": "x".repeat(100_000)}])))).await;
    while !next_text(&mut raw).await.contains("too_large") {}
    // What follows a login in the same breath is said by who logs in.
    let mut raw = connected(&server).await;
    let login = text(&format!("42{}", json!(["login", {"username": "Ben", "room": "tea"}])));
    let large = text(&format!("427{}", json!(["sendMessage", {"msg": "x".repeat(100_000)}])));
    raw.send(&[login, large].concat()).await;
    while !next_text(&mut raw).await.contains("too_large") {}

    let poller = Poller::connected(&server).await;
    assert_eq!(poller.post(&format!("42{}", "x".repeat(70_000))).await.status, 413);
    assert_eq!(poller.post(r#"42["login",{"username":"Cleo","room":"tea"}]"#).await.status, 200);
    let mut heard = String::new();
    while !heard.contains("loginSuccess") {
        heard = poller.poll().await.body;
    }
    let large = format!("427{}", json!(["sendMessage", {"msg": "x".repeat(100_000)}]));
    assert_eq!(poller.post(&large).await.status, 200);
    while !heard.contains("too_large") {
        heard = poller.poll().await.body;
    }
}
