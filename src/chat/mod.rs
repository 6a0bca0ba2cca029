//! The chat: its rooms, their users, and what is said there.
//!
//! Sessions speak to one [`ChatServer`]. It orders what they publish, hands finished [broadcasts](round) to one
//! [`FanOut`](crate::broadcast::FanOut) per worker, and gives the journal what is to be kept. Callers: `session`
//! (join, publish, enter, leave), `app` (starts the actor), `routes` (asks for a summary).
//!
//! The actor is in [`server`]. Plain structs decide: [`room`], [`presence`] (users), [`log`] (offsets, recovery,
//! repeated messages), [`commits`] (the queue to the journal), [`mod@line`] and [`round`] (what is said, encoded
//! once).

mod alarms;
pub mod avatars;
pub mod commits;
mod handing;
pub mod ids;
pub mod line;
pub mod listing;
pub mod log;
mod looks;
pub mod messages;
mod new_rooms;
pub mod news;
pub mod presence;
pub mod reservations;
pub mod room;
pub mod round;
pub mod server;

pub use self::{
    avatars::AvatarStore,
    ids::IdLimits,
    messages::{
        AskedRoom, CloseJournal, ForgetRoom, Join, Leave, ListRooms, ListedRoom, MayEnter, Payload, Publish,
        Refusal, Summarize, Summary,
    },
    server::{ChatLimits, ChatServer},
};
