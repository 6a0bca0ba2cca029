//! What the tests of this folder share.

use crate::{broadcast::directory::AnyRoom, domain::RoomName};

/// A room of which its server keeps nothing but the name.
#[derive(Debug)]
pub(super) struct Place(RoomName);

impl AnyRoom for Place {
    type Name = RoomName;

    fn new(name: RoomName) -> Self {
        Self(name)
    }

    fn name(&self) -> &RoomName {
        &self.0
    }

    fn is_idle(&self) -> bool {
        true
    }

    fn is_reserved(name: &RoomName) -> bool {
        name.is_reserved()
    }
}
