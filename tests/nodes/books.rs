//! Values that the tests are made of.

use bytes::{Bytes, BytesMut};
use echoroom::testing::nodes::*;

pub fn node(number: usize) -> NodeUid {
    format!("n{number:03}AAAABBBBCCCC").parse().expect("a uid")
}

pub fn room(name: &str) -> RoomName {
    RoomName::parse(name).expect("a name")
}

pub fn owner(number: u32) -> Owner {
    let token: Token = format!("{number:032x}").parse().expect("a token");
    Owner { hash: token.owner_hash(), uid: token.public_id() }
}

/// A claim of the owner with this number; without one, as the spare owner alone.
pub fn claim(name: &str, bearer: Option<u32>, spare: u32) -> Claim {
    Claim {
        name: Nickname::parse(name).expect("a legal name"),
        avatar: Avatar::default(),
        owner: bearer.map(owner),
        spare: owner(spare),
        reserves: false,
        leaves: None,
    }
}

pub fn enter(room: &RoomName, node: NodeUid, claim: Claim) -> Command {
    Command::Enter { room: room.clone(), node, ask: Some(AskId(7)), claim: Box::new(claim) }
}

pub fn attach(room: &RoomName, node: NodeUid) -> Command {
    Command::Attach { partition: Partition::of(room), node, run: node, server: "run".to_owned(), number: 0 }
}

/// A round of a message for each of these keys, or for `count` without keys.
pub fn round(
    room: &RoomName,
    node: NodeUid,
    seq: u64,
    known: Option<(EpochId, u64)>,
    texts: &[&str],
) -> Append {
    Append {
        room: room.clone(),
        node,
        run: node,
        seq,
        known,
        looked_to: known.map_or(0, |(_, head)| head),
        count: texts.len() as u32,
        at: 1_000_000 + seq,
        entries: entries(texts),
        keys: Vec::new(),
        nonce: seq * 7,
    }
}

/// Packed entries with these texts.
pub fn entries(texts: &[&str]) -> Bytes {
    let mut packed = BytesMut::new();
    for body in texts {
        let entry =
            NewEntry { kind: Kind::Message, at: 9, username: "ann", avatar: "fox", uid: None, id: "", body };
        entry.pack(&mut packed);
    }
    packed.freeze()
}

/// The keys of the first messages of a round.
pub fn keyed(keys: &[[u8; 16]]) -> Vec<RoundKey> {
    let keys = keys.iter().zip(0..);
    keys.map(|(key, index)| RoundKey { key: *key, index, at: 1_000_000 + u64::from(index) }).collect()
}

pub fn append(round: Append) -> Command {
    Command::Append(Box::new(round))
}

pub fn appended((answer, _): &(Answer, Vec<(Channel, Published)>)) -> Appended {
    match answer {
        Answer::Appended(appended) => appended.clone(),
        other => panic!("{other:?}"),
    }
}
