//! Pages of the history, as a journal in memory gives them.

use std::time::Duration;

use echoroom::testing::{Append as JournalAppend, Journal, MemoryJournal, Records, Retention, nodes::*};

use crate::{
    books::{append, attach, entries, node, room, round},
    pair::Pair,
    rng::Rng,
};

#[test]
fn pages_are_those_of_a_journal() {
    let room = room("lobby");
    let mut pair = Pair::new(Bounds::default(), std::slice::from_ref(&room), &[]);
    pair.call(&attach(&room, node(0)));
    let day = Duration::from_secs(24 * 3600);
    let retention = Retention {
        messages: 9999,
        bytes: 1 << 30,
        age: day,
        total_bytes: 1 << 30,
        names: 1,
        avatar_bytes: 1,
    };
    let journal = MemoryJournal::new(retention).expect("random numbers");
    let mut rng = Rng::new(5);
    let mut first = 1;
    for seq in 1..60 {
        let texts: Vec<_> = (0..=rng.below(5)).map(|_| "x".repeat(rng.below(60))).collect();
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        pair.call(&append(round(&room, node(0), seq, None, &texts)));
        let record =
            Record { first, count: texts.len() as u32, at: 9, keys: Vec::new(), entries: entries(&texts) };
        first += texts.len() as u64;
        let epoch = Epoch { id: EpochId { random: 1, number: 1 }, starts: 1 };
        let append = JournalAppend { room: room.clone(), epoch, record, pictures: Vec::new() };
        futures_util::FutureExt::now_or_never(journal.append(vec![append]))
            .expect("at once")
            .expect("appended");
    }
    for _ in 0..400 {
        let offset = [rng.below(first as usize + 3) as u64, first, 0, 1, u64::MAX]
            [usize::from(rng.chance(100)) * rng.below(5)];
        let most = if rng.chance(500) { 300 } else { 20_000 };
        let max_bytes = 1 + rng.below(most);
        let range = match rng.chance(500) {
            true => Range::After { after: offset, max_bytes },
            false => Range::Before { before: offset, limit: 1 + rng.below(40), max_bytes },
        };
        let expected =
            futures_util::FutureExt::now_or_never(journal.read(room.clone(), range)).expect("at once");
        let reply = page(&room, range).query(&mut pair.calls).expect("an answer");
        assert_eq!(page_of(range, reply).expect("readable"), expected, "{range:?}");
    }
}

#[test]
fn a_page_of_a_room_without_messages_is_empty() {
    let pair = Pair::new(Bounds::default(), &[], &[]);
    for range in
        [Range::After { after: 0, max_bytes: 9 }, Range::Before { before: 9, limit: 9, max_bytes: 9 }]
    {
        let reply = page(&room("lobby"), range).query(&mut pair.server.connect()).expect("an answer");
        assert_eq!(page_of(range, reply), Ok(Ok(Page::default())));
    }
}
