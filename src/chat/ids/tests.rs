use std::collections::HashSet;

use super::*;
use crate::domain::{RoomName, Token};

fn key(user: u32, id: &str) -> Key {
    key_of(sender_of(&token(user)), &token(user), id)
}

const LIMITS: IdLimits = IdLimits { per_user: 3, age: Duration::from_millis(1000), total: 10 };

fn token(number: u32) -> Token {
    format!("{number:032x}").parse().expect("a token")
}

fn place(offset: u64) -> Place {
    Place { offset, at: offset }
}

/// Remembers a message whose offset is also its time.
fn say(ids: &mut Ids, user: u32, id: &str, at: u64) {
    ids.remember(key(user, id), place(at), at);
}

fn knows(ids: &Ids, user: u32, id: &str) -> bool {
    ids.find(&key(user, id)).is_some()
}

#[test]
fn an_id_is_its_senders_own() {
    let mut ids = Ids::new(LIMITS, IdCount::default());
    say(&mut ids, 1, "a", 1);
    assert_eq!(ids.find(&key(1, "a")), Some(place(1)));
    assert!(!knows(&ids, 2, "a") && !knows(&ids, 1, "b"));
    assert_eq!(key(1, "a")[..8], key(1, "b")[..8]);
    assert_ne!(key(1, "a")[8..], key(2, "a")[8..]);
}

#[test]
fn a_users_newest_ids_are_known_whatever_others_say() {
    let limits = IdLimits { total: 100_000, ..LIMITS };
    let mut ids = Ids::new(limits, IdCount::default());
    say(&mut ids, 1, "a", 1);
    for other in 2..2002 {
        say(&mut ids, other, "x", 2);
    }
    for number in 0..2000 {
        say(&mut ids, 2, &number.to_string(), 3);
    }
    assert!(knows(&ids, 1, "a"));
    assert!(!knows(&ids, 2, "1996") && knows(&ids, 2, "1997") && knows(&ids, 2, "1999"));
    for (at, id) in [(4, "b"), (5, "c"), (6, "d")] {
        say(&mut ids, 1, id, at);
    }
    assert!(!knows(&ids, 1, "a") && knows(&ids, 1, "b") && knows(&ids, 1, "d"), "the user's own last three");
}

#[test]
fn ids_go_with_time_but_for_a_rooms_newest() {
    let mut ids = Ids::new(LIMITS, IdCount::default());
    for (user, at) in [(1, 1), (2, 500), (3, 900)] {
        say(&mut ids, user, "x", at);
    }
    say(&mut ids, 4, "x", 1500);
    assert_eq!([1, 2, 3, 4].map(|user| knows(&ids, user, "x")), [false, true, true, true]);
    say(&mut ids, 5, "x", 9000);
    assert_eq!([2, 3, 4, 5].map(|user| knows(&ids, user, "x")), [false, true, true, true]);
}

#[test]
fn ids_are_bounded_over_all_rooms_and_each_keeps_a_few() {
    let all = IdCount::default();
    let (mut one, mut two) = (Ids::new(LIMITS, all.clone()), Ids::new(LIMITS, all.clone()));
    for user in 0..10 {
        say(&mut one, user, "x", 1);
    }
    for user in 0..10 {
        say(&mut two, user, "x", 1);
    }
    assert_eq!((one.len(), two.len(), all.get()), (10, 3, 13));
    say(&mut one, 10, "x", 1);
    assert_eq!((one.len(), all.get()), (7, 10));
    drop(one);
    assert_eq!(all.get(), 3);
}

#[test]
fn what_is_forgotten_leaves_nothing_behind() {
    let mut ids = Ids::new(LIMITS, IdCount::default());
    // Stays first until it is too old.
    say(&mut ids, 2, "x", 0);
    for at in 0..10_000 {
        say(&mut ids, 1, &at.to_string(), at);
        assert!(ids.queue.len() <= 2 * 4 + 64, "{}", ids.queue.len());
    }
    assert_eq!((ids.len(), ids.senders.len()), (3, 1));
}

/// What should be known, found without tables: keys and offsets, oldest first.
fn remember_plainly(known: &mut Vec<(Key, u64)>, limits: IdLimits, key: Key, at: u64) {
    known.retain(|(other, _)| *other != key);
    known.push((key, at));
    let own: Vec<_> = known.iter().map(|(other, _)| *other).filter(|other| other[..8] == key[..8]).collect();
    if own.len() > limits.per_user {
        known.retain(|(other, _)| *other != own[0]);
    }
    let age = limits.age.as_millis() as u64;
    while known.len() > limits.per_user && (known[0].1 + age <= at || known.len() > limits.total) {
        known.remove(0);
    }
}

#[test]
fn what_is_known_is_what_a_plain_list_would_know() {
    let all = IdCount::default();
    // In the second case the id of a user that is quiet stays first, and gaps come behind it.
    let patient = IdLimits { per_user: 3, age: Duration::from_secs(1000), total: 1000 };
    for (limits, users) in [(LIMITS, 6), (patient, 6), (patient, 600)] {
        let mut ids = Ids::new(limits, all.clone());
        // The numbers begin at 0 again on the way.
        ids.first = u32::MAX - 500;
        let (mut known, mut random, mut at) = (Vec::new(), 33_u64, 0);
        let mut longest = 0;
        for _ in 0..5000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let is_talker = (random >> 60) != 0;
            let user = if is_talker { 0 } else { (random >> 33) as u32 % users };
            let id = (random >> 45) % 50;
            at += 1 + (random >> 55) % 200;
            say(&mut ids, user, &id.to_string(), at);
            remember_plainly(&mut known, limits, key(user, &id.to_string()), at);
            assert!(known.iter().all(|(key, at)| ids.find(key) == Some(place(*at))));
            assert_eq!((ids.len(), all.get()), (known.len(), known.len()), "and nothing else");
            let senders: HashSet<_> = known.iter().map(|(key, _)| sender(key)).collect();
            assert_eq!(ids.senders.len(), senders.len());
            longest = longest.max(ids.queue.len() - ids.len());
        }
        // What is forgotten is let go of, and not each time.
        let has_gaps = limits.age == patient.age;
        assert_eq!(longest > 64, has_gaps, "{longest} gaps");
    }
}

#[test]
fn the_ids_of_forgotten_messages_are_forgotten() {
    let mut ids = Ids::new(LIMITS, IdCount::default());
    for (user, at) in [(1, 1), (2, 2), (1, 3), (3, 4)] {
        say(&mut ids, user, &at.to_string(), at);
    }
    ids.forget_to(3);
    assert!(!knows(&ids, 1, "1") && !knows(&ids, 2, "2") && !knows(&ids, 1, "3") && knows(&ids, 3, "4"));
    assert_eq!((ids.len(), ids.senders.len(), ids.queue.len()), (1, 1, 1));
}

#[test]
fn after_a_crowd_no_more_memory_is_held_than_few_ids_need() {
    let limits = IdLimits { per_user: 3, age: Duration::from_millis(1000), total: 100_000 };
    let mut ids = Ids::new(limits, IdCount::default());
    for user in 0..50_000 {
        say(&mut ids, user, "x", 1);
    }
    for at in 2000..3000 {
        say(&mut ids, 1, &at.to_string(), at);
    }
    assert_eq!(ids.len(), 3);
    let held = (ids.queue.capacity(), ids.known.capacity(), ids.senders.capacity());
    assert!(held.0 < 1000 && held.1 < 1000 && held.2 < 1000, "{held:?}");
}

#[test]
fn a_room_out_of_memory_keeps_its_ids_for_their_time() {
    let room = |name: &str| RoomName::parse(name).expect("a name");
    let all = IdCount::default();
    let mut resting = RestingIds::default();
    for (name, at) in [("a", 1), ("b", 500), ("c", 600)] {
        let mut ids = Ids::new(LIMITS, all.clone());
        say(&mut ids, 1, "x", at);
        say(&mut ids, 1, "y", at);
        resting.put(room(name), ids, at, 1);
    }
    assert!(resting.take(&room("a")).is_none(), "no more than five of ten");
    resting.sweep(1500);
    assert!(resting.take(&room("b")).is_none(), "too old");
    assert!(resting.take(&room("c")).is_some_and(|ids| knows(&ids, 1, "x")));
    assert_eq!((resting.count, all.get()), (0, 0));
}
