//! What a client has sent before it goes is done in order, whatever it sent before, however it goes, at every door of the
//! chat: a message goes to the room it was meant for.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::{
    helpers::{TestServer, frame, text},
    people::{Person, texts},
    sockets::{Poller, websocket},
};

static NAMES: AtomicUsize = AtomicUsize::new(0);

/// How a client goes.
#[derive(Clone, Copy, Debug)]
enum Way {
    ChatClose,
    ChatFin,
    ChatReset,
    SocketIoClose,
    SocketIoFin,
    SocketIoReset,
    /// These packets are the last of a WebSocket, or of a post.
    WebSocket(&'static str),
    Polling(&'static str),
}

const WAYS: [Way; 10] = [
    Way::ChatClose,
    Way::ChatFin,
    Way::ChatReset,
    Way::SocketIoClose,
    Way::SocketIoFin,
    Way::SocketIoReset,
    Way::WebSocket("41"),
    Way::WebSocket("1"),
    Way::Polling("41"),
    Way::Polling("1"),
];

/// A login under a name of its own: that of a client that was lost is held.
fn login(name: &str, room: &str) -> (&'static str, Value) {
    let name = format!("{name} {}", NAMES.fetch_add(1, Ordering::Relaxed));
    ("login", json!({"username": name, "room": room}))
}

fn say(msg: &str) -> (&'static str, Value) {
    ("sendMessage", json!({"msg": msg}))
}

/// Sends events in one burst and goes.
async fn send_and_go(server: &TestServer, way: Way, events: &[(&'static str, Value)]) {
    let packets = || {
        let packets = events.iter().map(|(event, data)| format!("42{}", json!([event, data])));
        ["40".to_owned()].into_iter().chain(packets)
    };
    if let Way::Polling(last) = way {
        let poller = Poller::open(server).await;
        let packets: Vec<_> = packets().chain([last.to_owned()]).collect();
        assert_eq!(poller.post(&packets.join("\u{1E}")).await.status, 200);
        if last == "41" {
            // The session is still there, without its socket.
            poller.post("1").await;
        }
        return;
    }
    let is_chat = matches!(way, Way::ChatClose | Way::ChatFin | Way::ChatReset);
    let mut burst = Vec::new();
    if is_chat {
        let texts = events.iter().map(|(event, data)| json!({"event": event, "data": data}).to_string());
        texts.for_each(|packet| burst.extend(text(&packet)));
    } else {
        packets().for_each(|packet| burst.extend(text(&packet)));
    }
    match way {
        Way::ChatClose | Way::SocketIoClose => burst.extend(frame(0x88, &1000_u16.to_be_bytes())),
        Way::WebSocket(last) => burst.extend(text(last)),
        _ => {}
    }
    let mut raw = if is_chat { server.connect_raw("/chat").await } else { websocket(server).await.0 };
    raw.send(&burst).await;
    if matches!(way, Way::ChatReset | Way::SocketIoReset) {
        raw.reset();
    }
}

/// Waits until the history of a room is this.
async fn expect_kept(server: &TestServer, room: &str, expected: &[&str], what: &str) {
    server.until_health_shows(0, 0).await;
    let mut reader = Person::stranger(server).await;
    let (event, data) = login("reader", room);
    let answer = reader.ask(event, data).await;
    assert_eq!(answer["data"]["room"], room, "{answer}");
    let page = reader.ask("history", json!({"limit": 50})).await;
    assert_eq!(texts(page["data"]["messages"].as_array().expect("a page")), expected, "{what} {room}");
    drop(reader);
    server.until_health_shows(0, 0).await;
}

#[actix_web::test]
async fn what_was_sent_before_the_end_is_done_in_order() {
    let server = TestServer::start().await;
    for (number, way) in WAYS.into_iter().enumerate() {
        for round in 0..3 {
            let room = |name: &str| format!("{name} {number} {round}");
            let (old, new) = (room("old"), room("new"));
            let join = ("joinRoom", json!({"room": new}));
            let what = format!("{way:?}");

            send_and_go(&server, way, &[login("ann", &old), join.clone(), say("in new")]).await;
            expect_kept(&server, &new, &["in new"], &what).await;
            expect_kept(&server, &old, &[], &what).await;

            let both = [login("ann", &old), say("one"), join.clone(), say("two"), say("three")];
            send_and_go(&server, way, &both).await;
            expect_kept(&server, &old, &["one"], &what).await;
            expect_kept(&server, &new, &["in new", "two", "three"], &what).await;

            let (third, fourth) = (room("third"), room("fourth"));
            let again = [login("ann", &third), login("ben", &fourth), say("as ben")];
            send_and_go(&server, way, &again).await;
            expect_kept(&server, &fourth, &["as ben"], &what).await;

            let out = ("logout", json!({}));
            let again =
                [login("ann", &third), say("one"), out, say("lost"), login("ben", &fourth), say("two")];
            send_and_go(&server, way, &again).await;
            expect_kept(&server, &third, &["one"], &what).await;
            expect_kept(&server, &fourth, &["as ben", "two"], &what).await;
        }
    }
}
