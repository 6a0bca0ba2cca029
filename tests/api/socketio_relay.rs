//! `/relay`: whatever a client emits goes as it is to the others in its room, and who was lost gets it later.

use echoroom::config::{Settings, Switch};
use serde_json::{Value, json};

use crate::{
    helpers::{RawClient, TestServer, frame, settings, text},
    sockets::{Poller, expect_closed, joined, next_text, websocket},
};

fn open() -> Settings {
    settings().with(|s| s.socketio.relay = Switch::On)
}

async fn say(raw: &mut RawClient, packet: &str) {
    raw.send(&text(packet)).await;
}

/// A client in a room of the relay, and the answer to its CONNECT.
async fn in_room(server: &TestServer, room: &str) -> (RawClient, Value) {
    let (mut raw, answer) = joined(server, "/relay", "").await;
    say(&mut raw, &format!(r#"42/relay,0["join","{room}"]"#)).await;
    assert_eq!(next_text(&mut raw).await, format!(r#"43/relay,0[{{"room":"{room}"}}]"#));
    (raw, answer)
}

/// What a client comes back with.
fn back(answer: &Value, offset: &str) -> String {
    json!({"pid": answer["pid"], "offset": offset}).to_string()
}

#[actix_web::test]
async fn there_is_no_relay_unless_it_is_turned_on() {
    let server = TestServer::start().await;
    let (mut raw, _) = websocket(&server).await;
    say(&mut raw, "40/relay,").await;
    assert_eq!(next_text(&mut raw).await, r#"44/relay,{"message":"Invalid namespace"}"#);
}

#[actix_web::test]
async fn an_event_goes_as_it_is_to_the_others_in_its_room_binary_included() {
    let server = TestServer::with(open()).await;
    let (mut ann, _) = in_room(&server, "a").await;
    let (mut ben, _) = in_room(&server, "a").await;
    let (mut far, _) = in_room(&server, "b").await;
    let poller = Poller::open(&server).await;
    poller.post("40/relay,").await;
    poller.poll().await;
    poller.post(r#"42/relay,7["join",{"room":"a"}]"#).await;
    assert_eq!(poller.poll().await.body, r#"43/relay,7[{"room":"a"}]"#);

    // Spaces, numbers and the order of keys are the sender's.
    say(&mut ann, r#"42/relay,["draw", {"z":1.0, "a":[true,null]} ,"你好"]"#).await;
    say(&mut ann, r#"452-/relay,12["shot",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]"#)
        .await;
    ann.send(&frame(0x82, b"one")).await;
    ann.send(&frame(0x82, &[0, 255])).await;
    assert_eq!(next_text(&mut ann).await, "43/relay,12[{}]", "its own events do not come back");

    let drawn = r#"42/relay,["draw", {"z":1.0, "a":[true,null]} ,"你好","1"]"#;
    let shot = r#"452-/relay,["shot",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0},"2"]"#;
    assert_eq!(next_text(&mut ben).await, drawn);
    assert_eq!(next_text(&mut ben).await, shot);
    for attachment in [&b"one"[..], &[0, 255]] {
        let frame = ben.read_frame().await;
        assert_eq!((frame.first, &frame.payload[..]), (0x82, attachment));
    }
    let mut polled = String::new();
    while !polled.contains("bAP8=") {
        polled = format!("{polled}\u{1E}{}", poller.poll().await.body);
    }
    assert_eq!(polled, format!("\u{1E}4{}\u{1E}4{}\u{1E}bb25l\u{1E}bAP8=", &drawn[1..], &shot[1..]));

    // Nobody else is there, and what the other room hears first is its own.
    say(&mut far, r#"42/relay,1["alone"]"#).await;
    assert_eq!(next_text(&mut far).await, "43/relay,1[{}]");
}

#[actix_web::test]
async fn a_client_is_in_one_room_at_a_time_and_what_it_sends_behind_join_goes_there() {
    let server = TestServer::with(open()).await;
    let (mut ann, _) = in_room(&server, "a").await;
    let (mut ben, _) = in_room(&server, "b").await;
    let (mut cat, _) = joined(&server, "/relay", "").await;
    let burst = [
        r#"42/relay,["join","a"]"#,
        r#"42/relay,["x",1]"#,
        r#"42/relay,["join","b"]"#,
        r#"42/relay,["x",2]"#,
    ];
    cat.send(&burst.iter().flat_map(|packet| text(packet)).collect::<Vec<_>>()).await;
    assert_eq!(next_text(&mut ann).await, r#"42/relay,["x",1,"1"]"#);
    assert_eq!(next_text(&mut ben).await, r#"42/relay,["x",2,"2"]"#);
    say(&mut ann, r#"42/relay,1["y"]"#).await;
    assert_eq!(next_text(&mut ann).await, "43/relay,1[{}]");
    say(&mut ben, r#"42/relay,["z"]"#).await;
    assert_eq!(next_text(&mut cat).await, r#"42/relay,["z","4"]"#, "and nothing of the room it has left");
    say(&mut cat, r#"42/relay,1["leave"]"#).await;
    assert_eq!(next_text(&mut cat).await, "43/relay,1[{}]");
    say(&mut ben, r#"42/relay,9["z"]"#).await;
    assert_eq!(next_text(&mut ben).await, "43/relay,9[{}]");
    say(&mut cat, r#"42/relay,2["join","b"]"#).await;
    assert_eq!(next_text(&mut cat).await, r#"43/relay,2[{"room":"b"}]"#);
}

#[actix_web::test]
async fn what_is_wrong_is_said_and_the_client_stays() {
    let server = TestServer::with(open().with(|s| s.rooms.max_rooms = 1.try_into().expect("one"))).await;
    let (mut raw, _) = joined(&server, "/relay", "").await;
    for (sent, answer) in [
        (
            r#"42/relay,1["draw"]"#,
            r#"43/relay,1[{"error":{"code":"not_in_room","msg":"join a room first"}}]"#,
        ),
        (r#"42/relay,["draw"]"#, r#"42/relay,["error",{"code":"not_in_room","msg":"join a room first"}]"#),
        (
            r#"42/relay,2["join",7]"#,
            r#"43/relay,2[{"error":{"code":"bad_field","msg":"join needs the name of a room"}}]"#,
        ),
        (r#"42/relay,3["join","a"]"#, r#"43/relay,3[{"room":"a"}]"#),
    ] {
        say(&mut raw, sent).await;
        assert_eq!(next_text(&mut raw).await, answer, "{sent}");
    }
    say(&mut raw, r#"42/relay,4["join",""]"#).await;
    assert!(next_text(&mut raw).await.starts_with(r#"43/relay,4[{"error":{"code":"bad_room","msg":""#));
    let (mut other, _) = joined(&server, "/relay", "").await;
    say(&mut other, r#"42/relay,1["join","b"]"#).await;
    assert!(next_text(&mut other).await.starts_with(r#"43/relay,1[{"error":{"code":"too_many_rooms""#));
    say(&mut other, r#"42/relay,2["draw"]"#).await;
    assert!(next_text(&mut other).await.contains("not_in_room"), "it is in none");
    drop(raw);
    // The room is gone with its last client, and makes place.
    server.until_health_shows(1, 0).await;
    say(&mut other, r#"42/relay,3["join","b"]"#).await;
    assert_eq!(next_text(&mut other).await, r#"43/relay,3[{"room":"b"}]"#);
}

#[actix_web::test]
async fn events_keep_to_the_rate_and_a_flood_ends_the_session() {
    let limited = open().with(|s| {
        s.rates.rate = 1;
        s.rates.rate_burst = 2;
        s.rates.rate_patience = "1s".parse().expect("a time");
    });
    let server = TestServer::with(limited).await;
    let (mut raw, _) = in_room(&server, "a").await;
    for (sent, expected) in [("1", "43/relay,1[{}]"), ("2", r#"43/relay,2[{"error":{"code":"rate_limited""#)]
    {
        say(&mut raw, &format!(r#"42/relay,{sent}["x"]"#)).await;
        let answer = next_text(&mut raw).await;
        assert!(answer.starts_with(expected), "{answer}");
    }
    let (_, mut write) = raw.stream.into_split();
    let flood = actix_web::rt::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        while write.write_all(&text(r#"42/relay,["x"]"#)).await.is_ok() {
            actix_web::rt::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
    crate::helpers::soon("the end of the flood", flood).await.expect("it ends");
}

#[actix_web::test]
async fn a_client_that_was_lost_comes_back_as_what_it_was_and_gets_what_it_missed() {
    let server = TestServer::with(open()).await;
    let (mut ann, _) = in_room(&server, "a").await;
    let (mut ben, was) = in_room(&server, "a").await;
    assert_eq!((was["sid"].as_str().map(str::len), was["pid"].as_str().map(str::len)), (Some(20), Some(20)));
    say(&mut ann, r#"42/relay,["x",1]"#).await;
    assert_eq!(next_text(&mut ben).await, r#"42/relay,["x",1,"1"]"#);
    ben.reset();
    server.until_health_shows(1, 0).await;
    say(&mut ann, r#"42/relay,["x",2]"#).await;
    say(&mut ann, r#"451-/relay,["x",{"_placeholder":true,"num":0}]"#).await;
    ann.send(&frame(0x82, b"!")).await;
    say(&mut ann, r#"42/relay,0["x",4]"#).await;
    assert_eq!(next_text(&mut ann).await, "43/relay,0[{}]");

    let (mut ben, _) = websocket(&server).await;
    say(&mut ben, &format!("40/relay,{}", back(&was, "1"))).await;
    assert_eq!(next_text(&mut ben).await, r#"42/relay,["x",2,"2"]"#);
    assert_eq!(next_text(&mut ben).await, r#"451-/relay,["x",{"_placeholder":true,"num":0},"3"]"#);
    assert_eq!(ben.read_frame().await.payload, b"!");
    assert_eq!(next_text(&mut ben).await, r#"42/relay,["x",4,"4"]"#);
    let is = next_text(&mut ben).await;
    assert_eq!(is, format!(r#"40/relay,{{"sid":{},"pid":{}}}"#, was["sid"], was["pid"]), "then the answer");
    // It is in its room again.
    say(&mut ann, r#"42/relay,["x",5]"#).await;
    assert_eq!(next_text(&mut ben).await, r#"42/relay,["x",5,"5"]"#);
    say(&mut ben, r#"42/relay,["y"]"#).await;
    assert_eq!(next_text(&mut ann).await, r#"42/relay,["y","6"]"#);
}

#[actix_web::test]
async fn a_place_is_taken_once_and_only_by_who_knows_it() {
    let server = TestServer::with(open()).await;
    let (mut ann, _) = in_room(&server, "a").await;
    let (ben, was) = in_room(&server, "a").await;
    ben.reset();
    server.until_health_shows(1, 0).await;
    for (auth, is_it) in [
        (json!({"pid": "AAAAAAAAAAAAAAAAAAAA", "offset": "0"}), false),
        (json!({"pid": was["sid"], "offset": "0"}), false),
        (json!({"pid": 7, "offset": "0"}), false),
        (json!({"pid": was["pid"], "offset": "0", "token": "its own"}), true),
    ] {
        let (_raw, is) = joined(&server, "/relay", &auth.to_string()).await;
        assert_eq!(is["sid"] == was["sid"] && is["pid"] == was["pid"], is_it, "{auth}");
    }
    say(&mut ann, r#"42/relay,1["x"]"#).await;
    assert_eq!(next_text(&mut ann).await, "43/relay,1[{}]");
    // The place was taken, and left again by a connection that was lost; an offset from nowhere uses it up.
    server.until_health_shows(1, 0).await;
    for auth in [json!({"pid": was["pid"], "offset": "99"}), json!({"pid": was["pid"]})] {
        let (_raw, is) = joined(&server, "/relay", &auth.to_string()).await;
        assert_ne!(is["pid"], was["pid"]);
    }
}

#[actix_web::test]
async fn who_leaves_of_its_own_will_does_not_come_back() {
    let server = TestServer::with(open()).await;
    let (mut ben, was) = in_room(&server, "a").await;
    say(&mut ben, "41/relay,").await;
    say(&mut ben, &format!("40/relay,{}", back(&was, "0"))).await;
    let answer = next_text(&mut ben).await;
    assert!(!answer.contains(was["pid"].as_str().expect("a pid")), "{answer}");
}

#[actix_web::test]
async fn who_comes_back_before_it_is_missed_takes_its_place_from_the_old_connection() {
    let server = TestServer::with(open()).await;
    let (mut ann, _) = in_room(&server, "a").await;
    let (old, was) = in_room(&server, "a").await;
    let (mut new, is) = joined(&server, "/relay", &back(&was, "0")).await;
    assert_eq!(is, was);
    expect_closed(old).await;
    say(&mut ann, r#"42/relay,["x"]"#).await;
    assert_eq!(next_text(&mut new).await, r#"42/relay,["x","1"]"#);
    server.until_health_shows(2, 0).await;
}

#[actix_web::test]
async fn who_was_away_for_too_long_begins_anew() {
    let hasty = open().with(|s| s.socketio.recovery_window = "200ms".parse().expect("a time"));
    let server = TestServer::with(hasty).await;
    let (mut ann, _) = in_room(&server, "a").await;
    let (ben, was) = in_room(&server, "a").await;
    ben.reset();
    server.until_health_shows(1, 0).await;
    actix_web::rt::time::sleep(std::time::Duration::from_millis(300)).await;
    let (mut ben, is) = joined(&server, "/relay", &back(&was, "0")).await;
    assert!(is["pid"] != was["pid"] && is["sid"] != was["sid"]);
    say(&mut ben, r#"42/relay,1["x"]"#).await;
    assert!(next_text(&mut ben).await.contains("not_in_room"), "it is nobody in no room");
    say(&mut ann, r#"42/relay,1["x"]"#).await;
    assert_eq!(next_text(&mut ann).await, "43/relay,1[{}]");
}

#[actix_web::test]
async fn no_more_is_kept_for_who_may_come_back_than_the_settings_say() {
    let tight = open().with(|s| {
        s.socketio.recovery_bytes = "1k".parse().expect("a size");
        s.socketio.recovery_sockets = 1.try_into().expect("one");
    });
    let server = TestServer::with(tight).await;
    let (mut ann, _) = in_room(&server, "a").await;
    let (first, was_first) = in_room(&server, "a").await;
    let (second, was_second) = in_room(&server, "a").await;
    first.reset();
    server.until_health_shows(2, 0).await;
    second.reset();
    server.until_health_shows(1, 0).await;
    let (raw, is) = joined(&server, "/relay", &back(&was_first, "0")).await;
    assert_ne!(is["pid"], was_first["pid"], "its place went to the second");
    drop(raw);
    for ack in 0..9 {
        say(&mut ann, &format!(r#"42/relay,{ack}["x","{}"]"#, "x".repeat(300))).await;
        next_text(&mut ann).await;
    }
    let (_raw, is) = joined(&server, "/relay", &back(&was_second, "0")).await;
    assert_ne!(is["pid"], was_second["pid"], "not all that it missed is there");
}
