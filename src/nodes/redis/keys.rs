//! Names of keys and channels.

use crate::{
    domain::{PictureId, RoomName},
    nodes::{NodeUid, Partition},
};

/// The beginning of all keys of a partition. The braces are the hash tag of a Redis Cluster.
pub(super) fn prefix(partition: Partition) -> String {
    format!("er:{{{}}}:", tag(partition))
}

/// The hash tag of a partition.
pub(super) fn tag(partition: Partition) -> String {
    format!("e{}", partition.number())
}

/// The channel of a room, for `SSUBSCRIBE`.
pub fn channel_of(room: &RoomName) -> String {
    format!("{}c:{}", prefix(Partition::of(room)), room.as_str())
}

/// The channel of a node in a partition, for `SSUBSCRIBE`.
pub fn channel_of_node(partition: Partition, node: &NodeUid) -> String {
    format!("{}node:{node}", prefix(partition))
}

/// The key of the leases of all nodes of a partition.
pub(super) fn key_of_leases(partition: Partition) -> String {
    format!("{}n", prefix(partition))
}

/// The key of an avatar picture.
pub(super) fn key_of_picture(id: &PictureId) -> String {
    format!("{}a:{id}", prefix(Partition::of_picture(id)))
}

/// The room whose channel this is; `None` for other channels.
pub(super) fn room_of(channel: &[u8]) -> Option<RoomName> {
    let (partition, room) = std::str::from_utf8(channel).ok()?.strip_prefix("er:{e")?.split_once("}:c:")?;
    let room = RoomName::stored(room)?;
    (partition.parse() == Ok(Partition::of(&room).number())).then_some(room)
}

/// The keys of the messages and of the reserved names of all rooms, for `SCAN`.
pub(super) const KEYS_OF_ROOMS: &str = "er:{e*}:[mr]:*";

/// The room whose key this is, one of [`KEYS_OF_ROOMS`]; `None` for other keys.
pub(super) fn room_of_key(key: &str) -> Option<RoomName> {
    let (partition, key) = key.strip_prefix("er:{e")?.split_once("}:")?;
    let room = RoomName::stored(key.strip_prefix("m:").or_else(|| key.strip_prefix("r:"))?)?;
    (partition.parse() == Ok(Partition::of(&room).number())).then_some(room)
}

/// Whether this is the channel of a node.
pub(super) fn is_of_node(channel: &[u8]) -> bool {
    partition_of_node(channel).is_some()
}

/// The partition of the channel of a node; `None` for other channels.
pub(super) fn partition_of_node(channel: &[u8]) -> Option<Partition> {
    let (partition, rest) = std::str::from_utf8(channel).ok()?.strip_prefix("er:{e")?.split_once("}:")?;
    rest.starts_with("node:").then(|| Partition::with_number(partition.parse().ok()?))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_of_a_channel_is_found_again() {
        for name in ["lobby", "a:b c:}:c:d", "茶"] {
            let room = RoomName::parse(name).expect("a name");
            assert_eq!(room_of(channel_of(&room).as_bytes()), Some(room.clone()));
            assert!(!is_of_node(channel_of(&room).as_bytes()));
        }
        assert_eq!(
            room_of(channel_of(&RoomName::of_pages_without_origin()).as_bytes()).map(|_| ()),
            Some(())
        );
    }

    #[test]
    fn other_channels_have_no_room() {
        let node = "n001AAAABBBBCCCC".parse().expect("a uid");
        let channel = channel_of_node(Partition::of(&RoomName::parse("lobby").expect("a name")), &node);
        assert_eq!(partition_of_node(channel.as_bytes()).map(Partition::number), Some(55));
        for other in [channel.as_str(), "", "er:{e1}:c:lobby", "er:{e55}:c:", "socket.io#/#"] {
            assert_eq!(room_of(other.as_bytes()), None, "{other}");
            assert_eq!(is_of_node(other.as_bytes()), other == channel, "{other}");
        }
    }
}
