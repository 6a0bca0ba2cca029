//! What a client had sent before it left is done, in order, by the user that it was then.

use super::*;

/// A user of a room.
async fn user(worker: &web::Data<Worker>, name: &str, room: &str) -> Stage {
    let mut stage = Stage::registered(worker, None);
    stage.send("login", json!({"username": name, "room": room}), Some(1));
    stage.until_ack(1).await;
    stage
}

/// A client whose login is under way when it leaves.
fn leaving(worker: &web::Data<Worker>, rate: Option<RateLimit>) -> Stage {
    let mut stage = Stage::registered(worker, rate);
    stage.send("login", json!({"username": "ann"}), Some(1));
    assert!(stage.talk.is_on_hold());
    stage
}

/// All that is said in a room up to a message of its own.
async fn all_said(worker: &web::Data<Worker>, room: &str) -> Vec<(String, String)> {
    let mut stage = Stage::registered(worker, None);
    stage.send("login", json!({"username": "last", "room": room}), Some(1));
    let mut heard = stage.until_ack(1).await;
    stage.send("sendMessage", json!({"msg": "end"}), None);
    heard.extend(stage.until(|heard| heard["data"]["msg"] == "end").await);
    let mut texts = texts(&heard);
    assert_eq!(texts.pop(), Some(("last", "end")));
    texts.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

fn say(msg: &str) -> Value {
    json!({"event": "sendMessage", "data": {"msg": msg}})
}

fn pairs(texts: &[(&str, &str)]) -> Vec<(String, String)> {
    texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[actix_web::test]
async fn what_was_sent_behind_a_login_is_said_by_its_user_where_that_is_then() {
    let worker = worker(settings());
    leaving(&worker, None).leave(&[
        say("one"),
        json!({"event": "joinRoom", "data": {"room": "garden"}}),
        say("two"),
        json!({"event": "logout"}),
        say("nothing"),
        json!({"event": "login", "data": {"username": "eve"}}),
        say("three"),
    ]);
    assert_eq!(all_said(&worker, "lobby").await, pairs(&[("ann", "one"), ("eve", "three")]));
    assert_eq!(all_said(&worker, "garden").await, pairs(&[("ann", "two")]));
}

#[actix_web::test]
async fn who_never_logged_in_says_nothing() {
    let worker = worker(settings());
    let stage = Stage::registered(&worker, None);
    stage.leave(&[say("one"), json!({"event": "joinRoom", "data": {"room": "lobby"}}), say("two")]);
    assert_eq!(all_said(&worker, "lobby").await, []);
}

#[actix_web::test]
async fn last_requests_have_the_limits_of_all_requests() {
    let worker = worker(settings());
    let most = worker.settings.limits.max_message_size.get();
    leaving(&worker, None).leave(&[
        say(&"x".repeat(most + 1)),
        json!({"event": "sendMessage", "data": {"msg": "an id too long", "id": "x".repeat(65)}}),
        json!({"event": "sendMessage", "data": {"msg": 5}}),
        json!({"event": "jump"}),
        json!({"event": "login", "data": {"username": ""}}),
        json!({"event": "joinRoom", "data": {"room": ""}}),
        json!({"event": "history", "data": {}, "ack": 1}),
        json!({"event": "ping", "ack": 2}),
        say("one"),
    ]);
    assert_eq!(all_said(&worker, "lobby").await, pairs(&[("ann", "one")]));
}

#[actix_web::test]
async fn last_requests_over_the_rate_are_dropped() {
    let worker = worker(settings());
    // One of the three is for the login.
    let stage = leaving(&worker, burst(3.0, Duration::from_secs(3600)));
    stage.leave(&[say("one"), say("two"), say("three")]);
    assert_eq!(all_said(&worker, "lobby").await, pairs(&[("ann", "one"), ("ann", "two")]));
}

#[actix_web::test]
async fn a_private_message_that_waited_is_sent_before_the_last_requests() {
    let worker = worker(settings());
    let mut bob = user(&worker, "bob", "lobby").await;
    let mut ann = user(&worker, "ann", "lobby").await;
    ann.send("sendPrivate", json!({"to": "bob", "msg": "waited"}), None);
    assert!(ann.talk.waiting_message.is_some(), "it has still to subscribe");
    ann.leave(&[json!({"event": "sendPrivate", "data": {"to": "bob", "msg": "held"}})]);
    let heard = bob.until(|heard| heard["data"]["msg"] == "held").await;
    let private = heard.iter().filter(|text| text["event"] == "receivePrivate");
    let told: Vec<_> = private.map(|text| (&text["data"]["username"], &text["data"]["msg"])).collect();
    assert_eq!(told, [(&json!("ann"), &json!("waited")), (&json!("ann"), &json!("held"))]);
}
