//! The links of a node: one for a single Redis, or one for each partition of a Redis Cluster.

use std::{
    collections::HashMap,
    mem,
    time::{Duration, Instant},
};

use super::servers::ServerId;
use crate::nodes::{
    Partition,
    commands::Swept,
    contract::{Heard, Order},
    link::{CallId, Input, Link, Output, Share},
};

/// Decides what is asked of Redis, and when: [`Link`], or a test's.
pub trait Decide: Send + 'static {
    /// Takes an input, and appends to `out` what is to be done.
    fn handle(&mut self, now: Instant, input: Input, out: &mut Vec<Output>);

    /// When it wants to be woken.
    fn next_wake(&self) -> Option<Instant>;

    /// What it has of that which is bounded over all links of a node.
    fn share(&self) -> Share {
        Share::default()
    }
}

impl Decide for Link {
    fn handle(&mut self, now: Instant, input: Input, out: &mut Vec<Output>) {
        Self::handle(self, now, input, out);
    }

    fn next_wake(&self) -> Option<Instant> {
        Self::next_wake(self)
    }

    fn share(&self) -> Share {
        Self::share(self)
    }
}

/// A link, and where it is.
pub(super) struct Placed<D> {
    link: D,
    /// The server that has its partitions; `None` while that is looked for.
    pub server: Option<ServerId>,
    /// Whether it was told that Redis cannot be reached.
    pub is_down: bool,
    /// Whether the server says that the cluster is down, so that another one may have the partition.
    pub is_in_doubt: bool,
    /// Whether Redis takes nothing although it can be reached.
    pub is_refused: bool,
    wakes_at: Option<Instant>,
    has_left: bool,
}

/// How often links are told what the others have.
const BETWEEN_SHARES: Duration = Duration::from_secs(1);

/// All links.
pub(super) struct Links<D> {
    all: Vec<Placed<D>>,
    /// When they are told what the others have; `None` of a single one.
    shares_at: Option<Instant>,
}

impl<D: Decide> Links<D> {
    /// One for all partitions.
    pub(super) fn one(link: D) -> Self {
        Self::each([link])
    }

    /// One for each partition, in their order.
    pub(super) fn each(links: impl IntoIterator<Item = D>) -> Self {
        let place = |link| Placed {
            link,
            server: None,
            is_down: false,
            is_in_doubt: false,
            is_refused: false,
            wakes_at: None,
            has_left: false,
        };
        let all: Vec<_> = links.into_iter().map(place).collect();
        let shares_at = (all.len() > 1).then(|| Instant::now() + BETWEEN_SHARES);
        Self { all, shares_at }
    }

    /// Whether each partition has its own.
    pub(super) fn is_one_each(&self) -> bool {
        self.all.len() > 1
    }

    /// The index of the link of a partition.
    pub(super) fn of(&self, partition: Partition) -> usize {
        if self.is_one_each() { usize::from(partition.number()) } else { 0 }
    }

    /// The indices of all.
    pub(super) fn indices(&self) -> std::ops::Range<usize> {
        0..self.all.len()
    }

    /// The partitions of a link, one of them if it has all.
    pub(super) fn partition(&self, index: usize) -> Option<Partition> {
        Partition::with_number(u8::try_from(index).ok()?)
    }

    /// A link; the first one if there is none of this index.
    pub(super) fn at(&mut self, index: usize) -> &mut Placed<D> {
        let index = index.min(self.all.len() - 1);
        &mut self.all[index]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Placed<D>> {
        self.all.iter()
    }

    /// The indices of the links that a server has.
    pub(super) fn at_server(&self, id: ServerId) -> Vec<usize> {
        self.indices().filter(|index| self.all[*index].server == Some(id)).collect()
    }

    /// Hands an input to a link, and appends to `out`, which is empty, what it wants done.
    pub(super) fn handle(&mut self, index: usize, now: Instant, input: Input, out: &mut Vec<Output>) {
        let count = self.all.len() as u64;
        let placed = self.at(index);
        placed.link.handle(now, input, out);
        placed.wakes_at = placed.link.next_wake();
        for output in out {
            match output {
                Output::Call(id, _) => *id = CallId(id.0 * count + index as u64),
                Output::Left => placed.has_left = true,
                _ => {}
            }
        }
    }

    /// The link that something of a server is for.
    pub(super) fn receiver(&self, input: &mut Input) -> usize {
        let count = self.all.len() as u64;
        match input {
            Input::Answered(id, _) => {
                let index = id.0 % count;
                *id = CallId(id.0 / count);
                index as usize
            }
            Input::Subscribed(room) | Input::Published(room, _) => self.of(Partition::of(room)),
            Input::Up { .. }
            | Input::Down(_)
            | Input::Order(_)
            | Input::Wake
            | Input::Others(_)
            | Input::Stop => 0,
        }
    }

    /// The orders that the links are given for one.
    pub(super) fn orders(&self, order: Order) -> Vec<(usize, Order)> {
        match order {
            // Each is told, also that there is no session in its rooms.
            Order::Sizes(sizes) if self.is_one_each() => {
                let mut parts: Vec<_> = self.indices().map(|_| HashMap::new()).collect();
                for (room, size) in sizes {
                    parts[self.of(Partition::of(&room))].insert(room, size);
                }
                parts.into_iter().map(Order::Sizes).enumerate().collect()
            }
            Order::KeepPicture(picture) => {
                vec![(self.of(Partition::of_picture(&picture.id())), Order::KeepPicture(picture))]
            }
            order => vec![(order.room().map_or(0, |room| self.of(Partition::of(room))), order)],
        }
    }

    /// When there is something to do by itself.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.all.iter().filter_map(|placed| placed.wakes_at).chain(self.shares_at).min()
    }

    /// What links are told because it is due.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(usize, Input)> {
        let is_due = |index: &usize| self.all[*index].wakes_at.is_some_and(|at| at <= now);
        let mut inputs: Vec<_> = self.indices().filter(is_due).map(|index| (index, Input::Wake)).collect();
        if self.shares_at.is_some_and(|at| at <= now) {
            self.shares_at = Some(now + BETWEEN_SHARES);
            inputs.extend(self.shares());
        }
        inputs
    }

    /// What the others of each link have.
    fn shares(&self) -> Vec<(usize, Input)> {
        let shares: Vec<_> = self.all.iter().map(|placed| placed.link.share()).collect();
        let rooms: usize = shares.iter().map(|share| share.rooms).sum();
        let swept: Swept = shares.iter().map(|share| share.swept).sum();
        let others = |own: Share| Share {
            rooms: rooms - own.rooms,
            swept: Swept { rooms: swept.rooms - own.swept.rooms, bytes: swept.bytes - own.swept.bytes },
        };
        shares.into_iter().map(|own| Input::Others(others(own))).enumerate().collect()
    }

    /// Whether all have left the other nodes.
    pub(super) fn have_left(&self) -> bool {
        self.all.iter().all(|placed| placed.has_left)
    }

    /// Whether this is the first link of its server that is refused, or the last one that is not any more.
    pub(super) fn is_change_of_refusal(&mut self, index: usize, heard: &Heard) -> Option<bool> {
        let server = self.at(index).server?;
        let is_refused = match heard {
            Heard::Down(..) => true,
            Heard::Up(_) => false,
            _ => return None,
        };
        let was_refused = mem::replace(&mut self.at(index).is_refused, is_refused);
        let others = self.at_server(server).into_iter().filter(|other| *other != index);
        let is_any_other = others.into_iter().any(|other| self.all[other].is_refused);
        (was_refused != is_refused && !is_any_other).then_some(is_refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::RoomName,
        nodes::{
            commands::{Answer, Command},
            contract::{Away, Partitions},
        },
    };

    /// Makes a call numbered 7 of each input.
    struct Caller;

    impl Decide for Caller {
        fn handle(&mut self, _now: Instant, _input: Input, out: &mut Vec<Output>) {
            let partition = Partition::of(&room("tea"));
            out.push(Output::Call(CallId(7), Command::Probe { partition }));
        }

        fn next_wake(&self) -> Option<Instant> {
            None
        }

        fn share(&self) -> Share {
            Share { rooms: 2, swept: Swept { rooms: 3, bytes: 4 } }
        }
    }

    fn room(name: &str) -> RoomName {
        RoomName::parse(name).expect("a name")
    }

    fn one_each() -> Links<Caller> {
        Links::each(Partition::all().map(|_| Caller))
    }

    #[test]
    fn an_answer_goes_to_the_link_that_has_asked_under_its_own_number() {
        for (mut links, index) in [(one_each(), 50), (one_each(), 0), (Links::one(Caller), 0)] {
            let mut out = Vec::new();
            links.handle(index, Instant::now(), Input::Wake, &mut out);
            let Some(Output::Call(id, _)) = out.pop() else { panic!("no call") };
            let mut answer = Input::Answered(id, Ok(Answer::Done));
            assert_eq!(links.receiver(&mut answer), index);
            assert!(matches!(answer, Input::Answered(CallId(7), _)), "{answer:?}");
        }
    }

    #[test]
    fn an_order_goes_to_the_link_of_its_room_and_sizes_go_to_all() {
        let links = one_each();
        let indices = |links: &Links<Caller>, order| -> Vec<_> {
            links.orders(order).into_iter().map(|(index, _)| index).collect()
        };
        assert_eq!(indices(&links, Order::Open(room("tea"))), [50]);
        assert_eq!(indices(&Links::one(Caller), Order::Open(room("tea"))), [0]);
        let sizes: HashMap<_, _> = [("tea", 3), ("milk", 4)].map(|(name, size)| (room(name), size)).into();
        assert_eq!(indices(&Links::one(Caller), Order::Sizes(sizes.clone())), [0]);
        let told = links.orders(Order::Sizes(sizes));
        let told: Vec<_> = told
            .iter()
            .map(|(index, order)| match order {
                Order::Sizes(sizes) => (*index, sizes.values().sum::<u64>()),
                order => panic!("{order:?}"),
            })
            .collect();
        let expected =
            (0..64).map(|index| (index, [(50, 3), (22, 4)].into_iter().find(|(of, _)| *of == index)));
        let expected: Vec<_> =
            expected.map(|(index, size)| (index, size.map_or(0, |(_, size)| size))).collect();
        assert_eq!(told, expected, "also that there is none");
    }

    #[test]
    fn each_link_is_told_what_all_others_have() {
        let mut links = one_each();
        let told = links.due(Instant::now() + BETWEEN_SHARES);
        assert_eq!(told.len(), 64);
        for (_, input) in told {
            let Input::Others(others) = input else { panic!("{input:?}") };
            assert_eq!(others, Share { rooms: 126, swept: Swept { rooms: 189, bytes: 252 } });
        }
        assert!(links.due(Instant::now()).is_empty(), "not again at once");
        assert!(Links::one(Caller).due(Instant::now() + BETWEEN_SHARES).is_empty());
    }

    #[test]
    fn a_server_takes_nothing_from_its_first_link_that_is_refused_to_its_last_one() {
        let mut links = one_each();
        links.indices().for_each(|index| links.at(index).server = Some(ServerId(index as u64 % 2)));
        let down = Heard::Down(Partitions::ALL, Away("full".to_owned()));
        let up = Heard::Up(Partitions::ALL);
        for (index, heard, change) in [
            (0, &down, Some(true)),
            (2, &down, None),
            (1, &down, Some(true)),
            (0, &up, None),
            (2, &up, Some(false)),
            (2, &up, None),
        ] {
            assert_eq!(links.is_change_of_refusal(index, heard), change, "link {index}, {heard:?}");
        }
    }
}
