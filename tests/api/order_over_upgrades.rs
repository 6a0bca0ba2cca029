//! A session of Socket.IO that goes from polling to a WebSocket while its room talks misses nothing, hears nothing twice,
//! and keeps the order, in both directions.

use std::cell::Cell;

use echoroom::config::{Settings, Switch};
use serde_json::{Value, json};

use crate::{
    chatters::{ChatDoor, Chatter},
    helpers::{TestServer, settings, text},
    relayers::{Relayer, Way},
    sockets::{Poller, next_text},
};

/// How many sessions upgrade, each at another moment of what is said.
const UPGRADES: usize = 3;

/// What a reader hears before it upgrades, and in all; the rest of it comes while it upgrades and behind that.
const BEFORE: usize = 20;
const HEARD: usize = 240;

/// What is said between the last poll and the upgrade: 7 MB wait for the WebSocket then, more than the kernel takes.
const BETWEEN: u64 = 140;
const BYTES: usize = 50_000;

/// What is said behind the upgrade before its reader reads on.
const BEHIND: u64 = 10;

fn roomy() -> Settings {
    settings().with(|s| {
        s.limits.max_queue_bytes = "96m".parse().expect("a size");
        s.socketio.relay = Switch::On;
    })
}

/// The packets of a poll.
async fn polled(poller: &Poller<'_>) -> Vec<String> {
    let answer = poller.poll().await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body.split('\u{1E}').map(str::to_owned).collect()
}

/// The number of what Ann said, in a packet of the chat or of the relay.
fn number_of(packet: &str) -> Option<u64> {
    let event: Value = serde_json::from_str(&packet[packet.find('[')?..]).ok()?;
    let said = match event[0].as_str()? {
        "receiveMessage" | "receivePrivate" => event[1]["msg"].as_str()?,
        "said" => event[1].as_str()?,
        _ => return None,
    };
    said.split(' ').next()?.parse().ok()
}

/// What Ann says, by its number.
fn said(number: u64) -> String {
    format!("{number} {}", "x".repeat(BYTES))
}

/// Waits until this much more has been said.
async fn until_said(last_said: &Cell<u64>, more: u64) {
    let enough = last_said.get() + more;
    while last_said.get() < enough {
        tokio::task::yield_now().await;
    }
}

/// Hears what is said over polling, upgrades in the middle of it, and hears the rest: the numbers in the order they came.
/// It upgrades as the official client does: its last poll is answered while the WebSocket is tried, and no other follows.
async fn hear_over_an_upgrade(poller: &Poller<'_>, before: usize, last_said: &Cell<u64>) -> Vec<u64> {
    let mut heard = Vec::new();
    while heard.len() < before {
        heard.extend(polled(poller).await.iter().filter_map(|packet| number_of(packet)));
    }
    let mut raw = poller.websocket().await;
    let probe = async {
        raw.send(&text("2probe")).await;
        assert_eq!(next_text(&mut raw).await, "3probe");
    };
    let ((), last) = tokio::join!(probe, polled(poller));
    heard.extend(last.iter().filter_map(|packet| number_of(packet)));
    socket2::SockRef::from(&raw.stream).set_recv_buffer_size(64 * 1024).expect("a buffer");
    until_said(last_said, BETWEEN).await;
    raw.send(&text("5")).await;
    until_said(last_said, BEHIND).await;
    while heard.len() < HEARD {
        heard.extend(number_of(&next_text(&mut raw).await));
    }
    heard
}

/// One number behind the other.
fn assert_without_a_gap(heard: &[u64], what: &str) {
    let expected: Vec<_> = (heard[0]..heard[0] + heard.len() as u64).collect();
    assert_eq!(heard, expected, "{what}");
}

#[actix_web::test]
async fn a_reader_of_the_chat_that_upgrades_while_its_room_talks_hears_each_message_once_and_in_order() {
    let server = TestServer::with(roomy()).await;
    let mut ann = Chatter::settled(&server, ChatDoor::Plain, "Ann").await;
    for upgrade in 0..UPGRADES {
        let poller = Poller::connected(&server).await;
        let reader = format!("reader {upgrade}");
        let login = json!(["login", {"username": reader, "room": "tea"}]);
        poller.post(&format!("42{login}")).await;
        while !polled(&poller).await.iter().any(|packet| packet.contains("userList")) {}
        let (last_said, is_heard) = (Cell::new(0), Cell::new(false));
        let talk = async {
            // Messages and private messages by turns, as fast as they are answered.
            while !is_heard.get() {
                let number = last_said.get();
                ann.send("sendMessage", &json!({"msg": said(number + 1)})).await;
                ann.ask("sendPrivate", &json!({"to": reader, "msg": said(number + 2)})).await;
                last_said.set(number + 2);
            }
        };
        let hear = async {
            let heard = hear_over_an_upgrade(&poller, BEFORE + upgrade, &last_said).await;
            is_heard.set(true);
            heard
        };
        let (heard, ()) = tokio::join!(hear, talk);
        assert_without_a_gap(&heard, &reader);
    }
}

#[actix_web::test]
async fn a_reader_of_the_relay_that_upgrades_while_its_room_talks_hears_each_event_once_and_in_order() {
    let server = TestServer::with(roomy()).await;
    for upgrade in 0..UPGRADES {
        let room = format!("room {upgrade}");
        let (mut ann, _) = Relayer::in_room(&server, Way::WebSocket, &room, &json!({})).await;
        let poller = Poller::open(&server).await;
        poller.post(&format!("40/relay,\u{1E}42/relay,0{}", json!(["join", room]))).await;
        while !polled(&poller).await.iter().any(|packet| packet.starts_with("43/relay,0")) {}
        let (last_said, is_heard) = (Cell::new(0), Cell::new(false));
        let talk = async {
            while !is_heard.get() {
                let number = last_said.get() + 1;
                ann.send(&format!("42/relay,1{}", json!(["said", said(number)]))).await;
                assert_eq!(ann.next_text().await, "43/relay,1[{}]");
                last_said.set(number);
            }
        };
        let hear = async {
            let heard = hear_over_an_upgrade(&poller, BEFORE + upgrade, &last_said).await;
            is_heard.set(true);
            heard
        };
        let (heard, ()) = tokio::join!(hear, talk);
        assert_without_a_gap(&heard, &room);
    }
}

#[actix_web::test]
async fn what_a_sender_says_before_and_behind_its_upgrade_is_heard_in_its_order() {
    const POSTED: usize = 40;
    const BEHIND: usize = 120;
    let server = TestServer::start().await;
    let mut ben = Chatter::settled(&server, ChatDoor::Plain, "Ben").await;
    for upgrade in 0..UPGRADES {
        let poller = Poller::connected(&server).await;
        let login = json!(["login", {"username": format!("sender {upgrade}"), "room": "tea"}]);
        let said = |number: usize| format!("42{}", json!(["sendMessage", {"msg": number.to_string()}]));
        poller.post(&format!("42{login}")).await;
        let posted: Vec<_> = (0..POSTED).map(said).collect();
        poller.post(&posted.join("\u{1E}")).await;
        let mut raw = poller.websocket().await;
        raw.send(&text("2probe")).await;
        assert_eq!(next_text(&mut raw).await, "3probe");
        // Posts are taken until the upgrade is done.
        let posted: Vec<_> = (POSTED..2 * POSTED).map(said).collect();
        assert_eq!(poller.post(&posted.join("\u{1E}")).await.status, 200);
        let behind = (2 * POSTED..2 * POSTED + BEHIND).map(said);
        let burst: Vec<_> =
            ["5".to_owned()].into_iter().chain(behind).flat_map(|packet| text(&packet)).collect();
        raw.send(&burst).await;
        for number in 0..2 * POSTED + BEHIND {
            let message = ben.next_named("receiveMessage").await;
            assert_eq!(message["msg"], number.to_string(), "upgrade {upgrade}");
        }
    }
}
