//! The link to a real Redis: its connections, what is asked and heard over them, and the thread that has them.
//!
//! - [`connecting`]: connects, checks what is there ([`start`]), and loads the functions.
//! - [`facts`]: what a Redis tells of itself.
//! - [`traffic`]: two open connections: calls, subscriptions, pings.
//! - [`link_thread`]: the thread, which carries out what the link decides.

pub mod connecting;
mod facts;
pub mod link_thread;
pub mod start;
pub mod stub;
mod traffic;
