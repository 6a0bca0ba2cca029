//! `GET /rooms?room=NAME` tells where a room stands, whether it has members or not.

use std::time::Duration;

use actix_web::rt;
use echoroom::config::Switch;
use serde_json::{Value, json};

use crate::{
    helpers::{TestServer, settings, soon},
    people::Person,
};

async fn rooms(server: &TestServer, query: &str) -> Value {
    let url = format!("http://{}/rooms{query}", server.address);
    let mut response = awc::Client::new().get(url).send().await.expect("an answer");
    let body = response.body().await.expect("a body");
    serde_json::from_slice(&body)
        .unwrap_or_else(|_| json!([response.status().as_u16(), String::from_utf8_lossy(&body)]))
}

async fn asked(server: &TestServer, room: &str) -> Value {
    rooms(server, &format!("?room={room}")).await["asked"][0].clone()
}

#[actix_web::test]
async fn a_room_that_is_asked_for_says_where_it_stands_while_it_has_members_and_after() {
    let server = TestServer::start().await;
    let mut ann = Person::named(&server, "Ann").await;
    for text in ["one", "two"] {
        ann.ask("sendMessage", json!({"msg": text})).await;
    }
    let epoch = ann.welcome["epoch"].clone();
    let of_tea = |sessions: u64| json!({"room": "tea", "sessions": sessions, "members": sessions, "epoch": epoch, "offset": 2});
    assert_eq!(asked(&server, "tea").await, of_tea(1));
    ann.ask("joinRoom", json!({"room": "elsewhere"})).await;
    // The name is held for a moment, or not: the room goes out of memory then.
    soon("an empty room", async {
        while asked(&server, "tea").await != of_tea(0) {
            rt::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[actix_web::test]
async fn rooms_that_are_not_asked_for_are_not_told_and_those_that_are_not_listed_never() {
    let server = TestServer::start().await;
    let _ann = server.connect("/ws?room=lesson-1").await;
    assert!(rooms(&server, "").await.get("asked").is_none());
    assert_eq!(rooms(&server, "?room=lesson-1").await["asked"], json!([]));
    assert_eq!(asked(&server, "nothing").await, json!({"room": "nothing", "sessions": 0, "members": 0}));
}

#[actix_web::test]
async fn what_cannot_be_asked_for_is_refused_in_words() {
    let server = TestServer::start().await;
    let too_many = format!("?{}", ["room=a"; 22].join("&"));
    for (query, why) in [("?room=", "room"), (too_many.as_str(), "at most 21")] {
        let answer = rooms(&server, query).await;
        assert_eq!(answer[0], 400, "{query}: {answer}");
        assert!(answer[1].as_str().is_some_and(|text| text.contains(why)), "{query}: {answer}");
    }
    let closed = TestServer::with(settings().with(|s| s.rooms.room_list = Switch::Off)).await;
    assert_eq!(rooms(&closed, "?room=tea").await[0], 404);
}
