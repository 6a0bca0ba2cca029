//! All namespaces that have sockets, or lost sockets that can be recovered.

use std::collections::{HashMap, HashSet};

use bytestring::ByteString;

use super::namespace::{Namespace, NamespaceId};
use crate::{broadcast::RoomId, domain::Map};

/// The namespaces, by id and by name.
#[derive(Debug, Default)]
pub(super) struct Namespaces {
    by_id: Map<NamespaceId, Namespace>,
    by_name: HashMap<ByteString, NamespaceId>,
    last: NamespaceId,
    /// Namespaces that may have become empty.
    doubtful: HashSet<NamespaceId>,
}

impl Namespaces {
    /// The id of a namespace, if it has sockets or keeps lost ones.
    pub(super) fn find(&self, name: &ByteString) -> Option<NamespaceId> {
        self.by_name.get(name).copied()
    }

    pub(super) fn get(&self, id: NamespaceId) -> Option<&Namespace> {
        self.by_id.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: NamespaceId) -> Option<&mut Namespace> {
        self.by_id.get_mut(&id)
    }

    /// The namespace of this name, which is added if it is new. `make_room` makes the room of all its sockets.
    pub(super) fn open(
        &mut self,
        name: &ByteString,
        make_room: impl FnOnce(NamespaceId) -> RoomId,
    ) -> (NamespaceId, &mut Namespace) {
        let Self { by_id, by_name, last, .. } = self;
        let id = by_name.get(name).copied().unwrap_or_else(|| last.following());
        let namespace = by_id.entry(id).or_insert_with(|| {
            *last = id;
            by_name.insert(name.clone(), id);
            Namespace::new(name.clone(), make_room(id))
        });
        (id, namespace)
    }

    /// Has [`take_empty`](Self::take_empty) look at a namespace.
    pub(super) fn doubt(&mut self, id: NamespaceId) {
        self.doubtful.insert(id);
    }

    /// Removes the namespaces that have become empty, and returns them.
    pub(super) fn take_empty(&mut self) -> Vec<Namespace> {
        let Self { by_id, by_name, doubtful, .. } = self;
        let mut empty = Vec::new();
        for id in doubtful.drain() {
            if by_id.get(&id).is_some_and(Namespace::is_empty)
                && let Some(namespace) = by_id.remove(&id)
            {
                by_name.remove(&namespace.name);
                empty.push(namespace);
            }
        }
        empty
    }

    /// The ids, in no order.
    pub(super) fn ids(&self) -> Vec<NamespaceId> {
        self.by_id.keys().copied().collect()
    }

    /// Goes on after a panic, without the sockets. All namespaces may be empty.
    pub(super) fn begin_again(self) -> Self {
        let by_id: Map<_, _> =
            self.by_id.into_iter().map(|(id, namespace)| (id, namespace.begin_again())).collect();
        let by_name = by_id.iter().map(|(id, namespace)| (namespace.name.clone(), *id)).collect();
        let doubtful = by_id.keys().copied().collect();
        Self { by_id, by_name, last: self.last, doubtful }
    }
}

#[cfg(test)]
impl Namespaces {
    /// The number of namespaces.
    pub(super) fn len(&self) -> usize {
        assert_eq!(self.by_id.len(), self.by_name.len());
        self.by_id.len()
    }
}
