//! The adapter as the server has it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytestring::ByteString;

use super::settings::{AdapterSettings, KeepSessions, RedisFormat, SubscriptionMode};
use crate::socketio::{
    cluster::{Adapter, Mode, Order, StreamId},
    namespace::Table,
};

/// Hands orders to the thread that has the connections.
pub(crate) type Send = dyn Fn(Order) + std::marker::Send + Sync;

/// An adapter for Redis.
pub(crate) struct RedisAdapter {
    send: Box<Send>,
    table: Arc<Table>,
    position: Arc<AtomicU64>,
    keeps_sessions: bool,
    keeps_changes: bool,
    asks_for_rooms: bool,
}

impl RedisAdapter {
    /// Hands orders to `send`. Lost sockets are kept if the format has that, and `recovers` is set. `position` is the number of
    /// the cluster's last offset.
    pub(crate) fn new(
        settings: &AdapterSettings,
        recovers: bool,
        table: Arc<Table>,
        position: Arc<AtomicU64>,
        send: Box<Send>,
    ) -> Self {
        let keeps_sessions = recovers && settings.format == RedisFormat::Streams;
        let is_by_room = match settings.format {
            RedisFormat::Classic => true,
            RedisFormat::Sharded => settings.subscription_mode != SubscriptionMode::Static,
            RedisFormat::Streams => false,
        };
        Self {
            send,
            table,
            position,
            keeps_sessions,
            keeps_changes: keeps_sessions && settings.keep_sessions == KeepSessions::AtEveryChange,
            asks_for_rooms: is_by_room,
        }
    }

    /// A namespace has come, changed or gone.
    pub(crate) fn observe(&self, namespace: &ByteString, mode: Option<Mode>) {
        let namespace = namespace.clone();
        self.order(match mode {
            Some(_) => Order::Serve { namespace },
            None => Order::Unserve { namespace },
        });
    }
}

impl Adapter for RedisAdapter {
    fn order(&self, order: Order) {
        (self.send)(order);
    }

    fn mode(&self, namespace: &ByteString) -> Option<Mode> {
        self.table.mode(namespace)
    }

    fn position(&self) -> StreamId {
        StreamId::of(self.position.load(Ordering::Relaxed))
    }

    fn keeps_sessions(&self) -> bool {
        self.keeps_sessions
    }

    fn keeps_changes(&self) -> bool {
        self.keeps_changes
    }

    fn asks_for_rooms(&self) -> bool {
        self.asks_for_rooms
    }
}

impl fmt::Debug for RedisAdapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisAdapter").field("position", &self.position()).finish_non_exhaustive()
    }
}
