//! A bound on what is stored refuses no newcomer, and one address makes only so many rooms a minute.

use echoroom::config::{JournalKind, PerAddress, Settings};
use serde_json::{Value, json};

use crate::{
    helpers::{TestServer, settings, text},
    people::Person,
    sockets::{Poller, next_text, websocket},
};

fn at_most(rooms: usize) -> Settings {
    settings().with(|s| s.rooms.max_rooms = rooms.try_into().expect("not zero"))
}

/// Leaves one message behind in a room.
pub async fn leave_a_message_in(server: &TestServer, room: &str) {
    let mut writer = Person::login(server, json!({"username": "Writer", "room": room})).await;
    writer.say(&format!("said in {room}")).await;
    writer.ask("logout", json!({})).await;
}

pub async fn history_of(server: &TestServer, room: &str) -> Vec<Value> {
    let mut reader = Person::login(server, json!({"username": "Reader", "room": room})).await;
    let answer = reader.ask("history", json!({"limit": 200})).await;
    reader.ask("logout", json!({})).await;
    answer["data"]["messages"].as_array().expect("a page").clone()
}

#[actix_web::test]
async fn rooms_with_history_refuse_no_newcomer_at_any_door() {
    let server = TestServer::with(at_most(4)).await;
    for room in ["a", "b", "c", "d"] {
        leave_a_message_in(&server, room).await;
    }
    // The plain doors, with and without a name, and the events that enter a room at the others.
    server.connect("/").await.expect_quiet().await;
    server.connect("/ws?room=plain").await.expect_quiet().await;
    let mut ann = Person::login(&server, json!({"username": "Ann", "room": "login"})).await;
    assert_eq!(ann.ask("joinRoom", json!({"room": "joined"})).await["data"]["room"], "joined");
    let (mut raw, _) = websocket(&server).await;
    raw.send(&text("40")).await;
    next_text(&mut raw).await;
    raw.send(&text(r#"420["login",{"username":"Ben","room":"socketio"}]"#)).await;
    let answer = next_text(&mut raw).await;
    assert!(answer.contains(r#""room":"socketio""#), "{answer}");
    let poller = Poller::open(&server).await;
    poller.post("40").await;
    poller.post(r#"420["login",{"username":"Cleo","room":"polling"}]"#).await;
    // The answer to its CONNECT may come by itself.
    while !poller.poll().await.body.contains(r#""room":"polling""#) {}
}

#[actix_web::test]
async fn at_the_bound_the_longest_silent_room_loses_its_history_and_the_others_keep_theirs() {
    for journal in [JournalKind::Memory, JournalKind::Sqlite] {
        let folder = tempfile::tempdir().expect("a folder");
        let server = TestServer::with(at_most(4).with(|s| {
            s.journal.kind = journal;
            s.journal.data_dir = folder.path().into();
        }))
        .await;
        for room in ["first", "second", "third", "lobby"] {
            leave_a_message_in(&server, room).await;
        }
        // The first speaks once more: the second is silent for longest now.
        leave_a_message_in(&server, "first").await;
        assert_eq!(history_of(&server, "first").await.len(), 2);
        server.connect("/ws?room=fourth").await.expect_quiet().await;
        assert_eq!(history_of(&server, "first").await.len(), 2);
        assert_eq!(history_of(&server, "third").await.len(), 1);
        assert_eq!(history_of(&server, "lobby").await.len(), 1);
        assert_eq!(history_of(&server, "second").await.len(), 0);
    }
}

#[actix_web::test]
async fn a_client_of_a_room_that_lost_its_history_learns_that_it_missed_something() {
    let server = TestServer::with(at_most(2)).await;
    let mut ann = Person::login(&server, json!({"username": "Ann", "room": "old"})).await;
    ann.ask("sendMessage", json!({"msg": "one"})).await;
    let back = ann.return_data(1);
    ann.ask("logout", json!({})).await;
    leave_a_message_in(&server, "a").await;
    leave_a_message_in(&server, "b").await;
    // Another message at the offset that Ann had last.
    leave_a_message_in(&server, "old").await;
    let ann = Person::login(&server, back).await;
    assert_eq!(ann.welcome["recovered"], false);
}

#[actix_web::test]
async fn a_room_too_many_is_refused_while_all_have_members_and_the_lobby_never_is() {
    let server = TestServer::with(at_most(2)).await;
    let _held = [server.connect("/ws?room=a").await, server.connect("/ws?room=b").await];
    let refused = server.connect_tcp().await.handshake_with("/ws?room=c", "").await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    let mut ann = Person::stranger(&server).await;
    let answer = ann.ask("login", json!({"username": "Ann", "room": "c"})).await;
    assert_eq!(answer["error"]["code"], "too_many_rooms");
    server.connect("/").await.expect_quiet().await;
    Person::login(&server, json!({"username": "Ben"})).await;
    // A room that is there can be entered.
    Person::login(&server, json!({"username": "Ben", "room": "a"})).await;
}

#[actix_web::test]
async fn an_address_that_makes_rooms_too_fast_is_refused_at_every_door_and_may_enter_those_that_are_there() {
    let bounded = settings().with(|s| s.rooms.max_new_rooms_per_minute = PerAddress::for_all(2));
    let server = TestServer::with(bounded).await;
    let _first = server.connect("/ws?room=a").await;
    let mut ann = Person::login(&server, json!({"username": "Ann", "room": "b"})).await;

    let mut raw = server.connect_tcp().await;
    raw.send(raw.upgrade_request("/ws?room=c").as_bytes()).await;
    let mut answer = String::new();
    while !answer.contains("--max-new-rooms-per-minute") {
        answer.push(raw.read_exact(1).await[0].into());
    }
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    for (event, data) in
        [("login", json!({"username": "Ann", "room": "c"})), ("joinRoom", json!({"room": "c"}))]
    {
        let answer = ann.ask(event, data).await;
        assert_eq!(answer["error"]["code"], "too_many_rooms", "{event}");
        assert!(answer["error"]["msg"].as_str().expect("a reason").contains("--max-new-rooms-per-minute"));
    }
    let (mut socketio, _) = websocket(&server).await;
    socketio.send(&text("40")).await;
    next_text(&mut socketio).await;
    socketio.send(&text(r#"420["login",{"username":"Ben","room":"c"}]"#)).await;
    let answer = next_text(&mut socketio).await;
    assert!(answer.contains("too_many_rooms") && answer.contains("--max-new-rooms-per-minute"), "{answer}");

    // Rooms that are there.
    server.connect("/ws?room=b").await.expect_quiet().await;
    assert_eq!(ann.ask("joinRoom", json!({"room": "a"})).await["data"]["room"], "a");
    // And the default one, which is always there.
    server.connect("/").await.expect_quiet().await;
}
