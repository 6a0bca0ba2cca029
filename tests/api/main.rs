//! Integration tests: one file per promise, each on the real server on a port of its own.

mod backpressure;
mod echo;
mod echo_door;
mod floors;
mod frames;
mod health;
mod helpers;
mod order;
mod page;
mod refusals;
mod relay;
mod rooms;
mod settings;
mod vanish;
