//! Calls of the functions in Redis, as bytes.

use redis::{Cmd, ToRedisArgs};

use super::{
    keys::{channel_of, channel_of_node, key_of_picture, prefix},
    publications::{SHOWN, WHISPERED},
    records::{epochs_text, pack_keys, seq_text, tail},
    users::{shown_text, who_text},
};
use crate::{
    domain::{Picture, RoomName},
    journal::EpochId,
    nodes::{
        NodeUid, Partition,
        bounds::{Bounds, MOST_BURIED, READ_BYTES, millis},
        commands::{Append, Command, Heal, Swept},
        contract::{AskId, Claim, Leave},
    },
};

/// The library of functions, for `FUNCTION LOAD REPLACE`.
pub const LIBRARY: &str = concat!(
    include_str!("functions/records.lua"),
    include_str!("functions/users.lua"),
    include_str!("functions/moving.lua"),
    include_str!("functions/pictures.lua"),
    include_str!("functions/sizes.lua"),
    include_str!("functions/sweep.lua"),
    include_str!("functions/nodes.lua"),
);

/// How long a node that was buried is known as dead, in milliseconds: a day, much longer than it could believe that it
/// lives.
const REMEMBER: u64 = 24 * 3600 * 1000;

/// In how many milliseconds one node sweeps.
const SWEEP: u64 = 20 * 1000;

/// Adds arguments to a command.
macro_rules! args {
    ($cmd:expr, $($arg:expr),+) => { $($cmd.arg($arg);)+ };
}
/// Writes a command.
pub fn call(command: &Command, bounds: &Bounds) -> Cmd {
    match command {
        Command::Attach { partition, node, run, server, number } => {
            let mut cmd = of_nodes("attach", *partition);
            args!(
                cmd,
                node.as_str(),
                server,
                number,
                millis(bounds.lease),
                millis(bounds.window),
                run.as_str()
            );
            cmd
        }
        Command::Alive { partition, node } => {
            let mut cmd = of_nodes("alive", *partition);
            args!(cmd, node.as_str(), millis(bounds.lease), millis(bounds.burial));
            cmd
        }
        Command::Bury { partition, gone } => bury(*partition, gone, bounds),
        Command::Probe { partition } => of_nodes("probe", *partition),
        Command::Open { room, wants_keys, version } => {
            let mut cmd = of_room("open", room, &["m", "k", "u", "x", "h"], &["g"]);
            args!(cmd, u8::from(*wants_keys), version);
            cmd
        }
        Command::Read { room, after } => {
            let mut cmd = of_room("read", room, &["s"], &[]);
            args!(cmd, after, READ_BYTES);
            cmd
        }
        Command::Append(round) => append(round, bounds),
        Command::Heal(heal) => give_back(heal, bounds),
        Command::Publish { room, node, payload } => {
            let mut cmd = redis::cmd("SPUBLISH");
            args!(cmd, channel_of(room), [&[SHOWN], node.as_str().as_bytes(), payload].concat());
            cmd
        }
        Command::Whisper { room, node, to, payload } => {
            let said = [&[WHISPERED], node.as_str().as_bytes(), room.as_str().as_bytes(), b"\n", payload];
            let mut cmd = redis::cmd("SPUBLISH");
            args!(cmd, channel_of_node(Partition::of(room), to), said.concat());
            cmd
        }
        Command::Enter { room, node, ask, claim } => enter(room, node, *ask, claim, bounds),
        Command::Leave { room, node, leave } => leave_room(room, node, leave, bounds),
        Command::Forget { room } => {
            let mut cmd = of_room("forget", room, &["m", "s", "k"], &["rooms", "old"]);
            args!(cmd, channel_of(room), room.as_str());
            cmd
        }
        Command::Sizes { partition, node, is_whole, sizes } => {
            let prefix = prefix(*partition);
            let keys = ["z", &format!("z:{node}"), "g"].map(|key| format!("{prefix}{key}"));
            let mut cmd = function("sizes", keys);
            args!(cmd, node.as_str(), u8::from(*is_whole));
            for (room, size) in sizes {
                args!(cmd, room.as_str(), size);
            }
            cmd
        }
        Command::Sweep { partition, node, all } => sweep(*partition, node, *all, bounds),
        Command::KeepPicture { picture } => keep_picture(picture, bounds),
    }
}

/// The call of a function with keys.
pub(super) fn function(name: &str, keys: impl IntoIterator<Item = impl ToRedisArgs>) -> Cmd {
    let keys: Vec<_> = keys.into_iter().collect();
    let mut cmd = redis::cmd("FCALL");
    cmd.arg(format!("echoroom_1_{name}")).arg(keys.len()).arg(keys);
    cmd
}

/// The call of a function with keys of a room and keys of its partition.
pub(super) fn of_room(name: &str, room: &RoomName, keys: &[&str], others: &[&str]) -> Cmd {
    let prefix = prefix(Partition::of(room));
    let keys = keys.iter().map(|key| format!("{prefix}{key}:{}", room.as_str()));
    function(name, keys.chain(others.iter().map(|key| format!("{prefix}{key}"))))
}

fn of_nodes(name: &str, partition: Partition) -> Cmd {
    function(name, ["n", "graves", "g"].map(|key| format!("{}{key}", prefix(partition))))
}

/// The epoch, or an empty text, and the offset that a node knows.
fn known_text(known: Option<&(EpochId, u64)>) -> (String, u64) {
    known.map_or_else(Default::default, |(epoch, head)| (epoch.to_string(), *head))
}

fn append(round: &Append, bounds: &Bounds) -> Cmd {
    let keys = pack_keys(&round.keys);
    let (epoch, head) = known_text(round.known.as_ref());
    let seq = seq_text(round.seq);
    let tail = tail((round.count, round.at), round.run, round.seq, round.entries.len(), &keys);
    let mut cmd = of_room("append", &round.room, &["m", "s", "k"], &["g", "rooms"]);
    args!(cmd, round.node.as_str(), seq, epoch, head, round.count, round.at, &round.entries[..], keys, tail);
    args!(cmd, format!("{:016x}", round.nonce), channel_of(&round.room), round.room.as_str());
    args!(cmd, bounds.history.max(1), bounds.history_bytes, round.run.as_str(), round.looked_to);
    cmd
}

fn give_back(heal: &Heal, bounds: &Bounds) -> Cmd {
    let mut cmd = of_room("heal", &heal.room, &["m", "s", "k"], &["g", "rooms"]);
    args!(
        cmd,
        epochs_text(&heal.epochs),
        u8::from(heal.over_gap),
        channel_of(&heal.room),
        heal.room.as_str()
    );
    args!(cmd, bounds.history.max(1), bounds.history_bytes, heal.node.as_str());
    for record in &heal.records {
        let keys = pack_keys(&record.keys);
        let entries = record.entries.as_deref().unwrap_or_default();
        let tail = tail((record.count, record.at), record.run, record.seq, entries.len(), &keys);
        args!(cmd, record.first, record.count, record.at, record.epoch.to_string(), record.run.as_str());
        args!(cmd, seq_text(record.seq), keys, tail, entries);
    }
    cmd
}

fn enter(room: &RoomName, node: &NodeUid, ask: Option<AskId>, claim: &Claim, bounds: &Bounds) -> Cmd {
    let looks: Vec<_> = claim.name.looks().map(|look| look.as_str().to_owned()).collect();
    let reserves_for = if claim.reserves { millis(bounds.name_reservation) } else { 0 };
    let mut cmd = of_room("enter", room, &["u"], &["g"]);
    let ask = ask.map_or_else(|| "-".to_owned(), |ask| ask.0.to_string());
    args!(cmd, node.as_str(), ask, claim.name.key().as_str());
    args!(
        cmd,
        claim.owner.as_ref().map(who_text).unwrap_or_default(),
        who_text(&claim.spare),
        shown_text(claim)
    );
    args!(cmd, looks.join("\n"), claim.leaves.as_ref().map_or("", |key| key.as_str()), reserves_for);
    args!(cmd, prefix(Partition::of(room)), room.as_str(), channel_of(room), bounds.max_held_names);
    cmd
}

fn leave_room(room: &RoomName, node: &NodeUid, leave: &Leave, bounds: &Bounds) -> Cmd {
    let hold = if leave.holds_name { millis(bounds.name_hold) } else { 0 };
    let mut cmd = of_room("leave", room, &["u"], &["g"]);
    args!(cmd, node.as_str(), leave.key.as_str(), hold, u8::from(leave.releases));
    args!(cmd, prefix(Partition::of(room)), room.as_str(), channel_of(room), bounds.max_held_names);
    cmd
}

fn keep_picture(picture: &Picture, bounds: &Bounds) -> Cmd {
    let (id, prefix) = (picture.id(), prefix(Partition::of_picture(&picture.id())));
    let share = bounds.avatar_bytes / u64::from(Partition::COUNT);
    let keys = [key_of_picture(&id), format!("{prefix}a"), format!("{prefix}ages")];
    let mut cmd = function("picture", keys);
    args!(cmd, id.to_string(), picture.media_type(), &picture.bytes()[..]);
    args!(cmd, millis(bounds.history_age).max(1), share, prefix);
    cmd
}

fn sweep(partition: Partition, node: &NodeUid, all: Swept, bounds: &Bounds) -> Cmd {
    let prefix = prefix(partition);
    let mut cmd = function("sweep", ["rooms", "g", "sweep", "old"].map(|key| format!("{prefix}{key}")));
    args!(cmd, node.as_str(), SWEEP, millis(bounds.history_age));
    args!(cmd, all.rooms, bounds.max_rooms, all.bytes, bounds.max_bytes, prefix);
    cmd
}

fn bury(partition: Partition, gone: &NodeUid, bounds: &Bounds) -> Cmd {
    let prefix = prefix(partition);
    let mut cmd = function(
        "bury",
        ["n", "graves", "g", &format!("p:{gone}"), "z", &format!("z:{gone}")]
            .map(|key| format!("{prefix}{key}")),
    );
    args!(cmd, gone.as_str(), millis(bounds.name_hold), bounds.max_held_names, MOST_BURIED, REMEMBER, prefix);
    cmd
}
