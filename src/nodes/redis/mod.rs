//! The link to a real Redis: the functions in it, what is asked and heard over connections as bytes, and the thread that
//! has the connections.
//!
//! - [`calls`], [`answers`], [`publications`], [`pages`], [`listing`]: what is asked, answered and published, as bytes, with
//!   [`records`], [`users`] and [`keys`] for its parts. `functions/` has the functions themselves.
//! - [`connecting`]: connects, checks what is there, and loads the functions.
//! - [`fitness`]: whether a Redis is fit to have rooms, and what it promises.
//! - [`start`]: the check at a start. [`namesakes`]: whether the name of a node is taken.
//! - [`moving`]: brings rooms from the journal of a server, and back.
//! - [`traffic`]: two open connections: calls, subscriptions, pings.
//! - [`questions`], [`reading`]: what is asked past the link, for sessions and pages.
//! - [`cluster`]: which server of a Redis Cluster has which partition. [`places`]: finds them, [`servers`]: has them.
//! - [`carrying`]: the thread, which carries out what the [`links`] decide. [`link_thread`]: the link for other threads,
//!   [`status`]: what it tells of Redis.

mod answers;
mod calls;
mod carrying;
mod cluster;
pub(crate) mod connecting;
pub(crate) mod fitness;
mod keys;
pub(crate) mod link_thread;
mod links;
mod listing;
pub(crate) mod moving;
mod namesakes;
mod pages;
mod places;
mod publications;
mod questions;
mod reading;
mod records;
mod servers;
pub(crate) mod start;
mod status;
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
