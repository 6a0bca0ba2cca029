//! The link to a real Redis: the functions in it, what is asked and heard over connections as bytes, and the thread that
//! has the connections.
//!
//! - [`calls`], [`answers`], [`publications`], [`pages`], [`listing`]: what is asked, answered and published, as bytes, with
//!   [`records`], [`users`] and [`keys`] for its parts. `functions/` has the functions themselves.
//! - [`connecting`]: connects, checks what is there, and loads the functions.
//! - [`facts`]: what a Redis tells of itself. [`fitness`]: whether it is fit to have rooms, and what it promises.
//! - [`start`]: the check at a start. [`namesakes`]: whether the name of a node is taken.
//! - [`moving`]: brings rooms from the journal of a server, and back.
//! - [`traffic`]: two open connections: calls, subscriptions, pings.
//! - [`questions`], [`reading`]: what is asked past the link, for sessions and pages.
//! - [`link_thread`]: the thread, which carries out what the link decides.

mod answers;
mod calls;
pub(crate) mod connecting;
mod facts;
pub(crate) mod fitness;
mod keys;
pub(crate) mod link_thread;
mod listing;
pub(crate) mod moving;
mod namesakes;
mod pages;
mod publications;
mod questions;
mod reading;
mod records;
pub(crate) mod start;
mod traffic;
mod users;

#[cfg(any(test, feature = "testing"))]
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
