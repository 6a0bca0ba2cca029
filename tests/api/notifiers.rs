//! What a guest says is kept and relayed, also if it speaks first in its room and leaves at once, as a script does that
//! reports something.

use echoroom::config::{JournalKind, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    helpers::{TestServer, frame, settings, text},
    people::{Person, texts},
    program::{self, echoroom},
};

/// Rooms of their own that speak first.
const ROOMS: usize = 100;

/// A server that keeps a file: to open a room takes it a moment.
async fn server(folder: &TempDir) -> TestServer {
    let data_dir = folder.path().to_owned();
    TestServer::with(Settings { journal: JournalKind::Sqlite, data_dir, ..settings() }).await
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
    let server = TestServer::with(Settings { journal: JournalKind::Sqlite, data_dir, ..settings() }).await;
    let mut listener = server.connect("/ws?room=shut").await;
    let mut guest = server.connect_raw("/ws?room=shut").await;
    guest.send(&said_and_gone(&[text("one"), frame(0x82, b"bytes"), text("two")])).await;
    assert_eq!(listener.next_binary().await, b"bytes");
    let metrics = server.get_raw("/metrics", "").await;
    assert!(metrics.contains("echoroom_journal_refusals_total 2"), "{metrics}");
}
