//! The link to a real Redis: its connections, what is asked and heard over them, and the thread that has them.
//!
//! - [`connecting`]: connects, checks what is there, and loads the functions.
//! - [`facts`]: what a Redis tells of itself. [`fitness`]: whether it is fit to have rooms, and what it promises.
//! - [`start`]: the check at a start.
//! - [`traffic`]: two open connections: calls, subscriptions, pings.
//! - [`link_thread`]: the thread, which carries out what the link decides.

pub mod connecting;
mod facts;
pub mod fitness;
pub mod link_thread;
pub mod start;
pub mod stub;
mod traffic;
