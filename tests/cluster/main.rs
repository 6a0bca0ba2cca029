//! Several nodes on one Redis as processes, and what may happen to them: nodes and Redis are killed and stopped, links
//! freeze and are cut, Redis forgets. Clients that behave as real ones do talk all the time, and in the end what all of
//! them were told is compared ([`judge`]).
//!
//! Runs are short. `NODES_SECONDS=30 NODES_SEEDS=10 cargo test --test cluster -- --nocapture` makes longer ones, and prints
//! a line of figures for each.

#[allow(dead_code, reason = "the tests against hostile clients use the rest")]
#[path = "../hostile/client.rs"]
mod client;
#[allow(dead_code, reason = "the tests against hostile clients use the rest")]
#[path = "../hostile/program.rs"]
mod program;
#[allow(dead_code, reason = "the simulation uses the rest")]
#[path = "../simulation/rng.rs"]
mod rng;

mod chatter;
mod cluster;
mod cut;
mod judge;
mod judge_tests;
mod node;
mod ports;
mod recording;
mod redis;
mod redis_cluster;
mod runs;
mod storm;
mod visitor;
mod wire;

mod buffers;
mod failover;
mod joining;
mod kills;
mod links;
mod moving;
mod names;
mod on_redis_cluster;
mod operating;
mod order;
mod pictures;
mod private;
mod redis_dies;
mod rooms;
mod sweeping;
mod tls;
