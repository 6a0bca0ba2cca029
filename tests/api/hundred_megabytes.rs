//! A client that comes back to a hundred megabytes gets all of it, once and in order, as fast or as slowly as it reads, at
//! every door. It is not sent away for that, and no one waits for it: its room talks on beside it.
//!
//! Each of these tests takes some seconds, because a debug build has a hundred megabytes to encode for each reader.

use std::collections::VecDeque;

use echoroom::config::{Settings, Switch};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    chatters::{CHAT_DOORS, Chatter},
    helpers::{RawClient, TestServer, settings},
    relayers::{Relayer, WAYS, Way},
};

const MESSAGES: usize = 2000;
/// Bytes of a message behind its number: all of them are a hundred million.
const BYTES: usize = 50_000;

/// How often all readers stop and what is said live is heard meanwhile.
const STOPS: usize = 20;

/// What is kept is raised, and the memory that what is kept needs: 1 MiB may wait for a session, as everywhere.
fn long_memory() -> Settings {
    settings().with(|s| {
        s.limits.max_memory = Some("1g".parse().expect("a size"));
        s.journal.history = (MESSAGES + STOPS).try_into().expect("not zero");
        s.journal.history_bytes = "256m".parse().expect("a size");
        s.socketio.recovery_bytes = "256m".parse().expect("a size");
        s.socketio.relay = Switch::On;
        // On a busy machine it may take a while.
        s.heartbeat.ping_interval = "10m".parse().expect("a time");
    })
}

/// A text frame whose mask is zero, which costs nothing to apply.
fn unmasked(payload: &str) -> Vec<u8> {
    let len = u64::try_from(payload.len()).expect("a length");
    [&[0x81, 0xFF][..], &len.to_be_bytes(), &[0; 4], payload.as_bytes()].concat()
}

/// Says things as a plain session, a few at a time, and waits until each is answered.
async fn say(speaker: &mut RawClient, texts: &[String]) {
    for some in texts.chunks(10) {
        let frames: Vec<_> = some.iter().map(|text| unmasked(text)).collect();
        speaker.send(&frames.concat()).await;
        for text in some {
            assert_eq!(speaker.read_frame().await.payload.len(), text.len() + "!!!".len());
        }
    }
}

/// The number that a message begins with, and its length, from the text of its event.
fn message_in(event: &str) -> (usize, usize) {
    let msg = event.split_once(r#""msg":""#).unwrap_or_else(|| panic!("{event:.100}")).1;
    let msg = &msg[..msg.find('"').expect("its end")];
    (msg.split(' ').next().and_then(|number| number.parse().ok()).expect("a number"), msg.len())
}

/// A user who has come back, and the texts that have come and are not read.
struct Reader<'a> {
    user: Chatter<'a>,
    texts: VecDeque<String>,
}

impl Reader<'_> {
    async fn expect(&mut self, number: usize, len: usize) {
        loop {
            while self.texts.is_empty() {
                self.texts.extend(self.user.next_unread().await);
            }
            let text = self.texts.pop_front().expect("a text");
            if text.contains(r#""userList""#) {
                continue;
            }
            assert_eq!(message_in(&text), (number, len));
            return;
        }
    }
}

#[actix_web::test]
async fn a_user_who_comes_back_to_a_hundred_megabytes_gets_them_as_it_reads_while_its_room_talks_on() {
    let server = TestServer::with(long_memory()).await;
    let mut absent = Vec::new();
    for door in CHAT_DOORS {
        let user = Chatter::settled(&server, door, &format!("{door:?}")).await;
        absent.push((door, user.return_data(0)));
    }
    let mut speaker = server.connect_raw("/ws?room=tea").await;
    let filler = "x".repeat(BYTES);
    let texts: Vec<_> = (0..MESSAGES).map(|number| format!("{number} {filler}")).collect();
    say(&mut speaker, &texts).await;

    let mut listener = server.connect_raw("/ws?room=tea").await;
    let mut readers = Vec::new();
    for (door, data) in absent {
        let mut user = Chatter::stranger(&server, door).await;
        user.send("login", &data).await;
        let welcome = user.next_unread().await;
        assert!(
            welcome[0].contains("loginSuccess") && welcome[0].contains(r#""recovered":true"#),
            "{door:?}"
        );
        readers.push(Reader { user, texts: welcome.into_iter().skip(1).collect() });
    }
    for stop in 0..STOPS {
        let numbers = stop * MESSAGES / STOPS..(stop + 1) * MESSAGES / STOPS;
        join_all(readers.iter_mut().map(|reader| async {
            for number in numbers.clone() {
                reader.expect(number, texts[number].len()).await;
            }
        }))
        .await;
        // No reader takes anything now.
        let live = format!("{} live", MESSAGES + stop);
        say(&mut speaker, std::slice::from_ref(&live)).await;
        assert_eq!(listener.read_frame().await.payload, live.as_bytes());
    }
    for reader in &mut readers {
        for number in MESSAGES..MESSAGES + STOPS {
            reader.expect(number, format!("{number} live").len()).await;
        }
    }
}

/// The number that an event of the relay has as its argument, and its length.
fn event_in(packet: &str) -> (usize, usize) {
    let number = packet.strip_prefix(r#"42/relay,["x",""#).unwrap_or_else(|| panic!("{packet:.100}"));
    let number = number.split(['"', ' ']).next().and_then(|number| number.parse().ok());
    (number.expect("a number"), packet.len())
}

/// An event with an argument, and how it is heard: with its offset, for all events of the relay are this room's.
fn event(number: usize, argument: &str) -> (String, usize) {
    let arguments = format!(r#"["x","{number} {argument}""#);
    let heard = format!(r#"42/relay,{arguments},"{}"]"#, number + 1);
    (format!("42/relay,{number}{arguments}]"), heard.len())
}

#[actix_web::test]
async fn a_client_of_the_relay_that_comes_back_to_a_hundred_megabytes_gets_them_as_it_reads_while_its_room_talks_on()
 {
    let server = TestServer::with(long_memory()).await;
    let (mut ann, _) = Relayer::in_room(&server, Way::WebSocket, "tea", &json!({})).await;
    let lost = lost(&server, WAYS.len()).await;
    let mut lengths = emit(&mut ann, 0..MESSAGES).await;

    let (mut listener, _) = Relayer::in_room(&server, Way::WebSocket, "tea", &json!({})).await;
    let mut readers = Vec::new();
    for (was, way) in lost.iter().zip(WAYS) {
        let auth = json!({"pid": was["pid"], "offset": "0"});
        readers.push(Relayer::connecting(&server, way, &auth).await);
    }
    for stop in 0..STOPS {
        let numbers = stop * MESSAGES / STOPS..(stop + 1) * MESSAGES / STOPS;
        join_all(readers.iter_mut().map(|reader| async {
            for number in numbers.clone() {
                assert_eq!(event_in(&reader.next_text().await), (number, lengths[number]));
            }
        }))
        .await;
        // No reader takes anything now.
        let number = MESSAGES + stop;
        let (packet, len) = event(number, "live");
        ann.send(&packet).await;
        assert_eq!(ann.next_text().await, format!("43/relay,{number}[{{}}]"));
        assert_eq!(event_in(&listener.next_text().await), (number, len));
        lengths.push(len);
    }
    for ((reader, was), way) in readers.iter_mut().zip(&lost).zip(WAYS) {
        let answer = reader.next_text().await;
        let pid = was["pid"].as_str().expect("a pid");
        assert!(answer.starts_with("40/relay,") && answer.contains(pid), "{way:?}: {answer}");
        for (number, len) in lengths.iter().enumerate().skip(MESSAGES) {
            assert_eq!(event_in(&reader.next_text().await), (number, *len), "{way:?}");
        }
    }
}

/// What clients missed is much more than the kernel takes for them: 32 MB.
const MUCH: usize = 640;

/// What their room says before they read on: twice what may wait for a session.
const LIVE: usize = 40;

#[actix_web::test]
async fn a_user_who_reads_what_was_missed_is_not_sent_away_for_what_the_room_says_meanwhile() {
    let server = TestServer::with(long_memory()).await;
    let mut absent = Vec::new();
    for door in CHAT_DOORS {
        let user = Chatter::settled(&server, door, &format!("{door:?}")).await;
        absent.push((door, user.return_data(0)));
    }
    let mut speaker = server.connect_raw("/ws?room=tea").await;
    let filler = "x".repeat(BYTES);
    let texts: Vec<_> = (0..MUCH + LIVE).map(|number| format!("{number} {filler}")).collect();
    say(&mut speaker, &texts[..MUCH]).await;
    let mut readers = Vec::new();
    for (door, data) in absent {
        let mut user = Chatter::stranger(&server, door).await;
        user.hold(64 * 1024);
        user.send("login", &data).await;
        let welcome = user.next_unread().await;
        assert!(welcome[0].contains(r#""recovered":true"#), "{door:?}");
        readers.push(Reader { user, texts: welcome.into_iter().skip(1).collect() });
    }
    say(&mut speaker, &texts[MUCH..]).await;
    for reader in &mut readers {
        for (number, text) in texts.iter().enumerate() {
            reader.expect(number, text.len()).await;
        }
    }
}

/// Says events at the relay, each once the one before it is acked, and gives back how long they are as they are heard.
async fn emit(speaker: &mut Relayer<'_>, numbers: std::ops::Range<usize>) -> Vec<usize> {
    let filler = "x".repeat(BYTES);
    let mut lengths = Vec::new();
    for number in numbers {
        let (packet, len) = event(number, &filler);
        speaker.send(&packet).await;
        assert_eq!(speaker.next_text().await, format!("43/relay,{number}[{{}}]"));
        lengths.push(len);
    }
    lengths
}

/// Clients that were in a room of the relay and are lost, as the answers to their CONNECT.
async fn lost(server: &TestServer, count: usize) -> Vec<Value> {
    let mut lost = Vec::new();
    for _ in 0..count {
        let (ben, was) = Relayer::in_room(server, Way::WebSocket, "tea", &json!({})).await;
        ben.reset();
        lost.push(was);
    }
    server.until_health_shows(1, 0).await;
    lost
}

/// A client that comes back and has heard the first event that it missed.
async fn back<'a>(server: &'a TestServer, way: Way, was: &Value, len: usize) -> Relayer<'a> {
    let auth = json!({"pid": was["pid"], "offset": "0"});
    let mut reader = Relayer::connecting(server, way, &auth).await;
    reader.hold(64 * 1024);
    assert_eq!(event_in(&reader.next_text().await), (0, len), "{way:?}");
    reader
}

#[actix_web::test]
async fn a_client_of_the_relay_that_reads_what_it_missed_is_not_sent_away_for_what_its_room_says_meanwhile() {
    let server = TestServer::with(long_memory()).await;
    let (mut ann, _) = Relayer::in_room(&server, Way::WebSocket, "tea", &json!({})).await;
    let lost = lost(&server, WAYS.len()).await;
    let mut lengths = emit(&mut ann, 0..MUCH).await;
    let mut readers = Vec::new();
    for (was, way) in lost.iter().zip(WAYS) {
        readers.push(back(&server, way, was, lengths[0]).await);
    }
    lengths.extend(emit(&mut ann, MUCH..MUCH + LIVE).await);
    for (reader, way) in readers.iter_mut().zip(WAYS) {
        for (number, len) in lengths.iter().enumerate().skip(1) {
            let mut packet = reader.next_text().await;
            if number == MUCH {
                assert!(packet.starts_with("40/relay,"), "{way:?}: {packet:.100}");
                packet = reader.next_text().await;
            }
            assert_eq!(event_in(&packet), (number, *len), "{way:?}");
        }
    }
}

/// What clients missed is kept once for all of them, and has a bound of its own.
#[actix_web::test]
async fn many_clients_of_the_relay_that_come_back_at_once_get_what_is_kept_once_for_all_of_them() {
    // Of this 36 MiB are for what waits: more than what is kept, and less than two copies of it.
    let tight = long_memory().with(|s| s.limits.max_memory = Some("64m".parse().expect("a size")));
    let server = TestServer::with(tight).await;
    let (mut ann, _) = Relayer::in_room(&server, Way::WebSocket, "tea", &json!({})).await;
    let lost = lost(&server, 4).await;
    let lengths = emit(&mut ann, 0..MUCH).await;
    for way in [Way::WebSocket, Way::Polling] {
        let mut readers = Vec::new();
        for was in &lost {
            readers.push(back(&server, way, was, lengths[0]).await);
        }
        for reader in &mut readers {
            for (number, len) in lengths.iter().enumerate().skip(1) {
                assert_eq!(event_in(&reader.next_text().await), (number, *len), "{way:?}");
            }
        }
    }
}
