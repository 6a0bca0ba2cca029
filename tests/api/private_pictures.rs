//! A picture with `to` goes to that user alone, as a text does that is sent privately.

use awc::ws::Frame;
use serde_json::{Value, json};

use crate::{
    chatters::{CHAT_DOORS, ChatDoor, Chatter},
    helpers::{TestServer, settings, text},
    people::PIXEL,
    pictures::gif,
    sockets::{Poller, connected, next_text},
};

/// Asks for an answer, and expects that neither a picture nor a private message came before it.
async fn expect_no_picture(chatter: &mut Chatter<'_>) {
    let number = chatter.request("ping", &json!({})).await;
    loop {
        let value = chatter.next().await;
        assert!(value["event"] != "receiveImage" && value["event"] != "receivePrivate", "{value}");
        if value["ack"] == number {
            return;
        }
    }
}

/// The names of an object's fields.
fn fields(value: &Value) -> Vec<&str> {
    let mut fields: Vec<_> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    fields.sort_unstable();
    fields
}

#[actix_web::test]
async fn a_private_picture_reaches_its_reader_and_its_sender_and_no_other_at_any_door() {
    let server = TestServer::start().await;
    let mut guest = server.connect("/ws?room=tea").await;
    let mut messages = 0;
    for (from, to) in CHAT_DOORS.into_iter().flat_map(|from| CHAT_DOORS.map(|to| (from, to))) {
        let mut ann = Chatter::settled(&server, from, "Ann").await;
        let mut ben = Chatter::settled(&server, to, "Ben").await;
        let mut eve = Chatter::settled(&server, to, "Eve").await;
        for round in 0..3 {
            let id = format!("{from:?} {to:?} {round}");
            let answer = ann.ask("sendImage", &json!({"to": "BEN", "img": PIXEL, "id": id})).await;
            let receipt = &answer["data"];
            assert_eq!(fields(receipt), ["at", "delivered", "id"], "{answer}");
            assert_eq!((&receipt["id"], &receipt["delivered"]), (&json!(id), &json!(true)), "{answer}");
            for hearer in [&mut ann, &mut ben] {
                let heard = hearer.next_named("receivePrivate").await;
                assert_eq!(fields(&heard), ["at", "avatar", "id", "img", "to", "uid", "username"]);
                assert_eq!((&heard["username"], &heard["to"]), (&json!("Ann"), &json!("Ben")));
                assert_eq!((&heard["img"], &heard["id"]), (&json!(PIXEL), &json!(id)));
                assert_eq!(heard["at"], receipt["at"]);
                assert!(!hearer.has_heard("receiveImage"));
            }
            expect_no_picture(&mut eve).await;
        }
        // Nothing of it is kept, and it takes no offset.
        let history = eve.ask("history", &json!({})).await;
        assert!(history["data"]["messages"].as_array().expect("messages").iter().all(|m| m["img"].is_null()));
        let number = ann.ask("sendMessage", &json!({"msg": "m"})).await["data"]["offset"].take();
        assert_eq!(guest.next_text().await, "m", "the plain session has heard nothing else");
        messages += 1;
        assert_eq!(number, messages);
        for chatter in [&mut ann, &mut ben, &mut eve] {
            chatter.ask("logout", &json!({})).await;
        }
    }
}

#[actix_web::test]
async fn a_picture_whose_reader_cannot_be_read_reaches_no_member_and_the_error_names_the_field() {
    let server = TestServer::start().await;
    for door in CHAT_DOORS {
        let mut ann = Chatter::settled(&server, door, "Ann").await;
        let mut ben = Chatter::settled(&server, door, "Ben").await;
        let long = "x".repeat(25);
        let endless = "x".repeat(20_000);
        for to in [
            json!(null),
            json!(5),
            json!(false),
            json!([]),
            json!(["Ben"]),
            json!({"username": "Ben"}),
            json!(""),
            json!("  "),
            json!(long),
            json!(endless),
        ] {
            let answer = ann.ask("sendImage", &json!({"to": to, "img": PIXEL, "id": "p"})).await;
            assert_eq!(answer["error"]["code"], "bad_field", "{door:?} {to:.40}: {answer}");
            let sentence = answer["error"]["msg"].as_str().expect("a sentence");
            assert!(sentence.starts_with("data.to: ") && sentence.len() < 300, "{door:?} {to:.40}: {answer}");
            // Without an ack there is an event.
            ann.send("sendImage", &json!({"to": to, "img": PIXEL})).await;
            assert_eq!(ann.next_named("error").await["code"], "bad_field");
        }
        for stranger in ["Zoe", "guest-1", "B\u{200B}en"] {
            let answer = ann.ask("sendImage", &json!({"to": stranger, "img": PIXEL})).await;
            assert_eq!(answer["error"]["code"], "no_such_user", "{stranger}: {answer}");
        }
        expect_no_picture(&mut ann).await;
        expect_no_picture(&mut ben).await;
        for chatter in [&mut ann, &mut ben] {
            chatter.ask("logout", &json!({})).await;
        }
    }
}

#[actix_web::test]
async fn a_private_picture_is_checked_as_one_for_the_room_is() {
    let narrow = settings().with(|s| s.events.max_image_size = Some("2k".parse().expect("a size")));
    let server = TestServer::with(narrow).await;
    for door in CHAT_DOORS {
        let mut ann = Chatter::stranger(&server, door).await;
        let early = ann.ask("sendImage", &json!({"to": "Ben", "img": PIXEL})).await;
        assert_eq!(early["error"]["code"], "not_logged_in", "{door:?}");
        let mut ann = Chatter::settled(&server, door, "Ann").await;
        let mut ben = Chatter::settled(&server, door, "Ben").await;
        let large = format!("data:image/png;base64,{}", "A".repeat(3000));
        for (img, code) in [
            (&*large, "too_large"),
            ("data:text/html,<script>", "bad_image"),
            (&gif(16, 16_000, 1), "bad_image"),
            (&gif(8000, 1, 1), "bad_image"),
        ] {
            let answer = ann.ask("sendImage", &json!({"to": "Ben", "img": img})).await;
            assert_eq!(answer["error"]["code"], code, "{door:?} {img:.60}: {answer}");
        }
        let unnamed = ann.ask("sendImage", &json!({"to": "Ben", "img": PIXEL, "id": ""})).await;
        assert_eq!(unnamed["error"]["code"], "bad_field", "{unnamed}");
        expect_no_picture(&mut ben).await;
        let own = ann.ask("sendImage", &json!({"to": "Ann", "img": PIXEL})).await;
        assert_eq!(own["data"]["delivered"], true, "to itself, as a text");
        for chatter in [&mut ann, &mut ben] {
            chatter.ask("logout", &json!({})).await;
        }
    }
}

#[actix_web::test]
async fn a_private_picture_for_a_user_who_has_dropped_is_not_delivered() {
    for door in CHAT_DOORS {
        let server = TestServer::start().await;
        let mut ann = Chatter::settled(&server, door, "Ann").await;
        let ben = Chatter::settled(&server, ChatDoor::Plain, "Ben").await;
        drop(ben);
        while ann.next_named("delUser").await["username"] != "Ben" {}
        let answer = ann.ask("sendImage", &json!({"to": "Ben", "img": PIXEL})).await;
        assert_eq!(answer["data"]["delivered"], false, "{door:?}: {answer}");
        expect_no_picture(&mut ann).await;
        ann.ask("logout", &json!({})).await;
    }
}

/// What a client says behind a login is held until it is in. If it leaves at once, that is still said, and as it was meant.
#[actix_web::test]
async fn a_private_picture_behind_a_login_stays_private_when_its_sender_leaves_at_once() {
    let server = TestServer::start().await;
    let mut ben = Chatter::settled(&server, ChatDoor::Plain, "Ben").await;
    let mut eve = Chatter::settled(&server, ChatDoor::WebSocket, "Eve").await;
    for (number, to) in ["Ben", "Zoe", ""].into_iter().cycle().take(12).enumerate() {
        let name = format!("Ann {number}");
        let login = json!(["login", {"username": name, "room": "tea"}]);
        let image = json!(["sendImage", {"to": to, "img": PIXEL}]);
        let last = json!(["sendMessage", {"msg": name}]);
        let packets = [format!("42{login}"), format!("42{image}"), format!("42{last}"), "41".to_owned()];
        if number % 2 == 0 {
            let mut raw = connected(&server).await;
            raw.send(&packets.map(|packet| text(&packet)).concat()).await;
        } else {
            let poller = Poller::connected(&server).await;
            assert_eq!(poller.post(&packets.join("\u{1E}")).await.status, 200);
        }
        if to == "Ben" {
            let heard = ben.next_named("receivePrivate").await;
            assert_eq!((&heard["username"], &heard["img"]), (&json!(name), &json!(PIXEL)));
        }
        for member in [&mut ben, &mut eve] {
            while member.next_named("receiveMessage").await["msg"] != name {}
            assert!(!member.has_heard("receiveImage") && !member.has_heard("receivePrivate"), "{to}");
        }
    }
}

/// As at the other doors: a session that only listens, and one that has not logged in, are no readers.
#[actix_web::test]
async fn a_session_without_a_name_hears_no_private_picture() {
    let server = TestServer::start().await;
    let mut guest = server.connect("/ws?room=tea").await;
    let mut socket = connected(&server).await;
    let mut ann = Chatter::settled(&server, ChatDoor::Plain, "Ann").await;
    let mut ben = Chatter::settled(&server, ChatDoor::Plain, "Ben").await;
    assert_eq!(ann.ask("sendImage", &json!({"to": "Ben", "img": PIXEL})).await["data"]["delivered"], true);
    ben.next_named("receivePrivate").await;
    ann.send("sendMessage", &json!({"msg": "m"})).await;
    assert!(matches!(guest.next().await, Frame::Text(text) if text == "m"));
    socket.send(&text("421[\"ping\"]")).await;
    assert!(next_text(&mut socket).await.starts_with("431["));
}
