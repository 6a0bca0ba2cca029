//! A client that comes back to a hundred megabytes gets all of it, once and in order, as fast or as slowly as it reads, at
//! every door. It is not sent away for that, and no one waits for it: its room talks on beside it.
//!
//! Each of these tests takes some seconds, because a debug build has a hundred megabytes to encode for each reader.

use std::collections::VecDeque;

use echoroom::config::{Settings, Switch};
use futures_util::future::join_all;
use serde_json::json;

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
    let mut lost = Vec::new();
    for way in WAYS {
        let (ben, was) = Relayer::in_room(&server, Way::WebSocket, "tea", &json!({})).await;
        ben.reset();
        lost.push((way, was));
    }
    server.until_health_shows(1, 0).await;
    let filler = "x".repeat(BYTES);
    let mut lengths = Vec::new();
    for number in 0..MESSAGES {
        let (packet, len) = event(number, &filler);
        ann.send(&packet).await;
        assert_eq!(ann.next_text().await, format!("43/relay,{number}[{{}}]"));
        lengths.push(len);
    }

    let (mut listener, _) = Relayer::in_room(&server, Way::WebSocket, "tea", &json!({})).await;
    let mut readers = Vec::new();
    for (way, was) in &lost {
        let auth = json!({"pid": was["pid"], "offset": "0"});
        readers.push(Relayer::connecting(&server, *way, &auth).await);
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
    for (reader, (way, was)) in readers.iter_mut().zip(&lost) {
        let answer = reader.next_text().await;
        let pid = was["pid"].as_str().expect("a pid");
        assert!(answer.starts_with("40/relay,") && answer.contains(pid), "{way:?}: {answer}");
        for (number, len) in lengths.iter().enumerate().skip(MESSAGES) {
            assert_eq!(event_in(&reader.next_text().await), (number, *len), "{way:?}");
        }
    }
}

/// What clients missed is kept once for all of them, and has a bound of its own.
#[ignore = "what each client missed counts against --max-memory, as if each of them had a copy"]
#[actix_web::test]
async fn many_clients_of_the_relay_that_come_back_at_once_get_what_is_kept_once_for_all_of_them() {
    const CLIENTS: usize = 4;
    const EVENTS: usize = 640;
    // Of this 36 MiB are for what waits: more than what is kept, and less than two copies of it.
    let tight = long_memory().with(|s| s.limits.max_memory = Some("64m".parse().expect("a size")));
    let server = TestServer::with(tight).await;
    let (mut ann, _) = Relayer::in_room(&server, Way::WebSocket, "tea", &json!({})).await;
    let mut lost = Vec::new();
    for _ in 0..CLIENTS {
        let (ben, was) = Relayer::in_room(&server, Way::WebSocket, "tea", &json!({})).await;
        ben.reset();
        lost.push(was);
    }
    server.until_health_shows(1, 0).await;
    let filler = "x".repeat(BYTES);
    let mut lengths = Vec::new();
    for number in 0..EVENTS {
        let (packet, len) = event(number, &filler);
        ann.send(&packet).await;
        assert_eq!(ann.next_text().await, format!("43/relay,{number}[{{}}]"));
        lengths.push(len);
    }
    for way in [Way::WebSocket, Way::Polling] {
        let mut readers = Vec::new();
        for was in &lost {
            let auth = json!({"pid": was["pid"], "offset": "0"});
            readers.push(Relayer::connecting(&server, way, &auth).await);
        }
        // All are back before the first one reads on.
        for reader in &mut readers {
            assert_eq!(event_in(&reader.next_text().await), (0, lengths[0]), "{way:?}");
        }
        for reader in &mut readers {
            for (number, len) in lengths.iter().enumerate().skip(1) {
                assert_eq!(event_in(&reader.next_text().await), (number, *len), "{way:?}");
            }
        }
    }
}
