//! Brings the journal of a server into Redis.

use std::{path::Path, time::Duration};

use redis::Cmd;

use super::{
    super::{
        calls::{function, of_room},
        connecting::Options,
        keys::{key_of_picture, prefix},
        records::{epochs_text, pack_keys, tail},
        users::owner_text,
    },
    MovingError, Tally,
    session::{Session, Standing},
};
use crate::{
    domain::{Look, Nickname, OwnerHash, RoomName},
    journal::{
        Entry, Epoch, EpochId, JournalError, Keyed, Record, ReservedName, RoomState,
        entry::unpack,
        sqlite::offline::{Offline, OfflineError},
    },
    nodes::{
        Partition,
        bounds::{READ_BYTES, millis},
        commands::RoundKey,
    },
};

/// The run that the records are of: none of a node.
const RUN: &str = "imported-journal";

/// Names in one call.
const NAMES: usize = 500;

/// Messages of a record: their places are written in 16 bits.
const MOST_MESSAGES: usize = 1 << 16;

/// Largest number of an epoch. The functions in Redis multiply it by 2^32, and the numbers of Lua are exact to 2^53.
const MOST_EPOCHS: u64 = 1 << 20;

/// Brings the journal in `folder` into Redis. Rooms that are there already as they are in the journal are left as they
/// are, so that an import that was interrupted can be repeated. Avatar pictures stay in Redis for `picture_age` after their
/// last use, as nodes keep them. `progress` is told after each room.
///
/// # Errors
/// Redis has one of the rooms otherwise, and nothing was done; a server or a node is in use; or one of both sides fails.
pub async fn import(
    options: &Options,
    folder: &Path,
    picture_age: Duration,
    progress: &mut dyn FnMut(&Tally),
) -> Result<Tally, MovingError> {
    let mut journal = Offline::open(folder)?;
    let imported = match Session::open(options).await {
        Ok(redis) => {
            let import = Import { redis, tally: Tally::default(), picture_age: millis(picture_age).max(1) };
            import.run(&mut journal, progress).await
        }
        Err(error) => Err(error),
    };
    // Also after an error: the journal is as usable as before.
    let closed = journal.close();
    let tally = imported?;
    closed?;
    Ok(tally)
}

struct Import {
    redis: Session,
    tally: Tally,
    /// How long Redis keeps a picture after its last use, in milliseconds.
    picture_age: u64,
}

impl Import {
    async fn run(
        mut self,
        journal: &mut Offline,
        progress: &mut dyn FnMut(&Tally),
    ) -> Result<Tally, MovingError> {
        self.redis.check_no_node_is_alive().await?;
        let mut missing = Vec::new();
        for room in journal.rooms()? {
            let state = journal.state(&room)?;
            check_number(&room, &state)?;
            match compare(&state, &self.redis.look(&room).await?) {
                Comparison::Missing => missing.push(room),
                Comparison::Equal => self.tally.known += 1,
                Comparison::Other => return Err(MovingError::Taken(room)),
            }
        }
        self.pictures(journal).await?;
        for room in &missing {
            let state = journal.state(room)?;
            self.names(room, &state.names).await?;
            if state.head > 0 {
                self.room(journal, room, &state).await?;
            }
            self.tally.rooms += 1;
            progress(&self.tally);
        }
        Ok(self.tally)
    }

    /// Brings the avatar pictures, before the messages that show them. Those that are there are left as they are; those
    /// whose time is over are left out.
    async fn pictures(&mut self, journal: &mut Offline) -> Result<(), MovingError> {
        for (id, used) in journal.pictures()? {
            let Some(picture) = journal.picture(id)? else {
                self.tally.damaged += 1;
                continue;
            };
            let partition = Partition::of_picture(&id);
            let prefix = prefix(partition);
            let keys =
                [key_of_picture(&id), format!("{prefix}a"), format!("{prefix}ages"), format!("{prefix}n")];
            let mut cmd = function("import_picture", keys);
            cmd.arg(id.to_string()).arg(picture.media_type()).arg(&picture.bytes()[..]);
            cmd.arg(used).arg(self.picture_age);
            self.tally.pictures += u64::from(self.redis.do_alone(partition, &cmd).await?);
        }
        Ok(())
    }

    async fn names(&mut self, room: &RoomName, names: &[ReservedName]) -> Result<(), MovingError> {
        for names in names.chunks(NAMES) {
            let mut cmd = of_room("import_names", room, &["u", "x", "r"], &["n"]);
            for name in names {
                let owner = owner_text(&OwnerHash(name.owner));
                cmd.arg(&name.key).arg(owner).arg(name.until).arg(&name.name).arg(looks(&name.name));
            }
            self.redis.do_alone(Partition::of(room), &cmd).await?;
            self.tally.names += names.len() as u64;
        }
        Ok(())
    }

    /// Brings the messages of a room, which nodes see when all of them are there.
    async fn room(
        &mut self,
        journal: &mut Offline,
        room: &RoomName,
        state: &RoomState,
    ) -> Result<(), MovingError> {
        let Some(newest) = state.epochs.last() else { return Ok(()) };
        let (mut after, mut at, mut bytes, mut is_first) = (0, 0, 0, true);
        loop {
            let records = journal.records(room, after, READ_BYTES)?;
            if records.is_empty() && !is_first {
                break;
            }
            let mut cmd = function("import_records", ["s", "k", "n"].map(|key| of_partition(room, key)));
            cmd.arg(u8::from(is_first));
            for record in records {
                for record in parts(record).map_err(OfflineError::Journal)? {
                    (after, at) = (record.last(), record.at);
                    bytes += record.entries.len() as u64;
                    self.tally.messages += u64::from(record.count);
                    add_record(&mut cmd, &record, epoch_of(&state.epochs, record.first), bytes);
                }
            }
            self.redis.do_alone(Partition::of(room), &cmd).await?;
            is_first = false;
        }
        self.tally.bytes += bytes;
        let keys = ["g", "n", "rooms", "s", "k"];
        let mut cmd = of_room("import_room", room, &["m", "s", "k"], &keys);
        cmd.arg(room.as_str()).arg(state.head).arg(epochs_text(&state.epochs));
        cmd.arg(newest.id.to_string()).arg(newest.id.number).arg(bytes).arg(at);
        match self.redis.do_alone(Partition::of(room), &cmd).await? {
            true => Ok(()),
            false => Err(MovingError::Taken(room.clone())),
        }
    }
}

fn of_partition(room: &RoomName, key: &str) -> String {
    format!("{}{key}", prefix(Partition::of(room)))
}

/// The looks of a name, a line each.
fn looks(name: &str) -> String {
    let looks = Nickname::parse(name).map(|name| name.looks().collect::<Vec<_>>()).unwrap_or_default();
    looks.iter().map(Look::as_str).collect::<Vec<_>>().join("\n")
}

/// What Redis has of a room, beside what the journal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    /// No messages.
    Missing,
    /// The messages of the journal.
    Equal,
    /// Something else.
    Other,
}

fn compare(state: &RoomState, redis: &Standing) -> Comparison {
    let is_own =
        |name: &ReservedName| state.names.iter().any(|own| (&own.key, own.owner) == (&name.key, name.owner));
    if !redis.names.iter().all(is_own) {
        return Comparison::Other;
    }
    let newest =
        |epochs: &[Epoch], head| epochs.iter().rev().find(|epoch| epoch.starts <= head).map(|epoch| epoch.id);
    match &redis.epochs[..] {
        [] => Comparison::Missing,
        // Ids of epochs are random: equal ones mean that the messages are equal, too.
        epochs
            if redis.head == state.head
                && newest(epochs, redis.head) == newest(&state.epochs, redis.head) =>
        {
            Comparison::Equal
        }
        _ => Comparison::Other,
    }
}

fn check_number(room: &RoomName, state: &RoomState) -> Result<(), MovingError> {
    let number = state.epochs.last().map_or(0, |epoch| epoch.id.number);
    if number < MOST_EPOCHS {
        return Ok(());
    }
    Err(MovingError::TooManyEpochs { room: room.clone(), number, most: MOST_EPOCHS - 1 })
}

/// The epoch of the message at an offset; of one that is older than all epochs, the oldest one.
fn epoch_of(epochs: &[Epoch], offset: u64) -> EpochId {
    let epoch = epochs.iter().rev().find(|epoch| epoch.starts <= offset).or(epochs.first());
    epoch.map_or(EpochId { random: 0, number: 0 }, |epoch| epoch.id)
}

/// Adds a record to a call; `bytes` are those of all up to it.
fn add_record(cmd: &mut Cmd, record: &Record, epoch: EpochId, bytes: u64) {
    let key = |keyed: &Keyed| {
        let index = u16::try_from(keyed.offset.checked_sub(record.first)?).ok()?;
        Some(RoundKey { key: keyed.key, index, at: keyed.at })
    };
    let keys = pack_keys(&record.keys.iter().filter_map(key).collect::<Vec<_>>());
    let seq = record.first;
    let tail = tail((record.count, record.at), RUN, seq, record.entries.len(), &keys);
    cmd.arg(record.first).arg(record.count).arg(epoch.to_string()).arg(keys).arg(tail).arg(bytes);
    cmd.arg(&record.entries[..]);
}

/// The record in parts of at most [`MOST_MESSAGES`] messages.
fn parts(record: Record) -> Result<Vec<Record>, JournalError> {
    if record.count as usize <= MOST_MESSAGES {
        return Ok(vec![record]);
    }
    let mut entries = record.entries.clone();
    let part = |part: &[Entry]| {
        let packed = entries.split_to(part.iter().map(Entry::packed_len).sum());
        let (first, count) = (part[0].offset, part.len() as u32);
        let offsets = first..first + u64::from(count);
        let keys = record.keys.iter().filter(|key| offsets.contains(&key.offset)).copied().collect();
        Record { first, count, at: part[part.len() - 1].at, keys, entries: packed }
    };
    Ok(unpack(&record)?.chunks(MOST_MESSAGES).map(part).collect())
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::journal::{Kind, NewEntry};

    #[test]
    fn a_record_with_more_messages_than_places_is_split() {
        let count = MOST_MESSAGES as u32 + 2;
        let mut entries = BytesMut::new();
        for at in 0..u64::from(count) {
            let body = &"abc"[..at as usize % 3];
            NewEntry { kind: Kind::Message, at, username: "a", avatar: "", uid: None, id: "", body }
                .pack(&mut entries);
        }
        let keys = [5, 6 + u64::from(count) - 3].map(|offset| Keyed { key: [1; 16], offset, at: 1 });
        let record = Record { first: 5, count, at: 9, keys: keys.into(), entries: entries.freeze() };
        let split = parts(record.clone()).expect("readable");
        let shape: Vec<_> = split.iter().map(|part| (part.first, part.count, part.keys.clone())).collect();
        let second = 5 + MOST_MESSAGES as u64;
        assert_eq!(shape, [(5, MOST_MESSAGES as u32, vec![keys[0]]), (second, 2, vec![keys[1]])]);
        let again: Vec<_> = split.iter().flat_map(|part| unpack(part).expect("readable")).collect();
        assert_eq!(again, unpack(&record).expect("readable"));
    }

    #[test]
    fn a_room_that_redis_has_otherwise_is_told_from_one_that_was_imported() {
        let epochs = |list: &[(u64, u64)]| -> Vec<_> {
            let epoch = |&(random, starts)| Epoch { id: EpochId { random, number: random }, starts };
            list.iter().map(epoch).collect()
        };
        let name =
            |owner| ReservedName { key: "ann".into(), name: "Ann".into(), owner: [owner; 16], until: 9 };
        // The last epoch is that of the run that reads it.
        let state = RoomState {
            epochs: epochs(&[(1, 1), (2, 5), (4, 9)]),
            head: 8,
            keys: Vec::new(),
            names: vec![name(1)],
        };
        let standing = |list: &[(u64, u64)], head, names| Standing { head, epochs: epochs(list), names };
        let table = [
            (standing(&[], 0, vec![]), Comparison::Missing),
            (standing(&[], 0, vec![name(1)]), Comparison::Missing),
            (standing(&[], 0, vec![name(2)]), Comparison::Other),
            (standing(&[(1, 1), (2, 5), (3, 9)], 8, vec![name(1)]), Comparison::Equal),
            (standing(&[(1, 1), (2, 5), (3, 9)], 9, vec![]), Comparison::Other),
            (standing(&[(1, 1), (2, 5)], 7, vec![]), Comparison::Other),
            (standing(&[(7, 1)], 8, vec![]), Comparison::Other),
        ];
        for (standing, expected) in table {
            assert_eq!(compare(&state, &standing), expected, "{standing:?}");
        }
    }
}
