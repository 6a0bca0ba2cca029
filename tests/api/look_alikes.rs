//! Two users of a room do not look alike, no user looks like a guest, and names are made of what can be seen.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::{
    helpers::{TestServer, settings, text},
    journal::{folder, start_in},
    people::Person,
    sockets::{connected, joined, next_text},
};

/// Why a login of that name is refused at `/chat`, and at Socket.IO.
async fn refusals(server: &TestServer, name: &str) -> [Value; 2] {
    let login = json!({"username": name, "room": "tea"});
    let mut stranger = Person::stranger(server).await;
    stranger.send("login", login.clone()).await;
    let at_chat = stranger.next_named("loginError").await["code"].take();

    let mut raw = connected(server).await;
    raw.send(&text(&format!("42{}", json!(["login", login])))).await;
    let answer: Value = serde_json::from_str(&next_text(&mut raw).await[2..]).expect("JSON");
    assert_eq!(answer[0], "loginError", "{name:?}: {answer}");
    [at_chat, answer[1]["code"].clone()]
}

#[actix_web::test]
async fn a_name_that_is_drawn_like_one_in_the_room_is_taken() {
    let server = TestServer::start().await;
    let mut alice = Person::named(&server, "Alice").await;
    let _coop = Person::named(&server, "coop").await;
    for alike in ["AIice", "A1ice", "alıce"] {
        assert_eq!(refusals(&server, alike).await, ["name_taken", "name_taken"], "{alike}");
    }
    assert_eq!(refusals(&server, "соор").await, ["name_taken", "name_taken"], "all of it Cyrillic");
    Person::login(&server, json!({"username": "AIice", "room": "milk"})).await;
    alice.ask("logout", json!({})).await;
    Person::named(&server, "AIice").await;
}

#[actix_web::test]
async fn a_name_mixes_no_scripts_and_looks_like_no_guest() {
    let server = TestServer::start().await;
    for bad in [
        "аlice",
        "Bοb",
        "раypal",
        "guest\u{2010}5",
        "guest\u{2011}5",
        "guеst-1",
        "ｇｕｅｓｔ－5",
        "guest–1",
        "GUEST-1",
    ] {
        assert_eq!(refusals(&server, bad).await, ["bad_name", "bad_name"], "{bad}");
    }
}

#[actix_web::test]
async fn a_name_is_made_of_characters_that_are_seen() {
    let server = TestServer::start().await;
    for bad in
        ['\u{378}', '\u{E000}', '\u{FFFF}', '\u{FFFC}', '\u{200B}', '\u{2060}', '\u{3164}', '\u{10FFFD}']
    {
        let refusals = refusals(&server, &format!("a{bad}b")).await;
        assert_eq!(refusals, ["bad_name", "bad_name"], "U+{:04X}", u32::from(bad));
    }
    let marks = format!("a{}", "\u{336}\u{301}".repeat(10));
    assert_eq!(refusals(&server, &marks).await, ["bad_name", "bad_name"]);
}

#[actix_web::test]
async fn people_are_called_as_they_are_called() {
    let server = TestServer::start().await;
    let names = [
        "王小明",
        "田中 太郎",
        "さくら",
        "김철수",
        "محمد",
        "אברהם",
        "राजेश कुमार",
        "สมชาย",
        "Nguyễn Văn Anh",
        "Иван Петров",
        "Γιώργος",
        "O'Brien",
        "李雷 Leo",
        "👩🏽\u{200D}🚀",
        "🏳\u{FE0F}\u{200D}🌈",
        "🇩🇪",
    ];
    for name in names {
        Person::login(&server, json!({"username": name, "room": "tea"})).await;
    }
}

/// The answers of all doors to a room of this name, percent-encoded for an address.
async fn room_refusals(server: &TestServer, name: &str, encoded: &str) {
    let head = server.connect_tcp().await.handshake_with(&format!("/ws?room={encoded}"), "").await;
    assert!(head.starts_with("HTTP/1.1 400 "), "{name:?}: {head}");
    let mut ann = Person::stranger(server).await;
    let login = ann.ask("login", json!({"username": "Ann", "room": name})).await;
    assert_eq!(login["error"]["code"], "bad_room", "{name:?}");
    let mut ben = Person::named(server, "Ben").await;
    assert_eq!(ben.ask("joinRoom", json!({"room": name})).await["error"]["code"], "bad_room", "{name:?}");
    ben.ask("logout", json!({})).await;
    let (mut raw, _) = joined(server, "/relay", "").await;
    raw.send(&text(&format!("42/relay,0{}", json!(["join", name])))).await;
    assert!(next_text(&mut raw).await.contains("bad_room"), "{name:?}");
}

#[actix_web::test]
async fn a_new_room_has_a_name_of_characters_that_are_seen() {
    let relay = echoroom::config::Switch::On;
    let server = TestServer::with(settings().with(|s| s.socketio.relay = relay)).await;
    for (name, encoded) in [
        ("te\u{200B}a", "te%E2%80%8Ba"),
        ("te\u{E000}a", "te%EE%80%80a"),
        ("te\u{378}a", "te%CD%B8a"),
        ("te\u{FFFF}a", "te%EF%BF%BFa"),
        ("te\u{301}\u{302}\u{303}\u{304}a", "te%CC%81%CC%82%CC%83%CC%84a"),
    ] {
        room_refusals(&server, name, encoded).await;
    }
}

#[actix_web::test]
async fn a_room_that_has_history_stays_open_whatever_its_name() {
    let folder = folder();
    let (running, server) = start_in(folder.path());
    Person::named(&server, "Ann").await.say("from before").await;
    running.signal("-TERM");
    assert_eq!(running.exit_code(), Some(0));
    let file = Connection::open(folder.path().join("echoroom.db")).expect("the journal");
    file.execute("UPDATE rooms SET name = 'te\u{200B}a'", []).expect("another name");
    drop(file);

    let (_running, server) = start_in(folder.path());
    let mut ben = Person::login(&server, json!({"username": "Ben", "room": "te\u{200B}a"})).await;
    assert_eq!(ben.next_messages(1).await[0]["msg"], "from before");
    server.connect("/ws?room=te%E2%80%8Ba").await;
}
