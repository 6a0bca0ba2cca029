//! A private message is handed to its reader, or its sender is told that it was not.

use actix_web::rt;
use echoroom::config::JournalKind;
use serde_json::{Value, json};

use crate::{
    helpers::{TestServer, settings, text},
    people::Person,
    sockets::{connected, next_text},
};

/// A server whose rooms take a moment to be read.
async fn server(folder: &tempfile::TempDir) -> TestServer {
    let data_dir = folder.path().to_owned();
    TestServer::with(settings().with(|s| {
        s.journal.kind = JournalKind::Sqlite;
        s.journal.data_dir = data_dir;
    }))
    .await
}

/// Whispers to Ben, whether he is there or not, until it is told that Ben has had enough. What was answered.
async fn whisper_on(mut ann: Person, mut enough: tokio::sync::oneshot::Receiver<()>) -> Vec<(String, bool)> {
    let mut answers = Vec::new();
    while enough.try_recv().is_err() {
        let id = answers.len().to_string();
        let answer = ann.ask("sendPrivate", json!({"to": "Ben", "msg": "psst", "id": id})).await;
        // Before he came and after he left there is no such user.
        answers.push((id, answer["data"]["delivered"] == true));
    }
    answers
}

/// What a client is told, as `(name, data)`, with the answer to its own request as `welcome`.
async fn next(person: &mut Person, welcome: u64) -> (String, Value) {
    let mut value = person.next().await;
    if value["ack"] == welcome {
        return ("welcome".to_owned(), value["data"].take());
    }
    (value["event"].as_str().unwrap_or_default().to_owned(), value["data"].take())
}

#[actix_web::test]
async fn nothing_is_heard_before_one_is_in_and_delivered_is_true_of_what_is_heard() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder).await;
    let mut ann = Person::settled(&server, "Ann").await;
    for number in 0..100 {
        ann.send("sendMessage", json!({"msg": format!("{number} {}", "x".repeat(1000))})).await;
    }
    ann.say("and so on").await;
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let whispers = rt::spawn(whisper_on(ann, stopped));
    let mut heard = Vec::new();
    for round in 0..40 {
        let mut ben = Person::stranger(&server).await;
        let mut request = ben.request("login", json!({"username": "Ben", "room": "tea"})).await;
        if round % 2 == 1 {
            // The same by a change of rooms.
            ben.answer_to(request).await;
            request = ben.request("joinRoom", json!({"room": "milk"})).await;
            ben.answer_to(request).await;
            request = ben.request("joinRoom", json!({"room": "tea"})).await;
        }
        let mut is_in = false;
        loop {
            match next(&mut ben, request).await {
                (name, _) if name == "welcome" => is_in = true,
                (name, data) if name == "receivePrivate" => {
                    assert!(is_in || round % 2 == 1, "a private message before the login is answered");
                    heard.push(data["id"].as_str().expect("an id").to_owned());
                    if is_in {
                        break;
                    }
                }
                _ => {}
            }
        }
        let gone = ben.request("logout", json!({})).await;
        loop {
            match next(&mut ben, gone).await {
                (name, _) if name == "welcome" => break,
                (name, data) if name == "receivePrivate" => {
                    heard.push(data["id"].as_str().expect("an id").to_owned());
                }
                _ => {}
            }
        }
    }
    stop.send(()).expect("she whispers still");
    let answers = whispers.await.expect("it ends");
    let delivered: Vec<_> =
        answers.into_iter().filter(|(_, delivered)| *delivered).map(|(id, _)| id).collect();
    assert_eq!(heard, delivered);
}

#[actix_web::test]
async fn a_private_message_for_a_reader_too_far_behind_is_not_delivered() {
    let narrow = settings().with(|s| s.limits.max_queue_bytes = "64k".parse().expect("a size"));
    let server = TestServer::with(narrow).await;
    let mut ann = Person::settled(&server, "Ann").await;
    // They log in, hear the room, and read nothing more.
    let mut at_chat = server.connect_raw("/chat").await;
    at_chat.send(&text(r#"{"event":"login","data":{"username":"Ben","room":"tea"}}"#)).await;
    let mut by_socketio = connected(&server).await;
    by_socketio.send(&text(r#"42["login",{"username":"Cat","room":"tea"}]"#)).await;
    for (raw, name) in [(&mut at_chat, "Ben"), (&mut by_socketio, "Cat")] {
        while !next_text(raw).await.contains("userList") {}
        socket2::SockRef::from(&raw.stream).set_recv_buffer_size(4096).expect("a small buffer");
        let answer = ann.ask("sendPrivate", json!({"to": name, "msg": "psst"})).await;
        assert_eq!(answer["data"]["delivered"], true, "{name}");
    }
    // What the kernel does not take waits, until it is too much.
    let msg = "x".repeat(60_000);
    for name in ["Ben", "Cat"] {
        for number in 0.. {
            let answer =
                ann.ask("sendPrivate", json!({"to": name, "msg": msg, "id": number.to_string()})).await;
            if answer["data"]["delivered"] == false || answer["error"]["code"] == "no_such_user" {
                break;
            }
            assert!(number < 1000, "{name} is never too far behind: {answer}");
        }
    }
}

/// A client may say something private in the packet of its login, while it is still given what it missed; it hears its
/// own copy in its place.
#[actix_web::test]
async fn a_private_message_behind_a_login_is_heard_by_its_sender_in_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder).await;
    let mut ben = Person::settled(&server, "Ben").await;
    let long = "x".repeat(10_000);
    for number in 0..100 {
        ben.send("sendMessage", json!({"msg": format!("{number} {long}")})).await;
    }
    ben.say("100").await;
    for round in 0..10 {
        let mut ann = Person::stranger(&server).await;
        // From the beginning: that takes several pages.
        let epoch = &ben.welcome["epoch"];
        ann.send("login", json!({"username": "Ann", "room": "tea", "epoch": epoch, "offset": 0})).await;
        ann.send("sendMessage", json!({"msg": "one", "id": format!("a{round}")})).await;
        let private = ann.request("sendPrivate", json!({"to": "Ben", "msg": "two"})).await;
        ann.send("sendMessage", json!({"msg": "three", "id": format!("b{round}")})).await;
        let (mut heard, mut is_delivered) = (Vec::new(), false);
        while heard.len() < 3 || !is_delivered {
            let value = ann.next().await;
            is_delivered |= value["ack"] == private && value["data"]["delivered"] == true;
            let is_replay = value["data"]["replay"] == true;
            if !is_replay && let Some(msg) = value["data"]["msg"].as_str() {
                heard.push(msg.to_owned());
            }
        }
        assert_eq!(heard, ["one", "two", "three"]);
        ann.ask("logout", json!({})).await;
    }
}
