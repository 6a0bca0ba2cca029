//! What is told of namespaces that come, change or go.

use std::{collections::HashMap, sync::Arc};

use bytestring::ByteString;

use crate::socketio::cluster::Mode;

/// Told of a namespace: how events reach its sockets where several servers share it, or `None` if they do not share it, or
/// if it is gone.
pub(crate) type Observe = dyn Fn(&ByteString, Option<Mode>) + Send + Sync;

/// Tells of each change once.
pub(super) struct Observer {
    tell: Arc<Observe>,
    told: HashMap<ByteString, Mode>,
}

impl Observer {
    /// Has told nothing yet.
    pub(super) fn new(tell: Arc<Observe>) -> Self {
        Self { tell, told: HashMap::new() }
    }

    /// Takes what is true of a namespace now.
    pub(super) fn note(&mut self, name: &ByteString, mode: Option<Mode>) {
        let before = match mode {
            Some(mode) => self.told.insert(name.clone(), mode),
            None => self.told.remove(name),
        };
        if before != mode {
            (self.tell)(name, mode);
        }
    }
}
