//! A sender is told what became of its message while the journal cannot write: relayed and kept later, or not taken.

use serde_json::{Value, json};

use crate::{
    helpers::{RawClient, TestServer, text},
    journal::start_on_a_small_disk,
    people::{Person, texts},
    sockets::{connected, next_text},
};

/// A user who says something and is answered, at either door of the chat.
enum Speaker {
    Chat(Person),
    SocketIo(RawClient),
}

impl Speaker {
    async fn ask(&mut self, event: &str, data: Value) -> Value {
        match self {
            Self::Chat(person) => person.ask(event, data).await,
            Self::SocketIo(raw) => {
                raw.send(&text(&format!("427{}", json!([event, data])))).await;
                loop {
                    if let Some(answer) = next_text(raw).await.strip_prefix("437") {
                        let answer: Value = serde_json::from_str(answer).expect("JSON");
                        return json!({"error": answer[0]["error"], "data": answer[0]});
                    }
                }
            }
        }
    }
}

async fn speaker(server: &TestServer, is_chat: bool) -> Speaker {
    let mut speaker = if is_chat {
        Speaker::Chat(Person::stranger(server).await)
    } else {
        Speaker::SocketIo(connected(server).await)
    };
    let answer = speaker.ask("login", json!({"username": "Ann", "room": "tea"})).await;
    assert_eq!(answer["data"]["room"], "tea", "{answer}");
    speaker
}

#[actix_web::test]
async fn only_what_was_not_relayed_is_refused_while_the_disk_is_full() {
    for is_chat in [true, false] {
        let folder = tempfile::tempdir().expect("a folder");
        let (running, server) = start_on_a_small_disk(folder.path());
        let mut ben = Person::settled(&server, "Ben").await;
        let mut ann = speaker(&server, is_chat).await;
        let body = "x".repeat(8000);
        // Without ids: what is said again is said twice, so the answers must be true.
        let (mut relayed, mut number) = (Vec::new(), 0);
        let mut refused = 0;
        while refused < 3 {
            number += 1;
            assert!(number < 1000, "the disk never fills");
            let msg = format!("{number} {body}");
            let answer = ann.ask("sendMessage", json!({"msg": msg})).await;
            match answer["error"]["code"].as_str() {
                None => relayed.push(msg),
                Some("not_kept_yet") => relayed.push(msg),
                Some("journal_unavailable") => refused += 1,
                Some(other) => panic!("{other}"),
            }
        }
        let heard = ben.next_messages(relayed.len()).await;
        assert_eq!(texts(&heard), relayed);
        ben.expect_none("receiveMessage").await;

        running.raise_file_size_limit();
        // Taken again once what was relayed is kept.
        while ann.ask("sendMessage", json!({"msg": "and on", "id": "on"})).await["error"].is_object() {
            actix_web::rt::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        relayed.push("and on".to_owned());
        let page = ben.ask("history", json!({"limit": 20})).await;
        let kept = page["data"]["messages"].as_array().expect("a page");
        assert_eq!(texts(kept), relayed[relayed.len() - kept.len()..]);
        assert_eq!(kept.last().expect("one")["offset"], relayed.len());
    }
}
