//! The first ending of a session counts, at every door: whatever comes behind it, its client is told one reason, once.

use futures_util::future::join_all;
use serde_json::json;

use crate::{
    chatters::{CHAT_DOORS, CHAT_WEBSOCKETS, ChatDoor, Chatter},
    damage::{self, BROKEN, spoil},
    doors::{DOORS, Door, next_code},
    helpers::{TestServer, frame, settings, soon, text},
    memory::begun,
    relayers::{Relayer, WAYS},
    sockets::Poller,
};

fn server_settings() -> echoroom::config::Settings {
    settings().with(|s| s.socketio.relay = echoroom::config::Switch::On)
}

/// What a client may send that ends its session, and the code of the close frame that it gets.
fn endings(door: Door) -> Vec<(&'static str, Vec<u8>, Option<u16>)> {
    let mut endings = vec![
        ("a close", frame(0x88, &4001_u16.to_be_bytes()), Some(4001)),
        ("a reserved opcode", frame(0x83, b""), Some(1002)),
        ("a text that is not UTF-8", frame(0x81, b"\xFF"), Some(1007)),
        ("a message over the limit", begun(2 << 20, 0), Some(1009)),
    ];
    if door.is_socketio() {
        endings.push(("the close packet", text("1"), None));
        endings.push(("no packet of Socket.IO", text("4abc"), None));
    }
    endings
}

#[actix_web::test]
async fn of_two_endings_that_a_client_sends_the_first_one_counts_at_every_door() {
    let server = &TestServer::with(server_settings()).await;
    for door in DOORS {
        let pairs = endings(door)
            .into_iter()
            .flat_map(|first| endings(door).into_iter().map(move |second| (first.clone(), second)));
        join_all(pairs.map(|((what, first, code), (then, second, _))| async move {
            let mut raw = door.open(server).await;
            raw.send(&[first, second].concat()).await;
            assert_eq!(next_code(&mut raw).await, code, "{door:?}: {what}, then {then}");
            raw.expect_end().await;
        }))
        .await;
    }
    server.until_health_shows(0, 0).await;
}

#[actix_web::test]
async fn over_polling_the_first_ending_counts_whatever_the_client_posts_behind_it() {
    let server = TestServer::start().await;
    for behind in ["1", "4abc", "9", "421[\"ping\",{}]"] {
        let poller = Poller::connected(&server).await;
        poller.post("421[\"ping\",{}]").await;
        assert_eq!(poller.post("4abc").await.status, 200);
        assert_eq!(poller.post(behind).await.status, 400, "{behind}");
        assert!(poller.poll().await.body.starts_with("431["), "{behind}");
        assert_eq!(poller.poll().await.body, "6\u{1E}1", "{behind}");
        assert_eq!(poller.poll().await.status, 400, "{behind}");
    }
}

#[actix_web::test]
async fn a_close_that_meets_the_stop_of_the_server_is_answered_once_at_every_door() {
    const CLIENTS: usize = 8;
    let server = TestServer::with(server_settings()).await;
    let mut clients = Vec::new();
    for door in DOORS {
        for _ in 0..CLIENTS {
            clients.push((door, door.open(&server).await));
        }
    }
    let stop = soon("the stop", server.handle().stop());
    let closes = join_all(clients.into_iter().map(|(door, mut raw)| async move {
        raw.send(&frame(0x88, &4001_u16.to_be_bytes())).await;
        let code = next_code(&mut raw).await;
        assert!([Some(4001), Some(1012)].contains(&code), "{door:?}: {code:?}");
        raw.expect_end().await;
    }));
    tokio::join!(stop, closes);
}

/// A client that does not read is sent away, and then the server stops: it is told of the first.
#[actix_web::test]
async fn a_slow_consumer_is_told_so_though_the_server_has_stopped_since_at_every_door() {
    let narrow = server_settings().with(|s| {
        s.limits.max_queue_bytes = "64k".parse().expect("a size");
        s.connections.stall_timeout = "10m".parse().expect("a time");
        s.heartbeat.ping_interval = "10m".parse().expect("a time");
        s.operation.shutdown_timeout = "20s".parse().expect("a time");
    });
    for door in CHAT_WEBSOCKETS {
        let server = TestServer::with(narrow.clone()).await;
        let mut ann = Chatter::settled(&server, ChatDoor::Plain, "Ann").await;
        let mut jammed = Chatter::settled(&server, door, "Jammed").await;
        jammed.ask("ping", &json!({})).await;
        jammed.hold(64 * 1024);
        while !ann.has_heard("delUser") {
            ann.ask("sendMessage", &json!({"msg": "x".repeat(50_000)})).await;
        }
        let stop = soon("the stop", server.handle().stop());
        let told = async {
            assert_eq!(ann.until_the_end().await, Some(1012), "{door:?}");
            // Ann was told, so the server has ended all sessions that had not ended before.
            assert_eq!(jammed.until_the_end().await, Some(1013), "{door:?}");
        };
        tokio::join!(stop, told);
    }
}

/// At the relay, a client that comes back takes its place from the one before, which is told nothing else.
#[actix_web::test]
async fn a_client_of_the_relay_whose_place_is_taken_is_closed_once_by_each_transport() {
    let server = TestServer::with(server_settings()).await;
    for way in WAYS {
        let (old, was) = Relayer::in_room(&server, way, "tea", &json!({})).await;
        let auth = json!({"pid": was["pid"], "offset": "0"});
        let mut new = Relayer::connecting(&server, way, &auth).await;
        assert!(new.next_text().await.contains(was["pid"].as_str().expect("a pid")), "{way:?}");
        assert_eq!(old.until_the_end().await, None, "{way:?}");
        new.send(r#"42/relay,1["x"]"#).await;
        assert_eq!(new.next_text().await, "43/relay,1[{}]", "{way:?}");
    }
}

#[actix_web::test]
async fn a_recovery_that_cannot_go_on_without_a_gap_ends_with_1013_at_every_door_of_the_chat() {
    // Some pages, the damage not in the first.
    let (server, folder, epoch) = damage::server(20_000).await;
    spoil(folder.path(), BROKEN, 15);
    for door in CHAT_DOORS {
        let login = json!({"username": format!("{door:?}"), "room": "tea", "epoch": epoch, "offset": 0});
        let mut reader = Chatter::login(&server, door, login).await;
        assert_eq!(reader.welcome["recovered"], true, "{door:?}");
        for offset in 1..15 {
            assert_eq!(reader.next_named("receiveMessage").await["offset"], offset, "{door:?}");
        }
        let code = if door == ChatDoor::Polling { None } else { Some(1013) };
        assert_eq!(reader.until_the_end().await, code, "{door:?}");
    }
}
