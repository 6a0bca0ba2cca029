//! What a guest says is kept and relayed, also if it speaks first in its room and leaves at once, as a script does that
//! reports something.

use echoroom::config::JournalKind;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    helpers::{TestServer, frame, settings, soon, text},
    people::{Person, texts},
    program::{self, echoroom},
    sockets::{Poller, connected},
};

/// Rooms of their own that speak first.
const ROOMS: usize = 100;

/// A server that keeps a file: to open a room takes it a moment.
async fn server(folder: &TempDir) -> TestServer {
    let data_dir = folder.path().to_owned();
    TestServer::with(settings().with(|s| {
        s.journal.kind = JournalKind::Sqlite;
        s.journal.data_dir = data_dir;
    }))
    .await
}

/// What the history of a room has, once all that was said there is kept: a user's own word comes last.
async fn history(server: &TestServer, room: &str) -> Vec<Value> {
    let mut reader = Person::login(server, json!({"username": "Reader", "room": room})).await;
    reader.say("end").await;
    let answer = reader.ask("history", json!({"limit": 200})).await;
    let mut messages = answer["data"]["messages"].as_array().expect("a page").clone();
    assert_eq!(messages.pop().expect("its own")["msg"], "end");
    messages
}

/// One packet: what is said, and the close frame behind it.
fn said_and_gone(frames: &[Vec<u8>]) -> Vec<u8> {
    [frames.concat(), frame(0x88, b"\x03\xe8")].concat()
}

#[actix_web::test]
async fn what_a_guest_says_first_in_a_room_before_it_leaves_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder).await;
    for number in 0..ROOMS {
        let mut guest = server.connect_raw(&format!("/ws?room=build-{number}")).await;
        guest.send(&said_and_gone(&[text("done")])).await;
    }
    for number in 0..ROOMS {
        let kept = history(&server, &format!("build-{number}")).await;
        assert_eq!(texts(&kept), ["done"], "room {number}");
        assert!(kept[0]["username"].as_str().is_some_and(|name| name.starts_with("guest-")), "{kept:?}");
    }
}

#[actix_web::test]
async fn all_that_a_guest_says_first_before_it_leaves_is_kept_in_its_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder).await;
    for number in 0..20 {
        let mut guest = server.connect_raw(&format!("/ws?room=steps-{number}")).await;
        let said = [text("one"), frame(0x82, b"bytes"), text("two"), text("three")];
        guest.send(&said_and_gone(&said)).await;
        // Another one, while the room may still be opened, once an echo shows that the first has been read.
        guest.read_frame().await;
        let mut other = server.connect_raw(&format!("/ws?room=steps-{number}")).await;
        other.send(&said_and_gone(&[text("four")])).await;
    }
    for number in 0..20 {
        let kept = history(&server, &format!("steps-{number}")).await;
        assert_eq!(texts(&kept), ["one", "two", "three", "four"], "room {number}");
    }
}

#[actix_web::test]
async fn what_a_guest_says_before_it_leaves_is_kept_over_a_stop_at_once() {
    const ROUNDS: usize = 4;
    let folder = tempfile::tempdir().expect("a folder");
    let start = || {
        let mut command = echoroom();
        command.env_remove("ECHOROOM_JOURNAL").args(["--port", "0", "--bind", "127.0.0.1", "--rate", "0"]);
        program::start(command.arg("--data-dir").arg(folder.path()))
    };
    for round in 0..ROUNDS {
        let (running, link) = start();
        let server = TestServer::elsewhere(&link);
        let mut guest = server.connect_raw(&format!("/ws?room=stop-{round}")).await;
        guest.send(&said_and_gone(&[text("done")])).await;
        // Its echo shows that it has been read.
        guest.read_frame().await;
        running.signal("-TERM");
        assert_eq!(running.exit_code(), Some(0));
    }
    let (_running, link) = start();
    let server = TestServer::elsewhere(&link);
    for round in 0..ROUNDS {
        assert_eq!(texts(&history(&server, &format!("stop-{round}")).await), ["done"], "round {round}");
    }
}

#[actix_web::test]
async fn what_cannot_be_kept_because_a_room_does_not_open_is_counted_and_bytes_are_relayed() {
    let data_dir = "/proc/echoroom".into();
    let server = TestServer::with(settings().with(|s| {
        s.journal.kind = JournalKind::Sqlite;
        s.journal.data_dir = data_dir;
    }))
    .await;
    let mut listener = server.connect("/ws?room=shut").await;
    let mut guest = server.connect_raw("/ws?room=shut").await;
    guest.send(&said_and_gone(&[text("one"), frame(0x82, b"bytes"), text("two")])).await;
    assert_eq!(listener.next_binary().await, b"bytes");
    // The second text may be on its way still.
    let told = |metrics: String| metrics.contains("echoroom_journal_refusals_total 2");
    soon("both texts to be counted", async {
        while !told(server.get_raw("/metrics", "").await) {
            actix_web::rt::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// How a user who has said something goes.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Out of the namespace of Socket.IO.
    Disconnect,
    /// By a packet of Engine.IO.
    Close,
    /// By a close frame.
    CloseFrame,
    /// By the end of the connection.
    End,
}

#[actix_web::test]
async fn what_a_user_says_with_its_login_before_it_leaves_is_kept_at_every_door() {
    const EACH: usize = 15;
    let folder = tempfile::tempdir().expect("a folder");
    let server = server(&folder).await;
    let login = |room: &str| json!({"username": "Notifier", "room": room});
    let said = |number: u8| json!({"msg": number.to_string(), "id": number.to_string()});
    let ways = [Way::Disconnect, Way::Close, Way::CloseFrame, Way::End];
    for number in 0..EACH {
        for way in ways {
            let last = match way {
                Way::Disconnect => text("41"),
                Way::Close => text("1"),
                Way::CloseFrame => frame(0x88, b"\x03\xe8"),
                Way::End => Vec::new(),
            };
            if matches!(way, Way::CloseFrame | Way::End) {
                let event = |name: &str, data: Value| text(&json!({"event": name, "data": data}).to_string());
                let mut raw = server.connect_raw("/chat").await;
                let login = event("login", login(&format!("chat-{way:?}-{number}")));
                let all = [login, event("sendMessage", said(1)), event("sendMessage", said(2)), last.clone()];
                raw.send(&all.concat()).await;
            }
            let event = |name: &str, data: Value| format!("42{}", json!([name, data]));
            let room = format!("io-{way:?}-{number}");
            let mut raw = connected(&server).await;
            let all =
                [event("login", login(&room)), event("sendMessage", said(1)), event("sendMessage", said(2))];
            raw.send(&[all.map(|event| text(&event)).concat(), last].concat()).await;
            if matches!(way, Way::Disconnect | Way::Close) {
                let room = format!("poll-{way:?}-{number}");
                let last = if matches!(way, Way::Close) { "1" } else { "41" };
                let poller = Poller::connected(&server).await;
                let all = [
                    &*event("login", login(&room)),
                    &event("sendMessage", said(1)),
                    &event("sendMessage", said(2)),
                    last,
                ];
                assert_eq!(poller.post(&all.join("\u{1E}")).await.status, 200);
            }
        }
    }
    for number in 0..EACH {
        for (door, ways) in [("chat", &ways[2..]), ("io", &ways[..]), ("poll", &ways[..2])] {
            for way in ways {
                let room = format!("{door}-{way:?}-{number}");
                assert_eq!(texts(&history(&server, &room).await), ["1", "2"], "{room}");
            }
        }
    }
}
