//! A session that logs in to a room of another shard of its node.

use super::*;
use crate::nodes::contract::{AskId, Claim, Owner};

fn ann() -> MemberId {
    MemberId::of(1)
}

/// Two shards of one node.
struct Pair {
    shards: [Node; 2],
    redis: Redis,
    here: RoomName,
    there: RoomName,
}

impl Pair {
    fn new() -> Self {
        let node = name_of(0).parse().expect("a name");
        let common = Common::shared(LIMITS, Budget::new(1 << 30), 2, Sharing { node, seed: 7 });
        let now = Now { at: Instant::now(), millis: 1000 };
        let shards = [0, 1].map(|id| Node::of(&common, ShardId(id), now));
        let redis = Redis { nodes: vec![NodeUid::new(node, [0; 12])], epoch: 1, ..Redis::default() };
        let mut names = (0..).map(|number| RoomName::parse(&format!("room {number}")).expect("a legal name"));
        let mut of = |shard| names.find(|room| common.shard_of(room) == ShardId(shard)).expect("endless");
        Self { shards, redis, here: of(0), there: of(1) }
    }

    /// All that is under way is done.
    fn run(&mut self) {
        for _ in 0..9 {
            let forwards: Vec<_> =
                self.shards.iter_mut().flat_map(|shard| std::mem::take(&mut shard.forwards)).collect();
            for (ShardId(to), message) in forwards {
                self.shards[to].feed(Input::FromShard(message));
            }
            for shard in &mut self.shards {
                shard.feed(Input::TurnEnded);
                while let Some(order) = shard.orders.pop_front() {
                    for (_, heard) in self.redis.take(0, order) {
                        shard.feed(Input::Heard(heard));
                    }
                }
            }
        }
    }

    fn log_in(&mut self, at: usize, ticket: u64, name: &str, room: &RoomName) {
        let nickname = Nickname::parse(name).expect("a legal name");
        let login = Login {
            member: ann(),
            ticket,
            room: room.clone(),
            profile: Some(Profile { nickname, avatar: Avatar::default(), uid: None }),
            token: Some(token(1)),
            has_shown_token: true,
            spare: token(100 + ticket),
            position: None,
            wants_changes: None,
            _accepted: self.shards[at].intake.accept(1),
        };
        self.shards[at].ask(login);
        self.run();
    }

    fn told(&mut self) -> Vec<String> {
        self.shards.iter_mut().flat_map(|shard| shard.told(ann())).collect()
    }

    fn users_in(&self, room: &RoomName) -> usize {
        self.redis.rooms.get(room).map_or(0, |room| room.people.len())
    }
}

#[test]
fn a_session_claims_its_name_in_the_room_of_another_shard_and_then_gives_the_first_one_up() {
    let mut pair = Pair::new();
    let (here, there) = (pair.here.clone(), pair.there.clone());
    pair.shards[0].ask(Register {
        member: ann(),
        room: None,
        worker: WorkerId(0),
        seat: seat(PLAIN),
        address: None,
    });
    pair.log_in(0, 1, "ann", &here);
    pair.log_in(0, 2, "ann", &there);
    assert_eq!(pair.told(), ["1: logged in", "2: logged in"]);
    assert_eq!((pair.users_in(&here), pair.users_in(&there)), (0, 1));
    assert!(pair.redis.rooms[&here].open_at.is_empty());
    assert!(pair.shards.iter().all(|shard| shard.budget.accepted() == 0));
}

#[test]
fn a_session_whose_name_is_taken_in_the_room_of_another_shard_stays_where_it_is() {
    let mut pair = Pair::new();
    let (here, there) = (pair.here.clone(), pair.there.clone());
    let other = Nickname::parse("ben").expect("a legal name");
    let taken = Claim {
        name: other,
        avatar: Avatar::default(),
        owner: None,
        spare: Owner { hash: token(9).owner_hash(), uid: token(9).public_id() },
        reserves: false,
        leaves: None,
    };
    let ask = AskId(999);
    drop(pair.redis.take(0, Order::Enter(there.clone(), ask, Box::new(taken))));
    pair.shards[0].ask(Register {
        member: ann(),
        room: None,
        worker: WorkerId(0),
        seat: seat(PLAIN),
        address: None,
    });
    pair.log_in(0, 1, "ann", &here);
    pair.log_in(0, 2, "ben", &there);
    assert_eq!(pair.told(), ["1: logged in", "2: NameTaken"]);
    assert_eq!(pair.users_in(&here), 1);
    assert!(pair.redis.rooms[&there].open_at.is_empty());
}
