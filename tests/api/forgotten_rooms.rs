//! The owner can have a room forgotten, in the data folder that the command names and nowhere else.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    process::Command,
};

use actix_web::web;
use serde_json::{Value, json};

use crate::{
    health::server_with_journal,
    helpers::TestServer,
    journal::{command, start_in},
    people::{Person, offsets},
    program::{echoroom, start},
    room_bounds::{history_of, leave_a_message_in},
};

/// Runs `echoroom forget ROOM` on a data folder; gives back its exit code and what it said.
fn forget(folder: &Path, room: &str) -> (Option<i32>, String) {
    let mut command: Command = echoroom();
    command.env_remove("ECHOROOM_JOURNAL").args(["forget", room, "--data-dir"]).arg(folder);
    let output = command.output().expect("the program runs");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[actix_web::test]
async fn a_room_is_forgotten_while_its_server_runs_and_its_members_talk_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_running, server) = start_in(folder.path());
    let mut ann = Person::named(&server, "Ann").await;
    ann.ask("sendMessage", json!({"msg": "one"})).await;
    leave_a_message_in(&server, "other").await;
    assert_eq!(forget(folder.path(), "tea"), (Some(0), String::new()));
    assert_eq!(history_of(&server, "tea").await, [Value::Null; 0]);
    let receipt = ann.ask("sendMessage", json!({"msg": "two"})).await;
    assert_eq!(receipt["data"]["offset"], 2, "members go on where they were");
    leave_a_message_in(&server, "tea").await;
    assert_eq!(offsets(&history_of(&server, "tea").await), [2, 3]);
    assert_eq!(history_of(&server, "other").await.len(), 1);
    let (code, said) = forget(folder.path(), "\u{202E}");
    assert_eq!(code, Some(1));
    assert!(said.contains("U+202E"), "{said}");
    let (code, said) = forget(folder.path(), "nosuch");
    assert_eq!(code, Some(1));
    assert!(said.contains("no message of a room \"nosuch\""), "{said}");
}

#[actix_web::test]
async fn what_a_guest_has_said_that_is_not_stored_yet_is_forgotten_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let (running, link) = start(command(folder.path()).args(["--commit-delay", "60s"]));
    let server = TestServer::elsewhere(&link);
    let mut ann = Person::named(&server, "Ann").await;
    let mut guest = server.connect("/?room=tea").await;
    guest.send("one").await;
    ann.next_named("receiveMessage").await;
    assert_eq!(forget(folder.path(), "tea"), (Some(0), String::new()));
    assert_eq!(ann.ask("history", json!({})).await["data"]["messages"], json!([]));
    running.signal("-TERM");
    assert_eq!(running.exit_code(), Some(0));
    let (_running, server) = start_in(folder.path());
    assert_eq!(history_of(&server, "tea").await, [Value::Null; 0]);
}

#[actix_web::test]
async fn a_room_is_forgotten_in_a_folder_that_no_server_uses() {
    let folder = tempfile::tempdir().expect("a folder");
    let (running, server) = start_in(folder.path());
    leave_a_message_in(&server, "tea").await;
    leave_a_message_in(&server, "other").await;
    running.signal("-TERM");
    assert_eq!(running.exit_code(), Some(0));
    assert_eq!(forget(folder.path(), "tea"), (Some(0), String::new()));
    let (code, said) = forget(folder.path(), "tea");
    assert_eq!(code, Some(1));
    assert!(said.contains("there is no room \"tea\""), "{said}");
    let (_running, server) = start_in(folder.path());
    assert_eq!(history_of(&server, "tea").await, [Value::Null; 0]);
    assert_eq!(history_of(&server, "other").await.len(), 1);
    let empty = tempfile::tempdir().expect("a folder");
    assert_eq!(forget(empty.path(), "tea").0, Some(1));
}

#[actix_web::test]
async fn who_has_not_the_key_of_the_data_folder_has_no_room_forgotten() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_running, server) = start_in(folder.path());
    leave_a_message_in(&server, "tea").await;
    for header in
        ["", "Authorization: Bearer \r\n", "Authorization: Bearer 0123456789abcdef0123456789abcdef\r\n"]
    {
        let mut raw = server.connect_tcp().await;
        let host = server.address;
        let request = format!(
            "POST /admin/forget?room=tea HTTP/1.1\r\nHost: {host}\r\n{header}Content-Length: 0\r\n\r\n"
        );
        raw.send(request.as_bytes()).await;
        assert!(raw.read_head().await.starts_with("HTTP/1.1 403 "));
    }
    assert_eq!(history_of(&server, "tea").await.len(), 1);
}

/// Copies the files of a folder.
fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), to.path().join(entry.file_name())).expect("copied");
    }
    to
}

#[actix_web::test]
async fn a_room_of_a_copied_folder_is_forgotten_there_and_not_by_the_server_of_the_original() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_running, server) = start_in(folder.path());
    leave_a_message_in(&server, "tea").await;
    let copied = copy(folder.path());
    assert_eq!(forget(copied.path(), "tea"), (Some(0), String::new()));
    assert_eq!(history_of(&server, "tea").await.len(), 1);
    let (running, of_copy) = start_in(copied.path());
    assert_eq!(history_of(&of_copy, "tea").await, [Value::Null; 0]);

    // Each has a server now.
    leave_a_message_in(&of_copy, "tea").await;
    assert_eq!(forget(copied.path(), "tea"), (Some(0), String::new()));
    assert_eq!(history_of(&of_copy, "tea").await, [Value::Null; 0]);
    assert_eq!(history_of(&server, "tea").await.len(), 1);

    // And one only the other, whose key was put there since.
    leave_a_message_in(&of_copy, "tea").await;
    running.signal("-KILL");
    running.exit_code();
    fs::copy(folder.path().join("echoroom.key"), copied.path().join("echoroom.key")).expect("copied");
    assert_eq!(forget(copied.path(), "tea"), (Some(0), String::new()));
    assert_eq!(history_of(&server, "tea").await.len(), 1);
}

#[actix_web::test]
async fn a_program_that_has_the_port_of_a_server_that_was_killed_is_not_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let (running, server) = start_in(folder.path());
    leave_a_message_in(&server, "tea").await;
    running.signal("-KILL");
    running.exit_code();
    let stranger = TcpListener::bind("127.0.0.1:0").expect("a port");
    stranger.set_nonblocking(true).expect("set");
    let key = folder.path().join("echoroom.key");
    name_another_address(&key, &stranger);
    assert_eq!(forget(folder.path(), "tea"), (Some(0), String::new()));
    assert!(stranger.accept().is_err(), "nothing came");
}

/// Changes the address in a key file, which stays the file that it is.
fn name_another_address(key: &Path, listener: &TcpListener) {
    let address = listener.local_addr().expect("an address");
    let text = fs::read_to_string(key).expect("a key");
    let (_, secret) = text.split_once('\n').expect("two lines");
    fs::write(key, format!("{address}\n{secret}")).expect("written");
}

#[actix_web::test]
async fn the_key_is_not_shown_to_a_program_that_does_not_have_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_running, server) = start_in(folder.path());
    leave_a_message_in(&server, "tea").await;
    let stranger = TcpListener::bind("127.0.0.1:0").expect("a port");
    let key = folder.path().join("echoroom.key");
    name_another_address(&key, &stranger);
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = stranger.accept().expect("a connection");
        let (mut heard, mut buffer) = (Vec::new(), [0; 1024]);
        while !heard.ends_with(b"\r\n\r\n") {
            let read = stream.read(&mut buffer).expect("a request");
            heard.extend_from_slice(&buffer[..read]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").expect("answered");
        String::from_utf8_lossy(&heard).into_owned()
    });
    let (code, said) = forget(folder.path(), "tea");
    assert_eq!(code, Some(1));
    assert!(said.contains("but not the one at"), "{said}");
    let secret = fs::read_to_string(&key).expect("a key").lines().nth(1).expect("two lines").to_owned();
    let heard = heard.join().expect("no panic");
    assert!(!heard.contains(&secret) && !heard.contains("Authorization"), "{heard}");
    assert_eq!(history_of(&server, "tea").await.len(), 1);
}

#[actix_web::test]
async fn a_room_is_forgotten_while_there_are_as_many_connections_as_the_server_takes() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_running, link) = start(command(folder.path()).args(["--max-connections", "1"]));
    let server = TestServer::elsewhere(&link);
    let mut ann = Person::named(&server, "Ann").await;
    ann.ask("sendMessage", json!({"msg": "one"})).await;
    let answer = server.get_raw("/rooms", "").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert_eq!(forget(folder.path(), "tea"), (Some(0), String::new()));
}

#[actix_web::test]
async fn what_was_said_behind_a_batch_that_is_under_way_is_forgotten_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server_with_journal(&folder, 5).await;
    let mut ann = Person::named(&server, "Ann").await;
    ann.say("stored").await;
    let mut guest = server.connect("/?room=tea").await;
    assert!(server.post_raw("/stall/journal-writer?ms=700").await.starts_with("HTTP/1.1 204 "));
    for text in ["one", "two", "three"] {
        ann.send("sendMessage", json!({"msg": text})).await;
        // The guest has heard what is not durable yet.
        assert_eq!(guest.next_text().await, text);
    }
    let place = folder.path().to_owned();
    let forgotten = web::block(move || forget(&place, "tea")).await.expect("it is run");
    assert_eq!(forgotten, (Some(0), String::new()));
    assert_eq!(history_of(&server, "tea").await, [Value::Null; 0]);
}
