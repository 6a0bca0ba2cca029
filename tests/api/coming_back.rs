//! Who drops at `/relay` and comes back is in its room again and gets what it missed, whatever it heard before.

use std::time::Duration;

use actix_web::rt;
use echoroom::config::{Settings, Switch};
use serde_json::{Value, json};

use crate::{
    helpers::{RawClient, TestServer, frame, settings, text},
    sockets::{Poller, joined, next_text, websocket},
};

fn open() -> Settings {
    settings().with(|s| s.socketio.relay = Switch::On)
}

async fn say(raw: &mut RawClient, packet: &str) {
    raw.send(&text(packet)).await;
}

/// Says something to a room of the relay, and waits until the server has it.
async fn done(raw: &mut RawClient, event: &str) {
    say(raw, &format!("42/relay,0{event}")).await;
    assert!(next_text(raw).await.starts_with("43/relay,0"));
}

/// A client in a room of the relay that brings `auth`, and the answer to its CONNECT.
async fn in_room(server: &TestServer, room: &str, auth: &str) -> (RawClient, Value) {
    let (mut raw, answer) = joined(server, "/relay", auth).await;
    done(&mut raw, &format!(r#"["join","{room}"]"#)).await;
    (raw, answer)
}

/// What comes for a client that comes back with `auth`: the packets up to the answer to CONNECT, and that answer.
async fn come_back(server: &TestServer, auth: &Value) -> (RawClient, Vec<String>, Value) {
    let (mut raw, _) = websocket(server).await;
    say(&mut raw, &format!("40/relay,{auth}")).await;
    let mut missed = Vec::new();
    loop {
        let packet = next_text(&mut raw).await;
        if let Some(answer) = packet.strip_prefix("40/relay,") {
            return (raw, missed, serde_json::from_str(answer).expect("JSON"));
        }
        missed.push(packet);
    }
}

/// The same by polling.
async fn come_back_polling(server: &TestServer, auth: &Value) -> (Vec<String>, Value) {
    let poller = Poller::open(server).await;
    poller.post(&format!("40/relay,{auth}")).await;
    let mut packets: Vec<String> = Vec::new();
    while !packets.last().is_some_and(|last| last.starts_with("40/relay,")) {
        packets.extend(poller.poll().await.body.split('\u{1E}').map(str::to_owned));
    }
    let answer = packets.pop().expect("an answer");
    (packets, serde_json::from_str(&answer["40/relay,".len()..]).expect("JSON"))
}

#[actix_web::test]
async fn who_has_heard_nothing_yet_comes_back_by_its_pid_alone() {
    let server = TestServer::with(open()).await;
    let (mut ann, _) = in_room(&server, "a", "").await;
    // Before the other is there, and before it is in the room: both are not for it.
    done(&mut ann, r#"["early"]"#).await;
    let (mut ben, was) = joined(&server, "/relay", "").await;
    done(&mut ann, r#"["before it was in"]"#).await;
    done(&mut ben, r#"["join","a"]"#).await;
    let pid = was["pid"].clone();
    ben.reset();
    server.until_health_shows(1, 0).await;

    // Three times, as nothing is heard but what was missed; null is as good as nothing.
    let (raw, missed, is) = come_back(&server, &json!({"pid": pid})).await;
    assert_eq!((missed, &is), (vec![], &was));
    raw.reset();
    server.until_health_shows(1, 0).await;
    done(&mut ann, r#"["x",1]"#).await;
    let (raw, missed, is) = come_back(&server, &json!({"pid": pid, "offset": null})).await;
    assert_eq!((missed, &is), (vec![r#"42/relay,["x",1,"3"]"#.to_owned()], &was));
    // It may have been lost on its way: who still has no offset gets it again.
    raw.reset();
    server.until_health_shows(1, 0).await;
    done(&mut ann, r#"["x",2]"#).await;
    let (missed, is) = come_back_polling(&server, &json!({"pid": pid})).await;
    assert_eq!(missed, [r#"42/relay,["x",1,"3"]"#, r#"42/relay,["x",2,"4"]"#]);
    assert_eq!(is, was);
    // Its former connection has not been missed yet.
    let (mut ben, missed, is) = come_back(&server, &json!({"pid": pid, "offset": "4"})).await;
    assert_eq!((missed, &is), (vec![], &was));
    done(&mut ann, r#"["x",3]"#).await;
    assert_eq!(next_text(&mut ben).await, r#"42/relay,["x",3,"5"]"#, "it is in its room");
}

#[actix_web::test]
async fn who_drops_after_an_upgrade_comes_back_by_its_pid_alone() {
    let server = TestServer::with(open()).await;
    let (mut ann, _) = in_room(&server, "a", "").await;
    let poller = Poller::open(&server).await;
    poller.post("40/relay,").await;
    let answer = poller.poll().await.body;
    let was: Value = serde_json::from_str(&answer["40/relay,".len()..]).expect("JSON");
    let mut raw = poller.websocket().await;
    say(&mut raw, "2probe").await;
    assert_eq!(next_text(&mut raw).await, "3probe");
    say(&mut raw, "5").await;
    done(&mut raw, r#"["join","a"]"#).await;
    raw.reset();
    server.until_health_shows(1, 0).await;
    done(&mut ann, r#"["x",1]"#).await;
    let (_raw, missed, is) = come_back(&server, &json!({"pid": was["pid"]})).await;
    assert_eq!((missed, is), (vec![r#"42/relay,["x",1,"1"]"#.to_owned()], was));
}

/// A room in which no member talks for long, while others push each other's events out.
#[actix_web::test]
async fn who_missed_nothing_comes_back_however_much_others_say() {
    let server =
        TestServer::with(open().with(|s| s.socketio.recovery_bytes = "2k".parse().expect("a size"))).await;
    let (mut loud, _) = in_room(&server, "loud", "").await;
    let (mut ann, _) = in_room(&server, "quiet", "").await;
    let (mut ben, was) = in_room(&server, "quiet", "").await;
    let (deaf, was_deaf) = in_room(&server, "loud", "").await;
    done(&mut ann, r#"["x",1]"#).await;
    let heard = next_text(&mut ben).await;
    assert!(heard.starts_with(r#"42/relay,["x",1,""#), "{heard}");
    let offset = heard.rsplit('"').nth(1).expect("an offset").to_owned();
    // Its own words are not for itself.
    done(&mut ben, r#"["y"]"#).await;
    next_text(&mut ann).await;
    let long = "x".repeat(300);
    for _ in 0..20 {
        done(&mut loud, &format!(r#"["x","{long}"]"#)).await;
    }
    ben.reset();
    deaf.reset();
    server.until_health_shows(2, 0).await;
    for _ in 0..20 {
        done(&mut loud, &format!(r#"["x","{long}"]"#)).await;
    }
    done(&mut ann, r#"["x",2]"#).await;
    let (_raw, missed, is) = come_back(&server, &json!({"pid": was["pid"], "offset": offset})).await;
    assert_eq!((missed.len(), is), (1, was), "{missed:?}");
    assert!(missed[0].starts_with(r#"42/relay,["x",2,""#), "{missed:?}");
    let (_raw, missed, is) = come_back(&server, &json!({"pid": was_deaf["pid"]})).await;
    assert!(missed.is_empty() && is["pid"] != was_deaf["pid"], "not all that it missed is there");
}

/// The official client keeps the offset that it had of a server which was started again.
#[actix_web::test]
async fn an_offset_of_another_server_is_as_good_as_none() {
    let server = TestServer::with(open()).await;
    let (mut ann, _) = in_room(&server, "a", "").await;
    for offset in ["57", "Q827nVs", "2", "connected"] {
        let former = json!({"pid": "AAAAAAAAAAAAAAAAAAAA", "offset": offset}).to_string();
        let (ben, was) = in_room(&server, "a", &former).await;
        ben.reset();
        server.until_health_shows(1, 0).await;
        done(&mut ann, r#"["x"]"#).await;
        let (raw, missed, is) = come_back(&server, &json!({"pid": was["pid"], "offset": offset})).await;
        assert_eq!((missed.len(), is), (1, was), "{offset}: {missed:?}");
        raw.reset();
        server.until_health_shows(1, 0).await;
    }
}

#[actix_web::test]
async fn who_cannot_be_in_its_room_again_is_not_told_that_it_is_back() {
    let server = TestServer::with(open().with(|s| s.rooms.max_rooms = 1.try_into().expect("one"))).await;
    let (ben, was) = in_room(&server, "a", "").await;
    ben.reset();
    server.until_health_shows(0, 0).await;
    let (_ann, _) = in_room(&server, "b", "").await;
    let (mut ben, missed, is) = come_back(&server, &json!({"pid": was["pid"]})).await;
    assert!(missed.is_empty() && is["pid"] != was["pid"] && is["sid"] != was["sid"], "{is}");
    say(&mut ben, r#"42/relay,0["x"]"#).await;
    assert!(next_text(&mut ben).await.contains("not_in_room"));
}

// ----- without it -----

#[actix_web::test]
async fn without_a_window_nobody_comes_back_and_events_are_as_they_came() {
    let server =
        TestServer::with(open().with(|s| s.socketio.recovery_window = "0".parse().expect("a time"))).await;
    let (mut ann, is) = in_room(&server, "a", "").await;
    assert_eq!(is["pid"], Value::Null, "{is}");
    let (mut ben, _) = in_room(&server, "a", r#"{"pid":"AAAAAAAAAAAAAAAAAAAA","offset":"1"}"#).await;
    assert_bare(&mut ann, &mut ben).await;
    let poller = Poller::open(&server).await;
    poller.post("40/relay,\u{1E}42/relay,0[\"join\",\"a\"]").await;
    let mut polled = String::new();
    while !polled.contains("43/relay,0") {
        polled = poller.poll().await.body;
    }
    assert!(!polled.contains(r#""pid""#), "{polled}");
    done(&mut ann, r#"["x",1]"#).await;
    assert_eq!(poller.poll().await.body, r#"42/relay,["x",1]"#);
}

/// What the first says the second hears as it was said.
async fn assert_bare(ann: &mut RawClient, ben: &mut RawClient) {
    for event in [r#"["x"]"#, r#"["x",1]"#, r#"["x", {"a":[]} ,"text" ]"#] {
        done(ann, event).await;
        assert_eq!(next_text(ben).await, format!("42/relay,{event}"), "{event}");
    }
    let packet = r#"451-/relay,["pic",{"_placeholder":true,"num":0}]"#;
    say(ann, packet).await;
    ann.send(&frame(0x82, b"!")).await;
    assert_eq!(next_text(ben).await, packet);
    assert_eq!(ben.read_frame().await.payload, b"!");
}

#[actix_web::test]
async fn a_client_may_do_without_and_hears_events_as_they_came() {
    let server = TestServer::with(open()).await;
    let without = r#"{"recovery":false}"#;
    let (mut bare, is) = in_room(&server, "a", without).await;
    assert_eq!(is["pid"], Value::Null, "{is}");
    let (mut ann, _) = in_room(&server, "a", "").await;
    assert_bare(&mut ann, &mut bare).await;
    // Others still come back, also to what the first one says; and the first one never does.
    let (ben, was) = in_room(&server, "a", "").await;
    ben.reset();
    server.until_health_shows(2, 0).await;
    done(&mut bare, r#"["y"]"#).await;
    assert!(next_text(&mut ann).await.starts_with(r#"42/relay,["y",""#));
    let (_ben, missed, is) = come_back(&server, &json!({"pid": was["pid"]})).await;
    assert_eq!((missed.len(), &is), (1, &was));
    let (mut new, missed, is) =
        come_back(&server, &json!({"pid": was["pid"], "offset": "1", "recovery": false})).await;
    assert!(missed.is_empty() && is["pid"].is_null() && is["sid"] != was["sid"], "{is}");
    done(&mut new, r#"["join","a"]"#).await;
    done(&mut ann, r#"["z","text"]"#).await;
    for raw in [&mut bare, &mut new] {
        assert_eq!(next_text(raw).await, r#"42/relay,["z","text"]"#);
    }
}

/// By the clock, too: an event that is older than the window is gone, and is no loss to whom it was not for.
#[actix_web::test]
async fn who_heard_nothing_for_longer_than_the_window_comes_back() {
    let window = Duration::from_secs(3);
    let server =
        TestServer::with(open().with(|s| s.socketio.recovery_window = "3s".parse().expect("a time"))).await;
    let (mut loud, _) = in_room(&server, "loud", "").await;
    let (mut ann, _) = in_room(&server, "quiet", "").await;
    let (mut ben, was) = in_room(&server, "quiet", "").await;
    done(&mut ann, r#"["x",1]"#).await;
    assert_eq!(next_text(&mut ben).await, r#"42/relay,["x",1,"1"]"#);
    done(&mut loud, r#"["x"]"#).await;
    rt::time::sleep(window + Duration::from_millis(500)).await;
    done(&mut loud, r#"["x"]"#).await;
    ben.reset();
    let (mut ben, missed, is) = come_back(&server, &json!({"pid": was["pid"], "offset": "1"})).await;
    assert_eq!((missed, is), (vec![], was));
    done(&mut ann, r#"["x",2]"#).await;
    assert_eq!(next_text(&mut ben).await, r#"42/relay,["x",2,"4"]"#);
}
