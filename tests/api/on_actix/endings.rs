//! How sessions end, and what their clients are told.

use futures_util::future::join_all;

use super::{DOORS, Door, OnActix, next_close, next_code, open, time};
use crate::{
    helpers::{RawClient, frame, text},
    sockets::{Poller, next_text},
};

/// Sends a frame at each door; gives back each door's close frame, once its connection has ended.
async fn closed_by(server: &OnActix, sent: impl Fn(Door) -> Vec<u8>) -> Vec<(Door, Vec<u8>)> {
    let sent = &sent;
    join_all(DOORS.map(|door| async move {
        let mut raw = door.open(server).await;
        raw.send(&sent(door)).await;
        let close = next_close(&mut raw).await;
        raw.expect_end().await;
        (door, close)
    }))
    .await
}

#[actix_web::test]
async fn the_close_code_of_a_client_comes_back_to_it_at_every_door() {
    let server = OnActix::start();
    for (sent, answer) in [
        (&b"\x03\xE8"[..], &b"\x03\xE8"[..]),
        (b"\x03\xE9going", b"\x03\xE9"),
        (b"\x0F\xA1my own", b"\x0F\xA1"),
        (b"", b""),
    ] {
        for (door, close) in closed_by(&server, |_| frame(0x88, sent)).await {
            assert_eq!(close, answer, "{door:?} {sent:?}");
        }
    }
    server.until_health_shows(0, 0).await;
}

#[actix_web::test]
async fn what_breaks_the_protocol_of_websockets_is_told_by_its_code_at_every_door() {
    let server = OnActix::start();
    for (sent, code) in [
        (frame(0x83, b"reserved"), 1002),
        (frame(0xC1, b"reserved bit"), 1002),
        (frame(0x80, b"nothing to go on with"), 1002),
        (frame(0x88, b"\x03"), 1002),
        (frame(0x81, b"\xFF"), 1007),
    ] {
        for (door, close) in closed_by(&server, |_| sent.clone()).await {
            assert_eq!(close[..2], u16::to_be_bytes(code), "{door:?} {sent:?}");
        }
    }
    server.until_health_shows(0, 0).await;
}

#[actix_web::test]
async fn what_is_larger_than_its_bound_ends_with_1009_at_every_door() {
    let bounds = open().with(|s| {
        s.limits.max_message_size = "1k".parse().expect("a size");
        s.events.max_payload = "2k".parse().expect("a size");
    });
    let server = OnActix::with(bounds);
    for door in DOORS {
        let bound = if door == Door::Chat || door.is_socketio() { 2048 } else { 1024 };
        let mut raw = door.open(&server).await;
        for number in 0..3 {
            raw.send(&text(&door.question(number, bound - 200))).await;
            assert!(next_text(&mut raw).await.to_lowercase().starts_with(&door.answer(number)), "{door:?}");
        }
        raw.send(&text(&door.question(3, bound))).await;
        assert_eq!(next_code(&mut raw).await, Some(1009), "{door:?}");
    }
    server.until_health_shows(0, 0).await;
}

#[actix_web::test]
async fn what_was_asked_before_an_ending_is_answered_before_it_at_every_door() {
    let server = OnActix::start();
    for door in DOORS {
        for (end, code) in [(frame(0x88, b"\x03\xE8"), 1000), (frame(0x83, b""), 1002)] {
            let mut raw = door.open(&server).await;
            let questions: Vec<_> = (0..3).flat_map(|number| text(&door.question(number, 0))).collect();
            raw.send(&[questions, end].concat()).await;
            for number in 0..3 {
                // The ack of an event at the relay is given by its room, and may come too late.
                if door != Door::Relay {
                    assert!(next_text(&mut raw).await.starts_with(&door.answer(number)), "{door:?} {code}");
                }
            }
            assert_eq!(next_code(&mut raw).await, Some(code), "{door:?}");
        }
    }
}

/// Answers a ping of the door.
async fn answer_ping(door: Door, raw: &mut RawClient) {
    let ping = raw.read_frame().await;
    if door.is_socketio() {
        assert_eq!((ping.first, &ping.payload[..]), (0x81, &b"2"[..]), "{door:?}");
        raw.send(&text("3")).await;
    } else {
        assert_eq!(ping.first, 0x89, "{door:?}");
        raw.send(&frame(0x8A, &ping.payload)).await;
    }
}

/// A plain session is looked at again at the deadline of its ping, so this takes 200 ms and 4 times 1.5 s. A shorter
/// deadline could be missed on a busy machine.
#[actix_web::test]
async fn a_client_that_answers_pings_stays_and_one_that_does_not_is_told_1001_at_every_door() {
    let hasty = open().with(|s| {
        s.heartbeat.ping_interval = time("200ms");
        s.heartbeat.ping_timeout = time("1500ms");
    });
    let server = &OnActix::with(hasty);
    let on_websockets = join_all(DOORS.map(|door| async move {
        let mut raw = door.open(server).await;
        for _ in 0..3 {
            answer_ping(door, &mut raw).await;
        }
        assert_eq!(next_code(&mut raw).await, Some(1001), "{door:?}");
    }));
    let by_polling = async {
        let poller = Poller::connected(server).await;
        for _ in 0..3 {
            assert_eq!(poller.poll().await.body, "2");
            assert_eq!(poller.post("3").await.status, 200);
        }
        assert_eq!(poller.poll().await.body, "2");
        let last = poller.poll().await;
        assert!(last.status == 400 || last.body == "1", "{} {}", last.status, last.body);
    };
    tokio::join!(on_websockets, by_polling);
    server.until_health_shows(0, 0).await;
}

#[actix_web::test]
async fn a_client_that_is_lost_is_gone_at_every_door() {
    let server = OnActix::start();
    for _ in 0..3 {
        for door in DOORS {
            let (closed, reset) = (door.open(&server).await, door.open(&server).await);
            drop(closed);
            reset.reset();
        }
        server.until_health_shows(0, 0).await;
    }
}
