//! Integration tests: one file per promise, each on the real server on a port of its own.

mod backpressure;
mod chat;
mod compression;
mod crowds;
mod echo;
mod echo_door;
mod floors;
mod frames;
mod health;
mod heartbeat;
mod helpers;
mod identity;
mod journal;
mod limits;
mod metrics;
mod order;
mod page;
mod people;
mod program;
mod recovery;
mod refusals;
mod relay;
mod rooms;
mod settings;
mod shutdown;
mod vanish;
