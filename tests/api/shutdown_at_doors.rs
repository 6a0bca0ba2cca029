//! A server that stops tells its clients at every door, behind what they were to hear before.

use std::time::Duration;

use actix_web::rt;
use echoroom::config::{Settings, Switch};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    chatters::{CHAT_WEBSOCKETS, ChatDoor, Chatter},
    doors::{DOORS, Door, next_code},
    helpers::{TestServer, settings, soon, text},
    relayers::{Relayer, Way},
    sockets::Poller,
};

/// How long a poll may take to be under way, where nothing else shows that it is.
const ARRIVAL: Duration = Duration::from_millis(500);

fn open() -> Settings {
    settings().with(|s| s.socketio.relay = Switch::On)
}

#[actix_web::test]
async fn every_client_is_told_1012_at_every_door_and_a_poll_that_waits_is_answered() {
    let server = TestServer::with(open()).await;
    let mut clients = Vec::new();
    for door in DOORS {
        clients.push((door, door.open(&server).await));
    }
    let poller = Poller::connected(&server).await;
    let stop = async {
        rt::time::sleep(ARRIVAL).await;
        soon("the stop", server.handle().stop()).await;
    };
    let told = async {
        for (door, mut raw) in clients {
            assert_eq!(next_code(&mut raw).await, Some(1012), "{door:?}");
            raw.expect_end().await;
        }
    };
    let ((), (), poll) = tokio::join!(stop, told, poller.poll());
    assert_eq!((poll.status, &*poll.body), (200, "1"));
}

/// Says something as a plain session, which is answered before its room hears it, stops the server, and gives back what
/// each reader is told.
async fn heard_by(doors: &[ChatDoor]) -> Vec<(Value, Option<u16>)> {
    let server = TestServer::with(open()).await;
    let mut readers = Vec::new();
    for (number, door) in doors.iter().enumerate() {
        readers.push(Chatter::settled(&server, *door, &format!("reader {number}")).await);
    }
    let mut speaker = server.connect("/ws?room=tea").await;
    speaker.send("last words").await;
    assert_eq!(speaker.next_text().await, "LAST WORDS!!!");
    soon("the stop", server.handle().stop()).await;
    let told = readers.into_iter().map(|mut reader| async {
        let message = reader.next_named("receiveMessage").await;
        (message, reader.until_the_end().await)
    });
    join_all(told).await
}

#[actix_web::test]
async fn what_was_answered_before_the_stop_is_heard_before_1012_at_chat() {
    for round in 0..10 {
        for (message, code) in heard_by(&[ChatDoor::Plain; 4]).await {
            assert_eq!((&message["msg"], code), (&json!("last words"), Some(1012)), "round {round}");
        }
    }
}

#[actix_web::test]
async fn what_was_answered_before_the_stop_is_heard_before_1012_over_socketio() {
    use ChatDoor::{Upgraded, WebSocket};
    for round in 0..10 {
        for (message, code) in heard_by(&[WebSocket, Upgraded, WebSocket, Upgraded]).await {
            assert_eq!((&message["msg"], code), (&json!("last words"), Some(1012)), "round {round}");
        }
    }
}

#[actix_web::test]
async fn what_the_relay_has_taken_before_the_stop_is_heard_before_1012() {
    for round in 0..10 {
        let server = TestServer::with(open()).await;
        let mut readers = Vec::new();
        for way in [Way::WebSocket, Way::Upgraded, Way::WebSocket, Way::Upgraded] {
            readers.push(Relayer::in_room(&server, way, "tea", &json!({})).await.0);
        }
        let (mut speaker, _) = Relayer::in_room(&server, Way::WebSocket, "tea", &json!({})).await;
        speaker.send(r#"42/relay,1["last words"]"#).await;
        assert_eq!(speaker.next_text().await, "43/relay,1[{}]");
        soon("the stop", server.handle().stop()).await;
        for mut reader in readers {
            assert!(reader.next_text().await.starts_with(r#"42/relay,["last words""#), "round {round}");
            assert_eq!(reader.until_the_end().await, Some(1012), "round {round}");
        }
    }
}

/// What a client has asked and the server has read is answered, whole and in order, before it is told of the stop.
#[actix_web::test]
async fn answers_that_are_under_way_when_the_server_stops_come_before_1012_at_every_door() {
    const QUESTIONS: usize = 100;
    let server = TestServer::with(open()).await;
    let mut clients = Vec::new();
    // At the root is the same door as at `/ws`, where each would hear what the other asks.
    for door in DOORS.into_iter().filter(|door| *door != Door::Root) {
        let mut raw = door.open(&server).await;
        let questions: Vec<u8> =
            (0..QUESTIONS).flat_map(|number| text(&door.question(number, 5_000))).collect();
        raw.send(&questions).await;
        // The server is at it.
        let first = raw.read_frame().await.payload.to_ascii_lowercase();
        assert!(first.starts_with(door.answer(0).as_bytes()), "{door:?}");
        clients.push((door, raw));
    }
    soon("the stop", server.handle().stop()).await;
    for (door, mut raw) in clients {
        let mut next = 1;
        let code = loop {
            let frame = raw.read_frame().await;
            if frame.first == 0x88 {
                break frame.payload.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
            }
            let answer = String::from_utf8(frame.payload).expect("UTF-8").to_lowercase();
            assert!(answer.starts_with(&door.answer(next)), "{door:?}: {answer:.40} instead of {next}");
            next += 1;
        };
        assert_eq!(code, Some(1012), "{door:?} behind {next} answers");
        raw.expect_end().await;
    }
}

/// What waits for a reader that is behind comes before 1012, if the reader takes it in time.
#[actix_web::test]
async fn a_reader_that_is_behind_when_the_server_stops_gets_what_waits_for_it_before_1012() {
    const MESSAGES: u64 = 140;
    const BYTES: usize = 50_000;
    // 7 MB wait for each reader, which is more than the kernel holds, and less than the bound.
    let patient = open().with(|s| {
        s.limits.max_queue_bytes = "8m".parse().expect("a size");
        s.operation.shutdown_timeout = "20s".parse().expect("a time");
    });
    let server = TestServer::with(patient).await;
    let mut ann = Chatter::settled(&server, ChatDoor::Plain, "Ann").await;
    let mut plain = server.connect_raw("/ws?room=tea").await;
    let mut readers = Vec::new();
    for door in CHAT_WEBSOCKETS {
        let reader = Chatter::settled(&server, door, &format!("{door:?}")).await;
        reader.hold(64 * 1024);
        readers.push((door, reader));
    }
    let msg = json!({"msg": "x".repeat(BYTES)});
    for _ in 0..MESSAGES {
        ann.ask("sendMessage", &msg).await;
    }
    // Nothing else shows that all fan-outs have delivered the last one.
    rt::time::sleep(ARRIVAL).await;
    let stop = soon("the stop", server.handle().stop());
    let told = async {
        for _ in 0..MESSAGES {
            assert_eq!(plain.read_frame().await.payload.len(), BYTES);
        }
        plain.expect_close(1012).await;
        for (door, mut reader) in readers {
            for offset in 1..=MESSAGES {
                assert_eq!(reader.next_named("receiveMessage").await["offset"], offset, "{door:?}");
            }
            assert_eq!(reader.until_the_end().await, Some(1012), "{door:?}");
        }
    };
    tokio::join!(stop, told);
}

#[actix_web::test]
async fn a_reader_of_the_relay_that_is_behind_when_the_server_stops_gets_what_waits_for_it_before_1012() {
    const EVENTS: u64 = 140;
    let patient = open().with(|s| {
        s.limits.max_queue_bytes = "8m".parse().expect("a size");
        s.operation.shutdown_timeout = "20s".parse().expect("a time");
    });
    let server = TestServer::with(patient).await;
    let (mut ann, _) = Relayer::in_room(&server, Way::WebSocket, "tea", &json!({})).await;
    let mut readers = Vec::new();
    for way in [Way::WebSocket, Way::Upgraded] {
        let (reader, _) = Relayer::in_room(&server, way, "tea", &json!({})).await;
        reader.hold(64 * 1024);
        readers.push(reader);
    }
    let filler = "x".repeat(50_000);
    for number in 0..EVENTS {
        ann.send(&format!("42/relay,{number}{}", json!(["x", number, filler]))).await;
        assert_eq!(ann.next_text().await, format!("43/relay,{number}[{{}}]"));
    }
    // Nothing else shows that all fan-outs have delivered the last one.
    rt::time::sleep(ARRIVAL).await;
    let stop = soon("the stop", server.handle().stop());
    let told = async {
        for mut reader in readers {
            for number in 0..EVENTS {
                let heard = reader.next_text().await;
                assert!(heard.starts_with(&format!(r#"42/relay,["x",{number},"#)), "{heard:.40}");
            }
            assert_eq!(reader.until_the_end().await, Some(1012));
        }
    };
    tokio::join!(stop, told);
}
