//! A broadcaster with two fan-outs that keep what each session has heard.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::{
    broadcast::testing::{PLAIN, Place, Text, seat, texts_of},
    domain::RoomName,
};

mod audience;
mod lines;
mod removal;
mod workers;

/// A fan-out that delivers each broadcast at once, and keeps what each of its sessions has heard.
#[derive(Debug, Default)]
struct Heard {
    subscribers: BTreeSet<(MemberId, RoomId)>,
    heard: BTreeMap<MemberId, Vec<String>>,
    broadcasts: usize,
}

impl Heard {
    fn of(&self, number: u64) -> Vec<String> {
        self.heard.get(&MemberId::of(number)).cloned().unwrap_or_default()
    }
}

impl Heard {
    fn take(&mut self, message: ForFanOut) {
        let Self { subscribers, heard, broadcasts } = self;
        match message {
            ForFanOut::Attach(Attach { member, .. }) => assert!(heard.insert(member, Vec::new()).is_none()),
            ForFanOut::Subscribe(Subscribe { member, room, .. }) => {
                assert!(heard.contains_key(&member) && subscribers.insert((member, room)));
            }
            ForFanOut::Unsubscribe(Unsubscribe { member, room }) => {
                assert!(subscribers.remove(&(member, room)));
            }
            ForFanOut::Detach(Detach { member }) | ForFanOut::Dismiss(Dismiss { member, .. }) => {
                subscribers.retain(|(its, _)| *its != member)
            }
            ForFanOut::Broadcast(FanOutBroadcast { room, broadcast }) => {
                *broadcasts += 1;
                for (member, in_room) in subscribers.iter() {
                    let is_for = match broadcast.recipients() {
                        Recipients::Room | Recipients::Volatile => *in_room == room,
                        Recipients::Only(sessions) => *in_room == room && sessions.contains(member),
                    };
                    if is_for {
                        heard.entry(*member).or_default().extend(texts_of(&broadcast, *member));
                    }
                }
            }
            ForFanOut::Tell(Tell { member, news }) => {
                let news = news.downcast::<&str>().expect("a text");
                heard.entry(member).or_default().push((*news).to_owned());
            }
            ForFanOut::DismissAll(_) => unreachable!("a broadcaster dismisses no session"),
        }
    }
}

const WORKERS: [WorkerId; 2] = [WorkerId(0), WorkerId(1)];

struct Stage {
    broadcaster: Broadcaster<Place>,
    heard: [Heard; 2],
}

impl Stage {
    fn new() -> Self {
        let broadcaster = Broadcaster::new(RoomBound::new(9), Budget::new(1 << 20));
        Self { broadcaster, heard: [Heard::default(), Heard::default()] }
    }

    fn room(&mut self, name: &str) -> RoomId {
        let name = RoomName::parse(name).expect("a legal name");
        self.broadcaster.rooms.find_or_make(&name).expect("place").id
    }

    /// Registers a session; those with odd numbers are on the second worker.
    fn register(&mut self, number: u64) -> MemberId {
        let worker = WORKERS[usize::from(number % 2 == 1)];
        self.broadcaster.register(MemberId::of(number), worker, seat(PLAIN), ());
        MemberId::of(number)
    }

    /// A session that is subscribed to these rooms.
    fn subscriber(&mut self, number: u64, rooms: &[RoomId]) -> MemberId {
        let member = self.register(number);
        drop(self.broadcaster.subscribe(member));
        rooms.iter().for_each(|room| drop(self.broadcaster.enter(member, *room)));
        member
    }

    fn say(&mut self, room: RoomId, text: &str) -> Ended {
        self.broadcaster.push(room, &Text(text), Reach::All, None)
    }

    /// Gives the fan-outs what is for them.
    fn deliver(&mut self) {
        for (worker, message) in self.broadcaster.outgoing() {
            self.heard[worker.0].take(message);
        }
    }

    fn heard(&mut self, number: u64) -> Vec<String> {
        self.deliver();
        self.heard[usize::from(number % 2 == 1)].of(number)
    }

    fn broadcasts(&mut self) -> [usize; 2] {
        self.deliver();
        [0, 1].map(|worker| self.heard[worker].broadcasts)
    }
}

fn rooms_of(ended: Ended) -> Vec<RoomId> {
    ended.into_iter().map(|(room, _)| room).collect()
}
