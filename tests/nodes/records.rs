//! Records over several nodes.

use bytes::Bytes;
use echoroom::testing::nodes::*;

use crate::{
    books::{append, appended, attach, keyed, node, room, round},
    pair::Pair,
};

fn pair(room: &RoomName, bounds: Bounds) -> Pair {
    let mut pair = Pair::new(bounds, std::slice::from_ref(room), &[]);
    for number in 0..2 {
        pair.call(&attach(room, node(number)));
    }
    pair
}

fn position(pair: &mut Pair, room: &RoomName) -> Position {
    match pair.call(&Command::Open { room: room.clone(), wants_keys: true, version: 0 }).0 {
        Answer::Position(position) => *position,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_round_that_comes_late_or_again_is_not_appended_twice() {
    let room = room("lobby");
    let mut pair = pair(&room, Bounds::default());
    assert_eq!(appended(&pair.call(&append(round(&room, node(0), 5, None, &["a", "b"])))), Appended::At(1));
    assert_eq!(appended(&pair.call(&append(round(&room, node(1), 1, None, &["c"])))), Appended::At(3));
    for (seq, expected) in
        [(5, Appended::At(1)), (4, Appended::Old), (1, Appended::Old), (5, Appended::At(1))]
    {
        let said = pair.call(&append(round(&room, node(0), seq, None, &["late"])));
        assert_eq!((appended(&said), said.1.len()), (expected, 0), "{seq}");
    }
    assert_eq!(appended(&pair.call(&append(round(&room, node(0), 0x10, None, &["d"])))), Appended::At(4));
    assert_eq!(appended(&pair.call(&append(round(&room, node(0), 9, None, &["late"])))), Appended::Old);
    assert_eq!(position(&mut pair, &room).head, 4);
}

#[test]
fn all_repeated_messages_are_told_wherever_the_bytes_of_their_keys_stand() {
    let room = room("lobby");
    let mut pair = pair(&room, Bounds::default());
    // The second key stands first across two keys, with index and time between them, and so does the third.
    let [mut one, wanted, mut other] = [[1; 16], [9; 16], [2; 16]];
    let mut packed = [0; 40];
    packed[..16].copy_from_slice(&one);
    packed[16..24].copy_from_slice(&[0, 0, 0, 0, 0, 0x0F, 0x42, 0x40]);
    let trap: [u8; 16] = packed[4..20].try_into().expect("16 bytes");
    one[15] = 1;
    other[..4].copy_from_slice(&[0, 0, 0, 0]);
    let foreign =
        Append { keys: keyed(&[one, other, wanted, trap]), ..round(&room, node(1), 1, None, &["a"; 4]) };
    assert_eq!(appended(&pair.call(&append(foreign))), Appended::At(1));
    let second = Append { keys: keyed(&[[7; 16]]), ..round(&room, node(1), 2, None, &["e", "f"]) };
    assert_eq!(appended(&pair.call(&append(second))), Appended::At(5));
    let own = |keys: &[[u8; 16]]| Append { keys: keyed(keys), ..round(&room, node(0), 1, None, &["x"; 5]) };
    let said = pair.call(&append(own(&[[3; 16], trap, [7; 16], wanted, [4; 16]])));
    assert_eq!(appended(&said), Appended::Repeated(vec![(1, 4), (2, 5), (3, 3)]));
    assert!(said.1.is_empty());
    // Bytes of keys, indices and times that are no key.
    let mut shifted = [0; 16];
    shifted[..12].copy_from_slice(&packed[12..24]);
    shifted[12..].copy_from_slice(&other[..4]);
    assert_eq!(appended(&pair.call(&append(own(&[shifted, [5; 16]])))), Appended::At(7));
}

#[test]
fn what_a_node_knows_is_not_looked_through_for_keys() {
    let room = room("lobby");
    let mut pair = pair(&room, Bounds::default());
    let first = Append { keys: keyed(&[[1; 16]]), ..round(&room, node(0), 1, None, &["a"]) };
    pair.call(&append(first));
    let known = position(&mut pair, &room).epochs.last().map(|epoch| (epoch.id, 1));
    let again = Append { keys: keyed(&[[1; 16]]), ..round(&room, node(1), 1, known, &["a"]) };
    assert_eq!(appended(&pair.call(&append(again))), Appended::At(2), "the node has looked itself");
}

#[test]
fn a_record_that_is_too_large_to_be_published_is_in_the_stream() {
    let room = room("lobby");
    let mut pair = pair(&room, Bounds::default());
    for (seq, len) in [(1, 64 << 10), (2, (64 << 10) + 1), (3, 10)] {
        let entries = Bytes::from(vec![b'R'; len]);
        let (_, published) =
            pair.call(&append(Append { entries, ..round(&room, node(0), seq, None, &["x"]) }));
        let [(_, Published::Said(said))] = &published[..] else { panic!("{published:?}") };
        assert_eq!(said.entries.is_some(), seq != 2);
    }
    let Answer::Records(records) = pair.call(&Command::Read { room, after: 1 }).0 else {
        panic!("no records")
    };
    assert_eq!(
        records.iter().filter_map(|record| Some(record.entries.as_ref()?.len())).collect::<Vec<_>>(),
        [(64 << 10) + 1, 10]
    );
}

#[test]
fn an_answer_has_about_a_mebibyte_of_records_and_one_at_least() {
    let room = room("lobby");
    let mut pair = pair(&room, Bounds::default());
    for (seq, len) in [(1, 100), (2, 100), (3, 3 << 20), (4, 100), (5, 600 << 10), (6, 600 << 10), (7, 5)] {
        let entries = Bytes::from(vec![b'x'; len]);
        pair.call(&append(Append { entries, ..round(&room, node(0), seq, None, &["x"]) }));
    }
    for (after, expected) in [(0, vec![1, 2, 3]), (2, vec![3]), (3, vec![4, 5, 6]), (6, vec![7]), (7, vec![])]
    {
        let Answer::Records(records) = pair.call(&Command::Read { room: room.clone(), after }).0 else {
            panic!("no records")
        };
        assert_eq!(records.iter().map(|record| record.first).collect::<Vec<_>>(), expected, "after {after}");
    }
}

#[test]
fn the_oldest_records_go_when_a_room_has_too_many_bytes() {
    let room = room("lobby");
    let mut pair = pair(&room, Bounds { history_bytes: 1000, ..Bounds::default() });
    for seq in 1..300 {
        let len = if seq % 50 == 0 { 900 } else { seq as usize * 37 % 90 };
        let entries = Bytes::from(vec![b'x'; len]);
        pair.call(&append(Append {
            entries,
            keys: keyed(&[[seq as u8; 16]]),
            ..round(&room, node(0), seq, None, &["x"])
        }));
        let Answer::Records(records) = pair.call(&Command::Read { room: room.clone(), after: 0 }).0 else {
            panic!("no records")
        };
        let bytes: usize = records.iter().filter_map(|record| Some(record.entries.as_ref()?.len())).sum();
        assert!(bytes <= 1000 && records.last().map(Stored::last) == Some(seq), "{seq}: {bytes}");
    }
}

#[test]
fn at_least_the_newest_messages_are_kept_and_not_many_more() {
    let room = room("lobby");
    let mut pair = Pair::new(Bounds { history: 500, ..Bounds::default() }, std::slice::from_ref(&room), &[]);
    pair.call(&attach(&room, node(0)));
    for seq in 1..400 {
        pair.call(&append(round(&room, node(0), seq, None, &["x"; 4])));
    }
    let read = Command::Read { room, after: 0 };
    let reply = call(&read, &pair.bounds).query(&mut pair.calls).expect("an answer");
    let Ok(Answer::Records(records)) = answer(&read, reply) else { panic!("no records") };
    let oldest = records.first().map_or(0, |record| record.first);
    assert!((800..=1597 - 500).contains(&oldest), "{oldest}");
}

#[test]
fn an_empty_redis_gets_its_records_back_and_goes_on_behind_them() {
    let room = room("lobby");
    let mut pair = pair(&room, Bounds { window: std::time::Duration::ZERO, ..Bounds::default() });
    let mut heard = Vec::new();
    for seq in 1..=3 {
        let keys = keyed(&[[seq as u8; 16]]);
        let (_, published) =
            pair.call(&append(Append { keys, ..round(&room, node(0), seq, None, &["a", "b"]) }));
        heard.extend(published.into_iter().filter_map(|(_, published)| match published {
            Published::Said(record) => Some(*record),
            _ => None,
        }));
    }
    let epochs = position(&mut pair, &room).epochs;
    let known = epochs.last().map(|epoch| (epoch.id, 6));
    pair.flush();
    assert_eq!(appended(&pair.call(&append(round(&room, node(0), 4, known, &["c"])))), Appended::Fenced);
    let attach = Command::Attach {
        partition: Partition::of(&room),
        node: node(2),
        run: node(2),
        server: "run".to_owned(),
        number: 1,
    };
    assert!(matches!(pair.call(&attach).0, Answer::Attached { number: 2, .. }));
    assert_eq!(
        appended(&pair.call(&append(round(&room, node(2), 1, known, &["c"])))),
        Appended::Not(Relation::Behind)
    );
    let heal = |records: &[Stored], over_gap| {
        let (room, epochs, records) = (room.clone(), epochs.clone(), records.to_vec());
        Command::Heal(Box::new(Heal { room, node: node(2), epochs, records, over_gap }))
    };
    let (healed, published) = pair.call(&heal(&heard[1..2], false));
    assert!(matches!(healed, Answer::Healed(Healed::To(4))) && published.len() == 1);
    let (healed, published) = pair.call(&heal(&heard, false));
    assert!(matches!(healed, Answer::Healed(Healed::To(6))) && published.len() == 1);
    let gap = Stored { first: 20, ..heard[2].clone() };
    assert!(matches!(pair.call(&heal(std::slice::from_ref(&gap), false)).0, Answer::Healed(Healed::To(6))));
    assert_eq!(appended(&pair.call(&append(round(&room, node(0), 3, known, &["?"])))), Appended::Fenced);
    let again = Append {
        keys: keyed(&[[3; 16]]),
        ..round(&room, node(2), 1, epochs.last().map(|e| (e.id, 4)), &["b"])
    };
    assert_eq!(appended(&pair.call(&append(again))), Appended::Repeated(vec![(0, 5)]));
    assert!(matches!(pair.call(&heal(&[gap], true)).0, Answer::Healed(Healed::To(21))));
    let known = epochs.last().map(|epoch| (epoch.id, 21));
    assert_eq!(appended(&pair.call(&append(round(&room, node(2), 1, known, &["c"])))), Appended::At(22));
    let position = position(&mut pair, &room);
    assert_eq!(
        position.epochs.iter().map(|epoch| (epoch.id.number, epoch.starts)).collect::<Vec<_>>(),
        [(1, 1), (2, 22)]
    );
    assert!(matches!(pair.call(&heal(&heard, false)).0, Answer::Healed(Healed::Diverged)));
}

#[test]
fn a_redis_that_is_full_takes_no_messages_but_leases_go_on() {
    let room = room("lobby");
    let mut pair = pair(&room, Bounds::default());
    redis::cmd("CONFIG").arg(&["SET", "maxmemory", "1"]).exec(&mut pair.calls).expect("set");
    let command = append(round(&room, node(0), 1, None, &["a"]));
    let refused = call(&command, &pair.bounds).query::<redis::Value>(&mut pair.calls).expect_err("no memory");
    assert!(refused.to_string().contains("OOM"), "{refused}");
    pair.call(&Command::Alive { partition: Partition::of(&room), node: node(0) });
    redis::cmd("CONFIG").arg(&["SET", "maxmemory", "0"]).exec(&mut pair.calls).expect("set");
    assert_eq!(appended(&pair.call(&command)), Appended::At(1));
}

#[test]
fn the_rounds_of_nodes_that_are_gone_do_not_pile_up() {
    let room = room("lobby");
    let mut pair = Pair::new(Bounds::default(), std::slice::from_ref(&room), &[]);
    for number in 0..200 {
        pair.call(&attach(&room, node(number)));
        pair.call(&append(round(&room, node(number), 1, None, &["a"])));
        if number != 50 {
            pair.call(&Command::Bury { partition: Partition::of(&room), gone: node(number) });
        }
    }
    let hash = channel_of(&room).replace("c:", "m:");
    let fields: usize = redis::cmd("HLEN").arg(hash).query(&mut pair.calls).expect("a number");
    assert!((8..70).contains(&fields), "{fields}");
    let again = pair.call(&append(round(&room, node(50), 1, None, &["a"])));
    assert_eq!(appended(&again), Appended::At(51), "the node is alive");
}

#[test]
fn a_room_whose_hash_was_evicted_does_not_mix_two_histories() {
    let room = room("lobby");
    let mut pair = pair(&room, Bounds::default());
    for seq in 1..4 {
        pair.call(&append(round(&room, node(0), seq, None, &["old"])));
    }
    redis::cmd("DEL").arg(channel_of(&room).replace("c:", "m:")).exec(&mut pair.calls).expect("evicted");
    let mut ask = |command: &Command| {
        let reply = call(command, &Bounds::default()).query(&mut pair.calls).expect("taken");
        answer(command, reply).expect("readable")
    };
    let again = ask(&append(round(&room, node(0), 9, None, &["new"])));
    assert!(matches!(again, Answer::Appended(Appended::At(1))), "{again:?}");
    let Answer::Records(records) = ask(&Command::Read { room, after: 0 }) else { panic!("no records") };
    assert_eq!(records.iter().map(|record| (record.first, record.seq)).collect::<Vec<_>>(), [(1, 9)]);
}

#[test]
fn a_record_that_is_given_back_late_does_not_open_the_way_for_older_rounds() {
    let room = room("lobby");
    let mut pair = pair(&room, Bounds::default());
    let (_, published) = pair.call(&append(round(&room, node(0), 9, None, &["a"])));
    let [(_, Published::Said(said))] = &published[..] else { panic!("{published:?}") };
    let epochs = position(&mut pair, &room).epochs;
    let older = Stored { first: 2, seq: 5, ..(**said).clone() };
    let newer = Stored { first: 3, seq: 12, ..(**said).clone() };
    for (record, checks) in [
        (older, [(9, Appended::At(1)), (7, Appended::Old)]),
        (newer, [(12, Appended::At(3)), (9, Appended::Old)]),
    ] {
        let (lobby, epochs) = (room.clone(), epochs.clone());
        pair.call(&Command::Heal(Box::new(Heal {
            room: lobby,
            node: node(0),
            epochs,
            records: vec![record],
            over_gap: false,
        })));
        for (seq, expected) in checks {
            assert_eq!(appended(&pair.call(&append(round(&room, node(0), seq, None, &["a"])))), expected);
        }
    }
}

#[test]
fn what_a_node_knows_is_compared_with_the_epochs_of_its_room() {
    let room = room("lobby");
    let mut pair = pair(&room, Bounds { window: std::time::Duration::ZERO, ..Bounds::default() });
    for seq in 1..3 {
        pair.call(&append(round(&room, node(0), seq, None, &["a"])));
    }
    for run in 0..20 {
        let server = format!("run {run}");
        pair.call(&Command::Attach {
            partition: Partition::of(&room),
            node: node(0),
            run: node(0),
            server,
            number: 0,
        });
        pair.call(&append(Append { nonce: run, ..round(&room, node(0), 3 + run, None, &["a"]) }));
    }
    let epochs = position(&mut pair, &room).epochs;
    let starts: Vec<_> = epochs.iter().map(|epoch| epoch.starts).collect();
    assert_eq!(starts, (7..=22).collect::<Vec<_>>(), "the last sixteen");
    let (one, last) = (epochs[3].id, epochs[15].id);
    let unknown = EpochId { random: 5, number: 1 };
    for (epoch, head, expected) in [
        (one, 9, Relation::Ahead),
        (one, 10, Relation::Ahead),
        (one, 11, Relation::Diverged),
        (one, 12, Relation::Diverged),
        (last, 22, Relation::Ahead),
        (last, 23, Relation::Behind),
        (unknown, 1, Relation::Diverged),
    ] {
        let known = Some((epoch, head));
        if expected != Relation::Ahead {
            let said = pair.call(&append(round(&room, node(1), 1, known, &["a"])));
            assert_eq!(appended(&said), Appended::Not(expected));
        }
    }
    let known = Some((one, 10));
    assert_eq!(appended(&pair.call(&append(round(&room, node(1), 1, known, &["a"])))), Appended::At(23));
}
