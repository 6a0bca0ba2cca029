//! The journal on the real program: what is acked survives, and what cannot be kept is refused.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use actix_web::rt;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    helpers::TestServer,
    metrics::value,
    people::{Person, offsets},
    program::{Running, echoroom, start},
};

pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// The program with a journal in a folder.
pub fn command(folder: &Path) -> Command {
    let mut command = echoroom();
    command.env_remove("ECHOROOM_JOURNAL").args(["--port", "0", "--bind", "127.0.0.1", "--rate", "0"]);
    command.arg("--data-dir").arg(folder);
    command
}

pub fn start_in(folder: &Path) -> (Running, TestServer) {
    let (running, link) = start(&mut command(folder));
    (running, TestServer::elsewhere(&link))
}

/// All that is kept of the room `tea`.
async fn history(server: &TestServer) -> Vec<Value> {
    let mut reader = Person::named(server, "Reader").await;
    let (mut all, mut before) = (Vec::new(), u64::MAX >> 1);
    loop {
        let answer = reader.ask("history", json!({"before": before, "limit": 200})).await;
        let page = answer["data"]["messages"].as_array().expect("a page").clone();
        before = page.first().map_or(0, |first| first["offset"].as_u64().expect("an offset"));
        all.splice(0..0, page);
        if answer["data"]["more"] == false {
            return all;
        }
    }
}

#[actix_web::test]
async fn history_survives_a_restart_and_clients_resume_over_it() {
    let folder = folder();
    let (running, server) = start_in(folder.path());
    let mut ann = Person::named(&server, "Ann").await;
    let mut plain = server.connect("/ws?room=tea").await;
    plain.send("from a guest").await;
    ann.next_messages(1).await;
    ann.ask("sendMessage", json!({"msg": "two", "id": "m2"})).await;
    ann.say("three").await;
    let back = ann.return_data(1);
    running.signal("-TERM");
    assert_eq!(running.exit_code(), Some(0));

    let (_running, server) = start_in(folder.path());
    let mut ann = Person::login(&server, back).await;
    assert_eq!((&ann.welcome["recovered"], &ann.welcome["offset"]), (&json!(true), &json!(3)));
    assert_eq!(offsets(&ann.next_messages(2).await), [2, 3]);
    let again = ann.ask("sendMessage", json!({"msg": "two", "id": "m2"})).await;
    assert_eq!(again["data"]["offset"], 2, "known again by its id");
    assert_eq!(ann.say("four").await["offset"], 4);
    assert_eq!(history(&server).await[0]["msg"], "from a guest");
}

#[actix_web::test]
async fn a_second_server_on_the_same_folder_fails_with_one_sentence() {
    let folder = folder();
    let (_running, _server) = start_in(folder.path());
    let output = command(folder.path()).output().expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let sentence = stderr.lines().last().expect("a line");
    assert!(
        sentence.contains("--data-dir") && sentence.contains("another server uses the journal"),
        "{stderr}"
    );
}

#[actix_web::test]
async fn a_backup_is_made_while_the_server_runs_and_can_be_served() {
    let (place, copy) = (folder(), folder());
    let (_running, server) = start_in(place.path());
    Person::named(&server, "Ann").await.say("kept").await;
    let target = copy.path().join("echoroom.db");
    let back_up = || {
        echoroom().arg("--data-dir").arg(place.path()).arg("backup").arg(&target).output().expect("it runs")
    };
    let output = back_up();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&back_up().stderr).contains("exists already"));
    let (_other, other) = start_in(copy.path());
    assert_eq!(history(&other).await[0]["msg"], "kept");
}

/// The program on a disk that is soon full: it may not make a file larger than this, and writing more fails.
pub fn start_on_a_small_disk(folder: &Path) -> (Running, TestServer) {
    let plain = command(folder);
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -S -f 600; exec \"$0\" \"$@\""]).arg(plain.get_program());
    limited.args(plain.get_args());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    let (running, link) = start(&mut limited);
    (running, TestServer::elsewhere(&link))
}

#[actix_web::test]
async fn a_disk_that_is_full_refuses_messages_until_there_is_room_and_loses_none() {
    let folder = folder();
    let (running, server) = start_on_a_small_disk(folder.path());
    let mut ann = Person::settled(&server, "Ann").await;
    let mut ben = Person::settled(&server, "Ben").await;
    let body = "x".repeat(8000);
    let mut number = 0;
    let (refused, failed_at) = loop {
        number += 1;
        let data = json!({"msg": format!("{number} {body}"), "id": number.to_string()});
        let answer = ann.ask("sendMessage", data.clone()).await;
        if answer["error"].is_object() {
            assert_eq!(answer["error"]["code"], "not_kept_yet", "the room has heard it");
            break (data, Instant::now());
        }
        assert!(number < 1000, "the disk never fills");
    };
    // What failed had been relayed; what comes now is refused before that.
    assert_eq!(ben.next_messages(number).await.len(), number);
    assert_eq!(
        ann.ask("sendMessage", json!({"msg": "not now"})).await["error"]["code"],
        "journal_unavailable"
    );
    ben.expect_none("receiveMessage").await;
    let health = server.health().await;
    assert_eq!(health["status"], "the journal is not available");
    assert!(health["journal"].as_str().is_some_and(|fault| fault.contains("echoroom.db")), "{health}");
    assert_eq!(value(&server, "echoroom_journal_available").await, 0.0);
    server.connect("/echo").await.send("still up").await;
    server.connect("/ws").await.expect_quiet().await;

    let outage = failed_at.elapsed();
    running.raise_file_size_limit();
    // The same id attaches to the message that failed.
    let receipt = loop {
        let answer = ann.ask("sendMessage", refused.clone()).await;
        if answer["data"].is_object() {
            break answer["data"].clone();
        }
        rt::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(receipt["offset"], number);
    assert_eq!(ann.say("and on").await["offset"], number + 1);
    assert_eq!(server.health().await["status"], "ok");
    assert_eq!(value(&server, "echoroom_journal_available").await, 1.0);
    let took = value(&server, "echoroom_journal_commit_seconds_sum").await;
    assert!(took >= outage.as_secs_f64(), "{took} s, with {outage:?} without a disk");
    let kept = offsets(&history(&server).await);
    assert_eq!(kept, (1..=number as u64 + 1).collect::<Vec<_>>());
}

#[actix_web::test]
async fn a_folder_that_cannot_be_written_leaves_the_server_up_and_says_so() {
    let (_running, server) = start_in(Path::new("/proc/echoroom"));
    let mut ann = Person::stranger(&server).await;
    let answer = ann.ask("login", json!({"username": "Ann"})).await;
    assert_eq!(answer["error"]["code"], "journal_unavailable");
    let health = server.health().await;
    assert_eq!(health["status"], "the journal is not available");
    assert!(health["journal"].as_str().is_some_and(|fault| fault.contains("/proc/echoroom")), "{health}");
    server.connect("/ws").await.expect_quiet().await;
    server.connect("/echo").await.send("x").await;
}
