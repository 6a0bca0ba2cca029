//! A program that stops ends its sessions first, and tells their clients.

use awc::http::Method;
use serde_json::json;

use super::{DOORS, OnActix, next_code};
use crate::{
    chatters::{CHAT_WEBSOCKETS, ChatDoor, Chatter},
    helpers::soon,
    sockets::{Poller, request},
};

#[actix_web::test]
async fn every_session_is_told_1012_at_every_door() {
    let server = OnActix::start();
    let mut clients = Vec::new();
    for door in DOORS {
        clients.push((door, door.open(&server).await));
    }
    let poller = Poller::connected(&server).await;
    let stop = soon("the end of all sessions", server.node.end_sessions());
    let told = async {
        for (door, raw) in &mut clients {
            assert_eq!(next_code(raw).await, Some(1012), "{door:?}");
        }
    };
    let ((), (), poll) = tokio::join!(stop, told, poller.poll());
    assert!(poll.status == 400 || poll.body.ends_with('1'), "{} {}", poll.status, poll.body);
    for (_, raw) in clients {
        raw.expect_end().await;
    }
    // New ones are refused.
    let head = server.connect_tcp().await.handshake_with("/ws", "").await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert_eq!(request(&server, Method::GET, "EIO=4&transport=polling", "").await.status, 503);
}

#[actix_web::test]
async fn what_was_said_before_the_stop_is_heard_before_1012_at_every_door() {
    let server = OnActix::start();
    let mut ann = Chatter::settled(&server, ChatDoor::Plain, "Ann").await;
    let mut plain = server.connect_raw("/ws?room=tea").await;
    let mut readers = Vec::new();
    for door in CHAT_WEBSOCKETS {
        readers.push((door, Chatter::settled(&server, door, &format!("{door:?}")).await));
    }
    ann.ask("sendMessage", &json!({"msg": "last words"})).await;
    soon("the end of all sessions", server.node.end_sessions()).await;
    assert_eq!(plain.read_frame().await.payload, b"last words");
    assert_eq!(next_code(&mut plain).await, Some(1012));
    for (door, mut reader) in readers {
        assert_eq!(reader.next_named("receiveMessage").await["msg"], "last words", "{door:?}");
        assert_eq!(reader.until_the_end().await, Some(1012), "{door:?}");
    }
}
