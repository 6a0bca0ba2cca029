//! The list of the rooms of all nodes, asked of Redis at most once a second for any number of requests.

use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::rt::time::timeout;
use tokio::sync::Mutex;

use super::{
    messages::{AskedRoom, ListedRoom, MOST_LISTED, RoomList},
    position::Position,
};
use crate::{
    domain::RoomName,
    nodes::contract::{Link, RoomSize, RoomSizes, RoomStanding},
};

/// How long what Redis has told is reused.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// How long a request waits for Redis, before it is answered with the rooms of this node.
const PATIENCE: Duration = Duration::from_secs(1);

/// Rooms that were asked for and are known, beyond which all are asked for again.
const MOST_KNOWN: usize = 10_000;

/// The rooms of all nodes.
pub(super) struct AllNodes {
    link: Arc<dyn Link>,
    last: Mutex<Last>,
}

/// What Redis has told last.
#[derive(Default)]
struct Last {
    at: Option<Instant>,
    /// `None` if Redis has not answered.
    sizes: Option<RoomSizes>,
    asked: HashMap<RoomName, RoomStanding>,
}

impl AllNodes {
    pub(super) fn new(link: Arc<dyn Link>) -> Self {
        Self { link, last: Mutex::default() }
    }

    /// The list of the rooms of all nodes, with those that `own`, the list of this node, has asked for. `own` itself
    /// while Redis does not answer.
    pub(super) async fn list(&self, own: RoomList) -> RoomList {
        // One request asks, others wait for its answer.
        let mut last = self.last.lock().await;
        let is_old = last.at.is_none_or(|at| at.elapsed() >= GOOD_FOR);
        if is_old || last.asked.len() > MOST_KNOWN {
            last.asked.clear();
        }
        let names = own.asked.iter().map(|asked| &asked.room.name);
        let unknown: Vec<_> = names.filter(|name| !last.asked.contains_key(name)).cloned().collect();
        if is_old || (last.sizes.is_some() && !unknown.is_empty()) {
            let most = if is_old { MOST_LISTED } else { 0 };
            let answer = timeout(PATIENCE, self.link.list_rooms(most, unknown)).await;
            last.take(is_old, answer.ok().and_then(Result::ok));
        }
        last.join(own)
    }
}

impl Last {
    fn take(&mut self, is_old: bool, answer: Option<RoomSizes>) {
        let Some(mut sizes) = answer else {
            *self = Self { at: Some(Instant::now()), ..Self::default() };
            return;
        };
        let asked = std::mem::take(&mut sizes.asked);
        self.asked.extend(asked.into_iter().map(|room| (room.size.name.clone(), room)));
        if is_old {
            (self.at, self.sizes) = (Some(Instant::now()), Some(sizes));
        }
    }

    /// The list of this node with what is known of all. Redis knows sizes a second later than their node.
    fn join(&self, own: RoomList) -> RoomList {
        let Some(sizes) = &self.sizes else {
            return own;
        };
        let mut rooms: Vec<_> = sizes.largest.iter().map(ListedRoom::from).collect();
        for room in own.rooms.iter() {
            match rooms.iter_mut().find(|other| other.name == room.name) {
                Some(other) => other.grow_to(room),
                None => rooms.push(room.clone()),
            }
        }
        rooms.sort_unstable_by(|a, b| b.sessions.cmp(&a.sessions).then_with(|| a.name.cmp(&b.name)));
        let count = rooms.len().max(usize::try_from(sizes.count).unwrap_or(usize::MAX));
        rooms.truncate(MOST_LISTED);
        let more = count - rooms.len();
        let asked = own.asked.into_iter().map(|asked| self.asked(asked)).collect();
        RoomList { rooms: rooms.into(), more, asked }
    }

    fn asked(&self, own: AskedRoom) -> AskedRoom {
        let Some(standing) = self.asked.get(&own.room.name) else {
            return own;
        };
        let mut room = ListedRoom::from(&standing.size);
        room.grow_to(&own.room);
        let newest = standing.newest.map(|(epoch, offset)| Position { epoch, offset });
        AskedRoom { room, position: newest.or(own.position) }
    }
}

impl ListedRoom {
    /// Has at least the size that another node tells.
    fn grow_to(&mut self, other: &Self) {
        self.sessions = self.sessions.max(other.sessions);
        self.users = self.users.max(other.users);
    }
}

impl From<&RoomSize> for ListedRoom {
    fn from(size: &RoomSize) -> Self {
        let number = |count| usize::try_from(count).unwrap_or(usize::MAX);
        Self { name: size.name.clone(), sessions: number(size.sessions), users: number(size.users) }
    }
}

impl fmt::Debug for AllNodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AllNodes").field(&self.link).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::EpochId;

    fn room(name: &str) -> RoomName {
        RoomName::parse(name).expect("a legal name")
    }

    fn size(name: &str, sessions: u64) -> RoomSize {
        RoomSize { name: room(name), sessions, users: sessions }
    }

    fn listed(name: &str, sessions: usize) -> ListedRoom {
        ListedRoom { name: room(name), sessions, users: sessions }
    }

    fn names(list: &RoomList) -> Vec<(&str, usize)> {
        list.rooms.iter().map(|room| (room.name.as_str(), room.sessions)).collect()
    }

    #[test]
    fn rooms_of_all_nodes_are_listed_with_those_that_redis_does_not_know_yet() {
        let sizes = RoomSizes { largest: vec![size("tea", 5), size("milk", 3)], count: 2, asked: Vec::new() };
        let last = Last { sizes: Some(sizes), ..Last::default() };
        let own = [listed("milk", 4), listed("new", 4), listed("tea", 1)];
        let list = last.join(RoomList { rooms: own.into(), ..RoomList::default() });
        assert_eq!((names(&list), list.more), (vec![("tea", 5), ("milk", 4), ("new", 4)], 0));
    }

    #[test]
    fn a_list_of_all_nodes_is_bounded_and_says_how_many_more_there_are() {
        let largest = (0..50).map(|number| size(&format!("room {number}"), 9)).collect();
        let last =
            Last { sizes: Some(RoomSizes { largest, count: 70, asked: Vec::new() }), ..Last::default() };
        let list = last.join(RoomList { rooms: [listed("small", 1)].into(), ..RoomList::default() });
        assert_eq!((list.rooms.len(), list.more), (50, 20));
        assert!(list.rooms.iter().all(|room| room.sessions == 9));
    }

    #[test]
    fn a_room_that_is_asked_for_stands_where_redis_has_it_and_without_redis_where_its_node_has_it() {
        let [theirs, ours] = [7, 3].map(|number| EpochId { random: number, number });
        let own_position = Position { epoch: ours, offset: 3 };
        let own = || {
            let asked =
                ["tea", "milk"].map(|name| AskedRoom { room: listed(name, 1), position: Some(own_position) });
            RoomList { asked: asked.into(), ..RoomList::default() }
        };
        let mut last = Last::default();
        assert_eq!(last.join(own()), own());
        let asked = vec![RoomStanding { size: size("tea", 2), newest: Some((theirs, 9)) }];
        last.take(true, Some(RoomSizes { largest: Vec::new(), count: 0, asked }));
        let list = last.join(own());
        let newest = Position { epoch: theirs, offset: 9 };
        assert_eq!(list.asked[0], AskedRoom { room: listed("tea", 2), position: Some(newest) });
        assert_eq!(list.asked[1], own().asked[1]);
        last.take(true, None);
        assert_eq!(last.join(own()), own(), "Redis is away");
    }
}
