//! A thread of the journal that panics goes on, and stores nothing twice.

use crate::journal::Records as _;
use std::sync::Arc;

use super::{folder, try_to_append, unavailable};
use crate::{
    journal::{
        Journal as _,
        sqlite::SqliteJournal,
        tests::{ALL, RETENTION, open, record, room, wait},
    },
    parts::Parts,
};

/// Makes a part panic at its next steps.
fn poison(parts: &Parts, part: &str, steps: usize) {
    (0..steps).for_each(|_| parts.poison(part));
}

fn restarts(parts: &Parts, part: &str) -> u64 {
    parts.restarts().into_iter().find(|(name, _)| name == part).map_or(0, |(_, restarts)| restarts)
}

#[test]
fn a_job_over_which_a_thread_panics_is_done_all_the_same_and_once() {
    let (folder, parts) = (folder(), Arc::<Parts>::default());
    let journal = SqliteJournal::open(folder.path(), RETENTION, &parts).expect("opens");
    let epochs = open(&journal, "a").epochs;
    for first in 1..=3 {
        poison(&parts, "journal-writer", 1);
        try_to_append(&journal, &epochs, record(first, &["said"])).expect("it is durable");
        assert_eq!(restarts(&parts, "journal-writer"), first);
    }
    poison(&parts, "journal-reader", 1);
    let page = wait(journal.read(room("a"), ALL)).expect("a page");
    assert_eq!((page.entries.len(), restarts(&parts, "journal-reader")), (3, 1));
    assert_eq!(open(&journal, "a").epochs, epochs, "the run goes on");
}

#[test]
fn a_job_over_which_a_thread_panics_again_is_answered_with_an_error_and_the_next_one_is_done() {
    let (folder, parts) = (folder(), Arc::<Parts>::default());
    let journal = SqliteJournal::open(folder.path(), RETENTION, &parts).expect("opens");
    let epochs = open(&journal, "a").epochs;
    let said = record(1, &["said"]);
    let append = || try_to_append(&journal, &epochs, said.clone());
    poison(&parts, "journal-writer", 2);
    assert!(unavailable(append()).contains("has panicked"));
    append().expect("it is durable");
    append().expect("a repetition is not an error");
    poison(&parts, "journal-reader", 2);
    assert!(unavailable(wait(journal.read(room("a"), ALL))).contains("has panicked"));
    assert_eq!(wait(journal.read(room("a"), ALL)).expect("a page").entries.len(), 1);
    assert!(parts.dead().is_empty());
}

#[test]
fn a_thread_that_panics_too_often_ends_and_says_so_to_who_asks() {
    let (folder, parts) = (folder(), Arc::new(Parts::new(1)));
    let journal = SqliteJournal::open(folder.path(), RETENTION, &parts).expect("opens");
    let epochs = open(&journal, "a").epochs;
    poison(&parts, "journal-writer", 2);
    assert!(unavailable(try_to_append(&journal, &epochs, record(1, &["said"]))).contains("has panicked"));
    assert_eq!(parts.dead(), ["journal-writer"]);
    assert!(unavailable(wait(journal.check())).contains("has ended"));
}
