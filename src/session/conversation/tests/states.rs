//! Which requests are let through before a login, during it, after it, and after a logout.

use super::*;

/// The requests that only a user may make.
fn of_users() -> [(&'static str, Value); 7] {
    [
        ("sendMessage", json!({"msg": "hi"})),
        ("sendImage", json!({"img": "data:image/png;base64,AAAA"})),
        ("sendPrivate", json!({"to": "bob", "msg": "hi"})),
        ("userList", json!({})),
        ("typing", json!({"typing": true})),
        ("joinRoom", json!({"room": "garden"})),
        ("history", json!({})),
    ]
}

#[actix_web::test]
async fn who_is_not_logged_in_is_told_so_and_nothing_is_asked_for_it() {
    let mut stage = Stage::new();
    for (event, data) in of_users() {
        stage.send(event, data.clone(), Some(3));
        assert_eq!(stage.code(), "not_logged_in", "{event} with an ack");
        stage.send(event, data, None);
        let heard = stage.heard();
        assert_eq!((&heard[0]["event"], heard.len()), (&json!("error"), 1), "{event} without an ack");
    }
    assert!(stage.talk.pending.is_empty() && !stage.talk.is_on_hold() && !stage.talk.has_logged_in());
}

#[actix_web::test]
async fn pings_and_logouts_are_answered_in_every_state() {
    let mut stage = Stage::new();
    for _ in 0..2 {
        stage.send("ping", json!({}), Some(1));
        assert!(stage.heard()[0]["data"]["at"].is_u64());
        stage.send("ping", json!({}), None);
        stage.send("logout", json!({}), Some(2));
        stage.reply(stage.ticket(), Reply::LoggedOut);
        assert_eq!(stage.heard(), [json!({"ack": 2, "data": {}})]);
        stage = Stage::subscribed().await;
    }
}

#[actix_web::test]
async fn a_login_pauses_reading_until_it_is_answered() {
    let mut stage = Stage::new();
    stage.send("login", json!({"username": "ann"}), Some(1));
    assert!(stage.talk.is_on_hold() && !stage.talk.has_logged_in());
    let reading = stage.logged_in(0, 0, Resume::Fresh);
    assert!(stage.talk.is_on_hold() && stage.talk.has_logged_in(), "it reads what it missed");
    assert!(stage.heard().is_empty());
    stage.run(reading).await;
    assert!(!stage.talk.is_on_hold());
    assert_eq!(stage.heard()[0]["data"]["username"], "ann");
}

#[actix_web::test]
async fn a_rejected_login_ends_the_pause_and_the_client_may_try_again() {
    let mut stage = Stage::new();
    for (ack, event) in [(Some(1), Value::Null), (None, json!("loginError"))] {
        stage.send("login", json!({"username": "ann"}), ack);
        stage.reply(stage.ticket(), Reply::Rejected(Rejected::NameTaken));
        assert!(!stage.talk.is_on_hold() && !stage.talk.has_logged_in());
        let heard = stage.heard();
        assert_eq!((&heard[0]["event"], heard.len()), (&event, 1));
    }
    stage.send("sendMessage", json!({"msg": "hi"}), Some(2));
    assert_eq!(stage.code(), "not_logged_in");
}

#[actix_web::test]
async fn a_login_with_a_wrong_field_pauses_nothing() {
    let mut stage = Stage::new();
    let epoch = EPOCH.to_string();
    for (data, code) in [
        (json!({"username": ""}), "bad_name"),
        (json!({"username": "ann", "room": ""}), "bad_room"),
        (json!({"username": "ann", "token": "x"}), "bad_token"),
        (json!({"username": "ann", "epoch": epoch}), "bad_field"),
        (json!({"username": "ann", "offset": 3}), "bad_field"),
        (json!({"username": "ann", "epoch": "x", "offset": 3}), "bad_field"),
        (json!({}), "bad_field"),
    ] {
        stage.send("login", data.clone(), Some(1));
        assert_eq!(stage.code(), code, "{data}");
        assert!(stage.talk.pending.is_empty() && !stage.talk.is_on_hold(), "{data}");
    }
}

#[actix_web::test]
async fn who_may_not_enter_another_room_stays_logged_in() {
    let mut stage = Stage::subscribed().await;
    stage.send("joinRoom", json!({"room": "garden"}), None);
    assert!(stage.talk.is_on_hold());
    stage.reply(stage.ticket(), Reply::Rejected(Rejected::TooManyRooms));
    assert!(!stage.talk.is_on_hold());
    assert_eq!(stage.heard()[0]["event"], "error", "no loginError: it was no login");
    stage.send("sendMessage", json!({"msg": "hi"}), Some(3));
    assert!(stage.heard().is_empty(), "it waits for the chat server");
}

#[actix_web::test]
async fn who_has_logged_out_must_log_in_again_first() {
    let mut stage = Stage::subscribed().await;
    stage.send("logout", json!({}), None);
    for (event, data) in of_users() {
        stage.send(event, data, Some(3));
        assert_eq!(stage.code(), "not_logged_in", "{event}, before the logout is answered");
    }
    stage.reply(stage.ticket(), Reply::LoggedOut);
    assert!(stage.heard().is_empty(), "it did not ask for an ack");
    assert!(stage.talk.has_logged_in(), "the client is known still");
    stage.send("login", json!({"username": "ann"}), Some(4));
    let reading = stage.logged_in(0, 0, Resume::Fresh);
    stage.run(reading).await;
    assert_eq!(stage.heard()[0]["ack"], 4);
}

#[actix_web::test]
async fn who_logs_out_while_it_catches_up_is_sent_nothing_more_of_the_room() {
    let mut stage = Stage::new();
    append(&stage, [record(1, &["a", "b"])]).await;
    stage.send("login", json!({"username": "ann"}), Some(1));
    let visit = stage.ticket();
    let reading = stage.logged_in(2, 2, Resume::From(0));
    stage.send("logout", json!({}), None);
    assert!(is_nothing(&stage.run(reading).await));
    let tail = Tail { visit, epoch: EPOCH, records: vec![record(3, &["c"])], behind: None };
    assert!(is_nothing(&stage.talk.tail(tail)));
    assert!(stage.heard().is_empty());
}

#[actix_web::test]
async fn a_nickname_is_held_for_who_was_lost_and_for_who_has_shown_its_token() {
    let mut stage = Stage::new();
    assert_eq!((stage.talk.holds_name(true), stage.talk.holds_name(false)), (true, false));
    let token = Token::random().expect("random numbers").to_string();
    stage.send("login", json!({"username": "ann", "token": ""}), None);
    assert!(!stage.talk.holds_name(false), "an empty token is none");
    stage.send("login", json!({"username": "ann", "token": token}), None);
    assert!(stage.talk.holds_name(false));
    stage.send("logout", json!({}), None);
    assert!(!stage.talk.holds_name(false));
}

/// What a client that comes back sends again at once is known: its answer would overtake the messages that it has missed,
/// which may be that one itself.
#[actix_web::test]
async fn a_message_or_picture_waits_until_its_sender_is_subscribed_so_that_its_answer_comes_behind_it() {
    let picture = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAUwAOw==";
    let place = Place { offset: 1, at: 9 };
    for (event, data) in
        [("sendMessage", json!({"msg": "a", "id": "m1"})), ("sendImage", json!({"img": picture, "id": "m1"}))]
    {
        let mut stage = Stage::new();
        append(&stage, [record(1, &["a"])]).await;
        stage.send("login", json!({"username": "ann"}), Some(1));
        let visit = stage.ticket();
        let reading = stage.logged_in(1, 1, Resume::From(0));
        stage.send(event, data, Some(2));
        assert!(stage.talk.pending.is_empty() && stage.talk.is_on_hold(), "reading is paused behind {event}");
        stage.run(reading).await;
        assert_eq!(said(&stage.heard()), [(1, true)]);
        assert!(is_nothing(&stage.talk.tail(Tail {
            visit,
            epoch: EPOCH,
            records: Vec::new(),
            behind: None
        })));
        assert!(!stage.talk.is_on_hold());
        stage.reply(stage.ticket(), Reply::Posted(place));
        assert_eq!(stage.heard().len(), 1, "the answer");
    }
}

#[actix_web::test]
async fn a_private_message_waits_until_its_sender_is_subscribed() {
    let mut stage = Stage::new();
    stage.send("login", json!({"username": "ann"}), Some(1));
    let visit = stage.ticket();
    let reading = stage.logged_in(0, 0, Resume::Fresh);
    stage.run(reading).await;
    stage.heard();
    stage.send("sendPrivate", json!({"to": "bob", "msg": "hi"}), Some(2));
    assert!(stage.talk.pending.is_empty() && stage.talk.is_on_hold(), "reading is paused behind it");
    assert!(is_nothing(&stage.talk.tail(Tail { visit, epoch: EPOCH, records: Vec::new(), behind: None })));
    assert!(!stage.talk.is_on_hold());
    stage.reply(stage.ticket(), Reply::PrivateSent { at: 9, delivered: false });
    assert_eq!(stage.heard(), [json!({"ack": 2, "data": {"at": 9, "delivered": false}})]);
    stage.send("sendPrivate", json!({"to": "bob", "msg": "hi"}), Some(3));
    assert!(!stage.talk.is_on_hold() && stage.talk.pending.len() == 1, "now it does not wait");
}
