//! The page and the addresses that programs ask.

use serde_json::json;

use super::{DOORS, OnActix, Switch, get, get_json, settings};
use crate::sockets::Poller;

#[actix_web::test]
async fn the_page_its_files_and_the_client_script_are_served() {
    let server = OnActix::start();
    for _ in 0..3 {
        for (path, kind) in
            [("/", "text/html"), ("/main.js", "javascript"), ("/socket.io/socket.io.js", "javascript")]
        {
            let (status, head, body) = get(&server, path).await;
            assert_eq!(status, "200", "{path}");
            assert!(
                head.contains(kind) && head.contains("x-content-type-options: nosniff"),
                "{path}: {head}"
            );
            assert!(!body.is_empty(), "{path}");
        }
    }
    let (_, head, page) = get(&server, "/").await;
    assert!(head.contains("content-security-policy: default-src 'none'"), "{head}");
    assert!(page.contains("<title>"), "{page}");
    for path in ["/nothing", "/../Cargo.toml", "/..%2fCargo.toml"] {
        let (status, _, body) = get(&server, path).await;
        assert!(status == "404" || status == "400", "{path}: {status}");
        assert!(!body.contains("[package]"), "{path}");
    }
}

#[actix_web::test]
async fn limits_are_those_of_the_settings() {
    let settings = settings().with(|s| {
        s.limits.max_message_size = "100".parse().expect("a size");
        s.events.max_image_side = 77.try_into().expect("not zero");
        s.socketio.relay = Switch::Off;
    });
    let limits = get_json(&OnActix::with(settings).clients, "/limits").await;
    assert_eq!(
        (&limits["max_message_size"], &limits["max_image_side"], &limits["relay"]),
        (&json!(100), &json!(77), &json!(false))
    );
    assert_eq!(get_json(&OnActix::start().clients, "/limits").await["relay"], true);
}

#[actix_web::test]
async fn rooms_lists_the_rooms_with_members() {
    let server = OnActix::start();
    let (mut ann, mut ben) = (server.connect("/ws?room=tea").await, server.connect("/?room=tea").await);
    // With their answers they are in.
    ann.expect_quiet().await;
    assert_eq!(ben.next_text().await, "still here?");
    ben.send_binary(b"hi").await;
    assert_eq!(ben.next_binary().await, b"hi");
    let rooms = get_json(&server, "/rooms").await;
    assert_eq!(rooms, json!({"rooms": [{"room": "tea", "sessions": 2, "members": 0}], "more": 0}));
}

#[actix_web::test]
async fn health_counts_the_sessions_of_every_door_and_forgets_those_that_are_gone() {
    let server = OnActix::start();
    for _ in 0..3 {
        let mut clients = Vec::new();
        for door in DOORS {
            clients.push(door.open(&server).await);
        }
        let poller = Poller::connected(&server).await;
        // The lobby of the two plain ones, and the room of the relay's.
        server.until_health_shows(DOORS.len() as u64 + 1, 1).await;
        assert_eq!(server.health().await["status"], "ok");
        // They go without a word.
        drop(clients);
        assert_eq!(poller.post("1").await.status, 200);
        server.until_health_shows(0, 0).await;
    }
}
