//! The chat, at each of its doors, with a second client at each door.

use serde_json::{Value, json};

use super::OnActix;
use crate::chatters::{CHAT_DOORS, ChatDoor, Chatter};

/// Two users in one room, at two doors.
async fn two(server: &OnActix, one: ChatDoor, other: ChatDoor) -> (Chatter<'_>, Chatter<'_>) {
    let room = format!("{one:?} {other:?}");
    let mut ben = Chatter::login(server, other, json!({"username": "Ben", "room": room})).await;
    ben.next_named("userList").await;
    let mut ann = Chatter::login(server, one, json!({"username": "Ann", "room": room})).await;
    ann.next_named("userList").await;
    assert_eq!(ben.next_named("addUser").await["username"], "Ann", "{room}");
    (ann, ben)
}

#[actix_web::test]
async fn a_message_is_acked_with_its_id_and_heard_in_order_from_each_door_at_each_door() {
    let server = OnActix::start();
    for one in CHAT_DOORS {
        for other in CHAT_DOORS {
            let (mut ann, mut ben) = two(&server, one, other).await;
            for offset in 1..=3 {
                let (id, msg) = (format!("m{offset}"), format!("Message {offset}"));
                let ack = ann.ask("sendMessage", &json!({"msg": msg, "id": id})).await;
                let data = &ack["data"];
                assert_eq!((&data["id"], &data["offset"]), (&json!(id), &json!(offset)), "{one:?} {ack}");
                assert_eq!(data["echo"], format!("MESSAGE {offset}!!!"), "{one:?} {ack}");
                for user in [&mut ann, &mut ben] {
                    let heard = user.next_named("receiveMessage").await;
                    let expected = json!({
                        "username": "Ann", "avatar": "fox", "uid": heard["uid"], "msg": msg, "id": id,
                        "offset": offset, "at": data["at"],
                    });
                    assert_eq!(heard, expected, "{one:?} {other:?}");
                }
            }
        }
    }
}

#[actix_web::test]
async fn a_message_that_is_sent_again_with_its_id_is_said_once_at_each_door() {
    let server = OnActix::start();
    for door in CHAT_DOORS {
        let (mut ann, mut ben) = two(&server, door, ChatDoor::Plain).await;
        let said = json!({"msg": "once", "id": "m1"});
        let first = ann.ask("sendMessage", &said).await["data"].take();
        for _ in 0..2 {
            assert_eq!(ann.ask("sendMessage", &said).await["data"], first, "{door:?}");
        }
        ann.ask("sendMessage", &json!({"msg": "then"})).await;
        let heard = [ben.next_named("receiveMessage").await, ben.next_named("receiveMessage").await];
        assert_eq!(heard.map(|message| message["msg"].clone()), ["once", "then"], "{door:?}");
    }
}

#[actix_web::test]
async fn history_gives_what_was_said_before_in_order_at_each_door() {
    let server = OnActix::start();
    for door in CHAT_DOORS {
        let (mut ann, _ben) = two(&server, door, ChatDoor::Plain).await;
        for number in 1..=5 {
            ann.ask("sendMessage", &json!({"msg": number.to_string()})).await;
        }
        for (request, messages, more) in [
            (json!({"limit": 10}), json!(["1", "2", "3", "4", "5"]), false),
            (json!({"limit": 2}), json!(["4", "5"]), true),
            (json!({"before": 4, "limit": 2}), json!(["2", "3"]), true),
        ] {
            let page = ann.ask("history", &request).await["data"].take();
            let said: Vec<_> = page["messages"].as_array().expect("messages").iter().collect();
            let texts: Value = said.iter().map(|message| message["msg"].clone()).collect();
            assert_eq!((texts, &page["more"]), (messages, &json!(more)), "{door:?} {request}");
        }
    }
}

#[actix_web::test]
async fn a_private_message_is_heard_by_its_reader_and_its_sender_alone() {
    let server = OnActix::start();
    for one in CHAT_DOORS {
        for other in CHAT_DOORS {
            let (mut ann, mut ben) = two(&server, one, other).await;
            let room = ann.welcome["room"].clone();
            let mut eve =
                Chatter::login(&server, ChatDoor::Plain, json!({"username": "Eve", "room": room})).await;
            eve.next_named("userList").await;
            for number in 0..3 {
                let said = json!({"to": "Ben", "msg": format!("psst {number}")});
                let ack = ann.ask("sendPrivate", &said).await;
                assert_eq!(ack["data"]["delivered"], true, "{one:?} {other:?} {ack}");
                for user in [&mut ann, &mut ben] {
                    let heard = user.next_named("receivePrivate").await;
                    assert_eq!(
                        (&heard["to"], &heard["msg"]),
                        (&said["to"], &said["msg"]),
                        "{one:?} {other:?}"
                    );
                }
            }
            ann.ask("sendMessage", &json!({"msg": "aloud"})).await;
            eve.next_named("receiveMessage").await;
            assert!(!eve.has_heard("receivePrivate"), "{one:?} {other:?}");
            let ack = ann.ask("sendPrivate", &json!({"to": "Nobody", "msg": "psst"})).await;
            assert_eq!(ack["error"]["code"], "no_such_user", "{one:?}");
        }
    }
}

#[actix_web::test]
async fn a_user_who_logs_out_is_seen_to_leave_and_may_come_back_at_each_door() {
    let server = OnActix::start();
    for door in CHAT_DOORS {
        let (mut ann, mut ben) = two(&server, door, ChatDoor::Plain).await;
        let login = json!({"username": "Ann", "room": ann.welcome["room"]});
        for _ in 0..3 {
            assert_eq!(ann.ask("logout", &json!({})).await["data"], json!({}), "{door:?}");
            assert_eq!(ben.next_named("delUser").await["username"], "Ann", "{door:?}");
            let refused = ann.ask("sendMessage", &json!({"msg": "hello"})).await;
            assert_eq!(refused["error"]["code"], "not_logged_in", "{door:?}");
            ann.send("login", &login).await;
            ann.next_named("loginSuccess").await;
            assert_eq!(ben.next_named("addUser").await["username"], "Ann", "{door:?}");
        }
    }
}

#[actix_web::test]
async fn a_client_that_was_lost_comes_back_with_its_token_and_gets_what_it_missed_at_each_door() {
    let server = OnActix::start();
    for door in CHAT_DOORS {
        let (mut ann, mut ben) = two(&server, ChatDoor::Plain, door).await;
        ann.ask("sendMessage", &json!({"msg": "1"})).await;
        ben.next_named("receiveMessage").await;
        let back = ben.return_data(1);
        drop(ben);
        for msg in ["2", "3"] {
            ann.ask("sendMessage", &json!({"msg": msg})).await;
        }
        let mut ben = Chatter::login(&server, door, back).await;
        assert_eq!((&ben.welcome["recovered"], &ben.welcome["count"]), (&json!(true), &json!(2)), "{door:?}");
        ann.ask("sendMessage", &json!({"msg": "4"})).await;
        for expected in ["2", "3", "4"] {
            assert_eq!(ben.next_named("receiveMessage").await["msg"], expected, "{door:?}");
        }
    }
}

#[actix_web::test]
async fn plain_sessions_and_users_of_the_chat_hear_each_other() {
    let server = OnActix::start();
    for door in CHAT_DOORS {
        let mut plain = server.connect(&format!("/ws?room=mixed-{door:?}")).await;
        plain.expect_quiet().await;
        let login = json!({"username": "Ann", "room": format!("mixed-{door:?}")});
        let mut ann = Chatter::login(&server, door, login).await;
        ann.next_named("userList").await;
        // What was said before it came is history.
        assert_eq!(ann.next_named("receiveMessage").await["replay"], true, "{door:?}");
        for _ in 0..3 {
            plain.send("hello").await;
            assert_eq!(plain.next_text().await, "HELLO!!!", "{door:?}");
            assert_eq!(ann.next_named("receiveMessage").await["msg"], "hello", "{door:?}");
            ann.ask("sendMessage", &json!({"msg": "good day"})).await;
            assert_eq!(plain.next_text().await, "good day", "{door:?}");
            ann.next_named("receiveMessage").await;
        }
    }
}
