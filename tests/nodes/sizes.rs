//! The list of the rooms of all nodes.

use echoroom::testing::nodes::*;
use redis::Connection;

use crate::{
    books::{append, attach, claim, enter, node, room, round},
    link::Linked,
    redis_server::Redis,
};

fn ask(redis: &mut Connection, command: &Command) -> Answer {
    answer(command, call(command, &Bounds::default()).query(redis).expect("an answer"))
        .expect("an answer to it")
}

/// Rooms of one partition.
fn neighbours(count: usize) -> Vec<RoomName> {
    let partition = Partition::of(&room("tea"));
    let all = (0..).map(|number| room(&format!("room {number}")));
    all.filter(|room| Partition::of(room) == partition).take(count).collect()
}

/// Tells how many sessions a node has in rooms. Whether that was noted.
fn tell(redis: &mut Connection, number: usize, is_whole: bool, sizes: &[(&RoomName, u64)]) -> bool {
    let partition = Partition::of(&room("tea"));
    let sizes = sizes.iter().map(|(room, size)| ((*room).clone(), *size)).collect();
    let told = ask(redis, &Command::Sizes { partition, node: node(number), is_whole, sizes });
    !matches!(told, Answer::Sized { is_fenced: true })
}

fn listed(redis: &mut Connection, most: usize, asked: &[RoomName]) -> RoomSizes {
    let reply = list(Partition::of(&room("tea")), most, asked).query(redis).expect("an answer");
    list_of(most, vec![reply]).expect("readable")
}

fn sessions(sizes: &RoomSizes) -> Vec<(&str, u64)> {
    sizes.largest.iter().map(|size| (size.name.as_str(), size.sessions)).collect()
}

/// A Redis that these nodes have joined.
fn joined(server: &Redis, nodes: usize) -> Connection {
    let mut redis = server.connect();
    for number in 0..nodes {
        ask(&mut redis, &attach(&room("tea"), node(number)));
    }
    redis
}

#[test]
fn the_sessions_of_all_nodes_are_added_up_and_those_of_a_node_that_is_gone_are_gone() {
    for server in [Redis::with_functions(), Redis::as_cluster()] {
        let mut redis = joined(&server, 2);
        let rooms = neighbours(3);
        let [one, two, three] = [0, 1, 2].map(|at: usize| &rooms[at]);
        let names = [one, two, three].map(RoomName::as_str);
        assert!(tell(&mut redis, 0, true, &[(one, 2), (two, 5)]));
        // Told again, it is counted once.
        for _ in 0..3 {
            assert!(tell(&mut redis, 1, false, &[(one, 7), (three, 1)]));
        }
        let sizes = listed(&mut redis, 50, &[]);
        assert_eq!(sessions(&sizes), [(names[0], 9), (names[1], 5), (names[2], 1)]);
        let sizes = listed(&mut redis, 2, &[]);
        assert_eq!((sessions(&sizes), sizes.count), (vec![(names[0], 9), (names[1], 5)], 3));
        assert!(tell(&mut redis, 1, false, &[(one, 1), (three, 0)]));
        assert!(tell(&mut redis, 0, true, &[(two, 6)]));
        assert_eq!(sessions(&listed(&mut redis, 50, &[])), [(names[1], 6), (names[0], 1)]);
        let partition = Partition::of(one);
        ask(&mut redis, &Command::Bury { partition, gone: node(0) });
        assert!(!tell(&mut redis, 0, true, &[(two, 6)]), "the node is fenced");
        let sizes = listed(&mut redis, 50, &[]);
        assert_eq!((sessions(&sizes), sizes.count), (vec![(names[0], 1)], 1));
    }
}

#[test]
fn a_room_has_the_users_of_all_nodes_without_held_names_and_its_newest_message() {
    let server = Redis::with_functions();
    let mut redis = joined(&server, 2);
    let rooms = neighbours(2);
    let (one, other) = (&rooms[0], &rooms[1]);
    assert!(tell(&mut redis, 0, true, &[(one, 4)]));
    for (number, name) in (0..).zip(["ann", "ben", "cleo"]) {
        ask(&mut redis, &enter(one, node(number % 2), claim(name, Some(number as u32), 90 + number as u32)));
    }
    let leave =
        Leave { key: Nickname::parse("ben").expect("a name").key(), holds_name: true, releases: false };
    ask(&mut redis, &Command::Leave { room: one.clone(), node: node(1), leave });
    ask(&mut redis, &append(round(one, node(0), 1, None, &["a", "b", "c"])));
    let sizes = listed(&mut redis, 50, &[other.clone(), one.clone()]);
    let size = RoomSize { name: one.clone(), sessions: 4, users: 2 };
    assert_eq!(sizes.largest, std::slice::from_ref(&size));
    let standing =
        |name: &RoomName| sizes.asked.iter().find(|asked| asked.size.name == *name).expect("it is there");
    assert_eq!(standing(one).size, size);
    assert!(standing(one).newest.is_some_and(|(epoch, offset)| epoch.number == 1 && offset == 3));
    let nothing = RoomSize { name: other.clone(), sessions: 0, users: 0 };
    assert_eq!(*standing(other), RoomStanding { size: nothing, newest: None });
    // Only those that are asked for.
    let sizes = listed(&mut redis, 0, std::slice::from_ref(one));
    assert_eq!((sizes.largest.len(), sizes.asked.len()), (0, 1));
}

#[test]
fn a_link_lists_the_rooms_of_all_partitions_the_largest_first() {
    let mut server = Redis::start(&[]);
    let linked = Linked::to(&server.url(), "heard");
    linked.up();
    let mut redis = server.connect();
    let rooms: Vec<_> = (1..=100).map(|number| (room(&format!("room {number}")), number)).collect();
    for partition in Partition::all() {
        let of_partition = |(room, _): &&(RoomName, u64)| Partition::of(room) == partition;
        let sizes: Vec<_> = rooms.iter().filter(of_partition).cloned().collect();
        let Some((name, _)) = sizes.first() else { continue };
        ask(&mut redis, &attach(name, node(0)));
        ask(&mut redis, &Command::Sizes { partition, node: node(0), is_whole: true, sizes });
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let list = |asked| runtime.block_on(Link::list_rooms(&linked.link, 50, asked));
    let sizes = list(vec![room("room 3"), room("unknown")]).expect("an answer");
    let expected: Vec<_> = (51..=100).rev().collect();
    assert_eq!(sizes.largest.iter().map(|size| size.sessions).collect::<Vec<_>>(), expected);
    let mut asked: Vec<_> = sizes.asked.iter().map(|asked| asked.size.sessions).collect();
    asked.sort_unstable();
    assert_eq!((sizes.count, asked), (100, vec![0, 3]));
    server.kill();
    linked.down();
    assert!(list(Vec::new()).is_err());
}
