//! Integration tests: one file per promise, each on the real server on a port of its own.

mod backpressure;
mod compression;
mod crowds;
mod echo;
mod echo_door;
mod floors;
mod frames;
mod health;
mod heartbeat;
mod helpers;
mod limits;
mod metrics;
mod order;
mod page;
mod program;
mod refusals;
mod relay;
mod rooms;
mod settings;
mod shutdown;
mod vanish;
