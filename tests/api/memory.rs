//! What clients make the server hold is bounded for all of them together, and a message that has begun must go on.

use std::time::Duration;

use echoroom::config::Settings;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::{
    helpers::{RawClient, TestServer, frame, settings, soon},
    metrics::value,
    people::{PIXEL, Person},
};

/// The header of a message of so many bytes and the first of them.
pub fn begun(len: u64, arrived: usize) -> Vec<u8> {
    let mut bytes = vec![0x82, 0xFF];
    bytes.extend(len.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.resize(bytes.len() + arrived, b'x');
    bytes
}

/// The code of the close frame that comes next, whatever is before it, or nothing if the connection ends without one.
pub async fn close_code(raw: &mut RawClient) -> u16 {
    loop {
        let frame = raw.read_frame().await;
        if frame.first == 0x88 {
            return u16::from_be_bytes(*frame.payload.first_chunk().expect("a code"));
        }
    }
}

/// Four megabytes for all clients, and messages of a megabyte at all doors.
pub fn small() -> Settings {
    settings().with(|s| {
        s.limits.max_memory = Some("4m".parse().expect("a size"));
        s.limits.max_message_size = "1m".parse().expect("a size");
        s.limits.max_login_size = "1m".parse().expect("a size");
    })
}

#[actix_web::test]
async fn unfinished_messages_have_one_bound_and_who_needs_no_more_than_a_usual_message_is_served() {
    let server = TestServer::with(small()).await;
    for (path, name) in [("/ws", "Ann"), ("/echo", "Ben"), ("/chat", "Cleo")] {
        // More than a message has until its header is checked: the bound is what has arrived.
        let mut greedy = Vec::new();
        for _ in 0..8 {
            let mut raw = server.connect_raw(path).await;
            raw.send(&begun(900_000, 899_999)).await;
            greedy.push(raw);
        }
        let mut bystander = server.connect("/ws?room=tea").await;
        bystander.expect_quiet().await;
        let mut ann = Person::named(&server, name).await;
        ann.say("Good morning").await;
        let sent = ann.ask("sendImage", json!({"img": PIXEL})).await;
        assert!(sent["error"].is_null(), "{sent}");

        let mut refused = 0;
        for raw in &mut greedy {
            raw.send(b"x").await;
        }
        for mut raw in greedy {
            // Either its message was whole now, or the session has ended before.
            let answer = raw.read_frame().await;
            refused +=
                usize::from(answer.first == 0x88 && answer.payload.starts_with(&1013_u16.to_be_bytes()));
        }
        assert!((4..=7).contains(&refused), "{refused} of 8 at {path}");
        drop((bystander, ann));
        server.until_health_shows(0, 0).await;
        let mut later = server.connect("/echo").await;
        later.send_binary(&vec![7; 900_000]).await;
        assert_eq!(later.next_binary().await.len(), 900_000, "all has been given back");
    }
}

#[actix_web::test]
async fn what_waits_for_slow_readers_has_the_same_bound() {
    let server =
        TestServer::with(small().with(|s| s.limits.max_queue_bytes = "8m".parse().expect("a size"))).await;
    let mut lazy = server.connect_raw("/echo").await;
    let message = frame(0x82, &vec![7; 1 << 20]);
    let mut bystander = server.connect("/ws").await;
    for _ in 0..20 {
        // The server goes on reading for a moment when it has ended the session.
        let _ = soon("bytes to be sent", lazy.stream.write_all(&message)).await;
    }
    bystander.expect_quiet().await;
    // What was sent behind the end may have reset the connection: the close frame need not arrive.
    drop(lazy);
    server.until_health_shows(1, 1).await;
    assert_eq!(value(&server, "echoroom_closes_total{code=\"1013\"}").await, 1.0);
    bystander.close().await;
    server.until_health_shows(0, 0).await;
}

/// Half a second for a message that comes slowly.
pub fn hasty() -> Settings {
    settings().with(|s| s.rates.upload_patience = "300ms".parse().expect("a time"))
}

#[actix_web::test]
async fn a_message_that_has_begun_and_does_not_go_on_ends_its_session() {
    let server = TestServer::with(hasty()).await;
    for path in ["/ws", "/echo", "/chat"] {
        for beginning in
            [begun(60_000, 10), begun(60_000, 0), vec![0x82], frame(0x02, b"a part"), frame(0x01, b"")]
        {
            let mut raw = server.connect_raw(path).await;
            raw.send(&beginning).await;
            assert_eq!(close_code(&mut raw).await, 1008, "{path} {beginning:.20?}");
        }
    }
}

#[actix_web::test]
async fn a_byte_now_and_then_and_pongs_between_fragments_keep_no_message_alive() {
    let server = TestServer::with(hasty()).await;
    for drop_of_it in [b"x".to_vec(), frame(0x8A, b"")] {
        let mut raw = server.connect_raw("/ws").await;
        let is_pong = drop_of_it.len() > 1;
        raw.send(&if is_pong { frame(0x02, b"a part") } else { begun(60_000, 10) }).await;
        let trickle = async {
            while raw.stream.write_all(&drop_of_it).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        soon("the end of the session", trickle).await;
    }
}

#[actix_web::test]
async fn a_message_that_comes_at_a_fair_rate_is_waited_for() {
    let server = TestServer::with(hasty()).await;
    let mut raw = server.connect_raw("/echo").await;
    raw.send(&begun(20_000, 0)).await;
    // A second's worth of bytes each time, for twice the patience.
    for _ in 0..20 {
        raw.send(&[b'x'; 1000]).await;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert_eq!(raw.read_frame().await.payload.len(), 20_000);
    // Without a limit, any pause is one.
    let server = TestServer::with(hasty().with(|s| s.rates.min_upload_rate = 0)).await;
    let mut raw = server.connect_raw("/echo").await;
    raw.send(&begun(4, 3)).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    raw.send(b"x").await;
    assert_eq!(raw.read_frame().await.payload, b"xxxx");
}

#[actix_web::test]
async fn who_has_not_logged_in_may_send_64_kib_at_most() {
    let server = TestServer::start().await;
    let mut raw = server.connect_raw("/chat").await;
    raw.send(&begun(65_537, 0)).await;
    assert_eq!(close_code(&mut raw).await, 1009);
    let mut raw = server.connect_raw("/chat").await;
    raw.send(&frame(0x02, &[b'x'; 40_000])).await;
    raw.send(&frame(0x80, &[b'x'; 40_000])[..20]).await;
    assert_eq!(close_code(&mut raw).await, 1009);
    // Who has may send more, in the same breath.
    let mut ann = Person::stranger(&server).await;
    ann.send("login", json!({"username": "Ann", "room": "tea"})).await;
    let too_large = ann.ask("sendMessage", json!({"msg": "x".repeat(100_000)})).await;
    assert_eq!(too_large["error"]["code"], "too_large", "the session goes on");
    ann.ask("logout", json!({})).await;
    let not_now = ann.ask("sendMessage", json!({"msg": "x".repeat(100_000)})).await;
    assert_eq!(not_now["error"]["code"], "not_logged_in", "it has been somebody");
}

#[actix_web::test]
async fn health_says_full_as_soon_as_one_more_client_is_refused_for_memory() {
    let server = TestServer::with(small()).await;
    assert_eq!(server.health().await["status"], "ok");
    // Three megabytes are for what is unfinished: no room is left for one more of the largest messages.
    let mut greedy = Vec::new();
    for _ in 0..3 {
        let mut raw = server.connect_raw("/echo").await;
        raw.send(&begun(1_000_000, 999_999)).await;
        greedy.push(raw);
    }
    let full = async {
        loop {
            let health = server.health().await;
            if health["status"] == "full" {
                break health;
            }
        }
    };
    let health = soon("the bytes arrive", full).await;
    assert_eq!(health["full"], json!(["memory"]), "{health}");
    let memory = &health["usage"]["memory"];
    assert_eq!(memory["bound"], 3 << 20, "{health}");
    assert!(memory["used"].as_u64() <= Some(3 << 20), "{health}");
    drop(greedy);
    soon("they are gone", async { while server.health().await["status"] != "ok" {} }).await;
}
