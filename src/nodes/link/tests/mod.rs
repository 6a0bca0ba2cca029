//! Nodes on a model of Redis, in everything that may go wrong with nodes, connections and servers.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use bytes::Bytes;

use self::{
    chat::bodies_of,
    world::{LEASE, World},
};
use crate::{
    domain::{Avatar, Nickname, RoomName, Token},
    nodes::{
        Bounds,
        commands::{Answer, Command, MOST_EPOCHS},
        contract::{Claim, Order, Owner, SayId, ToSay},
        model::ModelRedis,
    },
};

mod authors;
mod chat;
mod doubt;
mod names;
mod names_given_anew;
mod pictures;
mod sizes;
mod sweeping;
mod users_at_once;
mod world;

fn room(name: &str) -> RoomName {
    RoomName::parse(name).expect("a name")
}

/// The claim of a user of its own, known by a number.
fn user(name: &str, number: u64) -> Box<Claim> {
    let token: Token = format!("{number:032x}").parse().expect("a token");
    let owner = Owner { hash: token.owner_hash(), uid: token.public_id() };
    Box::new(Claim {
        name: Nickname::parse(name).expect("a legal name"),
        avatar: Avatar::default(),
        owner: Some(owner),
        spare: owner,
        reserves: false,
        leaves: None,
    })
}

/// The key of the message with this number.
fn key_of(number: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&number.to_le_bytes());
    key
}

fn bounds() -> Bounds {
    Bounds { history: 1 << 40, history_bytes: 1 << 40, ..Bounds::default() }
}

/// Messages that were said, and what became of them.
#[derive(Default)]
struct Storm {
    last: u64,
    /// Room, node and body of each message.
    said: HashMap<SayId, (RoomName, usize, String)>,
}

/// What a storm has come to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    accepted: u64,
    /// Messages that were accepted, and are not where that was said.
    lost: u64,
    resets: u64,
}

impl Storm {
    /// A node says something. With a `key`, the message is one that may have been said before.
    fn say(&mut self, world: &mut World, node: usize, room: &RoomName, body: &str, key: Option<u64>) {
        self.last += 1;
        let id = SayId(self.last);
        self.said.insert(id, (room.clone(), node, body.to_owned()));
        let key = key.map(key_of);
        let message = ToSay {
            id,
            entry: Bytes::from(format!("{body}\n")),
            key,
            looked_to: u64::MAX,
            at: world.millis(),
            author: None,
        };
        world.order(node, Order::Say(room.clone(), vec![message]));
    }

    /// A node that is there says something new, or, one time in twenty, what another one has said.
    fn say_something(&mut self, world: &mut World, rooms: &[RoomName]) {
        let alive: Vec<_> = (0..world.nodes.len()).filter(|node| world.can_say(*node)).collect();
        let node = alive[world.rng.below(alive.len() as u64) as usize];
        let room = rooms[world.rng.below(rooms.len() as u64) as usize].clone();
        let again = if self.last > 0 && world.rng.one_in(20) {
            self.said.get(&SayId(1 + world.rng.below(self.last))).cloned()
        } else {
            None
        };
        match again {
            Some((room, _, body)) => {
                let key = body.trim_start_matches('m').parse().expect("a number");
                // A chat does not hand in what it has heard, or waits for.
                let heard = &world.nodes[node].chat.rooms[&room];
                let is_known = heard.keys.contains(&key_of(key))
                    || self.said.values().any(|said| (said.1, &said.2) == (node, &body));
                if !is_known {
                    self.say(world, node, &room, &body, Some(key));
                }
            }
            None => {
                let key = self.last + 1;
                self.say(world, node, &room, &format!("m{key}"), Some(key));
            }
        }
    }

    /// Compares what was heard, what was accepted, and what Redis has in the end.
    fn judge(&self, world: &mut World, rooms: &[RoomName]) -> Outcome {
        let mut outcome = Outcome::default();
        let logs: BTreeMap<_, _> = rooms.iter().map(|room| (room.clone(), log_of(world, room))).collect();
        for (room, log) in &logs {
            let mut bodies: Vec<_> = log.values().collect();
            bodies.sort_unstable();
            let count = bodies.len();
            bodies.dedup();
            assert_eq!(bodies.len(), count, "nothing is said twice in {room:?}: {:?}", doubles(log));
            let head = log.keys().next_back().copied().unwrap_or_default();
            for node in world.nodes.iter().filter(|node| node.is_alive) {
                let heard = &node.chat.rooms[room];
                assert_eq!(heard.head, head, "all hear all of {room:?}");
                assert!(
                    heard.said.iter().all(|(at, body)| log.get(at) == Some(body)),
                    "one order in {room:?}"
                );
            }
        }
        for node in &world.nodes {
            outcome.resets += node.chat.resets;
            for (id, offset) in &node.chat.accepted {
                let (room, _, body) = &self.said[id];
                outcome.accepted += 1;
                outcome.lost += u64::from(logs[room].get(offset) != Some(body));
            }
        }
        for (id, (_, node, body)) in &self.said {
            let node = &world.nodes[*node];
            let is_answered = !node.is_alive || node.chat.accepted.contains_key(id);
            assert!(is_answered, "{body} is never answered: {:?}", node.link);
        }
        outcome
    }
}

/// Offsets and bodies of what was said twice.
fn doubles(log: &BTreeMap<u64, String>) -> Vec<(u64, &String)> {
    let is_double = |(_, body): &(&u64, &String)| log.values().filter(|other| other == body).count() > 1;
    log.iter().filter(is_double).map(|(offset, body)| (*offset, body)).collect()
}

/// What Redis has of a room, by offset.
fn log_of(world: &mut World, room: &RoomName) -> BTreeMap<u64, String> {
    let (now, bounds) = (world.millis(), world.bounds);
    let server = world.nodes.iter().find(|node| node.is_alive).expect("a node").server;
    let (mut log, mut after) = (BTreeMap::new(), 0);
    loop {
        let read = Command::Read { room: room.clone(), after };
        let (answer, _) = world.servers[server].redis.call(now, &read, &bounds);
        let Answer::Records(records) = answer else {
            panic!("records are read");
        };
        if records.is_empty() {
            return log;
        }
        for record in records {
            after = record.last();
            log.extend((record.first..).zip(bodies_of(&record.entries.unwrap_or_default())));
        }
    }
}

/// Opens rooms at all nodes.
fn open_all(world: &mut World, rooms: &[RoomName]) {
    for node in 0..world.nodes.len() {
        rooms.iter().for_each(|room| world.order(node, Order::Open(room.clone())));
    }
    world.run_for(Duration::from_secs(2));
    assert!(world.nodes.iter().all(|node| node.chat.is_up));
}

/// Lets everything come to an end that is under way.
fn settle(world: &mut World) {
    for _ in 0..60 {
        world.resume();
        world.run_for(Duration::from_secs(1));
    }
}

const SEEDS: std::ops::Range<u64> = 0..12;

/// A storm of messages in which `trouble` is called now and then.
fn storm(seed: u64, nodes: usize, mut trouble: impl FnMut(&mut World, u64)) -> (World, Outcome) {
    let rooms = [room("tea"), room("茶")];
    let mut world = World::new(seed, nodes, bounds());
    open_all(&mut world, &rooms);
    let mut storm = Storm::default();
    for step in 0..400 {
        for _ in 0..=world.rng.below(4) {
            storm.say_something(&mut world, &rooms);
        }
        let time = Duration::from_micros(world.rng.below(20_000));
        world.resume();
        world.run_for(time);
        trouble(&mut world, step);
    }
    settle(&mut world);
    let outcome = storm.judge(&mut world, &rooms);
    assert!(outcome.accepted > 300, "{outcome:?}");
    (world, outcome)
}

fn assert_nothing_is_lost(outcome: &Outcome) {
    assert_eq!((outcome.lost, outcome.resets), (0, 0), "{outcome:?}");
}

#[test]
fn all_nodes_hear_one_order_and_a_message_that_is_said_again_elsewhere_is_said_once() {
    for seed in SEEDS {
        assert_nothing_is_lost(&storm(seed, 3, |_, _| {}).1);
    }
}

#[test]
fn connections_that_are_cut_or_frozen_lose_and_double_nothing() {
    for seed in SEEDS {
        let (_, outcome) = storm(seed, 3, |world, step| {
            if step % 20 == 7 {
                let node = world.rng.below(3) as usize;
                if world.rng.one_in(3) {
                    let time = Duration::from_millis(world.rng.below(4000));
                    world.freeze(node, time);
                } else {
                    world.cut(node);
                }
            }
        });
        assert_nothing_is_lost(&outcome);
    }
}

#[test]
fn what_is_on_its_way_while_a_room_is_opened_again_is_said_and_accepted() {
    let tea = room("tea");
    for seed in SEEDS {
        let (_, outcome) = storm(seed, 3, |world, step| {
            if step % 3 == 1 {
                world.order(0, Order::Open(tea.clone()));
            }
        });
        assert_nothing_is_lost(&outcome);
    }
}

#[test]
fn nodes_that_die_take_nothing_with_them_that_was_accepted() {
    for seed in SEEDS {
        let (_, outcome) = storm(seed, 4, |world, step| {
            if step == 100 || step == 250 {
                let node = world.rng.below(2) as usize + if step == 100 { 0 } else { 2 };
                world.kill(node);
            }
        });
        assert_nothing_is_lost(&outcome);
    }
}

#[test]
fn a_node_that_was_paused_longer_than_its_lease_hears_what_it_has_missed() {
    for seed in SEEDS {
        let (_, outcome) = storm(seed, 3, |world, step| {
            if step == 200 {
                let node = world.rng.below(3) as usize;
                world.pause(node, LEASE * 2);
                world.run_for(Duration::from_secs(1));
            }
        });
        assert_nothing_is_lost(&outcome);
    }
}

#[test]
fn what_redis_loses_when_it_is_killed_is_given_back_by_the_nodes() {
    for seed in SEEDS {
        let mut copy = ModelRedis::new("run 1");
        let (_, outcome) = storm(seed, 3, |world, step| match step % 100 {
            60 => copy = world.servers[0].redis.clone(),
            70 => world.restart(0, copy.clone()),
            _ => {}
        });
        assert_nothing_is_lost(&outcome);
    }
}

#[test]
fn offsets_go_on_when_all_of_redis_is_flushed() {
    for seed in SEEDS {
        let (world, outcome) = storm(seed, 3, |world, step| {
            if step % 150 == 100 {
                world.servers[0].redis.flush();
            }
        });
        assert_nothing_is_lost(&outcome);
        assert!(world.nodes[0].chat.rooms.values().all(|room| room.head > 100));
    }
}

#[test]
fn a_room_of_more_epochs_than_are_kept_goes_on_when_all_of_redis_is_flushed() {
    let tea = room("tea");
    let mut world = World::new(1, 2, bounds());
    open_all(&mut world, std::slice::from_ref(&tea));
    let mut storm = Storm::default();
    let count = 2 * MOST_EPOCHS as u64;
    for number in 1..=count {
        storm.say(&mut world, number as usize % 2, &tea, &format!("m{number}"), Some(number));
        world.run_for(Duration::from_secs(2));
        world.servers[0].redis.flush();
        // Both are fenced, and join again.
        world.run_for(LEASE);
    }
    let accepted: Vec<_> = world.nodes.iter().map(|node| node.chat.accepted.values().copied()).collect();
    let mut offsets: Vec<_> = accepted.into_iter().flatten().collect();
    offsets.sort_unstable();
    assert_eq!(offsets, (1..=count).collect::<Vec<_>>());
    for node in &world.nodes {
        assert_eq!((node.chat.rooms[&tea].head, node.chat.resets), (count, 0));
    }
}

#[test]
fn what_a_late_node_has_heard_alone_is_declared() {
    let (mut lost, mut resets) = (0, 0);
    for seed in SEEDS {
        let mut replica = ModelRedis::new("run 1");
        let (_, outcome) = storm(seed, 3, |world, step| match step {
            150 => {
                replica = world.servers[0].redis.clone();
                world.freeze(0, Duration::from_secs(3600));
                world.freeze(1, Duration::from_secs(3600));
            }
            200 => {
                fail_over(world, &replica);
                world.pause(2, Duration::from_secs(4));
            }
            _ => {}
        });
        assert!(outcome.lost == 0 || outcome.resets > 0, "{outcome:?}");
        (lost, resets) = (lost + outcome.lost, resets + outcome.resets);
    }
    assert!(lost > 0 && resets > 0, "{lost} messages were lost, {resets} resets");
}

#[test]
fn what_one_side_of_a_split_has_said_alone_is_declared() {
    let mut lost = 0;
    for seed in SEEDS {
        let (_, outcome) = storm(seed, 3, |world, step| match step {
            150 => {
                let replica = world.servers[0].redis.clone();
                world.servers.push(world::Server { redis: replica, run: 2, is_up: true });
                for node in [0, 1] {
                    world.nodes[node].server = 1;
                    world.cut(node);
                }
            }
            300 => {
                world.nodes[2].server = 1;
                world.servers[0].is_up = false;
                world.cut(2);
            }
            _ => {}
        });
        assert!(outcome.lost == 0 || outcome.resets > 0, "{outcome:?}");
        lost += outcome.lost;
    }
    assert!(lost > 0);
}

/// The replica takes over, and all nodes are sent there.
fn fail_over(world: &mut World, replica: &ModelRedis) {
    world.servers.push(world::Server { redis: replica.clone(), run: 2, is_up: true });
    world.servers[0].is_up = false;
    world.nodes.iter_mut().for_each(|node| node.server = 1);
    world.cut_all(1);
}

#[test]
fn what_a_replica_lacked_is_given_back_after_a_failover() {
    for seed in SEEDS {
        let mut replica = ModelRedis::new("run 1");
        let (_, outcome) = storm(seed, 3, |world, step| match step {
            150 => replica = world.servers[0].redis.clone(),
            200 => fail_over(world, &replica),
            _ => {}
        });
        assert_nothing_is_lost(&outcome);
    }
}

#[test]
fn a_message_that_was_heard_before_it_was_handed_in_is_not_said_again() {
    let tea = room("tea");
    let mut world = World::new(1, 2, bounds());
    open_all(&mut world, std::slice::from_ref(&tea));
    let (mut storm, wait) = (Storm::default(), Duration::from_secs(1));
    storm.say(&mut world, 0, &tea, "m1", Some(1));
    world.run_for(wait);
    // The chat of the other node has not dealt with what its link has told.
    let message = ToSay {
        id: SayId(2),
        entry: Bytes::from_static(b"m1\n"),
        key: Some(key_of(1)),
        looked_to: 0,
        at: 1,
        author: None,
    };
    world.order(1, Order::Say(tea.clone(), vec![message]));
    world.run_for(wait);
    assert_eq!(world.nodes[1].chat.accepted.get(&SayId(2)), Some(&1));
    assert_eq!(log_of(&mut world, &tea).len(), 1);
}
