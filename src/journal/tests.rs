//! The contract of [`Journal`], tested on each store.

use std::{future::Future, pin::pin, sync::Arc, task, time::Duration};

use bytes::BytesMut;

use super::{
    Append, Entry, Epoch, Journal, Keyed, Kind, NewEntry, Page, Range, Record, ReservedName, Retention,
    RoomState, memory::MemoryJournal, now_millis, sqlite::SqliteJournal,
};
use crate::domain::RoomName;

pub(super) const RETENTION: Retention = Retention {
    messages: 1000,
    bytes: 1 << 20,
    age: Duration::from_secs(3600),
    total_bytes: 1 << 30,
    names: 2,
    avatar_bytes: 1 << 20,
};

pub(super) const ALL: Range = Range::After { after: 0, max_bytes: usize::MAX };

struct Unpark(std::thread::Thread);

impl task::Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a journal's result, on this thread.
pub(super) fn wait<T>(answer: impl Future<Output = T>) -> T {
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut cx = task::Context::from_waker(&waker);
    let mut answer = pin!(answer);
    loop {
        match answer.as_mut().poll(&mut cx) {
            task::Poll::Ready(value) => return value,
            task::Poll::Pending => std::thread::park(),
        }
    }
}

/// Runs a test on every journal.
fn on_each(retention: Retention, test: impl Fn(&dyn Journal)) {
    test(&MemoryJournal::new(retention).expect("random numbers"));
    let folder = tempfile::tempdir().expect("a folder");
    test(&SqliteJournal::open(folder.path(), retention, &Arc::default()).expect("opens"));
    let folder = tempfile::tempdir().expect("a folder");
    // One that stages every batch.
    test(&SqliteJournal::open_to_stage(1, folder.path(), retention, &Arc::default()).expect("opens"));
}

pub(super) fn room(name: &str) -> RoomName {
    RoomName::parse(name).expect("a legal name")
}

pub(super) fn open(journal: &dyn Journal, name: &str) -> RoomState {
    wait(journal.open(room(name))).expect("opens")
}

pub(super) fn record(first: u64, bodies: &[&str]) -> Record {
    let mut entries = BytesMut::new();
    for body in bodies {
        NewEntry {
            kind: Kind::Message,
            at: now_millis(),
            username: "ann",
            avatar: "cat",
            uid: None,
            id: "",
            body,
        }
        .pack(&mut entries);
    }
    Record {
        first,
        count: bodies.len() as u32,
        at: now_millis(),
        keys: Vec::new(),
        entries: entries.freeze(),
    }
}

pub(super) fn append(journal: &dyn Journal, name: &str, epoch: Epoch, record: Record) {
    wait(journal.append(vec![Append { room: room(name), epoch, record, pictures: Vec::new() }]))
        .expect("durable");
}

/// Appends a record of `count` entries behind the room's head; the text of each is its offset.
pub(super) fn say(journal: &dyn Journal, name: &str, count: u64) {
    let RoomState { epochs, head, .. } = open(journal, name);
    let bodies: Vec<String> = (head + 1..=head + count).map(|offset| offset.to_string()).collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    append(journal, name, *epochs.last().expect("an epoch"), record(head + 1, &bodies));
}

pub(super) fn read(journal: &dyn Journal, name: &str, range: Range) -> Page {
    wait(journal.read(room(name), range)).expect("readable")
}

pub(super) fn offsets(page: &Page) -> Vec<u64> {
    assert!(page.entries.iter().all(|entry| *entry.body == entry.offset.to_string()), "{page:?}");
    page.entries.iter().map(|entry| entry.offset).collect()
}

#[test]
fn a_room_that_is_not_known_is_empty_and_reading_it_does_not_make_it() {
    on_each(RETENTION, |journal| {
        let state = open(journal, "a");
        assert_eq!((state.head, state.epochs.len(), state.epochs[0].starts), (0, 1, 1));
        assert_eq!(state, open(journal, "a"));
        assert_eq!(read(journal, "a", ALL), Page::default());
        assert!(wait(journal.rooms()).expect("rooms").is_empty());
    });
}

#[test]
fn what_was_appended_is_read_in_order_and_by_room() {
    on_each(RETENTION, |journal| {
        say(journal, "a", 3);
        say(journal, "b", 1);
        say(journal, "a", 2);
        assert_eq!(offsets(&read(journal, "a", ALL)), [1, 2, 3, 4, 5]);
        assert_eq!(offsets(&read(journal, "b", ALL)), [1]);
        assert_eq!(open(journal, "a").head, 5);
        let mut rooms = wait(journal.rooms()).expect("rooms");
        rooms.sort();
        let last = |name| read(journal, name, ALL).entries.last().map(|entry| entry.at);
        let told: Vec<_> = rooms.into_iter().map(|(room, at)| (room, Some(at))).collect();
        assert_eq!(told, [(room("a"), last("a")), (room("b"), last("b"))]);
        let Entry { kind, username, avatar, .. } = &read(journal, "b", ALL).entries[0];
        assert_eq!((*kind, &**username, &**avatar), (Kind::Message, "ann", "cat"));
    });
}

#[test]
fn a_forgotten_room_has_no_messages_and_begins_again_in_another_epoch() {
    on_each(RETENTION, |journal| {
        say(journal, "a", 3);
        say(journal, "b", 1);
        let former = open(journal, "a").epochs;
        for _ in 0..2 {
            wait(journal.forget(room("a"))).expect("forgotten");
        }
        assert!(read(journal, "a", ALL).entries.is_empty());
        let fresh = open(journal, "a");
        assert_eq!((fresh.head, &*fresh.keys), (0, &[][..]));
        assert!(!former.contains(&fresh.epochs[0]), "offsets that were given out are given out again");
        assert_eq!(offsets(&read(journal, "b", ALL)), [1]);
        say(journal, "a", 1);
        assert_eq!(offsets(&read(journal, "a", ALL)), [1]);
    });
}

#[test]
fn a_batch_may_hold_several_records_of_several_rooms() {
    on_each(RETENTION, |journal| {
        let [a, b] = ["a", "b"].map(|name| open(journal, name).epochs[0]);
        let batch = vec![
            Append { room: room("a"), epoch: a, record: record(1, &["1", "2"]), pictures: Vec::new() },
            Append { room: room("b"), epoch: b, record: record(1, &["1"]), pictures: Vec::new() },
            Append { room: room("a"), epoch: a, record: record(3, &["3"]), pictures: Vec::new() },
        ];
        wait(journal.append(batch)).expect("durable");
        assert_eq!(offsets(&read(journal, "a", ALL)), [1, 2, 3]);
        assert_eq!(offsets(&read(journal, "b", ALL)), [1]);
    });
}

#[test]
fn a_batch_that_is_given_again_is_there_once() {
    on_each(RETENTION, |journal| {
        let epoch = open(journal, "a").epochs[0];
        let once = record(1, &["1", "2"]);
        for _ in 0..2 {
            append(journal, "a", epoch, once.clone());
        }
        append(journal, "a", epoch, record(3, &["3"]));
        assert_eq!(offsets(&read(journal, "a", ALL)), [1, 2, 3]);
        assert_eq!(open(journal, "a").head, 3);
    });
}

#[test]
fn pages_forward_begin_behind_an_offset_and_end_at_their_bytes() {
    on_each(RETENTION, |journal| {
        for _ in 0..4 {
            say(journal, "a", 3);
        }
        let after = |after, max_bytes| read(journal, "a", Range::After { after, max_bytes });
        assert_eq!(offsets(&after(4, usize::MAX)), [5, 6, 7, 8, 9, 10, 11, 12]);
        assert_eq!(offsets(&after(6, usize::MAX))[0], 7);
        assert!(after(12, usize::MAX).entries.is_empty() && after(99, 9).entries.is_empty());
        let small = after(4, 1);
        assert_eq!((offsets(&small), small.more), (vec![5], true), "a page has one entry at least");
        assert!(!after(11, 1).more);
    });
}

#[test]
fn pages_backward_end_before_an_offset() {
    on_each(RETENTION, |journal| {
        for _ in 0..4 {
            say(journal, "a", 3);
        }
        let before =
            |before, limit| read(journal, "a", Range::Before { before, limit, max_bytes: usize::MAX });
        let page = before(u64::MAX, 5);
        assert_eq!((offsets(&page), page.more), (vec![8, 9, 10, 11, 12], true));
        let page = before(5, 2);
        assert_eq!((offsets(&page), page.more), (vec![3, 4], true));
        let page = before(5, 4);
        assert_eq!((offsets(&page), page.more), (vec![1, 2, 3, 4], false));
        assert!(before(1, 5).entries.is_empty());
        let small = read(journal, "a", Range::Before { before: 9, limit: 100, max_bytes: 1 });
        assert_eq!((offsets(&small), small.more), (vec![8], true));
    });
}

#[test]
fn keys_are_given_back_with_their_room() {
    on_each(RETENTION, |journal| {
        let epoch = open(journal, "a").epochs[0];
        let keyed = |number: u8, offset| Keyed { key: [number; 16], offset, at: 7 };
        append(
            journal,
            "a",
            epoch,
            Record { keys: vec![keyed(1, 1), keyed(2, 2)], ..record(1, &["1", "2"]) },
        );
        append(journal, "a", epoch, record(3, &["3"]));
        append(journal, "a", epoch, Record { keys: vec![keyed(4, 4)], ..record(4, &["4"]) });
        assert_eq!(open(journal, "a").keys, [keyed(1, 1), keyed(2, 2), keyed(4, 4)]);
        assert!(open(journal, "b").keys.is_empty());
    });
}

#[test]
fn a_room_keeps_its_newest_messages() {
    on_each(Retention { messages: 8, ..RETENTION }, |journal| {
        for _ in 0..20 {
            say(journal, "a", 2);
        }
        let kept = offsets(&read(journal, "a", ALL));
        assert!((8..=10).contains(&kept.len()), "{kept:?}");
        assert_eq!(kept.last(), Some(&40));
        assert_eq!(open(journal, "a").head, 40, "offsets go on");
    });
}

#[test]
fn a_room_keeps_no_more_bytes_than_it_may_but_for_its_newest_record() {
    on_each(Retention { bytes: 1000, ..RETENTION }, |journal| {
        for _ in 0..20 {
            say(journal, "a", 5);
        }
        let kept = read(journal, "a", ALL);
        let bytes: usize = kept.entries.iter().map(Entry::packed_len).sum();
        assert!((700..=1000).contains(&bytes), "{bytes}");
        say(journal, "a", 100);
        assert_eq!(offsets(&read(journal, "a", ALL)), (101..=200).collect::<Vec<_>>());
    });
}

#[test]
fn all_rooms_together_keep_no_more_than_they_may_and_the_oldest_goes() {
    on_each(Retention { bytes: 1 << 30, total_bytes: 400_000, ..RETENTION }, |journal| {
        let body = "x".repeat(2000);
        for name in ["old", "new"] {
            let epoch = open(journal, name).epochs[0];
            for first in 1..=300 {
                let at = if name == "old" { 1 } else { 2 };
                append(journal, name, epoch, Record { at, ..record(first, &[&body]) });
            }
        }
        let left = |name| read(journal, name, ALL).entries.len();
        assert_eq!(left("old"), 0);
        // A file counts in pages of 4 KiB.
        assert!((60..=200).contains(&left("new")), "{}", left("new"));
    });
}

#[test]
fn what_is_too_old_goes_and_a_room_without_messages_is_forgotten_with_its_epoch() {
    on_each(RETENTION, |journal| {
        let before = open(journal, "a").epochs[0];
        append(journal, "a", before, Record { at: 1, ..record(1, &["1"]) });
        append(journal, "a", before, record(2, &["2"]));
        append(journal, "b", before, Record { at: 1, ..record(1, &["1"]) });
        assert_eq!(wait(journal.sweep()), Ok(vec![room("b")]));
        assert_eq!(offsets(&read(journal, "a", ALL)), [2]);
        assert_eq!(open(journal, "a").epochs, [before]);
        let anew = open(journal, "b");
        assert_eq!(anew.head, 0);
        assert_ne!(anew.epochs[0].id, before.id, "its offsets begin again, so they are another epoch's");
        assert_eq!(wait(journal.sweep()), Ok(vec![]));
        say(journal, "b", 2);
        assert_eq!(offsets(&read(journal, "b", ALL)), [1, 2]);
    });
}

#[test]
fn epochs_have_names_that_can_be_read_back() {
    on_each(RETENTION, |journal| {
        let id = open(journal, "a").epochs[0].id;
        assert_eq!(id.to_string().parse(), Ok(id));
    });
    for bad in ["", "1", "x-1", "1-x", "-"] {
        assert!(bad.parse::<super::EpochId>().is_err(), "{bad}");
    }
    let two = [1, 2].map(|_| MemoryJournal::new(RETENTION).expect("random numbers"));
    assert_ne!(open(&two[0], "a").epochs, open(&two[1], "a").epochs);
}

#[test]
fn names_are_reserved_until_their_time_is_over_or_they_are_freed() {
    on_each(RETENTION, |journal| {
        let name = |key: &str, owner, until| ReservedName {
            key: key.to_owned(),
            name: key.to_uppercase(),
            owner: [owner; 16],
            until,
        };
        let (later, past) = (now_millis() + 60_000, 1);
        let reserve = |names| wait(journal.reserve(room("a"), names)).expect("reserved");
        let names = |of| {
            let mut names = open(journal, of).names;
            names.sort_by(|one, other| one.key.cmp(&other.key));
            names
        };
        reserve(vec![name("ann", 1, later), name("ben", 2, past)]);
        assert_eq!(names("a").first(), Some(&name("ann", 1, later)));
        assert!(names("b").is_empty());
        wait(journal.sweep()).expect("swept");
        assert_eq!(names("a"), [name("ann", 1, later)]);
        // A new name is over the bound; a known one is renewed, and a freed one makes room.
        reserve(vec![name("cleo", 3, later), name("dan", 4, later), name("ann", 5, later + 1)]);
        assert_eq!(names("a"), [name("ann", 5, later + 1), name("cleo", 3, later)]);
        reserve(vec![name("ann", 0, 0), name("dan", 4, later)]);
        assert_eq!(names("a"), [name("cleo", 3, later), name("dan", 4, later)]);
        // Messages of the room do not change the reserved names.
        say(journal, "a", 2);
        assert_eq!(names("a").len(), 2);
    });
}
