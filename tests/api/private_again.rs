//! A private message that is sent again with its id, because its answer was lost, is delivered once.

use std::num::NonZeroUsize;

use serde_json::{Value, json};

use crate::{
    chatters::{CHAT_DOORS, ChatDoor, Chatter},
    helpers::{TestServer, settings},
    people::PIXEL,
};

/// The two kinds of private messages, as `(event, field, content)`.
const KINDS: [(&str, &str, &str); 2] = [("sendPrivate", "msg", "psst"), ("sendImage", "img", PIXEL)];

fn private(field: &str, content: &str, to: &str, id: &str) -> Value {
    json!({"to": to, field: content, "id": id})
}

/// Logs out all, so that their names are free.
async fn log_out<const N: usize>(chatters: [&mut Chatter<'_>; N]) {
    for chatter in chatters {
        chatter.ask("logout", &json!({})).await;
    }
}

/// Expects that nothing private comes before the next answer.
async fn expect_nothing_private(chatter: &mut Chatter<'_>) {
    chatter.ask("ping", &json!({})).await;
    assert!(!chatter.has_heard("receivePrivate"));
}

#[actix_web::test]
async fn a_private_message_sent_again_with_its_id_is_delivered_once_and_answered_as_before() {
    let server = TestServer::start().await;
    for door in CHAT_DOORS {
        for (event, field, content) in KINDS {
            let mut ann = Chatter::settled(&server, door, "Ann").await;
            let mut ben = Chatter::settled(&server, door, "Ben").await;
            // All at once, so that the repetitions come while the first one is on its way; and later.
            let data = private(field, content, "Ben", "once");
            let mut requests = Vec::new();
            for _ in 0..3 {
                requests.push(ann.request(event, &data).await);
            }
            let first = ann.answer_to(requests[0]).await["data"].take();
            assert_eq!((&first["id"], &first["delivered"]), (&json!("once"), &json!(true)), "{door:?}");
            for request in &requests[1..] {
                assert_eq!(ann.answer_to(*request).await["data"], first, "{door:?} {event}");
            }
            let again = private(field, content, "BEN", "once");
            assert_eq!(
                ann.ask(event, &again).await["data"],
                first,
                "{door:?} {event}: however Ben is spelled"
            );
            for hearer in [&mut ben, &mut ann] {
                assert_eq!(hearer.next_named("receivePrivate").await["at"], first["at"]);
                expect_nothing_private(hearer).await;
            }
            log_out([&mut ann, &mut ben]).await;
        }
    }
}

#[actix_web::test]
async fn a_private_message_is_known_again_over_a_reconnect_and_when_its_reader_has_gone() {
    for (door, (event, field, content)) in
        CHAT_DOORS.into_iter().flat_map(|door| KINDS.map(|kind| (door, kind)))
    {
        let server = TestServer::start().await;
        let mut ann = Chatter::settled(&server, door, "Ann").await;
        let mut ben = Chatter::settled(&server, ChatDoor::Plain, "Ben").await;
        let data = private(field, content, "Ben", "once");
        let back = ann.return_data(0);
        ann.send(event, &data).await;
        let at = ben.next_named("receivePrivate").await["at"].take();
        // She has not read the answer, and comes back by another door.
        drop(ann);
        for door in CHAT_DOORS {
            let mut ann = Chatter::login(&server, door, back.clone()).await;
            let answer = ann.ask(event, &data).await["data"].take();
            assert_eq!(answer, json!({"id": "once", "at": at, "delivered": true}), "{door:?} {event}");
        }
        expect_nothing_private(&mut ben).await;
        log_out([&mut ben]).await;
        let mut ann = Chatter::login(&server, door, back).await;
        let answer = ann.ask(event, &data).await["data"].take();
        assert_eq!(
            answer,
            json!({"id": "once", "at": at, "delivered": true}),
            "{door:?} {event}: he has gone"
        );
        let fresh = ann.ask(event, &private(field, content, "Ben", "other")).await;
        assert_eq!(fresh["error"]["code"], "no_such_user");
    }
}

#[actix_web::test]
async fn a_private_message_that_was_not_delivered_is_tried_again_with_its_id() {
    let server = TestServer::start().await;
    let mut ann = Chatter::settled(&server, ChatDoor::WebSocket, "Ann").await;
    let ben = Chatter::settled(&server, ChatDoor::Plain, "Ben").await;
    let back = ben.return_data(0);
    drop(ben);
    while ann.next_named("delUser").await["username"] != "Ben" {}
    let data = private("msg", "psst", "Ben", "once");
    let first = ann.ask("sendPrivate", &data).await["data"].take();
    assert_eq!(first["delivered"], false);
    assert_eq!(ann.ask("sendPrivate", &data).await["data"], first, "he is not back");
    let mut ben = Chatter::login(&server, ChatDoor::Polling, back).await;
    ben.next_named("userList").await;
    for _ in 0..3 {
        let answer = ann.ask("sendPrivate", &data).await["data"].take();
        assert_eq!((&answer["delivered"], &answer["at"]), (&json!(true), &first["at"]));
    }
    assert_eq!(ben.next_named("receivePrivate").await["id"], "once");
    expect_nothing_private(&mut ben).await;
}

/// An id is one of its sender's user, its reader and its room; one for the room is another.
#[actix_web::test]
async fn the_id_of_a_private_message_swallows_no_other_message() {
    let server = TestServer::start().await;
    let mut ann = Chatter::settled(&server, ChatDoor::Plain, "Ann").await;
    let mut eve = Chatter::settled(&server, ChatDoor::Plain, "Eve").await;
    let mut ben = Chatter::settled(&server, ChatDoor::Plain, "Ben").await;
    assert_eq!(ann.ask("sendMessage", &json!({"msg": "all", "id": "x"})).await["data"]["offset"], 1);
    for (sender, reader) in [(&mut ann, "Ben"), (&mut eve, "Ben")] {
        let answer = sender.ask("sendPrivate", &private("msg", "psst", reader, "x")).await;
        assert_eq!(answer["data"]["delivered"], true);
        assert_eq!(ben.next_named("receivePrivate").await["id"], "x");
    }
    ann.ask("sendPrivate", &private("msg", "psst", "Eve", "x")).await;
    while eve.next_named("receivePrivate").await["to"] != "Eve" {}
    assert_eq!(eve.ask("sendMessage", &json!({"msg": "all", "id": "x"})).await["data"]["offset"], 2);
    for person in [&mut ann, &mut ben] {
        person.ask("joinRoom", &json!({"room": "milk"})).await;
    }
    let answer = ann.ask("sendPrivate", &private("msg", "psst", "Ben", "x")).await;
    // He may have yet to be let in: then it is sent again until he hears it.
    let mut delivered = answer["data"]["delivered"] == true;
    while !delivered {
        delivered =
            ann.ask("sendPrivate", &private("msg", "psst", "Ben", "x")).await["data"]["delivered"] == true;
    }
    assert_eq!(ben.next_named("receivePrivate").await["id"], "x");
}

#[actix_web::test]
async fn ids_of_private_messages_are_known_up_to_the_bound_of_their_user_whatever_others_say() {
    let narrow = settings().with(|s| s.journal.remembered_ids = NonZeroUsize::new(5).expect("not zero"));
    let server = TestServer::with(narrow).await;
    let mut ann = Chatter::settled(&server, ChatDoor::Plain, "Ann").await;
    let mut eve = Chatter::settled(&server, ChatDoor::WebSocket, "Eve").await;
    let mut ben = Chatter::settled(&server, ChatDoor::Plain, "Ben").await;
    let say = |number: u32| private("msg", "psst", "Ben", &number.to_string());
    let mut times = Vec::new();
    for number in 1..=6 {
        times.push(ann.ask("sendPrivate", &say(number)).await["data"]["at"].take());
        assert_eq!(ben.next_named("receivePrivate").await["id"], number.to_string());
    }
    for number in 0..100 {
        eve.ask("sendPrivate", &say(number)).await;
        ben.next_named("receivePrivate").await;
    }
    for number in 2..=6 {
        let answer = ann.ask("sendPrivate", &say(number)).await;
        assert_eq!(answer["data"]["at"], times[number as usize - 1], "{number}");
    }
    expect_nothing_private(&mut ben).await;
    ann.ask("sendPrivate", &say(1)).await;
    assert_eq!(ben.next_named("receivePrivate").await["id"], "1", "the oldest of six is not known");
}
