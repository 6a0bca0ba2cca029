//! The list of the rooms of all nodes, as bytes.

use redis::{Cmd, Value};

use super::{
    answers::{BadReply, array, groups, number_of, text},
    calls::function,
    keys::prefix,
};
use crate::{
    domain::RoomName,
    nodes::{
        Partition,
        contract::{RoomSize, RoomSizes, RoomStanding},
    },
};

/// Asks a partition for at most `most` of its largest rooms, and for those rooms of it that are `asked` for.
pub fn list(partition: Partition, most: usize, asked: &[RoomName]) -> Cmd {
    let prefix = prefix(partition);
    let mut cmd = function("list", [format!("{prefix}z")]);
    cmd.arg(prefix).arg(most);
    for room in asked.iter().filter(|room| Partition::of(room) == partition) {
        cmd.arg(room.as_str());
    }
    cmd
}

/// Reads the answers to [`list`] of some partitions.
///
/// # Errors
/// An answer is not one to it.
pub fn list_of(most: usize, replies: Vec<Value>) -> Result<RoomSizes, BadReply> {
    let mut sizes = RoomSizes::default();
    for reply in replies {
        let [count, largest, asked] = array(reply)?;
        sizes.count += number_of(count)?;
        for [room, sessions, users] in groups(largest)? {
            sizes.largest.push(size(room, sessions, users)?);
        }
        for [room, sessions, users, head, epoch] in groups(asked)? {
            let (size, offset, epoch) = (size(room, sessions, users)?, number_of(head)?, text(epoch)?);
            let epoch = match epoch.as_str() {
                "" => None,
                epoch => Some(epoch.parse().map_err(|_| BadReply::Unexpected("an epoch"))?),
            };
            sizes.asked.push(RoomStanding { size, newest: epoch.map(|epoch| (epoch, offset)) });
        }
    }
    sizes.largest.sort_unstable_by(|a, b| b.sessions.cmp(&a.sessions).then_with(|| a.name.cmp(&b.name)));
    sizes.largest.truncate(most);
    Ok(sizes)
}

fn size(room: Value, sessions: Value, users: Value) -> Result<RoomSize, BadReply> {
    let name = RoomName::stored(&text(room)?).ok_or(BadReply::Unexpected("the name of a room"))?;
    Ok(RoomSize { name, sessions: number_of(sessions)?, users: number_of(users)? })
}
