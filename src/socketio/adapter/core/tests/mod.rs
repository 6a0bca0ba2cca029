//! Tests of the core: several of them, with a model of Redis between them.

mod asking;
mod connections;
mod junk;
mod order;
mod redis;
mod restoring;
mod rooms;
mod samples;
mod wandering;
mod world;
