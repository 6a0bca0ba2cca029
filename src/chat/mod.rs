//! Rooms: who is in them, in which order their messages go out, and how they reach everybody.
//!
//! Sessions speak to one [`ChatServer`]; it orders what they publish and hands finished [`round`]s to one
//! [`FanOut`] per worker, which delivers to the sessions of its thread, and gives what is to be kept to the journal.
//! Who calls: `session` (join, publish, enter, leave), `app` (starts the actors), `routes` (asks for a summary).
//!
//! The actors are in [`server`] and [`fanout`]; what they decide is in plain structs: [`rooms`] and [`room`] (who is
//! where), [`presence`] (who is called what), [`log`] (offsets, recovery, repetitions), [`commits`] (what waits for the
//! journal), [`mod@line`] and [`round`] (what is said, encoded once).

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
