//! Who comes back to far more than may wait for a session gets all of it, page by page as it reads, at every door.

use std::{cell::Cell, time::Duration};

use actix_web::rt;
use echoroom::config::{Settings, Switch};
use serde_json::{Value, json};

use crate::{
    chatters::{CHAT_DOORS, ChatDoor, Chatter},
    helpers::{TestServer, settings, text},
    sockets::{Poller, joined, next_text, websocket},
};

/// Far more than eight times the bound of [`tight`].
const MISSED: u64 = 100;
const MESSAGE: usize = 40_000;

fn tight() -> Settings {
    settings().with(|s| {
        s.limits.max_queue_bytes = "256k".parse().expect("a size");
        s.socketio.relay = Switch::On;
    })
}

/// Readers at all doors who have been in the room and are away now, as what they come back with.
async fn absent(server: &TestServer) -> Vec<(ChatDoor, Value)> {
    let mut absent = Vec::new();
    for door in CHAT_DOORS {
        let reader = Chatter::settled(server, door, &format!("{door:?}")).await;
        absent.push((door, reader.return_data(0)));
    }
    absent
}

/// Says more than a client can be handed at once.
async fn say_much(ann: &mut Chatter<'_>) {
    let mut acks = Vec::new();
    for number in 1..=MISSED {
        let msg = format!("{number} {}", "x".repeat(MESSAGE));
        acks.push(ann.request("sendMessage", &json!({"msg": msg})).await);
        if number % 10 == 0 {
            ann.answer_to(acks.pop().expect("an ack")).await;
        }
    }
}

/// The offset of the next message, which must be whole.
async fn next_offset(reader: &mut Chatter<'_>, door: ChatDoor) -> u64 {
    let message = reader.next_named("receiveMessage").await;
    let offset = message["offset"].as_u64().expect("an offset");
    if offset <= MISSED {
        let msg = message["msg"].as_str().expect("a text");
        assert_eq!(msg.len(), offset.to_string().len() + 1 + MESSAGE, "{door:?}");
    }
    offset
}

#[actix_web::test]
async fn who_comes_back_to_far_more_than_may_wait_gets_it_as_it_reads() {
    let server = TestServer::with(tight()).await;
    let mut ann = Chatter::settled(&server, ChatDoor::WebSocket, "Ann").await;
    let absent = absent(&server).await;
    say_much(&mut ann).await;
    for (door, data) in absent {
        let mut reader = Chatter::login(&server, door, data).await;
        assert_eq!(reader.welcome["recovered"], true, "{door:?}");
        for expected in 1..=MISSED {
            assert_eq!(next_offset(&mut reader, door).await, expected, "{door:?}");
        }
        // It is in its room, like everybody else.
        assert!(reader.ask("ping", &json!({})).await["data"]["at"].is_u64(), "{door:?}");
    }
}

#[actix_web::test]
async fn a_room_that_talks_on_does_not_throw_out_who_comes_back_to_much() {
    let server = TestServer::with(tight()).await;
    let mut ann = Chatter::settled(&server, ChatDoor::Plain, "Ann").await;
    let absent = absent(&server).await;
    say_much(&mut ann).await;
    for (door, data) in absent {
        let mut reader = Chatter::login(&server, door, data).await;
        let is_enough = Cell::new(false);
        let talk = async {
            while !is_enough.get() {
                ann.ask("sendMessage", &json!({"msg": "x".repeat(100)})).await;
                rt::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let read = async {
            // And some of what is said meanwhile.
            for expected in 1..=MISSED + 40 {
                assert_eq!(next_offset(&mut reader, door).await, expected, "{door:?}");
            }
            is_enough.set(true);
        };
        tokio::join!(talk, read);
    }
}

#[actix_web::test]
async fn a_client_of_the_relay_that_was_lost_gets_far_more_than_may_wait_as_it_reads() {
    let server = TestServer::with(tight()).await;
    let (mut ann, _) = joined(&server, "/relay", "").await;
    ann.send(&text(r#"42/relay,0["join","a"]"#)).await;
    next_text(&mut ann).await;
    let mut lost = Vec::new();
    for _ in 0..2 {
        let (mut ben, was) = joined(&server, "/relay", "").await;
        ben.send(&text(r#"42/relay,0["join","a"]"#)).await;
        next_text(&mut ben).await;
        ben.reset();
        lost.push(json!({"pid": was["pid"], "offset": "0"}));
    }
    server.until_health_shows(1, 0).await;
    for number in 1..=MISSED {
        let message = json!(["x", number, "x".repeat(MESSAGE)]);
        ann.send(&text(&format!("42/relay,{number}{message}"))).await;
        assert_eq!(next_text(&mut ann).await, format!("43/relay,{number}[{{}}]"));
    }
    let expect = |packet: &str, number: u64| {
        assert!(packet.starts_with(&format!(r#"42/relay,["x",{number},"xxx"#)), "{number}: {:.60}", packet);
        assert!(packet.ends_with(&format!(r#"","{number}"]"#)) && packet.len() > MESSAGE, "{number}");
    };

    let (mut ben, _) = websocket(&server).await;
    ben.send(&text(&format!("40/relay,{}", lost[0]))).await;
    for number in 1..=MISSED {
        expect(&next_text(&mut ben).await, number);
    }
    assert!(next_text(&mut ben).await.contains(lost[0]["pid"].as_str().expect("a pid")));

    let poller = Poller::open(&server).await;
    poller.post(&format!("40/relay,{}", lost[1])).await;
    let mut polled = Vec::new();
    while polled.len() <= MISSED as usize {
        let answer = poller.poll().await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        polled.extend(answer.body.split('\u{1E}').map(str::to_owned));
    }
    for number in 1..=MISSED {
        expect(&polled[number as usize - 1], number);
    }
    assert!(polled[MISSED as usize].contains(lost[1]["pid"].as_str().expect("a pid")));
}
