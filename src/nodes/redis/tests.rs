use bytes::Bytes;
use redis::Value;

use super::*;
use crate::{
    domain::RoomName,
    nodes::{
        Bounds, Partition,
        commands::{Answer, Command, Published},
        contract::AskId,
    },
};

fn room() -> RoomName {
    RoomName::parse("lobby").expect("a name")
}

fn node() -> crate::nodes::NodeUid {
    "n001AAAABBBBCCCC".parse().expect("a uid")
}

const USER: &str =
    "000102030405060708090a0b0c0d0e0fabcdefghij-_\nn001AAAABBBBCCCC n002AAAABBBBCCCC \nfox\nAnn Lee";

fn read(publications: &mut Publications, payload: &[u8]) -> Result<Option<Published>, BadPublication> {
    let channel = channel_of(&room());
    let read = publications.read(channel.as_bytes(), Bytes::copy_from_slice(payload))?;
    Ok(read.map(|(about, published)| {
        assert_eq!(about, room());
        published
    }))
}

#[test]
fn a_record_is_read_from_its_head_and_its_entries_whatever_comes_between_on_other_channels() {
    let mut publications = Publications::default();
    let head = b"R7 0000000000000005-6 2 99 n001AAAABBBBCCCC 000000000000000f 3\n";
    assert!(matches!(read(&mut publications, head), Ok(None)));
    let other = RoomName::parse("tea").expect("a name");
    let elsewhere = publications.read(channel_of(&other).as_bytes(), Bytes::from_static(b"F9"));
    assert!(matches!(elsewhere, Ok(Some((_, Published::Forgot(9))))));
    let Ok(Some(Published::Said(record))) = read(&mut publications, b"P b") else { panic!("no record") };
    assert_eq!(
        (record.first, record.last(), record.seq, record.entries.as_deref()),
        (7, 8, 15, Some(&b"P b"[..]))
    );
}

#[test]
fn a_record_too_large_to_be_published_has_no_entries() {
    let head = b"L7 0000000000000005-6 2 99 n001AAAABBBBCCCC 000000000000000f 300000\n";
    let Ok(Some(Published::Said(record))) = read(&mut Publications::default(), head) else {
        panic!("no record")
    };
    assert_eq!((record.first, record.entries), (7, None));
}

#[test]
fn entries_of_another_length_than_the_heads_are_an_error() {
    let mut publications = Publications::default();
    let head = b"R7 0000000000000005-6 2 99 n001AAAABBBBCCCC 000000000000000f 3\n";
    assert!(read(&mut publications, head).is_ok() && read(&mut publications, b"F9").is_err());
    assert!(matches!(read(&mut publications, b"F9"), Ok(Some(Published::Forgot(9)))), "then it goes on");
}

#[test]
fn a_user_is_read_with_the_call_that_has_changed_it() {
    for (ask, expected) in [("-", None), ("12", Some(AskId(12)))] {
        let payload = format!("P4294967297 n001AAAABBBBCCCC {ask} 500\n{USER}");
        let Ok(Some(Published::Person { version, person, node: by, ask })) =
            read(&mut Publications::default(), payload.as_bytes())
        else {
            panic!("no user")
        };
        assert_eq!((version, by, ask), (4_294_967_297, node(), expected));
        assert_eq!(
            (person.name.as_str(), person.nodes.len(), person.held_for.as_millis()),
            ("Ann Lee", 2, 500)
        );
        assert_eq!((person.owner.hash.0[15], person.owner.uid.as_str()), (15, "abcdefghij-_"));
    }
}

#[test]
fn damaged_publications_are_errors_and_no_panic() {
    let user = format!("P4294967297 n001AAAABBBBCCCC 12 500\n{USER}");
    let head = "R7 0000000000000005-6 2 99 n001AAAABBBBCCCC 000000000000000f 3\n0123456789abcdef01234567";
    for whole in [user.as_bytes(), head.as_bytes(), b"F12", b"Sn001AAAABBBBCCCCshown", b""] {
        for at in 0..whole.len() {
            let mut other = whole.to_vec();
            other[at] ^= 0x80;
            // Any byte is valid in a key or a payload, so that the result is not checked.
            let _ = read(&mut Publications::default(), &other);
            let _ = read(&mut Publications::default(), &whole[..at]);
            let _ = Publications::default().read(&other, Bytes::copy_from_slice(whole));
        }
    }
    for bad in ["", "X", "P", "F", "F-1", "S", "Sn001", "R", "P1 n001AAAABBBBCCCC - 0", "W"] {
        assert!(read(&mut Publications::default(), bad.as_bytes()).is_err(), "{bad:?}");
    }
}

#[test]
fn a_whisper_is_read_with_the_room_that_it_is_about() {
    let whisper =
        Command::Whisper { room: room(), node: node(), to: node(), payload: Bytes::from_static(b"psst\n") };
    let command = call(&whisper, &Bounds::default());
    let args: Vec<_> = command
        .args_iter()
        .filter_map(|arg| match arg {
            redis::Arg::Simple(bytes) => Some(Bytes::copy_from_slice(bytes)),
            _ => None,
        })
        .collect();
    assert_eq!(args[1], channel_of_node(Partition::of(&room()), &node()).as_bytes());
    let read = Publications::default().read(&args[1], args[2].clone()).expect("readable").expect("whole");
    let (about, Published::Whispered { node: by, payload }) = read else { panic!("no whisper") };
    assert_eq!((about, by, &payload[..]), (room(), node(), &b"psst\n"[..]));
}

#[test]
fn answers_that_are_none_to_their_calls_are_errors_and_no_panic() {
    let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
    let replies = [
        Value::Nil,
        Value::Okay,
        Value::Int(-1),
        text("x"),
        Value::Array(vec![]),
        Value::Array(vec![text("yes"), Value::Int(1), text("short")]),
        Value::Array(vec![text("dup"), Value::Int(1 << 20), Value::Int(1)]),
        Value::Array(vec![text("wait")]),
        Value::Array(vec![Value::Int(0), text("short")]),
        Value::Array(vec![Value::Nil; 7]),
        Value::Array(vec![text("R1 "), text("x")]),
    ];
    let commands = [
        Command::Alive { partition: Partition::of(&room()), node: node() },
        Command::Attach {
            partition: Partition::of(&room()),
            node: node(),
            run: node(),
            server: String::new(),
            number: 0,
        },
        Command::Open { room: room(), wants_keys: true, version: 0 },
        Command::Forget { room: room() },
    ];
    for reply in replies {
        for command in &commands {
            let read = answer(command, reply.clone());
            assert!(matches!(read, Err(BadReply::Unexpected(_))), "{command:?} {reply:?}: {read:?}");
        }
        let read = answer(&Command::Read { room: room(), after: 0 }, reply.clone());
        assert_eq!(read.is_ok(), reply == Value::Array(vec![]), "{reply:?}");
    }
    assert!(matches!(answer(&commands[3], Value::Int(1)), Ok(Answer::Forgot(true))));
}
