//! Rooms and broadcasts: which member gets which line, in which order. The code knows only bytes and
//! encodings; the chat and Socket.IO are built on it.
//!
//! A server of rooms owns a [`Broadcaster`], which keeps its members and rooms, collects the lines of each
//! room in an open broadcast, and sends the finished [`Broadcast`] to the [`FanOut`] of each worker with
//! subscribers. Each fan-out delivers to the sessions of its thread.

mod aim;
mod batch;
mod broadcaster;
mod directory;
mod encoding;
pub(crate) mod fanout;
mod fanouts;
mod lines;
mod messages;
mod outlets;
mod room_bound;
mod room_id;
mod rooms;
mod subscribers;
#[cfg(test)]
pub(crate) mod testing;
mod turn;

#[cfg(test)]
pub(crate) use self::messages::Tell;
pub(crate) use self::{
    aim::Aim,
    broadcaster::{Broadcaster, Ended},
    directory::{AnyRoom, Found, Standing},
    encoding::Encode,
    fanout::AddWorker,
    fanouts::FanOuts,
    lines::{Broadcast, Handed, MAX_BYTES},
    messages::{EndBroadcasts, ToFanOut},
    room_bound::RoomBound,
    rooms::{Member, Remains},
    turn::{TurnLength, Turns},
};
pub use self::{
    aim::Reach,
    encoding::{Dialect, Encoding},
    fanout::FanOut,
    messages::{Cutter, Delivery, DismissAll, ForFanOut, Seat},
    outlets::Outlets,
    room_id::RoomId,
    subscribers::Subscribers,
};
/// For tests and benchmarks.
#[cfg(any(test, feature = "testing"))]
pub use self::{
    aim::Recipients,
    lines::OpenBroadcast,
    messages::{Attach, FanOutBroadcast, Mail, Subscribe},
};
