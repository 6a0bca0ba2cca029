//! Names over nodes that die, stand still and lose their connections.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::{
    bounds, open_all, room, settle,
    world::{LEASE, World},
};
use crate::{
    domain::{Avatar, Nickname, NicknameKey, Token},
    nodes::contract::{AskId, Claim, Leave, Order, Owner},
};

fn owner(number: u64) -> Owner {
    let token: Token = format!("{number:032x}").parse().expect("a token");
    Owner { hash: token.owner_hash(), uid: token.public_id() }
}

/// Users that nodes have claimed names for, by node and name; with who it was.
#[derive(Default)]
struct Claims {
    last: u64,
    asked: HashMap<AskId, (usize, NicknameKey)>,
    by_node: BTreeMap<(usize, NicknameKey), AskId>,
}

impl Claims {
    fn claim(&mut self, world: &mut World, node: usize, name: u64, bearer: u64) {
        self.last += 1;
        let (ask, name) = (AskId(self.last), Nickname::parse(&format!("user {name}")).expect("a name"));
        let key = name.key();
        if self.by_node.contains_key(&(node, key.clone())) {
            return;
        }
        let claim = Claim {
            name,
            avatar: Avatar::default(),
            owner: Some(owner(bearer)),
            spare: owner(1000 + self.last),
            reserves: false,
            leaves: None,
        };
        self.asked.insert(ask, (node, key.clone()));
        self.by_node.insert((node, key), ask);
        world.order(node, Order::Enter(room("tea"), ask, Box::new(claim)));
    }

    fn leave(&mut self, world: &mut World, node: usize) {
        let own = self.by_node.keys().filter(|(at, _)| *at == node).cloned().collect::<Vec<_>>();
        let Some((_, key)) = own.get(world.rng.below(own.len() as u64) as usize).cloned() else {
            return;
        };
        // A chat gives up what it was given.
        let ask = self.by_node[&(node, key.clone())];
        if world.nodes[node].chat.entered.get(&ask).is_some_and(Result::is_ok) {
            self.by_node.remove(&(node, key.clone()));
            let leave = Leave { key, holds_name: false, releases: false };
            world.order(node, Order::Leave(room("tea"), leave));
        }
    }
}

fn storm(seed: u64, mut trouble: impl FnMut(&mut World, u64)) {
    let rooms = [room("tea")];
    let mut world = World::new(seed, 3, bounds());
    open_all(&mut world, &rooms);
    let mut claims = Claims::default();
    for step in 0..300 {
        for node in 0..3 {
            if world.can_say(node) {
                let (name, bearer) = (world.rng.below(8), world.rng.below(6));
                if world.rng.one_in(3) {
                    claims.leave(&mut world, node);
                } else {
                    claims.claim(&mut world, node, name, bearer);
                }
            }
        }
        world.resume();
        let time = Duration::from_micros(world.rng.below(40_000));
        world.run_for(time);
        trouble(&mut world, step);
    }
    settle(&mut world);
    let alive: Vec<_> = world.nodes.iter().filter(|node| node.is_alive).collect();
    let uids: Vec<_> = alive.iter().map(|node| node.link.node()).collect();
    let users = alive[0].chat.rooms[&rooms[0]].users();
    for node in &alive {
        assert_eq!(node.chat.rooms[&rooms[0]].users(), users, "all nodes know who is there, seed {seed}");
    }
    for (name, nodes) in &users {
        assert!(
            nodes.iter().all(|node| uids.contains(node)),
            "{name} is at a node that is gone, seed {seed}"
        );
    }
    for ((at, key), ask) in &claims.by_node {
        let node = &world.nodes[*at];
        let is_lost = node.chat.names_lost.iter().any(|(_, lost)| lost == key);
        if node.is_alive && node.chat.entered.get(ask).is_some_and(Result::is_ok) && !is_lost {
            let is_there = node.chat.rooms[&rooms[0]].people[key].nodes.contains(&node.link.node());
            assert!(is_there, "{key:?} was given, seed {seed}");
        }
    }
    for node in alive {
        let waits = claims.asked.iter().filter(|(ask, (at, _))| {
            std::ptr::eq(&raw const world.nodes[*at], &raw const *node)
                && !node.chat.entered.contains_key(ask)
        });
        assert_eq!(waits.count(), 0, "each claim is answered, seed {seed}");
    }
}

#[test]
fn all_nodes_agree_on_users_though_connections_are_cut() {
    for seed in super::SEEDS {
        storm(seed, |world, step| {
            if step % 25 == 10 {
                let node = world.rng.below(3) as usize;
                world.cut(node);
            }
        });
    }
}

#[test]
fn users_of_dead_nodes_are_gone_and_those_of_nodes_that_stood_still_are_there_or_told() {
    for seed in super::SEEDS {
        storm(seed, |world, step| match step {
            80 => world.kill(2),
            150 => {
                world.pause(1, LEASE * 2);
                world.run_for(Duration::from_secs(1));
            }
            _ => {}
        });
    }
}

#[test]
fn users_are_there_again_after_redis_has_forgotten_them() {
    for seed in super::SEEDS {
        storm(seed, |world, step| {
            if step % 100 == 60 {
                world.servers[0].redis.flush();
            }
        });
    }
}
