//! Rooms that are brought from the journal of a server into Redis, and back.

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use actix_web::rt::System;
use bytes::BytesMut;
use echoroom::testing::{
    Append as JournalAppend, Journal, Records, Retention, SqliteJournal,
    nodes::*,
    now_millis,
    simulation::{ReservedName, RoomState},
};
use tempfile::TempDir;

use crate::{
    books::{append, appended, attach, claim, enter, keyed, node, owner, room, round},
    link::options,
    redis_server::{PATIENCE, Redis},
};

/// Trims the room that has most.
const RETENTION: Retention = Retention {
    messages: 3000,
    bytes: 1 << 30,
    age: Duration::from_secs(24 * 3600),
    total_bytes: 1 << 30,
    names: 100,
    avatar_bytes: 1 << 20,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

const LARGE: Range = Range::After { after: 0, max_bytes: usize::MAX };

pub fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

pub fn wait<T>(answer: impl Future<Output = T>) -> T {
    System::new().block_on(answer)
}

/// Runs a server's journal in a folder until it has stopped.
pub fn run<T>(folder: &Path, job: impl FnOnce(&SqliteJournal) -> T) -> T {
    let journal = SqliteJournal::open(folder, RETENTION, &Arc::new(Parts::default())).expect("opens");
    let done = job(&journal);
    wait(journal.close()).expect("closes");
    drop(journal);
    let deadline = Instant::now() + PATIENCE;
    while File::open(folder.join("echoroom.lock")).expect("a lock").try_lock().is_err() {
        assert!(Instant::now() < deadline, "the threads of the journal do not end");
        thread::sleep(Duration::from_millis(1));
    }
    done
}

/// Appends a record of messages with these ids; an empty one is none.
fn say(journal: &SqliteJournal, name: &str, ids: &[&str], body: &str) {
    say_with(journal, name, ids, body, Vec::new());
}

/// As [`say`] does, under avatars that are pictures.
pub fn say_with(journal: &SqliteJournal, name: &str, ids: &[&str], body: &str, pictures: Vec<Arc<Picture>>) {
    let RoomState { epochs, head, .. } = wait(journal.open(room(name))).expect("opens");
    let (mut entries, mut keys) = (BytesMut::new(), Vec::new());
    for (id, offset) in ids.iter().zip(head + 1..) {
        let at = 1_700_000_000_000 + offset;
        NewEntry { kind: Kind::Message, at, username: "ann", avatar: "cat", uid: None, id, body }
            .pack(&mut entries);
        if !id.is_empty() {
            keys.push(Keyed { key: key(id), offset, at });
        }
    }
    let at = now_millis();
    let record = Record { first: head + 1, count: ids.len() as u32, at, keys, entries: entries.freeze() };
    let epoch = *epochs.last().expect("an epoch");
    let append = JournalAppend { room: room(name), epoch, record, pictures };
    wait(journal.append(vec![append])).expect("durable");
}

fn key(id: &str) -> [u8; 16] {
    let mut key = [7; 16];
    key[..id.len()].copy_from_slice(id.as_bytes());
    key
}

fn reserved(name: &str, number: u32) -> ReservedName {
    let until = now_millis() + 3_600_000;
    let key = Nickname::parse(name).expect("a name").key().as_str().to_owned();
    ReservedName { key, name: name.to_owned(), owner: owner(number).hash.0, until }
}

const ROOMS: [&str; 4] = ["lobby", "large", "茶 :}", "names"];

/// Three runs of a server: rooms with several epochs, with more than one call takes, trimmed, and with names alone.
fn make(folder: &Path) {
    run(folder, |journal| {
        say(journal, "lobby", &["a", "", "b"], "one");
        say(journal, "茶 :}", &["", "茶"], "two");
        wait(journal.reserve(room("lobby"), vec![reserved("Ann", 1), reserved("bill", 2)])).expect("kept");
        wait(journal.reserve(room("names"), vec![reserved("Cat", 3)])).expect("kept");
    });
    run(folder, |journal| {
        for number in 0..9 {
            say(journal, "large", &[""; 500], &"x".repeat(if number == 5 { 3000 } else { 700 }));
        }
        say(journal, "large", &["last"], "end");
    });
    run(folder, |journal| say(journal, "lobby", &["c"], "three"));
}

/// What a journal has: the state of each room, and all its messages.
type Content = Vec<(RoomState, Page)>;

fn content(folder: &Path) -> Content {
    run(folder, |journal| {
        let of = |name: &&str| {
            let state = wait(journal.open(room(name))).expect("opens");
            (state, wait(journal.read(room(name), LARGE)).expect("a page"))
        };
        ROOMS.iter().map(of).collect()
    })
}

/// Checks that a journal has what another one had, and more epochs only behind them, in which nothing was said.
fn assert_equal(one: &Content, other: &Content) {
    for (((state, page), (other_state, other_page)), name) in one.iter().zip(other).zip(ROOMS) {
        assert_eq!(page, other_page, "{name}");
        assert_eq!(state.head, other_state.head, "{name}");
        assert_eq!(state.keys, other_state.keys, "{name}");
        assert_eq!(state.names, other_state.names, "{name}");
        if state.head > 0 {
            assert_epochs(state, &other_state.epochs);
        }
    }
}

fn assert_epochs(state: &RoomState, other: &[Epoch]) {
    assert_eq!(state.epochs, other[..state.epochs.len()]);
    assert!(other[state.epochs.len()..].iter().all(|epoch| epoch.starts == state.head + 1), "{other:?}");
}

pub fn import_into(redis: &Redis, folder: &Path) -> Result<Tally, String> {
    let options = options(&redis.url(), "heard");
    wait(import(&options, folder, DAY, &mut |_| ())).map_err(|error| error.to_string())
}

pub fn export_from(redis: &Redis, folder: &Path) -> Result<Tally, String> {
    let options = options(&redis.url(), "heard");
    wait(export(&options, folder, &mut |_| ())).map_err(|error| error.to_string())
}

fn ask(redis: &Redis, command: &Command) -> Answer {
    let reply = call(command, &Bounds::default()).query(&mut redis.connect()).expect("an answer");
    answer(command, reply).expect("readable")
}

fn position(redis: &Redis, name: &str) -> Position {
    match ask(redis, &Command::Open { room: room(name), wants_keys: true, version: 0 }) {
        Answer::Position(position) => *position,
        other => panic!("{other:?}"),
    }
}

/// Checks that Redis has what a journal has.
fn assert_in_redis(redis: &Redis, expected: &Content) {
    for ((state, page), name) in expected.iter().zip(ROOMS).filter(|((state, _), _)| state.head > 0) {
        let position = position(redis, name);
        assert_eq!((position.head, &position.keys), (state.head, &state.keys), "{name}");
        assert_epochs(state, &position.epochs);
        let before = Range::Before { before: state.head, limit: 700, max_bytes: usize::MAX };
        for range in [LARGE, before] {
            let reply = page_request(name, range).query(&mut redis.connect()).expect("an answer");
            let read = page_of(range, reply).expect("readable").expect("a page");
            let mut entries = page.entries.clone();
            if range == before {
                entries.pop();
                entries.drain(..entries.len().saturating_sub(700));
            }
            assert_eq!(read.entries, entries, "{name}");
        }
    }
}

fn page_request(name: &str, range: Range) -> redis::Cmd {
    page(&room(name), range)
}

/// Every key in Redis.
fn keys(redis: &Redis) -> Vec<String> {
    let mut keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut redis.connect()).expect("keys");
    keys.sort_unstable();
    keys
}

#[test]
fn a_journal_that_was_imported_is_in_redis_as_it_was_and_exported_again_is_equal() {
    let (folder, other, redis) = (folder(), folder(), Redis::start(&[]));
    make(folder.path());
    let expected = content(folder.path());
    assert!(expected[1].1.entries[0].offset > 1, "the room was trimmed");
    let tally = import_into(&redis, folder.path()).expect("imported");
    let messages: usize = expected.iter().map(|(_, page)| page.entries.len()).sum();
    assert_eq!((tally.rooms, tally.messages, tally.names), (4, messages as u64, 3));
    assert!(tally.bytes > 2 << 20, "{tally:?}");
    assert_in_redis(&redis, &expected);
    assert_equal(&expected, &content(folder.path()));
    let exported = export_from(&redis, other.path()).expect("exported");
    assert_eq!(exported, tally);
    assert_equal(&expected, &content(other.path()));
    let left: Vec<_> = std::fs::read_dir(other.path()).expect("a folder").collect();
    assert!(left.iter().all(|entry| entry.as_ref().is_ok_and(|entry| entry.path().is_file())), "{left:?}");
}

#[test]
fn a_node_goes_on_from_an_imported_room_with_a_new_epoch_and_knows_its_ids_and_names() {
    node_goes_on(&Redis::start(&[]));
    // Nodes have been there before, and have gone.
    let redis = Redis::with_functions();
    let lobby = room("lobby");
    ask(&redis, &attach(&lobby, node(1)));
    ask(&redis, &Command::Bury { partition: Partition::of(&lobby), gone: node(1) });
    node_goes_on(&redis);
}

fn node_goes_on(redis: &Redis) {
    let folder = folder();
    make(folder.path());
    import_into(redis, folder.path()).expect("imported");
    let lobby = room("lobby");
    let before = position(redis, "lobby");
    assert!(matches!(ask(redis, &attach(&lobby, node(0))), Answer::Attached { wait: Duration::ZERO, .. }));
    let again = Append { keys: keyed(&[key("b")]), ..round(&lobby, node(0), 1, None, &["one"]) };
    let said = |round| appended(&(ask(redis, &append(round)), Vec::new()));
    assert_eq!(said(again), Appended::Repeated(vec![(0, 3)]));
    let known =
        before.epochs.iter().rev().find(|epoch| epoch.starts <= before.head).map(|e| (e.id, before.head));
    assert_eq!(said(round(&lobby, node(0), 2, known, &["four"])), Appended::At(before.head + 1));
    let after = position(redis, "lobby");
    let (newest, others) = after.epochs.split_last().expect("epochs");
    assert_eq!((newest.starts, others), (before.head + 1, &before.epochs[..]));
    assert!(others.iter().all(|epoch| epoch.id.number < newest.id.number), "{after:?}");
    let claims = |name, bearer, spare| ask(redis, &enter(&lobby, node(0), claim(name, bearer, spare)));
    // The second one looks like `bill`.
    for taken in ["ANN", "biII"] {
        assert!(matches!(claims(taken, None, 9), Answer::Entered(Entered::Taken)), "{taken}");
    }
    assert!(matches!(claims("ann", Some(1), 8), Answer::Entered(Entered::Yes { .. })));
}

#[test]
fn an_import_that_was_interrupted_is_repeated_and_leaves_what_is_there() {
    let (folder, redis) = (folder(), Redis::start(&[]));
    make(folder.path());
    let expected = content(folder.path());
    let options = options(&redis.url(), "heard");
    // The process ends behind its second room, and has begun the third.
    let mut rooms = 0;
    let mut end = |tally: &Tally| {
        rooms = tally.rooms;
        assert!(tally.rooms < 2, "the process ends");
    };
    let interrupted = catch_unwind(AssertUnwindSafe(|| wait(import(&options, folder.path(), DAY, &mut end))));
    assert!(interrupted.is_err() && rooms == 2);
    for name in ROOMS {
        let begun = format!("er:{{e{}}}:s", Partition::of(&room(name)).number());
        let add = redis::cmd("XADD")
            .arg(begun)
            .arg(&["99999-1", "h", "half", "r", "half", "b", "4"])
            .exec(&mut redis.connect());
        add.expect("added");
    }
    let tally = import_into(&redis, folder.path()).expect("imported");
    assert_eq!((tally.rooms + tally.known, tally.known >= 1), (4, true), "{tally:?}");
    assert_in_redis(&redis, &expected);
    let last = import_into(&redis, folder.path()).expect("imported");
    assert_eq!((last.messages, last.known), (0, 3), "only names are written again: {last:?}");
    assert_in_redis(&redis, &expected);
}

#[test]
fn a_room_that_redis_has_otherwise_is_named_and_nothing_is_imported() {
    let (folder, redis) = (folder(), Redis::with_functions());
    make(folder.path());
    let names = room("large");
    ask(&redis, &attach(&names, node(0)));
    ask(&redis, &append(round(&names, node(0), 1, None, &["other"])));
    ask(&redis, &Command::Bury { partition: Partition::of(&names), gone: node(0) });
    let all = keys(&redis);
    let error = import_into(&redis, folder.path()).expect_err("it is there");
    assert_eq!(error, "Redis has room \"large\" already, with other messages or names than the journal");
    assert_eq!(keys(&redis), all);
    assert_eq!(position(&redis, "large").head, 1);
    assert!(content(folder.path()).len() == 4, "the journal is as usable as before");
}

#[test]
fn nothing_is_moved_while_a_node_is_alive() {
    let (folder, other, redis) = (folder(), folder(), Redis::with_functions());
    make(folder.path());
    ask(&redis, &attach(&room("somewhere"), node(3)));
    let alive = "node n003AAAABBBBCCCC is alive: stop all nodes first (one that was killed counts as alive until its \
                 lease is over)";
    let all = keys(&redis);
    assert_eq!(import_into(&redis, folder.path()), Err(alive.to_owned()));
    assert_eq!(keys(&redis), all);
    assert_eq!(export_from(&redis, other.path()), Err(alive.to_owned()));
    assert!(!other.path().join("echoroom.db").exists() && !other.path().join("echoroom.new").exists());
    ask(&redis, &Command::Bury { partition: Partition::of(&room("somewhere")), gone: node(3) });
    assert!(import_into(&redis, folder.path()).is_ok());
}

#[test]
fn a_node_that_starts_during_an_import_ends_it() {
    let (folder, redis) = (folder(), Redis::start(&[]));
    make(folder.path());
    let options = options(&redis.url(), "heard");
    let mut start = |_: &Tally| {
        for name in ROOMS {
            ask(&redis, &attach(&room(name), node(0)));
        }
    };
    let error =
        wait(import(&options, folder.path(), DAY, &mut start)).expect_err("a node is there").to_string();
    assert!(error.starts_with("node n000AAAABBBBCCCC is alive"), "{error}");
}

#[test]
fn a_folder_that_a_server_uses_is_left_alone() {
    let (folder, other, redis) = (folder(), folder(), Redis::start(&[]));
    make(folder.path());
    for used in [folder.path(), other.path()] {
        run(used, |_| {
            let in_use = Err(format!("a server uses {}: stop it first", used.display()));
            assert_eq!(import_into(&redis, used), in_use);
            assert_eq!(export_from(&redis, used), in_use);
        });
    }
    assert!(keys(&redis).is_empty());
}

#[test]
fn an_export_does_not_write_into_a_folder_with_a_journal_and_an_import_needs_one() {
    let (folder, other, redis) = (folder(), folder(), Redis::start(&[]));
    make(folder.path());
    let expected = content(folder.path());
    let database = folder.path().join("echoroom.db");
    assert_eq!(export_from(&redis, folder.path()), Err(format!("{} exists already", database.display())));
    assert_equal(&expected, &content(folder.path()));
    let missing = other.path().join("echoroom.db");
    assert_eq!(
        import_into(&redis, other.path()),
        Err(format!("there is no journal at {}", missing.display()))
    );
}

#[test]
fn rooms_whose_epochs_have_equal_numbers_are_exported_with_their_own() {
    let (other, redis) = (folder(), Redis::with_functions());
    for (name, nonce) in [("lobby", 1), ("large", 2), ("茶 :}", 3)] {
        let room = room(name);
        ask(&redis, &attach(&room, node(0)));
        ask(&redis, &append(Append { nonce, ..round(&room, node(0), 1, None, &["a", "b"]) }));
        let claim = Claim { reserves: true, ..claim("Ann É", Some(1), 9) };
        assert!(matches!(ask(&redis, &enter(&room, node(0), claim)), Answer::Entered(Entered::Yes { .. })));
    }
    // Its messages were forgotten; its offsets are not given out again.
    ask(&redis, &Command::Forget { room: room("large") });
    for partition in Partition::all() {
        while let Answer::Buried { is_more: true } = ask(&redis, &Command::Bury { partition, gone: node(0) })
        {
        }
    }
    export_from(&redis, other.path()).expect("exported");
    let exported = content(other.path());
    let numbers: std::collections::BTreeSet<_> =
        exported[..3].iter().map(|(state, _)| state.epochs[0].id.number).collect();
    assert_eq!(numbers.len(), 1, "they are equal");
    for ((state, page), name) in exported[..3].iter().zip(ROOMS) {
        let position = position(&redis, name);
        assert_eq!(state.head, position.head);
        assert_eq!(state.epochs[..position.epochs.len()], position.epochs, "{name}");
        assert_eq!(page.entries.len(), if name == "large" { 0 } else { 2 });
        assert_eq!(state.names.iter().map(|name| &*name.name).collect::<Vec<_>>(), ["Ann É"]);
    }
    run(other.path(), |journal| say(journal, "large", &["d"], "next"));
    assert_eq!(content(other.path())[1].1.entries[0].offset, 3);
}

#[test]
fn a_damaged_room_is_not_imported_and_the_others_are_once_it_is_forgotten() {
    let (folder, redis) = (folder(), Redis::start(&[]));
    make(folder.path());
    let expected = content(folder.path());
    let file = rusqlite::Connection::open(folder.path().join("echoroom.db")).expect("opens");
    let last =
        "SELECT max(rounds.id) FROM rounds JOIN rooms ON rounds.id >> 40 = rooms.id WHERE name = 'large'";
    file.execute(&format!("UPDATE rounds SET entries = x'00' WHERE id = ({last})"), []).expect("changed");
    drop(file);
    let error = import_into(&redis, folder.path()).expect_err("it is damaged");
    assert!(
        error.contains("damaged") && error.contains("room \"large\": a record has been changed"),
        "{error}"
    );
    assert!(position(&redis, "large").epochs.is_empty(), "nodes do not see half of it");
    let settings = echoroom::config::Settings::default().with(|s| s.journal.data_dir = folder.path().into());
    echoroom::app::forget(&settings, "large").expect("forgotten");
    import_into(&redis, folder.path()).expect("imported");
    assert_eq!(position(&redis, "lobby").head, expected[0].0.head);
    assert_eq!(position(&redis, ROOMS[2]).head, expected[2].0.head);
}
