//! Rooms: their members, the order of their messages, and how messages reach all subscribers.
//!
//! Sessions speak to one [`ChatServer`]. It orders what they publish, hands finished broadcasts ([`round`])
//! to one [`FanOut`] per worker, which delivers to the sessions of its thread, and gives the journal what is
//! to be kept. Callers: `session` (join, publish, enter, leave), `app` (starts the actors), `routes` (asks
//! for a summary).
//!
//! The actors are in [`server`] and [`fanout`]. Plain structs decide: [`rooms`] and [`room`] (members),
//! [`presence`] (users), [`log`] (offsets, recovery, repeated messages), [`commits`] (the queue to the
//! journal), [`mod@line`] and [`round`] (broadcasts, encoded once).

mod alarms;
pub mod audience;
pub mod avatars;
mod batch;
pub mod budget;
pub mod commits;
pub mod fanout;
mod handing;
pub mod hub;
pub mod ids;
pub mod lease;
pub mod line;
pub mod listing;
pub mod log;
mod looks;
mod map;
pub mod messages;
mod new_rooms;
pub mod news;
pub mod outlets;
pub mod presence;
pub mod reservations;
pub mod room;
pub mod rooms;
pub mod round;
pub mod server;
mod turn;

pub use self::{
    avatars::AvatarStore,
    budget::{Accepted, Budget, Intake},
    fanout::{FanOut, Patience},
    hub::{Hub, HubLimits, recovery::RecoveryLimits},
    ids::IdLimits,
    lease::{FREE_SHARE, Lease, OutOfMemory, counted, counted_anew},
    line::Dialect,
    messages::{
        AskedRoom, CloseJournal, Cutter, Delivery, DismissAll, Dismissal, ForgetRoom, Join, Leave, ListRooms,
        ListedRoom, MayEnter, Payload, Publish, Refusal, Seat, Summarize, Summary,
    },
    outlets::{Direct, DirectOutlet, Outlets},
    round::Encoding,
    server::{ChatLimits, ChatServer},
};
