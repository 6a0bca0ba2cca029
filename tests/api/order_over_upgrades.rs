//! A session of Socket.IO that goes from polling to a WebSocket while its room talks misses nothing, hears nothing twice,
//! and keeps the order, in both directions.

use std::cell::Cell;

use echoroom::config::Switch;
use serde_json::{Value, json};

use crate::{
    chatters::{ChatDoor, Chatter},
    helpers::{RawClient, TestServer, settings, text},
    relayers::{Relayer, Way},
    sockets::{Poller, next_text},
};

/// How many sessions upgrade, each at another moment of what is said.
const UPGRADES: usize = 12;

/// What a reader hears before it upgrades, and behind that.
const BEFORE: usize = 40;
const BEHIND: usize = 120;

/// The packets of a poll.
async fn polled(poller: &Poller<'_>) -> Vec<String> {
    let answer = poller.poll().await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body.split('\u{1E}').map(str::to_owned).collect()
}

/// Upgrades as the official client does: its last poll is answered while the WebSocket is tried, and no other follows.
async fn upgrade(poller: &Poller<'_>, heard: &mut Vec<String>) -> RawClient {
    let mut raw = poller.websocket().await;
    let probe = async {
        raw.send(&text("2probe")).await;
        assert_eq!(next_text(&mut raw).await, "3probe");
    };
    let ((), last) = tokio::join!(probe, polled(poller));
    heard.extend(last);
    raw.send(&text("5")).await;
    raw
}

/// The number of what Ann said, in a packet of the chat or of the relay.
fn number_of(packet: &str) -> Option<u64> {
    let event: Value = serde_json::from_str(&packet[packet.find('[')?..]).ok()?;
    match event[0].as_str()? {
        "receiveMessage" | "receivePrivate" => event[1]["msg"].as_str()?.parse().ok(),
        "said" => event[1].as_u64(),
        _ => None,
    }
}

/// Hears what is said over polling, upgrades in the middle of it, and hears the rest: the numbers in the order they came.
async fn hear_over_an_upgrade(poller: &Poller<'_>, before: usize) -> Vec<u64> {
    let numbers =
        |packets: &[String]| packets.iter().filter_map(|packet| number_of(packet)).collect::<Vec<_>>();
    let mut packets = Vec::new();
    while numbers(&packets).len() < before {
        packets.extend(polled(poller).await);
    }
    let mut raw = upgrade(poller, &mut packets).await;
    let mut heard = numbers(&packets);
    while heard.len() < BEFORE + BEHIND {
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
    let server = TestServer::start().await;
    let mut ann = Chatter::settled(&server, ChatDoor::Plain, "Ann").await;
    for upgrade in 0..UPGRADES {
        let poller = Poller::connected(&server).await;
        let login = json!(["login", {"username": format!("reader {upgrade}"), "room": "tea"}]);
        poller.post(&format!("42{login}")).await;
        while !polled(&poller).await.iter().any(|packet| packet.contains("userList")) {}
        let is_heard = Cell::new(false);
        let talk = async {
            // Messages and private messages, as fast as they are kept.
            let mut number = 0;
            while !is_heard.get() {
                let (room, private) = (number.to_string(), (number + 1).to_string());
                ann.send("sendMessage", &json!({"msg": room})).await;
                let to = format!("reader {upgrade}");
                ann.ask("sendPrivate", &json!({"to": to, "msg": private})).await;
                number += 2;
            }
        };
        let hear = async {
            let heard = hear_over_an_upgrade(&poller, BEFORE + upgrade).await;
            is_heard.set(true);
            heard
        };
        let (heard, ()) = tokio::join!(hear, talk);
        assert_without_a_gap(&heard, &format!("upgrade {upgrade}"));
    }
}

#[actix_web::test]
async fn a_reader_of_the_relay_that_upgrades_while_its_room_talks_hears_each_event_once_and_in_order() {
    let server = TestServer::with(settings().with(|s| s.socketio.relay = Switch::On)).await;
    for upgrade in 0..UPGRADES {
        let room = format!("room {upgrade}");
        let (mut ann, _) = Relayer::in_room(&server, Way::WebSocket, &room, &json!({})).await;
        let poller = Poller::open(&server).await;
        poller.post(&format!("40/relay,\u{1E}42/relay,0{}", json!(["join", room]))).await;
        while !polled(&poller).await.iter().any(|packet| packet.starts_with("43/relay,0")) {}
        let is_heard = Cell::new(false);
        let talk = async {
            let mut number = 0;
            while !is_heard.get() {
                let some = (number..number + 4).map(|number| format!("42/relay,{}", json!(["said", number])));
                let some: Vec<_> = some.chain([r#"42/relay,1["done"]"#.to_owned()]).collect();
                ann.send_all(&some.iter().map(|packet| (&**packet).into()).collect::<Vec<_>>()).await;
                assert_eq!(ann.next_text().await, "43/relay,1[{}]");
                number += 4;
            }
        };
        let hear = async {
            let heard = hear_over_an_upgrade(&poller, BEFORE + upgrade).await;
            is_heard.set(true);
            heard
        };
        let (heard, ()) = tokio::join!(hear, talk);
        assert_without_a_gap(&heard, &room);
    }
}

#[actix_web::test]
async fn what_a_sender_says_before_and_behind_its_upgrade_is_heard_in_its_order() {
    let server = TestServer::start().await;
    let mut ben = Chatter::settled(&server, ChatDoor::Plain, "Ben").await;
    for upgrade in 0..UPGRADES {
        let poller = Poller::connected(&server).await;
        let login = json!(["login", {"username": format!("sender {upgrade}"), "room": "tea"}]);
        let said = |number: usize| format!("42{}", json!(["sendMessage", {"msg": number.to_string()}]));
        poller.post(&format!("42{login}")).await;
        let posted: Vec<_> = (0..BEFORE).map(said).collect();
        poller.post(&posted.join("\u{1E}")).await;
        let mut raw = poller.websocket().await;
        raw.send(&text("2probe")).await;
        assert_eq!(next_text(&mut raw).await, "3probe");
        // Posts are taken until the upgrade is done.
        let posted: Vec<_> = (BEFORE..2 * BEFORE).map(said).collect();
        assert_eq!(poller.post(&posted.join("\u{1E}")).await.status, 200);
        let behind = (2 * BEFORE..2 * BEFORE + BEHIND).map(said);
        let burst: Vec<_> =
            ["5".to_owned()].into_iter().chain(behind).flat_map(|packet| text(&packet)).collect();
        raw.send(&burst).await;
        for number in 0..2 * BEFORE + BEHIND {
            let message = ben.next_named("receiveMessage").await;
            assert_eq!(message["msg"], number.to_string(), "upgrade {upgrade}");
        }
    }
}
