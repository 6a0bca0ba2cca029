//! What is not acked may be sent again with its id: it is said once, whatever others say meanwhile.

use echoroom::config::{JournalKind, Settings};
use serde_json::{Value, json};

use crate::{
    helpers::{RawClient, TestServer, settings, text},
    people::Person,
    sockets::{connected, next_text},
};

/// A room keeps ten messages, so that much is said soon.
fn short() -> Settings {
    settings().with(|s| s.journal.history = 10.try_into().expect("not zero"))
}

/// What a client of Socket.IO is answered.
async fn ask(raw: &mut RawClient, event: &str, data: &Value) -> Value {
    raw.send(&text(&format!("427{}", json!([event, data])))).await;
    loop {
        if let Some(answer) = next_text(raw).await.strip_prefix("437") {
            return serde_json::from_str::<Value>(answer).expect("JSON")[0].take();
        }
    }
}

/// Says 200 messages with ids of their own.
async fn say_much(person: &mut Person) {
    let mut last = 0;
    for number in 0..200 {
        last = person.request("sendMessage", json!({"msg": "x", "id": format!("many {number}")})).await;
    }
    assert!(person.answer_to(last).await["error"].is_null());
}

#[actix_web::test]
async fn an_id_is_known_again_however_much_others_say_at_both_doors() {
    let server = TestServer::with(short()).await;
    let mut ann = Person::settled(&server, "Ann").await;
    let mut cat = connected(&server).await;
    ask(&mut cat, "login", &json!({"username": "Cat", "room": "tea"})).await;
    let once = json!({"msg": "once", "id": "once"});
    let (anns, cats) =
        (ann.ask("sendMessage", once.clone()).await, ask(&mut cat, "sendMessage", &once).await);
    assert_eq!((&anns["data"]["offset"], &cats["offset"]), (&json!(1), &json!(2)));
    let mut ben = Person::settled(&server, "Ben").await;
    for _ in 0..6 {
        let mut other = Person::settled(&server, "Other").await;
        say_much(&mut other).await;
        other.ask("logout", json!({})).await;
        say_much(&mut ben).await;
    }
    assert_eq!(ann.ask("sendMessage", once.clone()).await["data"], anns["data"]);
    let again = ask(&mut cat, "sendMessage", &once).await;
    assert_eq!((&again["offset"], &again["at"]), (&cats["offset"], &cats["at"]));
    // Pictures have ids like texts.
    assert_eq!(ben.ask("history", json!({"limit": 1})).await["data"]["messages"][0]["msg"], "x");
}

#[actix_web::test]
async fn an_id_is_known_again_in_a_room_that_everybody_has_left_meanwhile() {
    for journal in [JournalKind::Memory, JournalKind::Sqlite] {
        let folder = tempfile::tempdir().expect("a folder");
        let data_dir = folder.path().to_owned();
        let server = TestServer::with(short().with(|s| {
            s.journal.kind = journal;
            s.journal.data_dir = data_dir;
        }))
        .await;
        let mut ann = Person::settled(&server, "Ann").await;
        let once = json!({"msg": "once", "id": "once"});
        let first = ann.ask("sendMessage", once.clone()).await;
        let login = json!({"username": "Ann", "room": "tea", "token": ann.token()});
        let mut ben = Person::settled(&server, "Ben").await;
        say_much(&mut ben).await;
        ann.ask("logout", json!({})).await;
        ben.ask("logout", json!({})).await;
        drop((ann, ben));
        server.until_health_shows(0, 0).await;
        let mut ann = Person::login(&server, login).await;
        assert_eq!(ann.ask("sendMessage", once.clone()).await["data"], first["data"]);
    }
}

#[actix_web::test]
async fn a_users_own_ids_are_known_up_to_their_bound() {
    let server =
        TestServer::with(short().with(|s| s.journal.remembered_ids = 5.try_into().expect("not zero"))).await;
    let mut ann = Person::settled(&server, "Ann").await;
    for number in 1..=6 {
        let data = json!({"msg": "x", "id": number.to_string()});
        assert_eq!(ann.ask("sendMessage", data).await["data"]["offset"], number);
    }
    let again = |id: u32| json!({"msg": "x", "id": id.to_string()});
    assert_eq!(ann.ask("sendMessage", again(2)).await["data"]["offset"], 2);
    assert_eq!(ann.ask("sendMessage", again(6)).await["data"]["offset"], 6);
    assert_eq!(ann.ask("sendMessage", again(1)).await["data"]["offset"], 7, "the oldest of six");
}
