//! A client that does not take what its room says is sent away, and the others hear everything, at whatever door they all
//! are. One that stays behind, but reads, is not sent away.

use echoroom::config::{Settings, Switch};
use serde_json::json;

use crate::{
    chatters::{CHAT_DOORS, CHAT_WEBSOCKETS, ChatDoor, Chatter},
    helpers::{RawClient, TestServer, settings},
    metrics::value,
    relayers::{Relayer, WAYS, Way},
};

const BYTES: usize = 50_000;

/// What the kernel may hold for a client that does not read, about.
const HELD: usize = 64 * 1024;

/// More messages than the kernel holds for a client that does not read.
const MOST: usize = 1000;

/// Nothing but the bound on what waits ends a client that does not read for a while.
fn bounded_to(max_queue_bytes: &str) -> Settings {
    settings().with(|s| {
        s.limits.max_queue_bytes = max_queue_bytes.parse().expect("a size");
        s.connections.stall_timeout = "10m".parse().expect("a time");
        s.heartbeat.ping_interval = "10m".parse().expect("a time");
        s.socketio.relay = Switch::On;
    })
}

/// A plain session in a room.
async fn plain(server: &TestServer, room: &str) -> RawClient {
    let raw = server.connect_raw(&format!("/ws?room={room}")).await;
    socket2::SockRef::from(&raw.stream).set_recv_buffer_size(HELD).expect("a buffer");
    raw
}

async fn in_room<'a>(server: &'a TestServer, door: ChatDoor, name: &str, room: &str) -> Chatter<'a> {
    let mut chatter = Chatter::login(server, door, json!({"username": name, "room": room})).await;
    chatter.next_named("userList").await;
    chatter
}

/// The next message must be this one.
async fn expect(reader: &mut Chatter<'_>, number: usize, what: &str) {
    let message = reader.next_named("receiveMessage").await;
    let msg = message["msg"].as_str().expect("a text");
    assert_eq!((message["offset"].as_u64(), msg.len()), (Some(number as u64 + 1), BYTES), "{what}");
}

/// Bytes that the server holds for clients that have not taken them yet.
async fn held_by(server: &TestServer) -> u64 {
    server.health().await["usage"]["memory"]["used"].as_u64().expect("a number")
}

/// Readers that are always so many messages behind, which the server holds for them.
async fn stay_behind(server: &TestServer, doors: &[ChatDoor], messages: usize, behind: usize) {
    let mut ann = in_room(server, ChatDoor::Plain, "Ann", "tea").await;
    let mut listener = plain(server, "tea").await;
    let mut readers = Vec::new();
    for door in doors {
        let reader = in_room(server, *door, &format!("{door:?}"), "tea").await;
        reader.hold(HELD);
        readers.push((*door, reader));
    }
    for number in 0..messages {
        ann.ask("sendMessage", &json!({"msg": "x".repeat(BYTES)})).await;
        expect(&mut ann, number, "Ann").await;
        assert_eq!(listener.read_frame().await.payload.len(), BYTES);
        if number == behind {
            let held = held_by(server).await;
            assert!(held > 512 * 1024, "only {held} bytes wait");
        }
        if let Some(number) = number.checked_sub(behind) {
            for (door, reader) in &mut readers {
                expect(reader, number, &format!("{door:?}")).await;
            }
        }
    }
}

#[actix_web::test]
async fn a_reader_that_stays_behind_but_reads_is_not_sent_away_over_a_websocket() {
    // 7 MB, which is more than kernels hold for a client, and less than the bound; 25 MB in all.
    let server = TestServer::with(bounded_to("8m")).await;
    stay_behind(&server, &CHAT_WEBSOCKETS, 500, 140).await;
}

#[actix_web::test]
async fn a_reader_that_stays_behind_but_reads_is_not_sent_away_over_polling() {
    let server = TestServer::with(bounded_to("2m")).await;
    stay_behind(&server, &[ChatDoor::Polling], 120, 30).await;
}

#[actix_web::test]
async fn a_plain_reader_that_stays_behind_but_reads_is_not_sent_away() {
    const BEHIND: usize = 140;
    let server = TestServer::with(bounded_to("8m")).await;
    let (mut ann, mut reader) = (plain(&server, "tea").await, plain(&server, "tea").await);
    server.until_health_shows(2, 1).await;
    for number in 0..500 {
        let said = format!("{number} {}", "x".repeat(BYTES));
        ann.send(&crate::helpers::text(&said)).await;
        ann.read_frame().await;
        if number == BEHIND {
            assert!(held_by(&server).await > 512 * 1024);
        }
        if let Some(number) = number.checked_sub(BEHIND) {
            let heard = reader.read_frame().await.payload;
            assert!(heard.starts_with(format!("{number} ").as_bytes()), "{number}");
        }
    }
}

#[actix_web::test]
async fn a_reader_of_the_relay_that_stays_behind_but_reads_is_not_sent_away() {
    for (ways, bound, events, behind) in
        [(&[Way::WebSocket, Way::Upgraded][..], "8m", 500, 140), (&[Way::Polling], "2m", 120, 30)]
    {
        let server = TestServer::with(bounded_to(bound)).await;
        let bare = json!({"recovery": false});
        let (mut ann, _) = Relayer::in_room(&server, Way::WebSocket, "tea", &bare).await;
        let mut readers = Vec::new();
        for way in ways {
            let (reader, _) = Relayer::in_room(&server, *way, "tea", &bare).await;
            reader.hold(HELD);
            readers.push(reader);
        }
        let filler = "x".repeat(BYTES);
        for number in 0_usize..events {
            ann.send(&format!("42/relay,{number}{}", json!(["x", number, filler]))).await;
            assert_eq!(ann.next_text().await, format!("43/relay,{number}[{{}}]"));
            if number == behind {
                assert!(held_by(&server).await > 512 * 1024);
            }
            if let Some(number) = number.checked_sub(behind) {
                for reader in &mut readers {
                    let heard = reader.next_text().await;
                    assert!(heard.starts_with(&format!(r#"42/relay,["x",{number},"#)), "{ways:?} {number}");
                }
            }
        }
    }
}

/// One user of a room does not read, and others at other doors do, until the one is sent away. Each of the others must
/// hear each message before the next one is said.
async fn talk_past_one_that_does_not_read(server: &TestServer, door: ChatDoor, others_at: &[ChatDoor]) {
    let room = format!("{door:?}");
    let mut ann = in_room(server, ChatDoor::Plain, "Ann", &room).await;
    let mut listener = plain(server, &room).await;
    let mut others = Vec::new();
    for other in others_at {
        others.push(in_room(server, *other, &format!("other {other:?}"), &room).await);
    }
    let jammed = in_room(server, door, "Jammed", &room).await;
    jammed.hold(HELD);
    let mut said = 0;
    while !ann.has_heard("delUser") {
        ann.ask("sendMessage", &json!({"msg": "x".repeat(BYTES)})).await;
        expect(&mut ann, said, "Ann").await;
        assert_eq!(listener.read_frame().await.payload.len(), BYTES, "{door:?}");
        for other in &mut others {
            expect(other, said, &room).await;
        }
        said += 1;
        assert!(said < MOST, "{door:?}: it is never sent away");
    }
    assert_eq!(ann.next_named("delUser").await["username"], "Jammed", "{door:?}");
    let code = if door == ChatDoor::Polling { None } else { Some(1013) };
    assert_eq!(jammed.until_the_end().await, code, "{door:?}");
}

#[actix_web::test]
async fn a_user_who_does_not_read_is_sent_away_and_the_others_at_all_doors_hear_everything() {
    let server = TestServer::with(bounded_to("64k")).await;
    for door in CHAT_DOORS {
        talk_past_one_that_does_not_read(&server, door, &CHAT_DOORS).await;
    }
}

/// What others are told over polling needs memory between two polls, so they may be sent away, too.
#[actix_web::test]
async fn a_user_for_whom_the_memory_of_all_is_used_up_is_sent_away_and_the_others_over_websockets_hear_everything()
 {
    let tight = bounded_to("64m").with(|s| s.limits.max_memory = Some("4m".parse().expect("a size")));
    let server = TestServer::with(tight).await;
    for door in CHAT_DOORS {
        talk_past_one_that_does_not_read(&server, door, &CHAT_WEBSOCKETS).await;
    }
}

#[actix_web::test]
async fn a_client_of_the_relay_that_does_not_read_is_sent_away_and_the_others_hear_everything() {
    let server = TestServer::with(bounded_to("64k")).await;
    for (number, way) in WAYS.into_iter().enumerate() {
        let room = format!("{way:?}");
        let (mut ann, _) = Relayer::in_room(&server, Way::WebSocket, &room, &json!({})).await;
        let mut others = Vec::new();
        for other in WAYS {
            others.push(Relayer::in_room(&server, other, &room, &json!({})).await.0);
        }
        let (jammed, _) = Relayer::in_room(&server, way, &room, &json!({})).await;
        jammed.hold(HELD);
        let filler = "x".repeat(BYTES);
        let mut said = 0;
        while value(&server, "echoroom_evictions_total").await <= number as f64 {
            ann.send(&format!("42/relay,{said}{}", json!(["x", said, filler]))).await;
            assert_eq!(ann.next_text().await, format!("43/relay,{said}[{{}}]"));
            for other in &mut others {
                let heard = other.next_text().await;
                assert!(heard.starts_with(&format!(r#"42/relay,["x",{said},"#)), "{way:?} {said}");
            }
            said += 1;
            assert!(said < MOST, "{way:?}: it is never sent away");
        }
        let code = if way == Way::Polling { None } else { Some(1013) };
        assert_eq!(jammed.until_the_end().await, code, "{way:?}");
    }
}
