//! The journal's files in other hands: copies put back, files removed, replaced and damaged, a second server, a wrong clock.

use std::{
    fs,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    client::Client,
    disk::{Disk, copy_all},
    program::{PATIENCE, Program},
    talker::{Acked, Talker, check, say_all},
};

fn numbered(from: u64, to: u64) -> impl Iterator<Item = String> {
    (from..=to).map(|number| format!("message {number}"))
}

/// A server that stops in order after it was told this. Gives back what was acked and where Ann left off.
fn run(disk: &Disk, texts: impl IntoIterator<Item = String>) -> (Vec<Acked>, Value) {
    // A name of its own: that of who was there when a server stopped is held in the next one.
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let name = format!("Ann {}", RUNS.fetch_add(1, Ordering::SeqCst));
    let mut program = disk.start();
    let mut ann = Talker::login(program.address, &name);
    let acked = say_all(&mut ann, texts);
    let offset = acked.last().map_or(0, |(offset, _)| *offset);
    let back = json!({
        "username": name, "room": "tea", "token": ann.welcome["token"], "epoch": ann.welcome["epoch"],
        "offset": offset,
    });
    drop(ann);
    program.signal(Signal::TERM);
    assert_eq!(program.exit_code(), Some(0), "{:#?}", program.log());
    (acked, back)
}

fn health(program: &Program) -> Value {
    let answer = Client::get(program.address, "/health");
    serde_json::from_str(answer.split("\r\n\r\n").nth(1).expect("a body")).expect("JSON")
}

/// A server with one shard: `/health` names the fault that any shard knows, and this one has all rooms.
fn start_with_one_shard(disk: &Disk) -> Program {
    let mut command = disk.command();
    command.args(["--shards", "1"]);
    Program::spawn(command)
}

/// Waits until the server says of itself that it is not well.
fn until_unwell(program: &Program) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let health = health(program);
        if health["status"] != "ok" {
            return health;
        }
        assert!(Instant::now() < deadline, "{health}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Says something that cannot be kept. Whether others have heard it, which they do unless the server knew before.
fn is_relayed(talker: &mut Talker, text: &str) -> bool {
    let answer = talker.ask("sendMessage", &json!({"msg": text, "id": text})).expect("an answer");
    let code = answer["error"]["code"].as_str().unwrap_or_else(|| panic!("{answer}"));
    assert!(["not_kept_yet", "journal_unavailable"].contains(&code), "{answer}");
    code == "not_kept_yet"
}

// ----- copies that are put back -----

/// How a copy of a stopped server's folder is put back.
type Restore = fn(&Path, &Path);

const RESTORES: [(&str, Restore); 3] = [
    ("over the files", copy_all),
    ("into an empty folder", |copy, data| {
        fs::remove_dir_all(data).expect("removed");
        fs::create_dir(data).expect("a folder");
        copy_all(copy, data);
    }),
    ("the database alone", |copy, data| {
        fs::copy(copy.join("echoroom.db"), data.join("echoroom.db")).expect("copied");
    }),
];

#[test]
fn a_client_that_saw_more_than_a_copy_that_was_put_back_is_not_told_that_it_has_all() {
    for (way, restore) in RESTORES {
        let (disk, copy) = (Disk::new(), Disk::new());
        run(&disk, numbered(1, 10));
        copy_all(&disk.data(), &copy.data());
        let (_, ann) = run(&disk, numbered(11, 20));
        assert_eq!(ann["offset"], 20);
        restore(&copy.data(), &disk.data());
        run(&disk, (1..=30).map(|number| format!("other {number}")));
        let program = disk.start();
        let welcome = Talker::login_with(program.address, &ann).welcome;
        assert_eq!((&welcome["recovered"], &welcome["offset"]), (&json!(false), &json!(40)), "{way}");
    }
}

#[test]
fn a_client_comes_back_over_clean_stops_and_killed_servers_alike() {
    let disk = Disk::new();
    let (mut acked, ann) = run(&disk, numbered(1, 3));
    // Nothing is said in one run, and another is killed.
    run(&disk, []);
    let mut program = disk.start();
    acked.extend(say_all(&mut Talker::login(program.address, "Ben"), numbered(4, 5)));
    program.signal(Signal::KILL);
    program.exit_code();
    let program = disk.start();
    let welcome = Talker::login_with(program.address, &ann).welcome;
    assert_eq!((&welcome["recovered"], &welcome["offset"]), (&json!(true), &json!(5)));
    check(&Talker::login(program.address, "Cat").history(), &acked, "over three stops");
}

// ----- a second server -----

#[test]
fn a_second_server_is_kept_out_though_the_lock_was_deleted() {
    let disk = Disk::new();
    let program = disk.start();
    let mut ann = Talker::login(program.address, "Ann");
    let mut acked = say_all(&mut ann, numbered(1, 2));
    fs::remove_file(disk.data().join("echoroom.lock")).expect("removed");
    let output = disk.command().output().expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("--data-dir") && stderr.contains("another server uses the journal"), "{stderr}");
    acked.extend(say_all(&mut ann, numbered(3, 4)));
    check(&ann.history(), &acked, "after a second server was refused");
}

#[test]
fn a_server_whose_journal_was_taken_over_acks_nothing_more_and_says_so() {
    let disk = Disk::new();
    let mut program = start_with_one_shard(&disk);
    let mut ann = Talker::login(program.address, "Ann");
    let mut acked = say_all(&mut ann, numbered(1, 2));
    // As a server does that no lock keeps out, on another machine for instance.
    let file = rusqlite::Connection::open(disk.data().join("echoroom.db")).expect("the database");
    file.execute("UPDATE meta SET value = value + 1 WHERE key = 'run'", []).expect("written");
    drop(file);
    let is_relayed = is_relayed(&mut ann, "lost");
    let health = until_unwell(&program);
    assert!(health["journal"].as_str().is_some_and(|fault| fault.contains("another server")), "{health}");
    drop(ann);
    program.signal(Signal::TERM);
    assert_eq!(program.exit_code(), Some(if is_relayed { 74 } else { 0 }), "{:#?}", program.log());
    let program = disk.start();
    let mut ben = Talker::login(program.address, "Ben");
    acked.extend(say_all(&mut ben, numbered(3, 4)));
    check(&ben.history(), &acked, "after a takeover");
}

// ----- files that vanish -----

#[test]
fn nothing_is_acked_once_the_files_are_gone_and_health_says_so() {
    let takings: [(&str, Restore); 4] = [
        ("the folder is removed", |data, _| fs::remove_dir_all(data).expect("removed")),
        ("the folder is replaced", |data, away| {
            fs::rename(data, away).expect("moved");
            fs::create_dir(data).expect("a folder");
            copy_all(away, data);
        }),
        ("the database is removed", |data, _| {
            fs::remove_file(data.join("echoroom.db")).expect("removed");
        }),
        ("the log is removed", |data, _| {
            fs::remove_file(data.join("echoroom.db-wal")).expect("removed");
        }),
    ];
    for (way, take) in takings {
        let disk = Disk::new();
        let mut program = start_with_one_shard(&disk);
        let mut ann = Talker::login(program.address, "Ann");
        say_all(&mut ann, numbered(1, 2));
        take(&disk.data(), &disk.data().with_extension("away"));
        // Found though no client says anything.
        let health = until_unwell(&program);
        assert_eq!(health["status"], "the journal is not available", "{way}: {health}");
        let fault = health["journal"].as_str().expect("a text");
        assert!(fault.contains("echoroom.db") && fault.contains("while the server runs"), "{way}: {fault}");
        let answer = ann.ask("sendMessage", &json!({"msg": "no", "id": "no"})).expect("an answer");
        assert_eq!(answer["error"]["code"], "journal_unavailable", "{way}");
        drop(ann);
        program.signal(Signal::TERM);
        assert_eq!(program.exit_code(), Some(0), "{way}: nothing was relayed since");
    }
}

#[test]
fn files_that_are_moved_away_and_back_go_on_without_a_loss() {
    let disk = Disk::new();
    let program = disk.start();
    let mut ann = Talker::login(program.address, "Ann");
    let mut acked = say_all(&mut ann, numbered(1, 2));
    let away = disk.data().with_extension("away");
    fs::rename(disk.data(), &away).expect("moved");
    is_relayed(&mut ann, "3");
    fs::rename(&away, disk.data()).expect("moved");
    acked.extend(say_all(&mut ann, ["3", "4"]));
    assert_eq!(acked.last(), Some(&(4, "4".to_owned())));
    check(&ann.history(), &acked, "moved away and back");
}

/// A start after something was done to the files of a server that was stopped, or killed: what it logs of that.
fn start_after(is_killed: bool, change: fn(&Path)) -> String {
    let disk = Disk::new();
    if is_killed {
        let mut program = disk.start();
        say_all(&mut Talker::login(program.address, "Ann"), numbered(1, 2));
        program.signal(Signal::KILL);
        program.exit_code();
    } else {
        run(&disk, numbered(1, 2));
    }
    change(&disk.data());
    let program = disk.start();
    say_all(&mut Talker::login(program.address, "Ben"), numbered(3, 3));
    let warnings =
        program.log().into_iter().filter(|line| line.contains("echoroom.db ") && line.contains("WARN"));
    warnings.collect()
}

fn remove_all(data: &Path, names: &[&str]) {
    for name in names {
        match fs::remove_file(data.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{name}: {error}"),
            _ => {}
        }
    }
}

#[test]
fn a_start_that_finds_less_than_was_there_says_so() {
    for is_killed in [false, true] {
        let log = start_after(is_killed, |data| {
            remove_all(data, &["echoroom.db", "echoroom.db-wal", "echoroom.db-shm"]);
        });
        assert!(log.contains("is missing"), "{log:?}");
        let log = start_after(is_killed, |data| {
            fs::write(data.join("echoroom.db"), "").expect("emptied");
        });
        assert!(log.contains("is empty"), "{log:?}");
        assert_eq!(start_after(is_killed, |_| {}), "", "nothing to warn of");
    }
    let log = start_after(true, |data| remove_all(data, &["echoroom.db-wal"]));
    assert!(log.contains("no log beside it"), "{log:?}");
    let log = start_after(true, |data| fs::write(data.join("echoroom.db-wal"), "").expect("emptied"));
    assert!(log.contains("no log beside it"), "{log:?}");
    let log = start_after(false, |data| remove_all(data, &["echoroom.stamp"]));
    assert!(log.contains("put in its place"), "{log:?}");
}

// ----- damage -----

/// A stopped server's folder with garbage in the middle of the database, and the rooms that were in it.
fn damaged() -> (Disk, Vec<String>) {
    let disk = Disk::new();
    let mut program = disk.start();
    let rooms: Vec<String> = (1..=4).map(|number| format!("room {number}")).collect();
    for room in &rooms {
        let mut talker = Talker::login_with(program.address, &json!({"username": "Ann", "room": room}));
        say_all(&mut talker, (1..=12).map(|number| format!("{number} {}", "x".repeat(2000))));
    }
    program.signal(Signal::TERM);
    assert_eq!(program.exit_code(), Some(0));
    let file = fs::File::options().write(true).open(disk.data().join("echoroom.db")).expect("the database");
    let middle = file.metadata().expect("a length").len() / 2;
    file.write_all_at(&[0xA5; 8192], middle).expect("written");
    (disk, rooms)
}

#[test]
fn damage_has_a_code_of_its_own_and_is_found_before_it_is_met() {
    let (disk, rooms) = damaged();
    let program = disk.start();
    let health = until_unwell(&program);
    assert_eq!(health["status"], "the journal is damaged");
    program.wait_for_log("the journal is damaged");
    let mut outcomes = Vec::new();
    for room in &rooms {
        let client = Client::websocket(program.address, "/chat");
        let mut talker = Talker::of(client);
        let answer = talker.ask("login", &json!({"username": "Ben", "room": room})).expect("an answer");
        if answer["data"].is_object() {
            let page = talker.ask("history", &json!({"limit": 200})).expect("an answer");
            outcomes.push(page["error"]["code"].as_str().unwrap_or("read").to_owned());
        } else {
            outcomes.push(answer["error"]["code"].as_str().expect("a code").to_owned());
        }
    }
    assert!(outcomes.iter().all(|outcome| ["read", "damaged"].contains(&&**outcome)), "{outcomes:?}");
    assert!(
        outcomes.contains(&"read".to_owned()) && outcomes.contains(&"damaged".to_owned()),
        "{outcomes:?}"
    );
    say_all(&mut Talker::login(program.address, "Cat"), ["a room that is not damaged goes on"]);
    let metrics = Client::get(program.address, "/metrics");
    let count = metrics.lines().find_map(|line| line.strip_prefix("echoroom_journal_damage "));
    assert!(count.is_some_and(|count| count != "0"), "{metrics}");
}

// ----- the clock -----

const DAY: i64 = 24 * 3600;

/// A server whose clock is ahead by so many seconds.
fn start_ahead(disk: &Disk, seconds: i64) -> Program {
    Program::spawn(disk.faulty(&[("FAULT_CLOCK", seconds.to_string())]))
}

#[test]
fn a_clock_that_is_a_month_ahead_for_one_start_takes_no_history_away() {
    let disk = Disk::new();
    let (mut acked, _) = run(&disk, numbered(1, 3));
    for ahead in [31 * DAY, 3650 * DAY, -31 * DAY] {
        let mut program = start_ahead(&disk, ahead);
        let mut ben = Talker::login(program.address, &format!("Ben {ahead}"));
        if ahead > 0 {
            program.wait_for_log("3 messages of 1 rooms are older than --history-age");
        }
        check(&ben.history(), &acked, &format!("{ahead} s ahead"));
        drop(ben);
        program.signal(Signal::TERM);
        assert_eq!(program.exit_code(), Some(0));
    }
    let (said, _) = run(&disk, numbered(4, 4));
    acked.extend(said);
    check(&Talker::login(disk.start().address, "Cat").history(), &acked, "set right");
}

#[test]
fn what_is_let_go_for_its_age_is_logged() {
    let disk = Disk::new();
    run(&disk, numbered(1, 3));
    let mut command = disk.faulty(&[("FAULT_CLOCK", (13 * 3600).to_string())]);
    command.args(["--history-age", "12h"]);
    let program = Program::spawn(command);
    program
        .wait_for_log("3 messages of 1 rooms were older than --history-age and were deleted, with 1 rooms");
    assert_eq!(Talker::login(program.address, "Ben").history(), []);
}
