//! Redis: the functions in it, calls and answers as bytes, and the connections.

mod answers;
mod calls;
mod keys;
mod pages;
mod publications;
mod records;
mod users;

pub use self::{
    answers::{BadReply, answer},
    calls::{LIBRARY, call},
    keys::{channel_of, channel_of_node},
    pages::{page, page_of},
    publications::{BadPublication, Publications},
};

#[cfg(test)]
mod tests;
