//! The program's hook is called once a second on each thread that holds memory of clients.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
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

/// The threads that have called the hook, by name and id, and how often.
static CALLS: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());

fn note() {
    let thread = thread::current();
    let name = format!("{:?} {:?}", thread.name().unwrap_or_default(), thread.id());
    let mut calls = CALLS.lock().unwrap_or_else(PoisonError::into_inner);
    *calls.entry(name).or_default() += 1;
}

/// How often each thread has called whose name begins so.
fn calls_of(name: &str) -> Vec<usize> {
    let calls = CALLS.lock().unwrap_or_else(PoisonError::into_inner);
    let begins = format!("\"{name}");
    calls.iter().filter(|(caller, _)| caller.starts_with(&begins)).map(|(_, calls)| *calls).collect()
}

/// Whether so many threads whose names begin so have called twice.
fn have_called(name: &str, threads: usize) -> bool {
    calls_of(name).into_iter().filter(|calls| *calls >= 2).count() >= threads
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
    let begun = Instant::now();
    // Takes two seconds: that is the promise.
    soon("all threads", async {
        while !(have_called("actix-rt|", 2)
            && have_called("journal-writer", 1)
            && have_called("journal-reader", 1))
        {
            // Has the reader work.
            ann.ask("history", json!({"limit": 100})).await;
            rt::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let most = begun.elapsed().as_secs() as usize + 2;
    for name in ["actix-rt|", "journal-writer", "journal-reader"] {
        assert!(calls_of(name).into_iter().all(|calls| calls <= most), "{name}: {:?}", calls_of(name));
    }
    handle.stop().await;
    running.await.expect("no panic").expect("the server stops");
}
