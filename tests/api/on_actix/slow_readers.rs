//! A client that does not take what its room says is sent away, and no other waits for it.

use serde_json::json;
use tokio::io::AsyncReadExt as _;

use super::{Door, OnActix, Settings, next_code, open, time};
use crate::{
    chatters::{CHAT_DOORS, ChatDoor, Chatter},
    helpers::{RawClient, text},
    sockets::next_text,
};

/// More than the kernel holds for a client that does not read.
const MOST: usize = 1000;

/// The bytes that the kernel holds for a client, about.
const HELD: usize = 64 * 1024;

/// Nothing but the bound on what waits ends a client that does not read.
fn narrow() -> Settings {
    open().with(|s| {
        s.limits.max_queue_bytes = "64k".parse().expect("a size");
        s.connections.stall_timeout = time("10m");
        s.heartbeat.ping_interval = time("10m");
    })
}

#[actix_web::test]
async fn a_user_who_does_not_read_is_sent_away_with_1013_at_every_door_of_the_chat() {
    let server = OnActix::with(narrow());
    for door in CHAT_DOORS {
        let room = format!("{door:?}");
        let login = |name: &str| json!({"username": name, "room": room});
        let mut ann = Chatter::login(&server, ChatDoor::Plain, login("Ann")).await;
        let mut reader = Chatter::login(&server, door, login("Reader")).await;
        reader.next_named("userList").await;
        reader.hold(HELD);
        let mut said = 0;
        while !ann.has_heard("delUser") {
            ann.ask("sendMessage", &json!({"msg": "x".repeat(50_000)})).await;
            said += 1;
            assert!(said < MOST, "{door:?}: it is never sent away");
        }
        assert_eq!(ann.next_named("delUser").await["username"], "Reader", "{door:?}");
        let code = if door == ChatDoor::Polling { None } else { Some(1013) };
        assert_eq!(reader.until_the_end().await, code, "{door:?}");
    }
}

/// Three members of a room, of which the last does not read: the other two talk until `is_enough`.
async fn talk_past_a_reader(
    server: &OnActix,
    door: Door,
    is_enough: impl AsyncFn() -> bool,
) -> [RawClient; 3] {
    let (mut ann, mut ben) = (door.open(server).await, door.open(server).await);
    let reader = door.open(server).await;
    socket2::SockRef::from(&reader.stream).set_recv_buffer_size(HELD).expect("a buffer");
    let mut said = 0;
    while !is_enough().await {
        for _ in 0..10 {
            ann.send(&text(&door.question(said, 50_000))).await;
            assert!(next_text(&mut ann).await.to_lowercase().starts_with(&door.answer(said)), "{door:?}");
            assert!(next_text(&mut ben).await.len() >= 50_000, "{door:?}");
            said += 1;
        }
        assert!(said < MOST, "{door:?}: it is never sent away");
    }
    [ann, ben, reader]
}

#[actix_web::test]
async fn a_member_that_does_not_read_is_sent_away_with_1013_and_the_others_hear_everything() {
    let server = OnActix::with(narrow());
    for (evicted, door) in [Door::Root, Door::Plain, Door::Relay].into_iter().enumerate() {
        let count = format!("echoroom_evictions_total {}\n", evicted + 1);
        let is_evicted = async || server.get_raw("/metrics", "").await.contains(&count);
        let [ann, ben, mut reader] = talk_past_a_reader(&server, door, is_evicted).await;
        // It reads at last.
        assert_eq!(next_code(&mut reader).await, Some(1013), "{door:?}");
        drop((ann, ben, reader));
        server.until_health_shows(0, 0).await;
    }
}

#[actix_web::test]
async fn a_member_that_takes_nothing_for_the_stall_timeout_loses_its_place_and_its_connection() {
    let server = OnActix::with(narrow().with(|s| s.connections.stall_timeout = time("200ms")));
    for door in [Door::Root, Door::Plain] {
        let is_away = async || server.health().await["sessions"] == 2;
        let [ann, ben, mut reader] = talk_past_a_reader(&server, door, is_away).await;
        let mut rest = Vec::new();
        let end = reader.stream.read_to_end(&mut rest).await;
        assert!(
            end.is_err() || !rest.ends_with(b"\x03\xf5slow consumer"),
            "{door:?}: the connection is broken off"
        );
        drop((ann, ben, reader));
        server.until_health_shows(0, 0).await;
    }
}
