//! The core of a chat that shares its rooms with other nodes: Redis gives messages their order and users their names, by
//! way of a link.
//!
//! The chat hands the link [`Order`]s, and is told what is [`Heard`](crate::nodes::contract::Heard), of each room in the
//! order that all nodes hear. Nothing is told to members before it is heard. The link keeps orders while Redis cannot be
//! reached, so nothing here is tried again.
//!
//! - [`says`]: messages that are not known to be in Redis; [`saying`] hands them in.
//! - [`hearing`]: what the link tells of messages; [`opening`] of rooms, [`naming`] of users and their names.
//! - [`showing`]: what is not kept, packed as [`show`], with [`shows`].
//! - [`private`]: private messages to users at other nodes, packed as [`whisper`], with [`whispers`].

use std::{collections::HashMap, sync::Arc};

pub(super) use self::beginning_again::is_answer;
use self::{naming::Entering, says::Says, shows::Shows, whispers::Whispers};
use super::Chat;
use crate::{
    broadcast::RoomId,
    chat::{
        calls::CallId,
        common::{Common, Sharing},
        effects::Effect,
    },
    domain::RoomName,
    journal::JournalError,
    nodes::{
        Partition,
        contract::{AskId, Order, Partitions},
    },
};

mod beginning_again;
mod hearing;
mod naming;
mod opening;
mod private;
mod saying;
mod says;
mod show;
mod showing;
mod shows;
mod whisper;
mod whispers;

/// What a chat has on its way to the link, and what it waits for. It survives a panic of the chat: what the link was, or
/// is to be, asked belongs together with what waits for its answer.
#[derive(Debug)]
pub(in crate::chat) struct Shared {
    common: Arc<Common>,
    sharing: Sharing,
    /// Messages that are not known to be in Redis.
    says: Says,
    /// Claims of names that are not answered.
    entering: HashMap<AskId, Entering>,
    /// Private messages whose fate depends on other nodes.
    whispers: Whispers,
    /// What is told to all nodes and was not heard yet.
    shows: Shows,
    /// Calls to forget a room.
    forgetting: HashMap<AskId, CallId>,
    /// Partitions for which Redis cannot be reached.
    away: Partitions,
    /// Why, for the last ones; `None` if it can be reached for all.
    fault: Option<JournalError>,
    /// What the link is to be given.
    orders: Vec<Order>,
}

impl Shared {
    /// Nothing is on its way yet. `None` if the rooms are not shared with other nodes.
    pub(in crate::chat) fn new(common: &Arc<Common>) -> Option<Box<Self>> {
        let sharing = common.sharing()?;
        Some(Box::new(Self {
            common: Arc::clone(common),
            sharing,
            says: Says::default(),
            entering: HashMap::new(),
            whispers: Whispers::default(),
            shows: Shows::default(),
            forgetting: HashMap::new(),
            away: Partitions::default(),
            fault: None,
            orders: Vec::new(),
        }))
    }

    fn next_ask(&self) -> AskId {
        AskId(self.common.next_number())
    }

    /// Gives the link an order, behind the messages that are to be said in that room.
    fn order(&mut self, order: Order) {
        self.orders.extend(order.room().and_then(|room| self.says.take_round(room)));
        self.orders.push(order);
    }

    /// Whether Redis cannot be reached for a room.
    fn is_away(&self, room: &RoomName) -> bool {
        !self.away.is_empty() && self.away.contains(Partition::of(room))
    }

    fn is_awaited(&self) -> bool {
        !self.says.is_empty() || !self.entering.is_empty() || !self.forgetting.is_empty()
    }

    /// Hands the messages of this turn in.
    pub(super) fn end_turn(&mut self) {
        self.orders.extend(self.says.take_rounds());
    }

    /// Takes what the link is to be given, in order.
    pub(super) fn take_orders(&mut self) -> impl Iterator<Item = Effect> {
        self.orders.drain(..).map(Effect::Order)
    }
}

impl Chat {
    /// Gives the link an order.
    fn order(&mut self, order: Order) {
        if let Some(shared) = &mut self.shared {
            shared.order(order);
        }
    }

    /// Whether the rooms are shared with other nodes.
    pub(in crate::chat) fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Whether Redis cannot be reached for a room.
    pub(super) fn is_away(&mut self, id: RoomId) -> bool {
        let room = self.broadcaster.rooms.get(id);
        let (Some(shared), Some(room)) = (&self.shared, room) else {
            return false;
        };
        shared.is_away(&room.name)
    }

    /// Why Redis cannot be reached for any room; `None` if it can for some. A server of a Redis Cluster that is away is
    /// so for all nodes, so that clients are not better off elsewhere.
    pub(in crate::chat) fn fault_of_link(&self) -> Option<&JournalError> {
        let shared = self.shared.as_ref()?;
        shared.fault.as_ref().filter(|_| shared.away == Partitions::ALL)
    }

    /// Number of messages that are not known to be in Redis.
    pub(in crate::chat) fn unsaid(&self) -> u64 {
        self.shared.as_ref().map_or(0, |shared| shared.says.count())
    }

    /// Whether an answer of the link is awaited.
    pub(super) fn awaits_link(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.is_awaited())
    }

    /// Whether an answer of the link is awaited and can come: what waits for a Redis that cannot be reached does not hold
    /// the end of the server up.
    pub(super) fn holds_end_up(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| {
            shared.says.rooms().any(|room| !shared.is_away(room))
                || !shared.entering.is_empty()
                || !shared.forgetting.is_empty()
        })
    }
}
