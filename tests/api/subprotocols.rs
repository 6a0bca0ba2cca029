//! A client that offers subprotocols is answered with the first one, at every WebSocket door; browsers fail a handshake
//! whose offer is not answered. `/chat` speaks one of its own (`chat.rs`).

use crate::{helpers::TestServer, sockets::Poller};

/// Doors that speak no subprotocol of their own.
const DOORS: [&str; 8] = [
    "/",
    "/ws",
    "/ws/",
    "/echo",
    "/socket.io/?EIO=4&transport=websocket",
    "/lesson/news",
    "/lesson/slow",
    "/lesson/break/masked",
];

async fn head(server: &TestServer, door: &str, lists: &[&str]) -> String {
    let headers: String = lists.iter().map(|list| format!("Sec-WebSocket-Protocol: {list}\r\n")).collect();
    server.connect_tcp().await.handshake_with(door, &headers).await
}

fn chosen(head: &str) -> Option<&str> {
    head.lines().find_map(|line| line.strip_prefix("sec-websocket-protocol: "))
}

#[actix_web::test]
async fn the_first_subprotocol_that_is_offered_is_answered_at_every_door() {
    let server = TestServer::start().await;
    for door in DOORS {
        for (lists, first) in [
            (&["my-app"][..], Some("my-app")),
            (&["My.App, b"], Some("My.App")),
            (&["b ,a", "c"], Some("b")),
            (&[], None),
        ] {
            let head = head(&server, door, lists).await;
            assert!(head.starts_with("HTTP/1.1 101 "), "{door} {lists:?}: {head}");
            assert_eq!(chosen(&head), first, "{door} {lists:?}: {head}");
            assert!(head.matches("sec-websocket-protocol").count() <= 1, "{head}");
        }
    }
}

#[actix_web::test]
async fn a_list_of_subprotocols_that_is_none_is_refused_at_every_door() {
    let server = TestServer::start().await;
    let bad: [&[&str]; 7] = [&[""], &["a,"], &["a,,b"], &["two words"], &["a, a"], &["a", "a"], &["a/b"]];
    for door in DOORS.into_iter().chain(["/chat"]) {
        for lists in bad {
            let head = head(&server, door, lists).await;
            assert!(head.starts_with("HTTP/1.1 400 "), "{door} {lists:?}: {head}");
        }
    }
}

#[actix_web::test]
async fn an_upgrade_from_polling_is_answered_with_the_first_one_too() {
    let server = TestServer::start().await;
    let poller = Poller::connected(&server).await;
    let door = format!("/socket.io/?EIO=4&transport=websocket&sid={}", poller.sid);
    assert_eq!(chosen(&head(&server, &door, &["my-app, other"]).await), Some("my-app"));
}

#[actix_web::test]
async fn the_door_of_the_chat_chooses_its_own_and_no_other() {
    let server = TestServer::start().await;
    for (lists, choice) in
        [(&["other, chat.v1"][..], Some("chat.v1")), (&["a", "chat.v1"], Some("chat.v1")), (&[], None)]
    {
        let head = head(&server, "/chat", lists).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{lists:?}: {head}");
        assert_eq!(chosen(&head), choice, "{lists:?}");
    }
    for lists in [&["soap"][..], &["CHAT.V1"]] {
        assert!(head(&server, "/chat", lists).await.starts_with("HTTP/1.1 400 "), "{lists:?}");
    }
}
