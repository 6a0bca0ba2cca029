//! Rooms and broadcasts: who hears what, in which order. It knows bytes and encodings, and no words of the chat or of
//! Socket.IO, which are both built on it.
//!
//! A server of rooms keeps its members in [`Rooms`], appends what they say to an [`OpenRound`], and sends the finished
//! [`Round`] to the [`FanOut`] of each worker with members. Each fan-out delivers to the sessions of its thread.

mod aim;
mod audience;
mod batch;
mod encoding;
mod fanout;
mod map;
mod messages;
mod outlets;
mod rooms;
mod round;
mod turn;

pub use self::{
    aim::{Aim, Hearers, Reach},
    audience::Audience,
    encoding::{Dialect, Encode, Encoding},
    fanout::{FanOut, Patience},
    map::Map,
    messages::{
        AddWorker, Attach, Cutter, Delivery, Detach, DismissAll, Dismissal, FanOutRound, Hear, Ignore, News,
        Seat, Tell,
    },
    outlets::Outlets,
    rooms::{AnyRoom, Found, Membership, RoomId, Rooms, Standing, TooManyRooms},
    round::{Handed, MAX_BYTES, OpenRound, Round},
    turn::{OneTurnLater, TurnLength, WhenMailboxIsEmpty, yield_now},
};
