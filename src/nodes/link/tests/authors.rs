//! What is said is said under a name that its user has.

use std::time::Duration;

use bytes::Bytes;

use super::{SEEDS, bounds, open_all, room, user, world::World};
use crate::nodes::contract::{AskId, Author, Leave, Order, SayId, ToSay};

/// A message of the user ann with this number.
fn by_ann(id: u64, number: u64) -> Order {
    let claim = user("ann", number);
    let author = Some(Author { key: claim.name.key(), uid: claim.spare.uid });
    let entry = Bytes::from(format!("m{id}\n"));
    let message = ToSay { id: SayId(id), entry, key: None, looked_to: u64::MAX, at: 1, author };
    Order::Say(room("tea"), vec![message])
}

/// Nodes at the first of which the user ann with number 1 is.
fn world(seed: u64) -> World {
    let mut world = World::new(seed, 2, bounds());
    open_all(&mut world, &[room("tea")]);
    world.order(0, Order::Enter(room("tea"), AskId(1), user("ann", 1)));
    world.run_for(Duration::from_secs(1));
    world
}

#[test]
fn what_is_handed_in_by_a_user_that_has_lost_its_name_is_not_said() {
    let mut world = world(1);
    world.order(0, by_ann(1, 1));
    // The chat has not heard yet that another user has the name now.
    world.order(0, by_ann(2, 2));
    world.run_for(Duration::from_secs(1));
    let chat = &world.nodes[0].chat;
    assert_eq!(chat.accepted.keys().collect::<Vec<_>>(), [&SayId(1)]);
    assert_eq!(chat.dropped.iter().collect::<Vec<_>>(), [&SayId(2)]);
}

#[test]
fn a_user_leaves_behind_what_it_has_said() {
    for seed in SEEDS {
        let mut world = world(seed);
        world.order(0, by_ann(1, 1));
        world.order(0, by_ann(2, 1));
        let leave = Leave { key: user("ann", 1).name.key(), holds_name: false, releases: false };
        world.order(0, Order::Leave(room("tea"), leave));
        for _ in 0..2000 {
            world.run_for(Duration::from_micros(100));
            let tea = &world.nodes[1].chat.rooms[&room("tea")];
            assert!(tea.left.is_empty() || tea.said.len() == 2, "seed {seed}");
        }
        assert_eq!(world.nodes[1].chat.rooms[&room("tea")].left.len(), 1, "seed {seed}");
    }
}
