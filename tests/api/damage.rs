//! A broken record of the journal is never passed over in silence: what cannot be given is said, at both doors, and the
//! room goes on.

use std::path::Path;

use echoroom::config::JournalKind;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    helpers::{RawClient, TestServer, settings, text},
    people::{Person, offsets},
    sockets::connected,
};

/// A server whose room `tea` has twenty messages of some length, each in a record of its own.
pub async fn server(len: usize) -> (TestServer, TempDir, Value) {
    let folder = tempfile::tempdir().expect("a folder");
    let (journal, data_dir) = (JournalKind::Sqlite, folder.path().to_owned());
    let server = TestServer::with(settings().with(|s| {
        s.journal.kind = journal;
        s.journal.data_dir = data_dir;
    }))
    .await;
    let mut ann = Person::named(&server, "Ann").await;
    for number in 1..=20 {
        ann.say(&format!("{number} {}", "x".repeat(len))).await;
    }
    let epoch = ann.welcome["epoch"].clone();
    ann.ask("logout", json!({})).await;
    drop(ann);
    // The room goes from memory, so that all is read from the file.
    server.until_health_shows(0, 0).await;
    (server, folder, epoch)
}

/// Changes the record that begins at an offset.
pub fn spoil(folder: &Path, change: &str, offset: u64) {
    let file = rusqlite::Connection::open(folder.join("echoroom.db")).expect("the file");
    let change = format!("{change} WHERE id & 1099511627775 = {offset}");
    assert_eq!(file.execute(&change, []).expect("changed"), 1);
}

pub const BROKEN: &str = "UPDATE rounds SET entries = zeroblob(5)";
const MISSING: &str = "DELETE FROM rounds";

/// A client at either door, and what came while an answer was waited for.
struct Reader {
    line: RawClient,
    is_chat: bool,
    heard: Vec<(String, Value)>,
}

/// What a login led to.
struct Entry {
    reader: Reader,
    /// The answer, `{"error": …}` if it failed.
    welcome: Value,
    /// The offsets of the messages that it was given.
    given: Vec<u64>,
}

impl Reader {
    async fn open(server: &TestServer, is_chat: bool) -> Self {
        let line = if is_chat { server.connect_raw("/chat").await } else { connected(server).await };
        Self { line, is_chat, heard: Vec::new() }
    }

    /// Logs in, perhaps with where it left off, and says something, which comes behind all that it is given.
    async fn enter(server: &TestServer, is_chat: bool, since: Option<(&Value, u64)>) -> Entry {
        let mut reader = Self::open(server, is_chat).await;
        let mut login = json!({"username": if is_chat { "Ben" } else { "Cat" }, "room": "tea"});
        if let Some((epoch, offset)) = since {
            (login["epoch"], login["offset"]) = (epoch.clone(), json!(offset));
        }
        let welcome = reader.ask("login", login).await;
        assert!(welcome["error"].is_null(), "{welcome}");
        let end = reader.ask("sendMessage", json!({"msg": "end"})).await["offset"].clone();
        let mut given = Vec::new();
        while given.last().is_none_or(|last| end != *last) {
            given.extend(reader.heard.drain(..).filter_map(|(name, data)| offset_of(&name, &data)));
            if given.last().is_none_or(|last| end != *last) {
                let (name, data) = reader.next().await;
                given.extend(offset_of(&name, &data));
            }
        }
        given.pop();
        Entry { reader, welcome, given }
    }

    /// The data of an answer, or `{"error": …}`.
    async fn ask(&mut self, event: &str, data: Value) -> Value {
        let request = match self.is_chat {
            true => json!({"event": event, "data": data, "ack": 7}).to_string(),
            false => format!("427{}", json!([event, data])),
        };
        self.line.send(&text(&request)).await;
        loop {
            let (name, data) = self.next().await;
            if name == "ack" {
                return data;
            }
            self.heard.push((name, data));
        }
    }

    /// The next event; an answer is one of the name `ack`, an end one of the name `end`.
    async fn next(&mut self) -> (String, Value) {
        let frame = self.line.read_frame().await;
        if frame.first == 0x88 {
            return ("end".to_owned(), Value::Null);
        }
        let packet = String::from_utf8(frame.payload).expect("UTF-8");
        if self.is_chat {
            let mut value: Value = serde_json::from_str(&packet).expect("JSON");
            return match value["ack"].as_u64() {
                Some(_) if value["error"].is_null() => ("ack".to_owned(), value["data"].take()),
                Some(_) => ("ack".to_owned(), json!({"error": value["error"]})),
                None => (value["event"].as_str().expect("a name").to_owned(), value["data"].take()),
            };
        }
        let (kind, json) = packet.split_at(packet.find('[').expect("an array"));
        let mut value: Value = serde_json::from_str(json).expect("JSON");
        match kind {
            "42" => (value[0].as_str().expect("a name").to_owned(), value[1].take()),
            _ => ("ack".to_owned(), value[0].take()),
        }
    }

    async fn leave(mut self) {
        self.ask("logout", json!({})).await;
    }
}

fn offset_of(name: &str, data: &Value) -> Option<u64> {
    (name == "receiveMessage").then(|| data["offset"].as_u64().expect("an offset"))
}

fn told(welcome: &Value) -> (bool, u64) {
    (welcome["recovered"] == true, welcome["missed"].as_u64().unwrap_or_else(|| panic!("{welcome}")))
}

#[actix_web::test]
async fn what_is_missing_from_a_recovery_is_said_and_counted() {
    for change in [BROKEN, MISSING] {
        let (server, folder, epoch) = server(10).await;
        spoil(folder.path(), change, 10);
        let mut head = 20;
        for is_chat in [true, false] {
            for (since, expected) in
                [(5, (false, 5)), (9, (false, 1)), (10, (true, 0)), (14, (true, 0)), (20, (true, 0))]
            {
                let Entry { reader, welcome, given } =
                    Reader::enter(&server, is_chat, Some((&epoch, since))).await;
                assert_eq!(told(&welcome), expected, "{change} {since}");
                assert_eq!(given, (since.max(10) + 1..=head).collect::<Vec<_>>(), "{change} {since}");
                head += 1;
                reader.leave().await;
            }
            // One that was never here is given what can be read.
            let Entry { reader, welcome, given } = Reader::enter(&server, is_chat, None).await;
            assert_eq!((told(&welcome), welcome["offset"].as_u64()), ((false, 0), Some(head)));
            assert_eq!(given, (11..=head).collect::<Vec<_>>(), "{change}");
            head += 1;
            reader.leave().await;
        }
    }
}

#[actix_web::test]
async fn a_room_whose_newest_messages_are_broken_goes_on() {
    for change in [BROKEN, MISSING] {
        let (server, folder, epoch) = server(10).await;
        spoil(folder.path(), change, 20);
        for (is_chat, head) in [(true, 20), (false, 22)] {
            let Entry { reader, welcome, given } = Reader::enter(&server, is_chat, Some((&epoch, 5))).await;
            assert_eq!(told(&welcome), (false, 15), "{change}");
            assert_eq!(given, (21..=head).collect::<Vec<_>>(), "{change}");
            reader.leave().await;
            let Entry { reader, given, .. } = Reader::enter(&server, is_chat, None).await;
            assert_eq!(given, (21..=head + 1).collect::<Vec<_>>(), "{change}");
            reader.leave().await;
        }
    }
}

#[actix_web::test]
async fn a_recovery_that_meets_damage_on_its_way_ends_and_is_told_when_it_comes_back() {
    // Some pages, the damage not in the first.
    let (server, folder, epoch) = server(20_000).await;
    spoil(folder.path(), BROKEN, 15);
    for is_chat in [true, false] {
        let mut reader = Reader::open(&server, is_chat).await;
        let name = format!("Dan{is_chat}");
        let login = json!({"username": name, "room": "tea", "epoch": epoch, "offset": 0});
        let welcome = reader.ask("login", login).await;
        assert_eq!(told(&welcome), (true, 0));
        let mut last = 0;
        loop {
            match reader.next().await {
                (name, _) if name == "end" => break,
                (name, data) => last = offset_of(&name, &data).unwrap_or(last),
            }
        }
        assert_eq!(last, 14, "all up to the damage, and nothing behind it");
        drop(reader);
        let Entry { reader, welcome, given } = Reader::enter(&server, is_chat, Some((&epoch, last))).await;
        assert_eq!((told(&welcome), given[0]), ((false, 1), 16));
        reader.leave().await;
    }
}

#[actix_web::test]
async fn history_says_what_it_cannot_read() {
    for change in [BROKEN, MISSING] {
        let (server, folder, _) = server(10).await;
        spoil(folder.path(), change, 10);
        for is_chat in [true, false] {
            let mut reader = Reader::enter(&server, is_chat, None).await.reader;
            for (before, limit, expected) in [
                (21, 10, Some((11..=20).collect::<Vec<u64>>())),
                (21, 11, None),
                (15, 50, None),
                (11, 1, None),
                (11, 50, None),
                (10, 50, Some((1..=9).collect())),
            ] {
                let page = reader.ask("history", json!({"before": before, "limit": limit})).await;
                match expected {
                    Some(expected) => {
                        assert_eq!(offsets(page["messages"].as_array().expect("a page")), expected);
                    }
                    None => assert_eq!(page["error"]["code"], "damaged", "{change} {before} {limit}: {page}"),
                }
            }
            reader.leave().await;
        }
    }
}
