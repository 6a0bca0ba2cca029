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
//! - [`ahead`]: sessions that have read more of the history than the node has heard.
//! - [`private`]: private messages to users at other nodes, packed as [`whisper`], with [`whispers`].

use std::{collections::HashMap, sync::Arc};

pub(super) use self::beginning_again::is_answer;
use self::{ahead::Ahead, naming::Entering, says::Says, shows::Shows, whispers::Whispers};
use super::Chat;
use crate::{
    broadcast::RoomId,
    chat::{
        calls::CallId,
        common::{Common, Sharing},
        effects::Effect,
        line::Line,
        messages::CaughtUp,
    },
    domain::{MemberId, RoomName},
    journal::JournalError,
    nodes::{
        Partition,
        contract::{AskId, Order, Partitions},
    },
};

mod ahead;
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
    /// Sessions that have read more than was heard.
    ahead: Ahead,
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
            ahead: Ahead::default(),
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

    /// Has a session wait that has read more of its room's history than was heard. Returns one that need not wait.
    pub(super) fn wait_to_hear(&mut self, id: RoomId, message: CaughtUp) -> Option<CaughtUp> {
        let now = self.now.at;
        let (Some(shared), Some(room)) = (&mut self.shared, self.broadcaster.rooms.get(id)) else {
            return Some(message);
        };
        let name = room.name.clone();
        if room.log().is_none_or(|log| message.after <= log.head()) {
            return Some(message);
        }
        shared.ahead.wait(name, message, now);
        None
    }

    /// Subscribes the sessions that have read no more of a room than was heard by now.
    pub(super) fn go_on_when_heard(&mut self, room: &RoomName, head: u64) {
        let heard = self.shared.as_mut().map(|shared| shared.ahead.take_up_to(room, head));
        heard.into_iter().flatten().for_each(|message| self.caught_up(message));
    }

    /// Tells a session that has just subscribed which epoch its room has: it may have begun while the session read the
    /// history. Only of rooms that are shared.
    pub(super) fn send_epoch_to(&mut self, member: MemberId, id: RoomId) {
        if !self.is_shared() {
            return;
        }
        let Some(log) = self.broadcaster.rooms.get(id).and_then(|room| room.log()) else {
            return;
        };
        let epoch = log.epoch().id.to_string();
        let ended = self.broadcaster.send_only(id, vec![member], &Line::Epoch(&epoch), None, None);
        self.keep(ended);
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
