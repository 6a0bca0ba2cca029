//! The program's hook is called once a second on each thread that holds memory of clients.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    thread::{self, ThreadId},
    time::Duration,
};

use actix_web::rt;
use echoroom::{
    app::Application,
    config::{JournalKind, Settings},
};
use serde_json::json;

use crate::{
    helpers::{TestServer, settings, soon},
    people::Person,
};

/// The threads that have called the hook, with their names, and how often.
static CALLS: Mutex<BTreeMap<String, (ThreadId, usize)>> = Mutex::new(BTreeMap::new());

fn note() {
    let thread = thread::current();
    let name = format!("{:?} {:?}", thread.name().unwrap_or_default(), thread.id());
    let mut calls = CALLS.lock().unwrap_or_else(PoisonError::into_inner);
    calls.entry(name).or_insert((thread.id(), 0)).1 += 1;
}

/// How many threads whose names begin so have called at least twice.
fn callers(name: &str) -> usize {
    let calls = CALLS.lock().unwrap_or_else(PoisonError::into_inner);
    let begins = format!("\"{name}");
    calls.iter().filter(|(caller, (_, calls))| caller.starts_with(&begins) && *calls >= 2).count()
}

#[actix_web::test]
async fn each_worker_and_the_threads_of_the_journal_call_the_hook_of_the_program_once_a_second() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings: Settings = settings().with(|s| {
        s.journal.kind = JournalKind::Sqlite;
        s.journal.data_dir = folder.path().into();
        // Little is in memory, so that the journal is read.
        s.journal.tail_bytes = "4k".parse().expect("a size");
    });
    let application = Application::build(settings).expect("the server starts");
    application.parts().each_second(note);
    let link = format!("http://127.0.0.1:{}", application.port());
    let handle = application.handle();
    let running = rt::spawn(application.run());
    let server = TestServer::elsewhere(&link);
    let mut ann = Person::settled(&server, "Ann").await;
    for _ in 0..3 {
        ann.say(&"x".repeat(3000)).await;
    }
    soon("all threads", async {
        while callers("actix-rt|") < 2 || callers("journal-writer") < 1 || callers("journal-reader") < 1 {
            // Has the reader work.
            ann.ask("history", json!({"limit": 100})).await;
            rt::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    handle.stop().await;
    running.await.expect("no panic").expect("the server stops");
}
