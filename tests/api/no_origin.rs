//! Pages without an origin (`Origin: null`: files opened from disk, and frames that any site can make) hear and speak only
//! among themselves, on this machine only, unless `--allow-origin null` says otherwise.

use echoroom::config::{Settings, Switch};
use rusqlite::Connection;

use crate::{
    helpers::{RawClient, TestServer, settings, text},
    journal::{folder, start_in},
    people::Person,
};

/// Shakes hands as a page of that origin does; the head of the answer.
async fn knock(server: &TestServer, path: &str, headers: &str) -> (RawClient, String) {
    let mut raw = server.connect_tcp().await;
    let request = raw.upgrade_request(path).replace("Upgrade: w", &format!("{headers}Upgrade: w"));
    raw.send(request.as_bytes()).await;
    let head = raw.read_head().await;
    (raw, head)
}

async fn page(server: &TestServer, path: &str, origin: &str) -> RawClient {
    let (raw, head) = knock(server, path, &format!("Origin: {origin}\r\n")).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{origin} at {path}: {head}");
    raw
}

async fn status(server: &TestServer, path: &str, headers: &str) -> String {
    knock(server, path, headers).await.1[9..12].to_owned()
}

async fn hears(raw: &mut RawClient, words: &str) {
    let frame = raw.read_frame().await;
    assert_eq!(String::from_utf8_lossy(&frame.payload), words);
}

fn allowing_null() -> Settings {
    settings().with(|s| s.origins.allow_origin = vec!["null".parse().expect("an origin")])
}

#[actix_web::test]
async fn a_page_without_origin_gets_its_answer_and_its_echo_and_is_heard_by_its_kind_alone() {
    let server = TestServer::start().await;
    let mut ann = server.connect("/ws?room=secret").await;
    let mut ben = server.connect("/ws").await;
    let mut cat = Person::login(&server, serde_json::json!({"username": "Cat", "room": "secret"})).await;
    for (path, origin) in
        [("/ws?room=secret", "null"), ("/?room=secret", "null"), ("/ws", "file://"), ("/", "null")]
    {
        let mut spy = page(&server, path, origin).await;
        let mut peer = page(&server, "/ws?room=other", "null").await;
        spy.send(&text("posted by evil")).await;
        hears(&mut spy, "POSTED BY EVIL!!!").await;
        hears(&mut peer, "posted by evil").await;
        // Three times: what is heard once may be heard later, too.
        for number in 0..3 {
            ann.send(&format!("my secret {number}")).await;
            assert_eq!(ann.next_text().await, format!("MY SECRET {number}!!!"));
            ben.expect_quiet().await;
        }
        spy.send(&text("still alone")).await;
        hears(&mut spy, "STILL ALONE!!!").await;
    }
    let history = cat.ask("history", serde_json::json!({"limit": 50})).await;
    let said = history["data"]["messages"].as_array().expect("a page").clone();
    assert!(
        said.iter().all(|message| message["msg"].as_str().is_some_and(|msg| msg.starts_with("my secret")))
    );
    let mut echo = page(&server, "/echo", "null").await;
    echo.send(&text("as it is")).await;
    hears(&mut echo, "as it is").await;
}

#[actix_web::test]
async fn no_other_client_can_name_their_room_and_it_is_not_listed() {
    let server = TestServer::with(settings().with(|s| s.socketio.relay = Switch::On)).await;
    let mut spy = page(&server, "/ws", "null").await;
    for path in ["/ws?room=%01null", "/?room=%01null", "/ws?room=%E2%90%81null%01"] {
        assert_eq!(status(&server, path, "").await, "400", "{path}");
    }
    let mut ann = Person::settled(&server, "Ann").await;
    let refused = ann.ask("joinRoom", serde_json::json!({"room": "\u{1}null"})).await;
    assert_eq!(refused["error"]["code"], "bad_room", "{refused}");
    for name in ["null", "file://"] {
        let mut same_name = server.connect(&format!("/ws?room={name}")).await;
        same_name.send("anybody?").await;
        assert_eq!(same_name.next_text().await, "ANYBODY?!!!");
    }
    spy.send(&text("alone")).await;
    hears(&mut spy, "ALONE!!!").await;
    let rooms = server.get_raw("/rooms", "").await;
    assert!(!rooms.contains("null\""), "{rooms}");
}

#[actix_web::test]
async fn a_page_without_origin_comes_in_at_no_other_door() {
    let server = TestServer::start().await;
    let doors = ["/chat", "/socket.io/?EIO=4&transport=websocket", "/lesson/news", "/lesson/slow"];
    for door in doors {
        assert_eq!(status(&server, door, "Origin: null\r\n").await, "403", "{door}");
        assert_eq!(status(&server, door, "Origin: file://\r\n").await, "403", "{door}");
    }
    let polling = "/socket.io/?EIO=4&transport=polling";
    assert!(server.get_raw(polling, "Origin: null\r\n").await.starts_with("HTTP/1.1 403 "));
}

#[actix_web::test]
async fn the_setting_lets_it_in_everywhere() {
    let server = TestServer::with(allowing_null()).await;
    let mut ann = server.connect("/ws?room=tea").await;
    let mut page = page(&server, "/ws?room=tea", "null").await;
    page.send(&text("hello")).await;
    hears(&mut page, "HELLO!!!").await;
    assert_eq!(ann.next_text().await, "hello");
    for door in ["/chat", "/echo", "/socket.io/?EIO=4&transport=websocket"] {
        assert_eq!(status(&server, door, "Origin: null\r\n").await, "101", "{door}");
    }
}

/// A proxy that does not pass `Host` on addresses the server as loopback, whoever the client is.
#[actix_web::test]
async fn what_came_through_a_proxy_is_not_of_this_machine() {
    let server = TestServer::start().await;
    for forwarded in
        ["X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1", "Via: 1.1 a", "X-Real-IP: 192.0.2.1"]
    {
        for origin in ["null", "file://", "http://localhost:9999"] {
            for door in
                ["/", "/ws", "/echo", "/chat", "/lesson/news", "/socket.io/?EIO=4&transport=websocket"]
            {
                let headers = format!("Origin: {origin}\r\n{forwarded}\r\n");
                assert_eq!(status(&server, door, &headers).await, "403", "{door}: {headers}");
            }
        }
    }
    // Without a proxy, pages of this machine may.
    assert_eq!(status(&server, "/chat", "Origin: http://localhost:9999\r\n").await, "101");
}

/// Such as haproxy in its default, which says nothing of itself, with `Host` set by the owner.
#[actix_web::test]
async fn what_a_trusted_proxy_sends_is_not_of_this_machine_whatever_its_headers_say() {
    let trusted_proxy = vec!["127.0.0.1".parse().expect("a network")];
    let server = TestServer::with(settings().with(|s| s.admission.trusted_proxy = trusted_proxy)).await;
    for origin in ["null", "file://", "http://localhost:9999"] {
        for door in ["/", "/ws", "/echo", "/chat", "/lesson/news", "/socket.io/?EIO=4&transport=websocket"] {
            let headers = format!("Origin: {origin}\r\n");
            assert_eq!(status(&server, door, &headers).await, "403", "{door}: {headers}");
        }
        let polling = format!("Origin: {origin}\r\n");
        let answer = server.get_raw("/socket.io/?EIO=4&transport=polling", &polling).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{origin}: {answer}");
    }
    assert_eq!(status(&server, "/chat", "").await, "101", "programs have no origin");
}

#[actix_web::test]
async fn their_room_is_there_however_many_others_there_are() {
    let server = TestServer::with(settings().with(|s| s.rooms.max_rooms = 1.try_into().expect("one"))).await;
    let _ann = server.connect("/ws?room=only").await;
    let mut alone = page(&server, "/ws", "null").await;
    alone.send(&text("hello")).await;
    hears(&mut alone, "HELLO!!!").await;
}

fn rooms_of(folder: &std::path::Path) -> Vec<String> {
    let file = Connection::open(folder.join("echoroom.db")).expect("the journal");
    let mut rows = file.prepare("SELECT name FROM rooms WHERE messages > 0").expect("a table");
    let rows = rows.query_map([], |row| row.get(0)).expect("rows");
    rows.collect::<Result<_, _>>().expect("names")
}

#[actix_web::test]
async fn nothing_that_they_say_is_kept() {
    let folder = folder();
    for (round, name) in ["Ann", "Ben"].into_iter().enumerate() {
        let (running, server) = start_in(folder.path());
        let mut pages = [page(&server, "/ws", "null").await, page(&server, "/", "null").await];
        for number in 0..3 {
            pages[0].send(&text(&format!("words {number}"))).await;
            hears(&mut pages[0], &format!("WORDS {number}!!!")).await;
            hears(&mut pages[1], &format!("words {number}")).await;
        }
        // Something that is kept, behind it.
        Person::named(&server, name).await.say("kept").await;
        drop(pages);
        running.signal("-TERM");
        assert_eq!(running.exit_code(), Some(0));
        assert_eq!(rooms_of(folder.path()), ["tea"]);
        if round == 0 {
            // As a former version has kept it.
            let file = Connection::open(folder.path().join("echoroom.db")).expect("the journal");
            file.execute("UPDATE rooms SET name = '\u{1}null'", []).expect("another name");
        }
    }
}
