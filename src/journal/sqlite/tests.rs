//! Promises of the file, one file for each promise.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use tempfile::TempDir;

use super::{OpenError, SqliteJournal};
use crate::journal::{
    Append, Epoch, Journal, JournalError, Record, Retention,
    tests::{RETENTION, open, record, room, say, wait},
};

mod avatars;
mod copies;
mod damage;
mod epochs;
mod files;
mod forgetting;
mod one_server;
mod opening;
mod panics;
mod records;
mod staging;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn database(folder: &Path) -> PathBuf {
    folder.join("echoroom.db")
}

/// Runs a server on the folder that sends `messages` messages to the room and stops cleanly.
fn run(folder: &Path, messages: u64) -> Vec<Epoch> {
    run_with(folder, |journal| {
        if messages > 0 {
            say(journal, "a", messages);
        }
        open(journal, "a").epochs
    })
}

/// Runs a server that does `job` and stops cleanly.
fn run_with<T>(folder: &Path, job: impl FnOnce(&SqliteJournal) -> T) -> T {
    let journal = reopen(folder);
    let done = job(&journal);
    wait(journal.close()).expect("closes");
    drop(journal);
    until_released(folder);
    done
}

/// Opens the folder again, once the threads of the earlier journal have released it.
fn reopen(folder: &Path) -> SqliteJournal {
    reopen_with(folder, RETENTION)
}

fn reopen_with(folder: &Path, retention: Retention) -> SqliteJournal {
    loop {
        match SqliteJournal::open(folder, retention, &Arc::default()) {
            Err(OpenError::Locked(_)) => std::thread::yield_now(),
            other => return other.expect("opens"),
        }
    }
}

/// Waits until the threads of a dropped journal have released its files.
fn until_released(folder: &Path) {
    let folder = fs::File::open(folder).expect("a folder");
    folder.lock().expect("a lock");
}

fn copy_all(from: &Path, to: &Path) {
    for file in fs::read_dir(from).expect("a folder") {
        let file = file.expect("a file");
        fs::copy(file.path(), to.join(file.file_name())).expect("copied");
    }
}

fn unavailable<T>(outcome: Result<T, JournalError>) -> String {
    match outcome {
        Err(JournalError::Unavailable(sentence)) => sentence,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it went well"),
    }
}

fn damaged<T>(outcome: Result<T, JournalError>) -> String {
    match outcome {
        Err(JournalError::Damaged(sentence)) => sentence,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it went well"),
    }
}

/// Tries to append one more message to the room.
fn try_to_say(journal: &SqliteJournal) -> Result<(), JournalError> {
    let state = wait(journal.open(room("a")))?;
    try_to_append(journal, &state.epochs, record(state.head + 1, &["more"]))
}

fn try_to_append(journal: &SqliteJournal, epochs: &[Epoch], record: Record) -> Result<(), JournalError> {
    let epoch = *epochs.last().expect("an epoch");
    wait(journal.append(vec![Append { room: room("a"), epoch, record, pictures: Vec::new() }]))
}
