//! Names of nodes, of their runs, and of the parts that the rooms are spread over.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::config::NodeName;
use crate::domain::{PictureId, RoomName};

/// Length of a uid in characters.
const UID: usize = 16;

/// Length of the name at its beginning.
const NAME: usize = NodeName::LEN;

/// The id of a node from when it has joined the others until it leaves them or is fenced: the name, and 12 random
/// characters. A node that was fenced goes on under another one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeUid([u8; UID]);

impl NodeUid {
    /// The uid of the node `name` with 12 characters made of `random`.
    pub fn new(name: NodeName, random: [u8; UID - NAME]) -> Self {
        let mut uid = [0; UID];
        uid[..NAME].copy_from_slice(name.as_str().as_bytes());
        for (place, random) in uid[NAME..].iter_mut().zip(random) {
            *place = NodeName::letter(random);
        }
        Self(uid)
    }

    /// The name of the node.
    pub fn name(&self) -> NodeName {
        let mut name = [0; NAME];
        name.copy_from_slice(&self.0[..NAME]);
        NodeName::of_allowed(name)
    }

    /// The 16 characters.
    pub fn as_str(&self) -> &str {
        // ASCII by construction.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Parse error of [`NodeUid`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the uid of a node is 16 characters of letters, digits, - and _")]
pub struct NodeUidError;

impl FromStr for NodeUid {
    type Err = NodeUidError;

    fn from_str(uid: &str) -> Result<Self, NodeUidError> {
        let bytes: [u8; UID] = uid.as_bytes().try_into().map_err(|_| NodeUidError)?;
        if bytes.into_iter().all(NodeName::is_allowed) { Ok(Self(bytes)) } else { Err(NodeUidError) }
    }
}

impl Serialize for NodeUid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for NodeUid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl fmt::Display for NodeUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for NodeUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One of 64 parts that the rooms are spread over by their names. All keys of a part are in one slot of a Redis
/// Cluster, so that one call can change several of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(u8);

impl Partition {
    /// The number of partitions. Another number would look for rooms in other places: it cannot be changed.
    pub const COUNT: u8 = 64;

    /// The partition of a room, equal in all versions.
    pub fn of(room: &RoomName) -> Self {
        Self((crc32fast::hash(room.as_str().as_bytes()) % u32::from(Self::COUNT)) as u8)
    }

    /// The partition of an avatar picture, equal in all versions.
    pub fn of_picture(id: &PictureId) -> Self {
        // The id is a hash.
        Self(id.as_bytes()[0] % Self::COUNT)
    }

    /// The partition with this number, if it is less than [`Partition::COUNT`].
    pub fn with_number(number: u8) -> Option<Self> {
        (number < Self::COUNT).then_some(Self(number))
    }

    /// All partitions.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }

    /// The number, from 0.
    pub fn number(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_begins_with_the_name_of_its_node() {
        let name: NodeName = "n-_1".parse().expect("a name");
        let uid = NodeUid::new(name, std::array::from_fn(|index| 250 + (index % 6) as u8));
        assert_eq!((uid.name(), uid.as_str()), (name, "n-_16789-_6789-_"));
        assert_eq!(uid.as_str().parse(), Ok(uid));
    }

    #[test]
    fn the_partition_of_a_room_is_the_one_that_other_versions_look_in() {
        let of = |name: &str| Partition::of(&RoomName::parse(name).expect("a name")).number();
        assert_eq!([of("lobby"), of("tea"), of("茶")], [55, 50, 52]);
        let all: std::collections::BTreeSet<_> =
            (0..1000).map(|number| of(&format!("room {number}"))).collect();
        assert_eq!(all.len(), usize::from(Partition::COUNT), "all are used");
    }
}
