//! A name is its user's: for days once the user has come back with its token, over restarts too, and others can tell two
//! users of one name apart.

use std::path::Path;

use echoroom::config::{JournalKind, Settings};
use serde_json::{Value, json};

use crate::{
    helpers::{TestServer, settings, text},
    journal::start_in,
    people::Person,
    sockets::{next_text, websocket},
};

fn in_folder(folder: &Path) -> Settings {
    settings().with(|s| {
        s.journal.kind = JournalKind::Sqlite;
        s.journal.data_dir = folder.into();
    })
}

/// Logs in as Ann twice, the second time with the token of the first.
async fn ann_who_came_back(server: &TestServer) -> Person {
    let first = Person::named(server, "Ann").await;
    let token = first.token();
    drop(first);
    // Else the user would have two sessions for a moment.
    server.until_health_shows(0, 0).await;
    Person::login(server, json!({"username": "Ann", "room": "tea", "token": token})).await
}

async fn login_as(server: &TestServer, name: &str, token: Option<&Value>) -> Value {
    let mut person = Person::stranger(server).await;
    let answer = person.ask("login", json!({"username": name, "room": "tea", "token": token})).await;
    person.ask("logout", json!({})).await;
    answer
}

#[actix_web::test]
async fn a_name_whose_user_came_back_with_its_token_is_kept_longer_than_a_hold() {
    let hasty = settings().with(|s| s.login.name_hold = "1ms".parse().expect("a time"));
    let server = TestServer::with(hasty).await;
    let token = ann_who_came_back(&server).await.token();
    server.until_health_shows(0, 0).await;
    // At both doors, and in each spelling.
    for name in ["Ann", "ANN", "Ａｎｎ"] {
        assert_eq!(login_as(&server, name, None).await["error"]["code"], "name_taken", "{name}");
    }
    let (mut raw, _) = websocket(&server).await;
    raw.send(&text("40")).await;
    next_text(&mut raw).await;
    raw.send(&text(r#"420["login",{"username":"Ann","room":"tea"}]"#)).await;
    let answer = next_text(&mut raw).await;
    assert!(answer.contains("name_taken"), "{answer}");
    assert_eq!(login_as(&server, "Ann", Some(&token)).await["data"]["username"], "Ann");
}

#[actix_web::test]
async fn a_name_is_not_reserved_for_who_never_showed_a_token_nor_in_other_rooms() {
    let hasty = settings().with(|s| s.login.name_hold = "1ms".parse().expect("a time"));
    let server = TestServer::with(hasty).await;
    drop(Person::named(&server, "Ben").await);
    server.until_health_shows(0, 0).await;
    assert_eq!(login_as(&server, "Ben", None).await["data"]["username"], "Ben");
    drop(ann_who_came_back(&server).await);
    let mut stranger = Person::stranger(&server).await;
    let answer = stranger.ask("login", json!({"username": "Ann", "room": "milk"})).await;
    assert_eq!(answer["data"]["username"], "Ann");
}

#[actix_web::test]
async fn a_user_who_logs_out_gives_its_name_up() {
    let server = TestServer::start().await;
    let mut ann = ann_who_came_back(&server).await;
    ann.ask("logout", json!({})).await;
    assert_eq!(login_as(&server, "Ann", None).await["data"]["username"], "Ann");
}

#[actix_web::test]
async fn a_user_who_takes_another_name_gives_the_first_one_up() {
    let server = TestServer::start().await;
    let mut ann = ann_who_came_back(&server).await;
    let answer = ann.ask("login", json!({"username": "Cleo", "room": "tea"})).await;
    assert_eq!(answer["data"]["username"], "Cleo");
    assert_eq!(login_as(&server, "Ann", None).await["data"]["username"], "Ann");
    drop(ann);
    assert_eq!(login_as(&server, "Cleo", None).await["error"]["code"], "name_taken");
}

#[actix_web::test]
async fn a_reserved_name_survives_the_process() {
    for signal in ["-TERM", "-KILL"] {
        let folder = tempfile::tempdir().expect("a folder");
        let (running, server) = start_in(folder.path());
        let mut ann = ann_who_came_back(&server).await;
        // What is durable behind the reservation has been written after it.
        ann.say("one").await;
        let token = ann.token();
        running.signal(signal);
        running.exit_code();
        let (_running, server) = start_in(folder.path());
        assert_eq!(login_as(&server, "Ann", None).await["error"]["code"], "name_taken", "{signal}");
        assert_eq!(login_as(&server, "Ann", Some(&token)).await["data"]["username"], "Ann", "{signal}");
    }
}

#[actix_web::test]
async fn whoever_is_there_when_the_server_stops_has_its_name_held_in_the_next_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let (running, server) = start_in(folder.path());
    let ann = Person::named(&server, "Ann").await;
    running.signal("-TERM");
    assert_eq!(running.exit_code(), Some(0));
    let (_running, server) = start_in(folder.path());
    assert_eq!(login_as(&server, "Ann", None).await["error"]["code"], "name_taken");
    assert_eq!(login_as(&server, "Ann", Some(&ann.token())).await["data"]["username"], "Ann");
}

#[actix_web::test]
async fn a_flood_of_names_frees_none_that_are_held_or_reserved() {
    let folder = tempfile::tempdir().expect("a folder");
    let bounded = in_folder(folder.path()).with(|s| {
        s.login.max_held_names = 2.try_into().expect("not zero");
        s.login.max_reserved_names = 2.try_into().expect("not zero");
    });
    let server = TestServer::with(bounded).await;
    drop(ann_who_came_back(&server).await);
    for number in 0..5 {
        let name = format!("flood{number}");
        let token = json!(format!("{number:032x}"));
        drop(Person::login(&server, json!({"username": name, "room": "tea", "token": token})).await);
    }
    server.until_health_shows(0, 0).await;
    assert_eq!(login_as(&server, "Ann", None).await["error"]["code"], "name_taken");
    assert_eq!(login_as(&server, "flood4", None).await["data"]["username"], "flood4", "no place for it");
}

#[actix_web::test]
async fn events_and_history_tell_users_of_one_name_apart() {
    let server = TestServer::start().await;
    let mut reader = Person::settled(&server, "Reader").await;
    let mut uids = Vec::new();
    for _ in 0..2 {
        let mut ann = Person::named(&server, "Ann").await;
        let uid = ann.welcome["uid"].clone();
        assert_eq!(reader.next_named("addUser").await["uid"], uid);
        ann.say("hello").await;
        assert_eq!(reader.next_messages(1).await[0]["uid"], uid);
        ann.ask("sendPrivate", json!({"to": "Reader", "msg": "psst"})).await;
        assert_eq!(reader.next_named("receivePrivate").await["uid"], uid);
        ann.ask("logout", json!({})).await;
        assert_eq!(reader.next_named("delUser").await["uid"], uid);
        uids.push(uid);
    }
    assert_ne!(uids[0], uids[1]);
    let history = reader.ask("history", json!({"limit": 10})).await;
    let told: Vec<_> = history["data"]["messages"].as_array().expect("a page").iter().collect();
    assert_eq!([&told[0]["uid"], &told[1]["uid"]], [&uids[0], &uids[1]]);
    let mut late = Person::named(&server, "Late").await;
    assert_eq!(late.next_messages(2).await[0]["uid"], uids[0], "replays, too");
    // The token is not to be had from it.
    assert_eq!(uids[0].as_str().map(str::len), Some(12));
    let mut guest = server.connect("/ws?room=tea").await;
    guest.send("from a guest").await;
    assert!(late.next_messages(1).await[0]["uid"].is_null());
}

#[actix_web::test]
async fn a_user_is_the_same_for_others_wherever_it_shows_its_token() {
    let server = TestServer::start().await;
    let ann = Person::named(&server, "Ann").await;
    let again =
        Person::login(&server, json!({"username": "Ann", "room": "milk", "token": ann.token()})).await;
    assert_eq!(ann.welcome["uid"], again.welcome["uid"]);
}
