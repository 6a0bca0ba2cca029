//! Rooms: who is in them, in which order their messages go out, and how they reach everybody.
//!
//! Sessions speak to one [`ChatServer`]; it orders what they publish and hands finished [`round`]s to one
//! [`FanOut`] per worker, which delivers to the sessions of its thread. Who calls: `session` (join, publish,
//! leave), `app` (starts the actors), `routes` (asks for a summary).

pub mod budget;
pub mod fanout;
pub mod messages;
pub mod rooms;
pub mod round;
pub mod server;
mod turn;

pub use self::{
    budget::{Accepted, Budget, Intake},
    fanout::{FanOut, Patience},
    messages::{
        Cutter, Delivery, DismissAll, Dismissal, Join, Leave, MayEnter, Payload, Publish, Seat, Summarize,
        Summary,
    },
    round::Encoding,
    server::ChatServer,
};
