//! Sessions of Socket.IO: over polling, over a WebSocket, and with an upgrade from the one to the other.

use awc::http::Method;
use serde_json::{Value, json};

use super::{OnActix, next_close, open, time};
use crate::{
    helpers::{frame, text},
    sockets::{Poller, connected, expect_closed, next_text, request, websocket},
};

#[actix_web::test]
async fn a_session_opens_over_polling_and_over_a_websocket() {
    let server = OnActix::start();
    for _ in 0..3 {
        let answer = request(&server, Method::GET, "EIO=4&transport=polling", "").await;
        let polling: Value = serde_json::from_str(&answer.body[1..]).expect("JSON");
        let (_raw, on_websocket) = websocket(&server).await;
        for (open, upgrades) in [(polling, json!(["websocket"])), (on_websocket, json!([]))] {
            let expected = json!({
                "sid": open["sid"], "upgrades": upgrades, "pingInterval": 25_000, "pingTimeout": 20_000,
                "maxPayload": 1_000_000,
            });
            assert_eq!((open["sid"].as_str().map(str::len), &open), (Some(20), &expected));
        }
    }
    let refused = request(&server, Method::GET, "EIO=3&transport=polling", "").await;
    assert_eq!((refused.status, refused.body.contains(r#""code":5"#)), (400, true), "{}", refused.body);
}

#[actix_web::test]
async fn packets_of_one_post_are_answered_in_their_order() {
    let server = OnActix::start();
    let poller = Poller::connected(&server).await;
    for _ in 0..3 {
        let many: Vec<_> = (0..40).map(|number| format!("42{number}[\"ping\",{{}}]")).collect();
        assert_eq!(poller.post(&many.join("\u{1E}")).await.status, 200);
        let mut acks: Vec<String> = Vec::new();
        while acks.len() < many.len() {
            acks.extend(poller.poll().await.body.split('\u{1E}').map(str::to_owned));
        }
        for (number, ack) in acks.iter().enumerate() {
            assert!(ack.starts_with(&format!("43{number}[{{")), "{ack}");
        }
    }
}

#[actix_web::test]
async fn a_poll_waits_for_what_comes() {
    let server = OnActix::start();
    let (ann, mut ben) = (Poller::connected(&server).await, connected(&server).await);
    assert_eq!(ann.post(r#"42["login",{"username":"Ann","room":"tea"}]"#).await.status, 200);
    while !ann.poll().await.body.contains("userList") {}
    ben.send(&text(r#"42["login",{"username":"Ben","room":"tea"}]"#)).await;
    while !ann.poll().await.body.contains("Ben") {}
    for number in 0..3 {
        let said = text(&format!(r#"42["sendMessage",{{"msg":"hello {number}"}}]"#));
        let hearing = async { while !ann.poll().await.body.contains(&format!("hello {number}")) {} };
        tokio::join!(hearing, ben.send(&said));
    }
}

#[actix_web::test]
async fn a_session_goes_on_over_the_websocket_that_it_upgrades_to() {
    let server = OnActix::start();
    for _ in 0..3 {
        let poller = Poller::connected(&server).await;
        let mut raw = poller.websocket().await;
        raw.send(&text("2probe")).await;
        assert_eq!(next_text(&mut raw).await, "3probe");
        assert_eq!(poller.poll().await.body, "6", "a poll is released");
        // What a post leads to now is kept for the WebSocket.
        assert_eq!(poller.post("421[\"ping\",{}]").await.status, 200);
        raw.send(&text("5")).await;
        assert!(next_text(&mut raw).await.starts_with("431["));
        for number in 2..5 {
            raw.send(&text(&format!("42{number}[\"ping\",{{}}]"))).await;
            assert!(next_text(&mut raw).await.starts_with(&format!("43{number}[")));
        }
        assert_eq!(poller.poll().await.status, 400);
    }
}

#[actix_web::test]
async fn an_upgrade_that_fails_leaves_the_session_polling() {
    let server = OnActix::with(open().with(|s| s.socketio.upgrade_timeout = time("200ms")));
    let poller = Poller::connected(&server).await;
    for number in 0..3 {
        let mut nonsense = poller.websocket().await;
        nonsense.send(&text("4hello")).await;
        expect_closed(nonsense).await;
        assert_eq!(poller.post(&format!("42{number}[\"ping\",{{}}]")).await.status, 200);
        assert!(poller.poll().await.body.starts_with(&format!("43{number}[")));
    }
    let mut slow = poller.websocket().await;
    slow.send(&text("2probe")).await;
    assert_eq!(next_text(&mut slow).await, "3probe");
    expect_closed(slow).await;
    assert_eq!(poller.post("421[\"ping\",{}]").await.status, 200);
    assert!(poller.poll().await.body.starts_with("431["));
}

#[actix_web::test]
async fn a_client_that_closes_is_released_by_each_transport() {
    let server = OnActix::start();
    for _ in 0..3 {
        let poller = Poller::connected(&server).await;
        let (poll, post) = tokio::join!(poller.poll(), poller.post("1"));
        assert_eq!((poll.status, &*poll.body, post.status), (200, "6", 200));
        assert_eq!(poller.poll().await.status, 400);
        for mut raw in [connected(&server).await, Poller::connected(&server).await.upgraded().await] {
            raw.send(&text("1")).await;
            assert!(next_close(&mut raw).await.is_empty());
            raw.expect_end().await;
        }
    }
    server.until_health_shows(0, 0).await;
}

#[actix_web::test]
async fn what_breaks_socketio_ends_the_session_behind_what_was_queued() {
    let server = OnActix::start();
    for bad in ["4abc", "42[]", "41{}"] {
        let poller = Poller::connected(&server).await;
        assert_eq!(poller.post(&format!("421[\"ping\",{{}}]\u{1E}{bad}")).await.status, 200, "{bad}");
        let mut packets: Vec<String> = Vec::new();
        while packets.last().is_none_or(|last| last != "1") {
            let answer = poller.poll().await;
            assert_eq!(answer.status, 200, "{bad}: {packets:?}");
            packets.extend(answer.body.split('\u{1E}').map(str::to_owned));
        }
        assert!(packets[0].starts_with("431["), "{bad}: {packets:?}");
        assert_eq!(packets[1..], ["6", "1"], "{bad}");
        for mut raw in [connected(&server).await, Poller::connected(&server).await.upgraded().await] {
            raw.send(&[text("421[\"ping\",{}]"), text(bad)].concat()).await;
            assert!(next_text(&mut raw).await.starts_with("431["), "{bad}");
            assert!(next_close(&mut raw).await.is_empty(), "{bad}");
        }
    }
}

#[actix_web::test]
async fn a_post_that_is_too_large_is_refused_and_the_session_lives() {
    let server = OnActix::with(open().with(|s| s.events.max_payload = "2k".parse().expect("a size")));
    let poller = Poller::connected(&server).await;
    for number in 0..3 {
        assert_eq!(poller.post(&"4".repeat(2049)).await.status, 413);
        assert_eq!(poller.post(&format!("42{number}[\"ping\",{{}}]")).await.status, 200);
        assert!(poller.poll().await.body.starts_with(&format!("43{number}[")));
    }
}

#[actix_web::test]
async fn a_client_of_a_websocket_that_is_lost_is_gone() {
    let server = OnActix::start();
    for _ in 0..3 {
        let (closed, reset) = (connected(&server).await, Poller::connected(&server).await.upgraded().await);
        let mut halved = connected(&server).await;
        halved.send(&frame(0x89, b"")).await;
        server.until_health_shows(3, 0).await;
        drop(closed);
        reset.reset();
        tokio::io::AsyncWriteExt::shutdown(&mut halved.stream).await.expect("its side is closed");
        server.until_health_shows(0, 0).await;
    }
}
