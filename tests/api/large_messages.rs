//! One message may be larger than what may wait for a session: who keeps up gets it, at every door.

use serde_json::{Value, json};

use crate::{
    chatters::{CHAT_DOORS, Chatter},
    helpers::{TestServer, settings},
    pictures::gif,
};

#[actix_web::test]
async fn a_reader_who_keeps_up_gets_what_is_larger_than_what_may_wait_for_it() {
    let small = settings().with(|s| {
        s.limits.max_queue_bytes = "4k".parse().expect("a size");
        s.limits.max_intake_bytes = "1k".parse().expect("a size");
    });
    for door in CHAT_DOORS {
        let server = TestServer::with(small.clone()).await;
        let mut ann = Chatter::settled(&server, door, "Ann").await;
        let mut ben = Chatter::settled(&server, door, "Ben").await;
        for number in 0..3 {
            let msg = format!("{number} {}", "x".repeat(60_000));
            let said = ann.ask("sendMessage", &json!({"msg": msg})).await;
            assert!(said["data"]["offset"].is_u64(), "{door:?}: {said}");
            assert_eq!(ben.next_named("receiveMessage").await["msg"], msg, "{door:?}");
        }
        let history = ben.ask("history", &json!({"limit": 50})).await;
        let page = history["data"]["messages"].as_array().map(Vec::len);
        assert_eq!(page, Some(3), "{door:?}");
        assert_ne!(ben.ask("ping", &json!({})).await["data"], Value::Null, "{door:?}");
    }
}

#[actix_web::test]
async fn the_largest_picture_that_is_allowed_fits_at_every_door() {
    let (img, larger) = (gif(2, 2, 900), gif(2, 2, 901));
    let size = img.len();
    let exact = settings().with(|s| {
        s.events.max_image_size = Some(size.to_string().parse().expect("a size"));
        s.events.max_payload = (size + 1024).to_string().parse().expect("a size");
    });
    let server = TestServer::with(exact).await;
    for door in CHAT_DOORS {
        let mut ann =
            Chatter::login(&server, door, json!({"username": format!("{door:?}"), "room": "tea"})).await;
        for number in 0..3 {
            let id = format!("{number}{}", "\u{1}".repeat(63));
            let said = ann.ask("sendImage", &json!({"img": img, "id": id})).await;
            assert!(said["data"]["offset"].is_u64(), "{door:?}: {said}");
        }
        let refused = ann.ask("sendImage", &json!({"img": larger})).await;
        assert_eq!(refused["error"]["code"], "too_large", "{door:?}: {refused}");
    }
}
