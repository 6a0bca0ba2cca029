//! The door of the chat: what is sent behind a login is its user's, and a client is told what is too big.

use super::*;
use crate::config::ByteSize;

async fn ack(client: &mut Client, number: u64) -> Value {
    loop {
        let event = client.event().await;
        if event["ack"] == number {
            return event;
        }
    }
}

#[actix_web::test]
async fn what_comes_in_one_piece_with_a_login_is_handled_behind_it() {
    let worker = worker(settings());
    let mut client = Client::at(Door::Chat, &worker).await;
    client.send([
        request("sendMessage", json!({"msg": "too early"}), 1),
        request("login", json!({"username": "ann"}), 2),
        request("sendMessage", json!({"msg": "hi"}), 3),
        request("logout", json!({}), 4),
        request("sendMessage", json!({"msg": "too late"}), 5),
    ]);
    assert_eq!(client.event().await["error"]["code"], "not_logged_in");
    assert_eq!(client.event().await["data"]["username"], "ann", "the login is answered next");
    let mut answers = Vec::new();
    while answers.len() < 3 {
        let event = client.event().await;
        if event["ack"].is_u64() {
            answers.push(event);
        }
    }
    answers.sort_by_key(|answer| answer["ack"].as_u64());
    assert_eq!(answers[0]["data"]["echo"], "HI!!!");
    assert_eq!(answers[1], json!({"ack": 4, "data": {}}));
    assert_eq!(answers[2]["error"]["code"], "not_logged_in");
}

#[actix_web::test]
async fn bytes_are_answered_with_an_error_and_the_session_goes_on() {
    let mut client = Client::at(Door::Chat, &worker(settings())).await;
    client.send([frame_of(OpCode::Binary, b"{}"), request("ping", json!({}), 1)]);
    assert_eq!(client.event().await["data"]["code"], "bad_json");
    assert_eq!(client.event().await["ack"], 1);
}

#[actix_web::test]
async fn a_client_may_send_large_messages_once_it_is_known() {
    let size = |bytes| ByteSize::new(bytes).expect("not zero");
    let settings = settings().with(|settings| {
        settings.limits.max_login_size = size(10_000);
        settings.limits.max_message_size = size(15_000);
        settings.events.max_payload = size(20_000);
    });
    let worker = worker(settings);
    assert_eq!(worker.settings.max_login_size().get(), 10_000);
    let large = || request("sendMessage", json!({"msg": "x".repeat(12_000)}), 2);

    let mut unknown = Client::at(Door::Chat, &worker).await;
    unknown.send([large()]);
    let error = unknown.event().await;
    assert_eq!((&error["event"], &error["data"]["code"]), (&json!("error"), &json!("too_large")));
    assert_eq!(unknown.code().await, 1009);

    let mut known = Client::at(Door::Chat, &worker).await;
    known.send([request("login", json!({"username": "ann"}), 1), large()]);
    assert!(ack(&mut known, 2).await["data"]["offset"].is_u64());
    known.send([request("sendMessage", json!({"msg": "x".repeat(20_000)}), 3)]);
    let error = loop {
        let event = known.event().await;
        if event["event"] == "error" {
            break event;
        }
    };
    assert_eq!(error["data"], json!({"code": "too_large", "msg": "a message has at most 20000 bytes"}));
    assert_eq!(known.code().await, 1009);
}
