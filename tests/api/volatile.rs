//! What is volatile, as `typing`, reaches every reader that keeps up, each time, at every door of the chat; a reader that
//! is behind does without.

use std::time::Duration;

use actix_web::rt;
use serde_json::json;

use crate::{
    chatters::{CHAT_DOORS, CHAT_WEBSOCKETS, ChatDoor, Chatter},
    helpers::{TestServer, settings},
};

/// Types, and waits until the reader hears it. Over polling it may be between two polls, and is told again.
async fn heard_typing(writer: &mut Chatter<'_>, reader: &mut Chatter<'_>, door: ChatDoor, typing: bool) {
    let data = json!({"typing": typing});
    if door != ChatDoor::Polling {
        writer.send("typing", &data).await;
        return assert_eq!(reader.next_named("typing").await["typing"], typing, "{door:?}");
    }
    let keep_typing = async {
        loop {
            writer.send("typing", &data).await;
            rt::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let heard = async { while reader.next_named("typing").await["typing"] != typing {} };
    tokio::select! {
        () = heard => {}
        () = keep_typing => unreachable!("it types on"),
    }
}

#[actix_web::test]
async fn a_reader_that_keeps_up_hears_every_volatile_event_also_behind_a_message() {
    let server = TestServer::start().await;
    let mut ann = Chatter::settled(&server, ChatDoor::Plain, "Ann").await;
    for door in CHAT_DOORS {
        let mut reader = Chatter::settled(&server, door, &format!("{door:?}")).await;
        for _ in 0..3 {
            heard_typing(&mut ann, &mut reader, door, true).await;
            heard_typing(&mut ann, &mut reader, door, false).await;
            ann.ask("sendMessage", &json!({"msg": "hello"})).await;
            reader.next_named("receiveMessage").await;
        }
    }
}

#[actix_web::test]
async fn a_volatile_event_right_behind_much_else_is_no_reason_to_drop_it() {
    let server = TestServer::start().await;
    let mut ann = Chatter::settled(&server, ChatDoor::Plain, "Ann").await;
    for door in CHAT_WEBSOCKETS {
        let mut reader = Chatter::settled(&server, door, &format!("{door:?}")).await;
        for round in 0..3 {
            for _ in 0..3 {
                ann.send("sendMessage", &json!({"msg": "x".repeat(20_000)})).await;
            }
            for typing in [true, false, true] {
                ann.send("typing", &json!({"typing": typing})).await;
            }
            for typing in [true, false, true] {
                assert_eq!(reader.next_named("typing").await["typing"], typing, "{door:?} {round}");
            }
        }
    }
}

#[actix_web::test]
async fn a_reader_that_does_not_read_does_without_what_is_volatile_and_misses_nothing_else() {
    const MESSAGES: usize = 120;
    // Nothing ends a client that does not read for a while, on a machine that may be slow.
    let patient = settings().with(|s| {
        s.limits.max_queue_bytes = "64m".parse().expect("a size");
        s.connections.stall_timeout = "10m".parse().expect("a time");
        s.heartbeat.ping_interval = "10m".parse().expect("a time");
    });
    let server = TestServer::with(patient).await;
    let mut ann = Chatter::settled(&server, ChatDoor::Plain, "Ann").await;
    for door in CHAT_WEBSOCKETS {
        let room = format!("{door:?}");
        ann.ask("joinRoom", &json!({"room": room})).await;
        let login = json!({"username": "Reader", "room": room});
        let mut reader = Chatter::login(&server, door, login).await;
        reader.next_named("userList").await;
        // The kernel takes some of it before the jam shows.
        reader.hold(256 * 1024);
        for number in 0..MESSAGES {
            let msg = format!("{number} {}", "x".repeat(50_000));
            ann.ask("sendMessage", &json!({"msg": msg})).await;
        }
        for _ in 0..3 {
            ann.ask("typing", &json!({"typing": true})).await;
        }
        ann.ask("sendMessage", &json!({"msg": "last"})).await;
        let mut heard = 0;
        loop {
            let value = reader.next().await;
            assert_ne!(value["event"], "typing", "{door:?}");
            heard += usize::from(value["event"] == "receiveMessage");
            if value["data"]["msg"] == "last" {
                break;
            }
        }
        assert_eq!(heard, MESSAGES + 1, "{door:?}");
    }
}
