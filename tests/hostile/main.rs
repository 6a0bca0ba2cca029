//! Hostile clients, disks and machines against the real program, each with a budget that it must hold.
//!
//! A budget is generous in absolute terms, for the machine that runs the tests may be slow and busy; where a cost must
//! not grow faster than its cause, the test compares two sizes of one attack. How fast the server is belongs in the load
//! benchmark.

mod amplification;
#[allow(dead_code, reason = "tests to come use the rest")]
mod client;
mod crowd;
mod disk;
mod drop;
mod faults;
mod files;
mod handshakes;
mod harness;
mod heads;
mod kills;
mod log;
mod memory;
mod panics;
mod parts;
mod polling;
#[allow(dead_code, reason = "tests to come use the rest")]
mod program;
mod rooms;
mod slow;
mod storm;
mod talker;
