//! An answer reaches only whom it is for: a client of Socket.IO that leaves a namespace and comes back at once is another
//! one there, and gets nothing that was meant for the one before.

use actix_web::rt;
use echoroom::config::{Settings, Switch};
use serde_json::{Value, json};

use crate::{
    helpers::{RawClient, TestServer, settings, text},
    people::Person,
    sockets::{Poller, connected, joined, next_text, websocket},
};

/// How often each burst is tried: which thread is first is chance.
const TRIES: usize = 300;

fn open() -> Settings {
    settings().with(|s| s.socketio.relay = Switch::On)
}

fn login(name: &str, room: &str) -> String {
    format!(r#"420["login",{}]"#, json!({"username": name, "room": room}))
}

async fn send_all(raw: &mut RawClient, packets: &[&str]) {
    raw.send(&packets.iter().flat_map(|packet| text(packet)).collect::<Vec<_>>()).await;
}

/// The packets of a session on a WebSocket up to one that begins so, that one included.
async fn until(raw: &mut RawClient, start: &str) -> Vec<String> {
    let mut heard = vec![next_text(raw).await];
    while !heard.last().is_some_and(|packet| packet.starts_with(start)) {
        heard.push(next_text(raw).await);
    }
    heard
}

/// The same, up to the later one of two.
async fn until_both(raw: &mut RawClient, one: &str, other: &str) -> Vec<String> {
    let mut heard = vec![next_text(raw).await];
    while ![one, other].iter().all(|start| heard.iter().any(|packet| packet.starts_with(start))) {
        heard.push(next_text(raw).await);
    }
    heard
}

/// The packets of a session that polls, up to the second answer to CONNECT and then one that begins so.
async fn polled_behind_second_connect(poller: &Poller<'_>, connect: &str, start: &str) -> Vec<String> {
    let mut heard: Vec<String> = Vec::new();
    loop {
        let behind = heard.iter().enumerate().filter(|(_, packet)| packet.starts_with(connect)).nth(1);
        let behind = behind.map(|(index, _)| heard[index + 1..].to_vec()).unwrap_or_default();
        if behind.iter().any(|packet| packet.starts_with(start)) {
            return behind;
        }
        let answer = poller.poll().await;
        assert_eq!(answer.status, 200, "{heard:?}");
        heard.extend(answer.body.split('\u{1E}').map(str::to_owned));
    }
}

/// Asserts that what the second one of a session heard is its own.
fn assert_is_new(heard: &[String], name: &str) {
    let answers: Vec<_> = heard.iter().filter_map(|packet| packet.strip_prefix("430")).collect();
    let answer: Value = serde_json::from_str(answers[0]).expect("JSON");
    assert_eq!((answers.len(), &answer[0]["username"], &answer[0]["room"]), (1, &json!(name), &json!("two")));
    // With the quote: a random id may have any three letters.
    let is_of_one = |packet: &&String| [r#""one""#, r#""one,"#].iter().any(|part| packet.contains(part));
    let others: Vec<_> = heard.iter().filter(is_of_one).collect();
    assert!(others.is_empty(), "{others:?}");
}

/// Keeps a room of the chat busy until it is dropped.
async fn talk(server: &TestServer) -> (Person, rt::task::JoinHandle<()>) {
    let guard = Person::login(server, json!({"username": "anyone", "room": "one"})).await;
    let mut talker = server.connect("/ws?room=one").await;
    let talk = rt::spawn(async move {
        while talker.try_send("one, and one more").await && talker.try_next().await.is_some() {}
    });
    (guard, talk)
}

#[actix_web::test]
async fn a_login_behind_a_disconnect_gets_its_own_answer() {
    let server = TestServer::start().await;
    let (_first, _second) = (
        Person::login(&server, json!({"username": "any", "room": "one"})).await,
        Person::login(&server, json!({"username": "any", "room": "two"})).await,
    );
    for number in 0..TRIES {
        let (mut raw, _) = websocket(&server).await;
        let name = format!("new{number}");
        let burst = ["40", &login(&format!("old{number}"), "one"), "41", "40", &login(&name, "two")];
        send_all(&mut raw, &burst).await;
        until(&mut raw, "40{").await;
        // An answer that was there before the disconnect is still the first one's.
        until(&mut raw, "40{").await;
        assert_is_new(&until(&mut raw, "430").await, &name);
    }
}

#[actix_web::test]
async fn a_login_behind_a_disconnect_gets_its_own_answer_by_polling_too() {
    let server = TestServer::start().await;
    let (_first, _second) = (
        Person::login(&server, json!({"username": "any", "room": "one"})).await,
        Person::login(&server, json!({"username": "any", "room": "two"})).await,
    );
    for number in 0..TRIES / 3 {
        let poller = Poller::open(&server).await;
        let name = format!("new{number}");
        let burst = ["40", &login(&format!("old{number}"), "one"), "41", "40", &login(&name, "two")];
        poller.post(&burst.join("\u{1E}")).await;
        assert_is_new(&polled_behind_second_connect(&poller, "40{", "430").await, &name);
    }
}

#[actix_web::test]
async fn a_login_behind_a_disconnect_gets_its_own_answer_after_an_upgrade() {
    let server = TestServer::start().await;
    for number in 0..TRIES / 3 {
        let poller = Poller::connected(&server).await;
        let mut raw = poller.websocket().await;
        send_all(&mut raw, &["2probe", "5"]).await;
        assert_eq!(next_text(&mut raw).await, "3probe");
        let name = format!("new{number}");
        send_all(&mut raw, &[&login(&format!("old{number}"), "one"), "41", "40", &login(&name, "two")]).await;
        until(&mut raw, "40{").await;
        assert_is_new(&until(&mut raw, "430").await, &name);
    }
}

#[actix_web::test]
async fn what_a_room_says_does_not_follow_a_client_that_left_the_chat_and_came_back() {
    let server = TestServer::start().await;
    let (_guard, _talk) = talk(&server).await;
    for number in 0..TRIES / 3 {
        let mut raw = connected(&server).await;
        raw.send(&text(&login(&format!("old{number}"), "one"))).await;
        until(&mut raw, r#"42["receiveMessage""#).await;
        let name = format!("new{number}");
        send_all(&mut raw, &["41", "40", &login(&name, "two")]).await;
        until(&mut raw, "40{").await;
        let mut heard = until(&mut raw, "430").await;
        send_all(&mut raw, &[r#"421["ping",{}]"#]).await;
        heard.extend(until(&mut raw, "431").await);
        assert_is_new(&heard, &name);
    }
}

/// A client in a room of the relay, which keeps talking until it is dropped.
async fn talk_at_relay(server: &TestServer) -> rt::task::JoinHandle<()> {
    let (mut raw, _) = joined(server, "/relay", "").await;
    send_all(&mut raw, &[r#"42/relay,0["join","one"]"#]).await;
    until(&mut raw, "43/relay,0").await;
    rt::spawn(async move {
        loop {
            send_all(&mut raw, &[r#"42/relay,0["one"]"#; 8]).await;
            for _ in 0..8 {
                next_text(&mut raw).await;
            }
        }
    })
}

#[actix_web::test]
async fn what_a_room_of_the_relay_hears_does_not_follow_a_client_that_left_and_came_back() {
    let server = TestServer::with(open()).await;
    let talk = talk_at_relay(&server).await;
    for _ in 0..TRIES {
        let (mut raw, was) = joined(&server, "/relay", "").await;
        send_all(&mut raw, &[r#"42/relay,0["join","one"]"#]).await;
        until(&mut raw, r#"42/relay,["one""#).await;
        send_all(&mut raw, &["41/relay,", "40/relay,", r#"42/relay,0["join","two"]"#]).await;
        let is = until(&mut raw, "40/relay,").await.pop().expect("an answer");
        assert!(!is.contains(was["pid"].as_str().expect("a pid")), "{is}");
        send_all(&mut raw, &[r#"42/relay,1["two"]"#]).await;
        let mut heard = until_both(&mut raw, "43/relay,0", "43/relay,1").await;
        heard.sort();
        assert_eq!(heard, [r#"43/relay,0[{"room":"two"}]"#, "43/relay,1[{}]"]);
    }
    talk.abort();
}

#[actix_web::test]
async fn an_answer_of_the_room_server_is_for_the_socket_that_asked() {
    let server = TestServer::with(open()).await;
    for _ in 0..TRIES {
        let (mut raw, _) = websocket(&server).await;
        let nowhere = r#"40/relay,{"pid":"AAAAAAAAAAAAAAAAAAAA","offset":"7"}"#;
        let burst = [
            "40/relay,",
            r#"42/relay,0["join","one"]"#,
            "41/relay,",
            nowhere,
            r#"42/relay,0["join","two"]"#,
            "41/relay,",
            "40/relay,",
            r#"42/relay,0["join","three"]"#,
            r#"42/relay,1["x"]"#,
        ];
        send_all(&mut raw, &burst).await;
        let mut heard = until_both(&mut raw, "43/relay,0[{\"room\":\"three", "43/relay,1").await;
        let last = heard.iter().rposition(|packet| packet.starts_with("40/relay,")).expect("an answer");
        assert_eq!(heard.iter().filter(|packet| packet.starts_with("40/relay,")).count(), 3, "{heard:?}");
        heard.drain(..=last);
        heard.sort();
        assert_eq!(heard, [r#"43/relay,0[{"room":"three"}]"#, "43/relay,1[{}]"]);
    }
}
