//! The namespaces of this server: their rooms, and what waits for its place in their order.

use std::{
    collections::{HashMap, HashSet},
    time::Instant,
};

use bytes::Bytes;
use bytestring::ByteString;

use super::queue::Queue;
use crate::socketio::{
    adapter::traffic::{Channel, Heard},
    cluster::Deliver,
};

/// All namespaces that this server shares.
#[derive(Default)]
pub(super) struct Namespaces {
    all: HashMap<ByteString, Namespace>,
    channels: HashMap<Channel, (ByteString, Heard)>,
    /// Those of which something waits.
    waiting: HashSet<ByteString>,
}

struct Namespace {
    /// Rooms with sockets of this server, ids of sockets too.
    rooms: HashSet<ByteString>,
    queue: Queue,
}

impl Namespaces {
    /// Notes what comes by a channel.
    pub(super) fn hear(&mut self, channel: Channel, namespace: &ByteString, heard: Heard) {
        self.channels.insert(channel, (namespace.clone(), heard));
    }

    /// The namespace of a channel, and what comes by it.
    pub(super) fn heard_by(&self, channel: &Channel) -> Option<(ByteString, Heard)> {
        self.channels.get(channel).cloned()
    }

    /// Forgets a channel. Returns whether it was there.
    pub(super) fn forget_channel(&mut self, channel: &Channel) -> bool {
        self.channels.remove(channel).is_some()
    }

    pub(super) fn serve(&mut self, namespace: ByteString) {
        self.all
            .entry(namespace)
            .or_insert_with(|| Namespace { rooms: HashSet::new(), queue: Queue::default() });
    }

    /// Removes a namespace. Returns its channels, and what has waited.
    pub(super) fn unserve(&mut self, namespace: &ByteString) -> Option<(Vec<Channel>, Vec<Deliver>)> {
        let mut removed = self.all.remove(namespace)?;
        self.waiting.remove(namespace);
        let of_it = self.channels.extract_if(|_, (its, _)| its == namespace);
        Some((of_it.map(|(channel, _)| channel).collect(), removed.queue.take_all()))
    }

    pub(super) fn is_served(&self, namespace: &ByteString) -> bool {
        self.all.contains_key(namespace)
    }

    pub(super) fn occupied(&mut self, namespace: &ByteString, room: ByteString) {
        if let Some(namespace) = self.all.get_mut(namespace) {
            namespace.rooms.insert(room);
        }
    }

    pub(super) fn vacant(&mut self, namespace: &ByteString, room: &ByteString) {
        if let Some(namespace) = self.all.get_mut(namespace) {
            namespace.rooms.remove(room);
        }
    }

    pub(super) fn is_occupied(&self, namespace: &ByteString, room: &str) -> bool {
        self.all.get(namespace).is_some_and(|namespace| namespace.rooms.contains(room))
    }

    /// Has something done once this server hears itself say `body`, or behind all that it waits to hear. Returns it if it is
    /// to be done at once.
    pub(super) fn wait(
        &mut self,
        now: Instant,
        name: &ByteString,
        body: Option<Bytes>,
        deliver: Deliver,
    ) -> Option<Deliver> {
        let Some(namespace) = self.all.get_mut(name) else {
            return Some(deliver);
        };
        let at_once = namespace.queue.push(now, body, deliver);
        if at_once.is_none() {
            self.waiting.insert(name.clone());
        }
        at_once
    }

    /// What is to be done now that something is heard; nothing if this server does not wait for it.
    pub(super) fn own(&mut self, now: Instant, name: &ByteString, body: &Bytes) -> Vec<Deliver> {
        let Some(namespace) = self.all.get_mut(name).filter(|_| self.waiting.contains(name)) else {
            return Vec::new();
        };
        let heard = namespace.queue.heard(now, body);
        if namespace.queue.next_overdue().is_none() {
            self.waiting.remove(name);
        }
        heard
    }

    /// Something was heard.
    pub(super) fn heard_something(&mut self, now: Instant) {
        for name in &self.waiting {
            if let Some(namespace) = self.all.get_mut(name) {
                namespace.queue.heard_something(now);
            }
        }
    }

    /// Takes out what has waited for too long.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<Deliver> {
        self.take(|queue| queue.overdue(now))
    }

    /// Takes out all that waits.
    pub(super) fn all_waiting(&mut self) -> impl Iterator<Item = Deliver> {
        self.take(Queue::take_all).into_iter()
    }

    fn take(&mut self, mut of: impl FnMut(&mut Queue) -> Vec<Deliver>) -> Vec<Deliver> {
        let mut taken = Vec::new();
        self.waiting.retain(|name| {
            let Some(Namespace { queue, .. }) = self.all.get_mut(name) else {
                return false;
            };
            taken.extend(of(queue));
            queue.next_overdue().is_some()
        });
        taken
    }

    /// When something has waited for too long.
    pub(super) fn next_overdue(&self) -> Option<Instant> {
        let queues = self.waiting.iter().filter_map(|name| self.all.get(name));
        queues.filter_map(|namespace| namespace.queue.next_overdue()).min()
    }
}
