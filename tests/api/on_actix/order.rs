//! Whatever one user says, of whatever kind, arrives in its order.

use serde_json::{Value, json};

use super::OnActix;
use crate::chatters::{CHAT_DOORS, ChatDoor, Chatter};

const ROUNDS: usize = 20;

/// What a reader hears of Ann: the kind, and the number of the event.
fn heard_of(value: &Value) -> Option<(String, String)> {
    let (event, data) = (value["event"].as_str()?, &value["data"]);
    if data["username"] != "Ann" {
        return None;
    }
    match event {
        "receiveMessage" | "receivePrivate" => Some((event.to_owned(), data["msg"].as_str()?.to_owned())),
        "typing" => Some((event.to_owned(), data["typing"].to_string())),
        _ => None,
    }
}

/// What Ann says in one round: a room message, a private one, typing, and a room message again.
fn said(round: usize) -> [(&'static str, Value, &'static str, String); 4] {
    let number = |part: char| format!("{round}{part}");
    let typing = round.is_multiple_of(2);
    [
        ("sendMessage", json!({"msg": number('a')}), "receiveMessage", number('a')),
        ("sendPrivate", json!({"to": "Reader", "msg": number('b')}), "receivePrivate", number('b')),
        ("typing", json!({"typing": typing}), "typing", typing.to_string()),
        ("sendMessage", json!({"msg": number('c')}), "receiveMessage", number('c')),
    ]
}

#[actix_web::test]
async fn messages_private_messages_and_typing_of_one_sender_arrive_in_order_from_each_door_at_each_door() {
    let server = OnActix::start();
    for from in CHAT_DOORS {
        for at in CHAT_DOORS {
            let mut reader = Chatter::settled(&server, at, "Reader").await;
            let mut ann = Chatter::settled(&server, from, "Ann").await;
            let saying = async {
                for (event, data, ..) in (0..ROUNDS).flat_map(said) {
                    ann.send(event, &data).await;
                }
            };
            let hearing = async {
                let last = format!("{}c", ROUNDS - 1);
                let mut heard = Vec::new();
                while heard.last().is_none_or(|(_, text)| *text != last) {
                    let value = reader.next().await;
                    // What was said before it came is history.
                    if value["data"]["replay"] != true {
                        heard.extend(heard_of(&value));
                    }
                }
                heard
            };
            let (heard, ()) = tokio::join!(hearing, saying);
            let mut heard = heard.into_iter().peekable();
            for (_, _, kind, text) in (0..ROUNDS).flat_map(said) {
                let is_next = heard.next_if(|next| *next == (kind.to_owned(), text.clone())).is_some();
                // Between two polls a reader does without what is volatile.
                let may_miss = at == ChatDoor::Polling && kind == "typing";
                assert!(is_next || may_miss, "{from:?} {at:?}: {:?} instead of {kind} {text}", heard.peek());
            }
            for user in [&mut ann, &mut reader] {
                user.ask("logout", &json!({})).await;
            }
        }
    }
}

#[actix_web::test]
async fn an_ack_comes_behind_what_its_client_is_to_hear_of_it_at_each_door() {
    let server = OnActix::start();
    for door in CHAT_DOORS {
        let mut ann = Chatter::settled(&server, door, "Ann").await;
        for number in 0..ROUNDS {
            let msg = format!("{door:?} {number}");
            let ack = ann.request("sendMessage", &json!({"msg": msg})).await;
            let mut has_heard = false;
            loop {
                let value = ann.next().await;
                has_heard |= value["data"]["msg"] == *msg;
                if value["ack"] == ack {
                    break;
                }
            }
            assert!(has_heard, "{door:?} {number}");
        }
        ann.ask("logout", &json!({})).await;
    }
}
