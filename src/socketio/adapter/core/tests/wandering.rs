//! Clients that are lost and come back at random moments, at any server.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use bytestring::ByteString;

use super::world::{Done, Random, Way, World, event, number_of, ways};
use crate::{
    protocol::socketio::Offset,
    socketio::{
        adapter::{settings::RedisFormat, traffic::Here},
        cluster::{Opts, Order, Restored, Session, StreamId, Target},
    },
};

const SERVERS: usize = 2;

/// A server that has no client, but hears all.
const OBSERVER: usize = 2;

/// An event, as a server hands it over.
struct Handed {
    id: StreamId,
    number: u64,
    opts: Opts,
}

/// A client, and what its server knows of it.
struct Client {
    number: u64,
    sid: ByteString,
    pid: ByteString,
    place: Place,
    /// The server that takes its former connection for alive.
    former: Option<usize>,
    /// The rooms, and the offsets behind which they were entered; the first one is its own.
    rooms: Vec<(ByteString, StreamId)>,
    /// On the way to it.
    inbox: VecDeque<(StreamId, u64)>,
    /// The offset of the last event that it has seen.
    seen: Option<StreamId>,
    heard: Vec<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    At(usize),
    Away,
    ComingBackTo(usize),
}

impl Client {
    fn is_for_it(&self, Handed { id, opts: Opts { target, .. }, .. }: &Handed) -> bool {
        let is_in = |name: &ByteString| self.rooms.iter().any(|(room, since)| room == name && since < id);
        let is_called = target.to.is_empty() || target.to.iter().any(is_in);
        is_called && !target.except.iter().any(is_in) && self.rooms[0].1 < *id
    }

    fn session(&self) -> Session {
        Session {
            sid: self.sid.clone(),
            pid: self.pid.clone(),
            rooms: self.rooms.iter().map(|(room, _)| room.clone()).collect(),
            data: "{}".into(),
            since: self.rooms.iter().map(|(room, since)| (room.clone(), since.to_string().into())).collect(),
        }
    }

    /// Its client sees what is next on its way.
    fn see(&mut self) -> bool {
        let next = self.inbox.pop_front();
        if let Some((id, number)) = next {
            self.seen = Some(id);
            self.heard.push(number);
        }
        next.is_some()
    }
}

/// Servers and clients.
struct Play {
    world: World,
    random: Random,
    clients: Vec<Client>,
    /// The last offset of each server.
    positions: [StreamId; SERVERS],
    said: HashMap<u64, Opts>,
    /// The server that reads late.
    slow: usize,
    /// How often a client came back that had seen more than its new server had handed over.
    ahead: usize,
    /// How often a client came back that had not seen any event.
    without_offset: usize,
    /// How often a client came back whose former connection seemed alive.
    released: usize,
}

impl Play {
    fn new(seed: u64) -> Self {
        let mut world = World::new(RedisFormat::Streams, SERVERS + 1);
        // Some streams are empty when the clients come.
        let is_empty = seed.is_multiple_of(3);
        if !is_empty {
            world.tell(0, event(0, Opts::default()));
            world.settle();
            (0..=SERVERS).for_each(|server| drop(world.done(server)));
        }
        let random = Random::new(seed);
        let first: StreamId = if is_empty { "0-0" } else { "1000-0" }.parse().expect("an id");
        let client = |number: u64| {
            let sid = ByteString::from(format!("sid {number}"));
            Client {
                number,
                pid: format!("pid {number}").into(),
                place: Place::At(usize::try_from(number).expect("a small number") % SERVERS),
                former: None,
                rooms: vec![(sid.clone(), first), ("a".into(), first)],
                sid,
                inbox: VecDeque::new(),
                seen: None,
                heard: Vec::new(),
            }
        };
        let clients = (0..3).map(client).collect();
        let (positions, said) = ([first; SERVERS], HashMap::new());
        let slow = usize::from(seed.is_multiple_of(2));
        Self { world, random, clients, positions, said, slow, ahead: 0, without_offset: 0, released: 0 }
    }

    fn opts(&mut self) -> Opts {
        let except = if self.random.one_in(4) { vec!["b".into()] } else { Vec::new() };
        let sid = ByteString::from(format!("sid {}", self.random.below(self.clients.len())));
        let to = match self.random.below(5) {
            0 => Vec::new(),
            1 => vec!["b".into()],
            2 => vec![sid],
            3 => vec!["a".into(), "b".into()],
            _ => vec!["a".into()],
        };
        Opts { target: Target { to, except }, ..Opts::default() }
    }

    fn say(&mut self) {
        let number = self.said.len() as u64 + 1;
        let opts = self.opts();
        self.said.insert(number, opts.clone());
        let server = self.random.below(SERVERS);
        self.world.say(server, event(number, opts), number);
    }

    /// One thing happens.
    fn act(&mut self) {
        match self.random.below(50) {
            0..=5 => self.say(),
            6..=12 => self.see(),
            13 => self.lose(),
            14..=15 => self.come_back(),
            16 => self.enter(),
            17 => self.pass(),
            _ => {
                let (server, count) = (self.random.below(SERVERS + 1), 1 + self.random.below(3));
                let way = self.random.one_of(&ways(count));
                // One server reads late.
                if server == self.slow && way == Way::Entries(count) && !self.random.one_in(8) {
                    return;
                }
                self.world.step(server, way);
                self.carry_out();
            }
        }
    }

    fn see(&mut self) {
        let client = self.random.below(self.clients.len());
        self.clients[client].see();
    }

    fn lose(&mut self) {
        let client = self.random.below(self.clients.len());
        let client = &mut self.clients[client];
        if let Place::At(server) = client.place {
            // What is on its way is lost.
            client.inbox.clear();
            client.place = Place::Away;
            if self.random.one_in(3) {
                client.former = Some(server);
            } else {
                self.world.order(server, Order::KeepSession { session: client.session() });
            }
        }
    }

    fn come_back(&mut self) {
        let (client, server) = (self.random.below(self.clients.len()), self.random.below(SERVERS));
        self.bring_back(client, server);
    }

    fn bring_back(&mut self, number: usize, server: usize) {
        let client = &mut self.clients[number];
        if client.place != Place::Away {
            return;
        }
        client.place = Place::ComingBackTo(server);
        let pid = client.pid.clone();
        self.release(server, &pid);
        let client = &mut self.clients[number];
        self.ahead += usize::from(client.seen.is_some_and(|seen| seen > self.positions[server]));
        self.without_offset += usize::from(client.seen.is_none());
        let offset = client.seen.map_or(Offset::Missing, |seen| Offset::Text(seen.to_string().into()));
        self.world.restore(server, client.number, &client.pid, offset);
        self.carry_out();
    }

    /// A client has come back, here or elsewhere: a server keeps its former socket, if it has that.
    fn release(&mut self, server: usize, pid: &ByteString) {
        let client = self.clients.iter_mut().find(|client| client.pid == *pid).expect("a client");
        if client.former.take_if(|former| *former == server).is_some() {
            self.released += 1;
            self.world.order(server, Order::KeepSession { session: client.session() });
        }
    }

    fn enter(&mut self) {
        let client = self.random.below(self.clients.len());
        let client = &mut self.clients[client];
        if let Place::At(server) = client.place
            && client.rooms.len() < 3
        {
            client.rooms.push(("b".into(), self.positions[server]));
        }
    }

    fn pass(&mut self) {
        // A claim and a session arrive before the search is given up.
        for way in [Way::Command, Way::Reply, Way::Command, Way::Push, Way::Command] {
            (0..SERVERS).for_each(|server| while self.world.step(server, way) {});
            self.carry_out();
        }
        self.world.pass(Duration::from_millis(50));
        self.carry_out();
    }

    /// Does what the servers do for their clients, as a room server does.
    fn carry_out(&mut self) {
        for server in 0..SERVERS {
            for done in self.world.done(server) {
                match done {
                    Done::Here(Here::Emit { args, opts, offset, .. }) => {
                        let id = offset.expect("an offset");
                        self.hand_over(server, &Handed { id, number: number_of(&args), opts });
                    }
                    Done::Own(number, offset) => {
                        let (id, opts) = (offset.expect("an offset"), self.said[&number].clone());
                        self.hand_over(server, &Handed { id, number, opts });
                    }
                    Done::Restored(number, restored) => self.restored(server, number, restored),
                    Done::Here(Here::Release { pid, .. }) => self.release(server, &pid),
                    Done::Here(other) => panic!("{other:?}"),
                }
            }
        }
    }

    fn hand_over(&mut self, server: usize, handed: &Handed) {
        assert!(self.positions[server] < handed.id, "offsets rise");
        self.positions[server] = handed.id;
        let here = self.clients.iter_mut().filter(|client| client.place == Place::At(server));
        for client in here.filter(|client| client.is_for_it(handed)) {
            client.inbox.push_back((handed.id, handed.number));
        }
    }

    fn restored(&mut self, server: usize, number: u64, restored: Option<Restored>) {
        let client = self.clients.iter_mut().find(|client| client.number == number).expect("a client");
        assert_eq!(client.place, Place::ComingBackTo(server));
        let Restored { session, missed, last } = restored.expect("the session was kept");
        assert_eq!((&session, last), (&client.session(), self.positions[server]));
        client.place = Place::At(server);
        client.inbox = missed.iter().map(|(id, args)| (*id, number_of(args))).collect();
    }

    /// All comes to an end, and each client has heard what was for it, in the order of all.
    fn end(mut self, seed: u64) -> [usize; 3] {
        let is_away = |client: &Client| !matches!(client.place, Place::At(_));
        for _ in 0..10 {
            self.world.settle();
            self.carry_out();
            (0..self.clients.len()).for_each(|client| self.bring_back(client, client % SERVERS));
            self.pass();
        }
        assert!(!self.clients.iter().any(is_away), "seed {seed}: all are back");
        let heard = self.world.done(OBSERVER).into_iter().filter_map(|done| match done {
            Done::Here(Here::Emit { args, opts, offset, .. }) => {
                Some(Handed { id: offset.expect("an offset"), number: number_of(&args), opts })
            }
            // It has no sockets.
            Done::Here(Here::Release { .. }) => None,
            other => panic!("{other:?}"),
        });
        let all: Vec<_> = heard.collect();
        assert_eq!(all.len(), self.said.len(), "seed {seed}");
        for client in &mut self.clients {
            while client.see() {}
            let for_it = all.iter().filter(|handed| client.is_for_it(handed)).map(|handed| handed.number);
            assert_eq!(client.heard, for_it.collect::<Vec<_>>(), "seed {seed}, client {}", client.number);
        }
        [self.ahead, self.without_offset, self.released]
    }
}

#[test]
fn a_client_that_comes_back_anywhere_hears_each_event_once_and_in_order() {
    let mut all = [0; 3];
    for seed in 0..200 {
        let mut play = Play::new(seed);
        (0..500).for_each(|_| play.act());
        let counts = play.end(seed);
        all.iter_mut().zip(counts).for_each(|(all, count)| *all += count);
    }
    // The schedules have these cases.
    let [ahead, without_offset, released] = all;
    assert!(ahead > 30 && without_offset > 100 && released > 100, "{all:?}");
}
