//! Messages whose senders wait for no ack are stored with later ones (`--commit-delay`), and no client can tell.

use actix_web::rt;
use serde_json::json;

use crate::{
    chatters::{CHAT_DOORS, Chatter},
    helpers::{TestServer, settings, soon},
};

/// A server that would store such messages too late for any test.
async fn slow_server() -> TestServer {
    TestServer::with(settings().with(|s| s.journal.commit_delay = "60s".parse().expect("a time"))).await
}

/// The texts of a page of history.
async fn history(reader: &mut Chatter<'_>) -> Vec<String> {
    let page = reader.ask("history", &json!({})).await;
    let messages = page["data"]["messages"].as_array().unwrap_or_else(|| panic!("a page: {page}"));
    messages.iter().map(|message| message["msg"].as_str().expect("a text").to_owned()).collect()
}

#[actix_web::test]
async fn what_a_user_has_heard_is_in_its_history_at_each_door() {
    for door in CHAT_DOORS {
        let server = slow_server().await;
        let mut guest = server.connect("/?room=tea").await;
        let mut reader = Chatter::settled(&server, door, "Ann").await;
        for text in ["one", "two"] {
            guest.send(text).await;
            reader.next_named("receiveMessage").await;
        }
        assert_eq!(history(&mut reader).await, ["one", "two"], "{door:?}");
        guest.send("three").await;
        reader.next_named("receiveMessage").await;
        assert_eq!(history(&mut reader).await, ["one", "two", "three"], "{door:?}");
    }
}

#[actix_web::test]
async fn what_was_said_before_a_user_comes_is_in_its_history() {
    for door in CHAT_DOORS {
        let server = slow_server().await;
        let mut guest = server.connect("/?room=tea").await;
        guest.send("one").await;
        assert_eq!(guest.next_text().await, "ONE!!!");
        let mut reader = Chatter::login(&server, door, json!({"username": "Ann", "room": "tea"})).await;
        assert_eq!(history(&mut reader).await, ["one"], "{door:?}");
    }
}

#[actix_web::test]
async fn an_ack_and_what_was_said_before_it_do_not_wait() {
    for door in CHAT_DOORS {
        let server = slow_server().await;
        let mut guest = server.connect("/?room=tea").await;
        let mut user = Chatter::settled(&server, door, "Ann").await;
        guest.send("one").await;
        user.next_named("receiveMessage").await;
        let answer = user.ask("sendMessage", &json!({"msg": "two"})).await;
        assert_eq!(answer["data"]["offset"], 2, "{door:?}: {answer}");
    }
}

#[actix_web::test]
async fn a_room_that_its_last_member_has_left_is_stored_at_once() {
    let server = slow_server().await;
    let mut guest = server.connect("/?room=tea").await;
    guest.send("one").await;
    assert_eq!(guest.next_text().await, "ONE!!!");
    drop(guest);
    soon("all is durable", async {
        while !server.get_raw("/metrics", "").await.contains("echoroom_journal_messages_total 1\n") {
            rt::task::yield_now().await;
        }
    })
    .await;
}

#[actix_web::test]
async fn a_server_that_stops_stores_them_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let kept = settings().with(|s| {
        s.journal.kind = echoroom::config::JournalKind::Sqlite;
        s.journal.data_dir = folder.path().into();
        s.journal.commit_delay = "60s".parse().expect("a time");
    });
    let server = TestServer::with(kept).await;
    let mut guest = server.connect("/?room=tea").await;
    guest.send("one").await;
    assert_eq!(guest.next_text().await, "ONE!!!");
    soon("the stop", server.handle().stop()).await;
    let copy = folder.path().join("copy.db");
    echoroom::app::back_up(folder.path(), &copy).expect("a copy");
    let copy = rusqlite::Connection::open(copy).expect("the copy");
    let count = copy.query_row("SELECT sum(count) FROM rounds", [], |row| row.get::<_, u32>(0));
    assert_eq!(count, Ok(1));
}
