//! The link to a real Redis: the functions in it, what is asked and heard over connections as bytes, and the thread that
//! has the connections.
//!
//! - [`calls`], [`answers`], [`publications`], [`pages`], [`listing`]: what is asked, answered and published, as bytes, with
//!   [`records`], [`users`] and [`keys`] for its parts. `functions/` has the functions themselves.
//! - [`connecting`]: connects, checks what is there, and loads the functions.
//! - [`facts`]: what a Redis tells of itself. [`fitness`]: whether it is fit to have rooms, and what it promises.
//! - [`start`]: the check at a start.
//! - [`traffic`]: two open connections: calls, subscriptions, pings.
//! - [`questions`], [`reading`]: what is asked past the link, for sessions and pages.
//! - [`link_thread`]: the thread, which carries out what the link decides.

mod answers;
mod calls;
pub mod connecting;
mod facts;
pub mod fitness;
mod keys;
pub mod link_thread;
mod listing;
mod pages;
mod publications;
mod questions;
mod reading;
mod records;
pub mod start;
mod traffic;
mod users;

pub use self::{
    answers::{BadReply, answer},
    calls::{LIBRARY, call},
    keys::{channel_of, channel_of_node},
    listing::{list, list_of},
    pages::{page, page_of, picture, picture_of},
    publications::{BadPublication, Publications},
};

#[cfg(test)]
mod tests;
