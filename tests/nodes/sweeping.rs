//! What is too old or too much in Redis is removed.

use std::{thread, time::Duration};

use echoroom::testing::{nodes::*, now_millis};
use redis::Connection;

use crate::{
    books::{append, attach, claim, enter, node, room, round},
    redis_server::Redis,
};

/// A partition in a Redis, and two nodes.
struct Swept {
    redis: Connection,
    server: Redis,
    bounds: Bounds,
    rooms: Vec<RoomName>,
}

impl Swept {
    /// With rooms of one partition in which something was said, the first one longest ago.
    fn with_rooms(server: Redis, count: usize) -> Self {
        let partition = Partition::of(&room("tea"));
        let all = (0..).map(|number| room(&format!("room {number}")));
        let rooms: Vec<_> = all.filter(|room| Partition::of(room) == partition).take(count).collect();
        let mut swept = Self { redis: server.connect(), server, bounds: Bounds::default(), rooms };
        (0..2).for_each(|number| _ = swept.ask(&attach(&room("tea"), node(number))));
        for (place, ago) in (0..count).zip((1..=count as u64).rev()) {
            // Further than the time in `rooms` may lag behind.
            swept.say(place, 1, now_millis() - 60_000 * ago);
        }
        swept
    }

    /// Says ten messages of 100 bytes, with their entries, in each its own round.
    fn say(&mut self, place: usize, first_seq: u64, at: u64) {
        for seq in first_seq..first_seq + 10 {
            let round = round(&self.rooms[place], node(0), seq, None, &["x".repeat(80).as_str()]);
            self.ask(&append(Append { at, ..round }));
        }
    }

    fn ask(&mut self, command: &Command) -> Answer {
        let reply = call(command, &self.bounds).query(&mut self.redis).expect("an answer");
        answer(command, reply).expect("an answer to it")
    }

    /// Has a node sweep that knows of so much in all partitions; what is left.
    fn sweep_as(&mut self, number: usize, rooms: u64, bytes: u64) -> commands::Swept {
        let all = commands::Swept { rooms, bytes };
        let partition = Partition::of(&room("tea"));
        match self.ask(&Command::Sweep { partition, node: node(number), all }) {
            Answer::Swept(swept) => swept,
            other => panic!("{other:?}"),
        }
    }

    /// The next time that a node may sweep has come.
    fn pass_time(&mut self) {
        let key = format!("er:{{e{}}}:sweep", Partition::of(&room("tea")).number());
        redis::cmd("DEL").arg(key).exec(&mut self.redis).expect("deleted");
    }

    fn sweep(&mut self, rooms: u64, bytes: u64) -> commands::Swept {
        self.pass_time();
        self.sweep_as(0, rooms, bytes)
    }

    /// Has a node hear a room.
    fn open(&self, place: usize) -> Connection {
        let mut feed = self.server.connect();
        let subscribe = redis::cmd("SSUBSCRIBE").arg(channel_of(&self.rooms[place])).get_packed_command();
        feed.send_packed_command(&subscribe).expect("sent");
        feed.recv_response().expect("a confirmation");
        feed
    }

    /// The number of records in each room.
    fn records(&mut self) -> Vec<usize> {
        let rooms = self.rooms.clone();
        let count = |room: &RoomName| match self.ask(&Command::Read { room: room.clone(), after: 0 }) {
            Answer::Records(records) => records.len(),
            other => panic!("{other:?}"),
        };
        rooms.iter().map(count).collect()
    }

    fn head(&mut self, place: usize) -> u64 {
        let room = self.rooms[place].clone();
        match self.ask(&Command::Open { room, wants_keys: false, version: 0 }) {
            Answer::Position(position) => position.head,
            other => panic!("{other:?}"),
        }
    }

    /// All keys that are about rooms, without the beginning that all have.
    fn keys(&mut self) -> Vec<String> {
        let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut self.redis).expect("keys");
        let end = |key: &String| key.split_once("}:").map(|(_, end)| end.to_owned());
        let is_of_room = |key: &String| !["n", "g", "graves", "sweep"].contains(&key.as_str());
        let mut keys: Vec<_> = keys.iter().filter_map(end).filter(is_of_room).collect();
        keys.sort_unstable();
        keys
    }
}

#[test]
fn rooms_with_only_old_messages_are_forgotten_and_offsets_go_on_where_a_node_hears_it() {
    for server in [Redis::with_functions(), Redis::as_cluster()] {
        let mut swept = Swept::with_rooms(server, 3);
        swept.bounds.history_age = Duration::from_secs(90);
        // The first two are older than that.
        let mut feed = swept.open(0);
        assert_eq!(swept.sweep(0, 0).rooms, 1);
        assert_eq!(swept.records(), [0, 0, 10]);
        assert_eq!((swept.head(0), swept.head(1), swept.head(2)), (10, 0, 10));
        let forgot = feed.recv_response().expect("a publication");
        assert!(format!("{forgot:?}").contains("F10"), "{forgot:?}");
        let name = swept.rooms[1].as_str().to_owned();
        assert!(!swept.keys().iter().any(|key| key.ends_with(&name)), "nothing is left of it");
        swept.say(0, 11, now_millis());
        assert_eq!(swept.head(0), 20);
    }
}

#[test]
fn one_node_at_a_time_sweeps_and_all_are_told_how_much_there_is() {
    let mut swept = Swept::with_rooms(Redis::with_functions(), 4);
    let first = swept.sweep_as(0, 0, 0);
    assert_eq!(first.rooms, 4);
    assert!((4000..6000).contains(&first.bytes), "{first:?}");
    swept.bounds.max_rooms = 1;
    assert_eq!(swept.sweep_as(1, 4, 0), first, "not yet");
    assert_eq!(swept.sweep(4, 0).rooms, 1);
}

#[test]
fn of_too_many_rooms_those_go_that_were_silent_longest_and_that_no_node_hears() {
    let mut swept = Swept::with_rooms(Redis::with_functions(), 6);
    swept.bounds.max_rooms = 100;
    assert_eq!(swept.sweep(100, 0).rooms, 6, "as many as may be");
    let _feed = swept.open(1);
    // Half as many may be, so half of the rooms of each partition go.
    assert_eq!(swept.sweep(200, 0).rooms, 3);
    assert_eq!(swept.records(), [0, 10, 0, 0, 10, 10]);
}

#[test]
fn of_too_many_bytes_those_go_that_were_said_longest_ago_and_the_newest_ones_stay_where_a_node_hears_them() {
    let mut swept = Swept::with_rooms(Redis::with_functions(), 4);
    let all = swept.sweep(0, 0).bytes;
    swept.bounds.max_bytes = 1000 * all;
    assert_eq!(swept.sweep(0, 1000 * all).bytes, all, "as many as may be");
    let _feed = swept.open(0);
    // Three eighths may be, which are one room and a half.
    swept.bounds.max_bytes = 3 * all / 8;
    let left = swept.sweep(0, all);
    assert!(left.bytes <= 3 * all / 8, "{left:?} of {all}");
    assert_eq!((swept.records(), swept.head(0)), (vec![1, 0, 0, 10], 10));
}

#[test]
fn nothing_is_left_of_a_room_whose_names_are_not_held_or_reserved_any_more() {
    let mut swept = Swept::with_rooms(Redis::with_functions(), 1);
    swept.bounds.name_hold = Duration::from_millis(1);
    swept.bounds.name_reservation = Duration::from_millis(1);
    swept.bounds.history_age = Duration::from_secs(1);
    let name = swept.rooms[0].clone();
    let claim = Claim { reserves: true, ..claim("ann", Some(1), 2) };
    let key = claim.name.key();
    swept.ask(&enter(&name, node(0), claim));
    let look = |swept: &mut Swept| {
        let old = format!("er:{{e{}}}:old", Partition::of(&name).number());
        let score = redis::cmd("ZADD").arg(&[&old, "XX", "0", name.as_str()]).exec(&mut swept.redis);
        score.expect("set");
        swept.sweep(0, 0);
    };
    look(&mut swept);
    assert!(swept.keys().contains(&format!("u:{}", name.as_str())), "it is used: {:?}", swept.keys());
    swept.ask(&Command::Leave {
        room: name.clone(),
        node: node(0),
        leave: Leave { key, holds_name: true, releases: false },
    });
    // Hold and reservation are over in the next millisecond but one.
    thread::sleep(Duration::from_millis(5));
    look(&mut swept);
    assert_eq!(swept.keys(), Vec::<String>::new());
}
