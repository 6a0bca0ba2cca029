//! Several nodes on real servers of Redis, each test on one of its own. Without `redis-server` on the machine they are left
//! out, and say so; with `TEST_REDIS` set, as `tests/run.sh` does after it has installed it, that is a failure.

mod books;
mod connecting;
mod cost;
mod link;
mod moving;
mod moving_pictures;
mod names;
mod pages;
mod pair;
mod pictures;
#[path = "../cluster/ports.rs"]
mod ports;
mod records;
mod redis_server;
#[path = "../simulation/rng.rs"]
#[allow(dead_code, reason = "the simulation needs more of it")]
mod rng;
mod schedule;
mod sizes;
mod starting;
mod sweeping;
