//! Rooms and broadcasts: which member gets which line, in which order. The code knows only bytes and
//! encodings; the chat and Socket.IO are built on it.
//!
//! A server of rooms keeps its members in [`Rooms`], appends their lines to an [`OpenRound`], and sends the
//! finished [`Round`] to the [`FanOut`] of each worker with subscribers. Each fan-out delivers to the
//! sessions of its thread.

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

pub(crate) use self::{
    aim::Aim,
    encoding::Encode,
    fanout::AddWorker,
    map::Map,
    messages::{Detach, DismissAll, Dismissal, Ignore, News, Tell},
    rooms::{AnyRoom, Found, Membership, Rooms, Standing},
    round::{Handed, MAX_BYTES, OpenRound, Round},
    turn::{TurnLength, WhenMailboxIsEmpty, yield_now},
};
pub use self::{
    aim::{Hearers, Reach},
    audience::Audience,
    encoding::{Dialect, Encoding},
    fanout::{FanOut, Patience},
    messages::{Attach, Cutter, Delivery, FanOutRound, Hear, Seat},
    outlets::Outlets,
    rooms::RoomId,
};
