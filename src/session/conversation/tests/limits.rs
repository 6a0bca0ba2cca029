//! What is too much, too fast or not a request is refused with a reason, and comes to nothing.

use super::*;
use crate::config::ByteSize;

/// Longer than a test runs.
const PATIENCE: Duration = Duration::from_secs(3600);

#[actix_web::test]
async fn who_sends_too_fast_is_told_when_to_come_back_and_asked_for_nothing() {
    let mut stage = Stage::of(worker(settings()), burst(2.0, PATIENCE));
    for number in 1..=2 {
        stage.send("ping", json!({}), Some(number));
        assert!(stage.heard()[0]["data"]["at"].is_u64());
    }
    stage.send("login", json!({"username": "ann"}), Some(3));
    let heard = stage.heard();
    assert_eq!((&heard[0]["ack"], &heard[0]["error"]["code"]), (&json!(3), &json!("rate_limited")));
    assert!(heard[0]["error"]["retry_after_ms"].as_u64().is_some_and(|millis| millis > 0));
    for (event, failure) in [("login", "loginError"), ("ping", "error")] {
        stage.send(event, json!({"username": "ann"}), None);
        let heard = stage.heard();
        assert_eq!(
            (&heard[0]["event"], &heard[0]["data"]["code"]),
            (&json!(failure), &json!("rate_limited"))
        );
    }
    assert!(stage.talk.pending.is_empty() && !stage.talk.is_on_hold());
}

#[actix_web::test]
async fn who_goes_on_too_fast_for_too_long_is_a_flood() {
    let mut stage = Stage::of(worker(settings()), burst(1.0, Duration::ZERO));
    stage.send("ping", json!({}), None);
    let next = stage.ask("ping", json!({}), Some(1));
    assert_eq!(ending_of(next), Some(Ending::Flood));
    assert!(stage.heard().is_empty());
}

#[actix_web::test]
async fn what_is_no_request_is_refused_and_counts_as_a_message() {
    let mut stage = Stage::of(worker(settings()), burst(2.0, PATIENCE));
    for (text, code) in [
        ("trash", "bad_json"),
        (r#"{"event":"jump"}"#, "unknown_event"),
        (r#"{"event":"ping","ack":1}"#, "rate_limited"),
    ] {
        assert!(is_nothing(&stage.talk.text(&text.into())));
        assert_eq!(stage.code(), code);
    }
}

#[actix_web::test]
async fn without_a_limit_on_the_rate_all_is_taken() {
    let mut stage = Stage::new();
    for number in 0..1000 {
        stage.send("ping", json!({}), Some(number));
        assert!(stage.heard()[0]["data"]["at"].is_u64());
    }
}

#[actix_web::test]
async fn bytes_are_no_request_and_a_message_that_is_too_big_is_told_the_limit() {
    let mut stage = Stage::of(
        worker(settings().with(|s| s.events.max_payload = ByteSize::new(5000).expect("a size"))),
        None,
    );
    assert!(is_nothing(&stage.talk.binary()));
    assert_eq!(stage.code(), "bad_json");
    stage.talk.too_big();
    let data = json!({"code": "too_large", "msg": "a message has at most 5000 bytes"});
    assert_eq!(stage.heard(), [json!({"event": "error", "data": data})]);
}

#[actix_web::test]
async fn a_text_may_have_as_many_bytes_as_the_limit_says_and_not_one_more() {
    let mut stage = Stage::subscribed().await;
    let most = stage.worker.settings.limits.max_message_size.get();
    for (event, size, is_taken) in [
        ("sendMessage", most, true),
        ("sendMessage", most + 1, false),
        ("sendPrivate", most, true),
        ("sendPrivate", most + 1, false),
    ] {
        stage.talk.pending.clear();
        stage.send(event, json!({"to": "bob", "msg": "x".repeat(size)}), Some(1));
        assert_eq!(!stage.talk.pending.is_empty(), is_taken, "{event} of {size} bytes");
        if !is_taken {
            assert_eq!(stage.code(), "too_large", "{event}");
        }
    }
}

#[actix_web::test]
async fn a_picture_that_is_too_large_or_none_is_refused_whoever_it_is_for() {
    let mut stage = Stage::subscribed().await;
    let most = stage.worker.settings.events.max_image_size().get();
    let large = format!("data:image/png;base64,{}", "A".repeat(most));
    for to in [json!({}), json!({"to": "bob"})] {
        for (img, code) in [(&*large, "too_large"), ("data:text/html;base64,AAAA", "bad_image")] {
            let mut data = to.clone();
            data["img"] = json!(img);
            stage.send("sendImage", data, Some(1));
            assert_eq!(stage.code(), code, "{to}");
        }
    }
    assert!(stage.talk.pending.is_empty());
}

#[actix_web::test]
async fn an_id_has_one_to_sixty_four_bytes() {
    let mut stage = Stage::subscribed().await;
    for event in ["sendMessage", "sendPrivate"] {
        for (size, is_taken) in [(0, false), (1, true), (64, true), (65, false)] {
            stage.talk.pending.clear();
            stage.send(event, json!({"to": "bob", "msg": "hi", "id": "x".repeat(size)}), Some(1));
            assert_eq!(!stage.talk.pending.is_empty(), is_taken, "{event} with an id of {size} bytes");
            if !is_taken {
                assert_eq!(stage.code(), "bad_field", "{event}");
            }
        }
    }
}

#[actix_web::test]
async fn a_name_that_no_user_can_have_is_no_user_and_a_picture_to_no_name_is_a_mistake() {
    let mut stage = Stage::subscribed().await;
    for (event, data, code) in [
        ("sendPrivate", json!({"to": "", "msg": "hi"}), "no_such_user"),
        ("sendPrivate", json!({"to": "x".repeat(1000), "msg": "hi"}), "no_such_user"),
        ("sendImage", json!({"to": "", "img": "data:image/png;base64,AAAA"}), "bad_field"),
        ("sendImage", json!({"to": "x".repeat(1000), "img": "data:image/png;base64,AAAA"}), "bad_field"),
        ("userList", json!({"after": ""}), "bad_field"),
        ("joinRoom", json!({"room": ""}), "bad_room"),
    ] {
        stage.send(event, data.clone(), Some(1));
        assert_eq!(stage.code(), code, "{event} {data}");
    }
    assert!(stage.talk.pending.is_empty() && !stage.talk.is_on_hold());
}

#[actix_web::test]
async fn what_is_sent_counts_against_the_intake_until_the_chat_server_has_dealt_with_it() {
    for (event, data) in [
        ("login", json!({"username": "ann"})),
        ("joinRoom", json!({"room": "garden"})),
        ("sendMessage", json!({"msg": "hi"})),
        ("sendPrivate", json!({"to": "bob", "msg": "hi"})),
        ("userList", json!({})),
        ("typing", json!({"typing": true})),
    ] {
        let mut stage = Stage::subscribed().await;
        stage.talk.intake = Intake::new(10, stage.worker.budget.clone());
        stage.send(event, data, None);
        assert!(!stage.talk.intake.is_open(), "{event}");
        stage.worker.chat.summary().await.expect("it runs");
        assert!(stage.talk.intake.is_open(), "{event}");
    }
}
