//! What is volatile, as `typing`, reaches a reader that keeps up, each time.

use std::cell::Cell;

use serde_json::json;

use super::OnActix;
use crate::chatters::{CHAT_DOORS, CHAT_WEBSOCKETS, ChatDoor, Chatter};

/// Each as `(username, typing)`.
async fn next_typing(reader: &mut Chatter<'_>) -> bool {
    let heard = reader.next_named("typing").await;
    assert_eq!(heard["username"], "Ann");
    heard["typing"] == true
}

#[actix_web::test]
async fn each_volatile_event_reaches_an_idle_reader_three_times_in_a_row_from_each_door_at_each_door() {
    let server = OnActix::start();
    for from in CHAT_DOORS {
        for at in CHAT_WEBSOCKETS {
            let mut reader = Chatter::settled(&server, at, "Reader").await;
            let mut ann = Chatter::settled(&server, from, "Ann").await;
            for _ in 0..3 {
                for typing in [true, false] {
                    ann.send("typing", &json!({"typing": typing})).await;
                    assert_eq!(next_typing(&mut reader).await, typing, "{from:?} {at:?}");
                }
            }
            // All at once, so that there is not a turn between two.
            for typing in [true, false, true] {
                ann.send("typing", &json!({"typing": typing})).await;
            }
            for typing in [true, false, true] {
                assert_eq!(next_typing(&mut reader).await, typing, "{from:?} {at:?}");
            }
            // And right behind a message.
            for _ in 0..3 {
                ann.send("sendMessage", &json!({"msg": "x".repeat(5_000)})).await;
                ann.send("typing", &json!({"typing": true})).await;
                assert!(next_typing(&mut reader).await, "{from:?} {at:?}");
            }
            for user in [&mut ann, &mut reader] {
                user.ask("logout", &json!({})).await;
            }
        }
    }
}

/// Between two polls a reader does without, so it is told again until it has heard; no poll goes without for ever.
#[actix_web::test]
async fn each_volatile_event_reaches_a_reader_that_polls_three_times_in_a_row_from_each_door() {
    let server = OnActix::start();
    for from in CHAT_DOORS {
        let mut reader = Chatter::settled(&server, ChatDoor::Polling, "Reader").await;
        let mut ann = Chatter::settled(&server, from, "Ann").await;
        for _ in 0..3 {
            for typing in [true, false] {
                let data = json!({"typing": typing});
                let has_heard = Cell::new(false);
                let keep_typing = async {
                    while !has_heard.get() {
                        ann.ask("typing", &data).await;
                    }
                };
                let hear = async {
                    while next_typing(&mut reader).await != typing {}
                    has_heard.set(true);
                };
                tokio::join!(hear, keep_typing);
            }
        }
        for user in [&mut ann, &mut reader] {
            user.ask("logout", &json!({})).await;
        }
    }
}
