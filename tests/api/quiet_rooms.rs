//! A room that has to be opened first is there for all who wait for it, whatever becomes of one of them.

use serde_json::{Value, json};

use crate::{
    helpers::{TestServer, frame, text},
    people::{Person, texts},
    sockets::{next_text, websocket},
};

const TRIES: usize = 40;

fn packets(packets: &[String]) -> Vec<u8> {
    packets.iter().flat_map(|packet| text(packet)).collect()
}

fn event(ack: &str, event: &str, data: Value) -> String {
    format!("42{ack}{}", json!([event, data]))
}

fn login(name: &str, room: &str, ack: &str) -> String {
    event(ack, "login", json!({"username": name, "room": room}))
}

#[actix_web::test]
async fn who_logs_in_behind_one_that_has_gone_is_let_in() {
    let server = TestServer::start().await;
    for number in 0..TRIES {
        let room = format!("room {number}");
        let (mut raw, _) = websocket(&server).await;
        let burst =
            ["40".into(), login("ann", &room, ""), "41".into(), "40".into(), login("ben", &room, "7")];
        raw.send(&packets(&burst)).await;
        let answer = loop {
            let packet = next_text(&mut raw).await;
            if packet.starts_with("437") {
                break packet;
            }
        };
        assert!(answer.contains("\"room\":\"room"), "{number}: {answer}");
    }
}

#[actix_web::test]
async fn who_logs_in_beside_a_stranger_under_a_reserved_name_is_let_in() {
    let server = TestServer::start().await;
    for number in 0..TRIES {
        let room = format!("room {number}");
        let mut ann = Person::stranger(&server).await;
        let token = ann.ask("login", json!({"username": "Ann", "room": room})).await["data"]["token"].clone();
        // Shown, the token reserves the name.
        let answer = ann.ask("login", json!({"username": "Ann", "room": room, "token": token})).await;
        assert_eq!(answer["data"]["room"], *room, "{answer}");
        drop(ann);
        server.until_health_shows(0, 0).await;
        let (mut stranger, mut ben) = (Person::stranger(&server).await, Person::stranger(&server).await);
        let (refused, answer) = tokio::join!(
            stranger.ask("login", json!({"username": "Ann", "room": room})),
            ben.ask("login", json!({"username": "Ben", "room": room})),
        );
        assert_eq!(refused["error"]["code"], "name_taken", "{refused}");
        assert_eq!(answer["data"]["room"], *room, "{number}: {answer}");
    }
}

#[actix_web::test]
async fn what_a_guest_says_and_leaves_is_kept_beside_a_user_who_comes_and_goes() {
    let server = TestServer::start().await;
    for number in 0..TRIES {
        let room = format!("room{number}");
        let (mut ann, _) = websocket(&server).await;
        ann.send(&text("40")).await;
        next_text(&mut ann).await;
        let mut guest = server.connect_raw(&format!("/ws?room={room}")).await;
        ann.send(&packets(&[login("ann", &room, ""), "41".into()])).await;
        guest.send(&[text("hello"), frame(0x88, &1000_u16.to_be_bytes())].concat()).await;
        assert_eq!(next_text(&mut guest).await, "HELLO!!!");
        guest.expect_close(1000).await;
        drop(ann);
        server.until_health_shows(0, 0).await;
        let mut reader = Person::stranger(&server).await;
        reader.ask("login", json!({"username": "Eve", "room": room})).await;
        let page = reader.ask("history", json!({"limit": 9})).await;
        assert_eq!(texts(page["data"]["messages"].as_array().expect("a page")), ["hello"], "{number}");
        drop(reader);
    }
}
