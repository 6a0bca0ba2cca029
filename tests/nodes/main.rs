//! Several nodes on one Redis: the functions in a real redis-server, against a model of them.

mod books;
mod cost;
mod names;
mod pages;
mod pair;
mod records;
mod redis_server;
#[path = "../simulation/rng.rs"]
#[allow(dead_code, reason = "the simulation needs more of it")]
mod rng;
mod schedule;
