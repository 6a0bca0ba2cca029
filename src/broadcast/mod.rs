//! Rooms and broadcasts: which member gets which line, in which order. The code knows only bytes and
//! encodings; the chat and Socket.IO are built on it.
//!
//! A server of rooms keeps its members in [`Rooms`], appends their lines to an [`OpenBroadcast`], and sends
//! the finished [`Broadcast`] to the [`FanOut`] of each worker with subscribers. Each fan-out delivers to the
//! sessions of its thread.

mod aim;
mod batch;
mod encoding;
mod fanout;
mod lines;
mod map;
mod messages;
mod outlets;
mod rooms;
mod subscribers;
mod turn;

pub(crate) use self::{
    aim::Aim,
    encoding::Encode,
    fanout::AddWorker,
    lines::{Broadcast, Handed, MAX_BYTES, OpenBroadcast},
    map::Map,
    messages::{Detach, DismissAll, News, Tell, Unsubscribe},
    rooms::{AnyRoom, Found, Member, Rooms, Standing},
    turn::{TurnLength, WhenMailboxIsEmpty, yield_now},
};
pub use self::{
    aim::{Reach, Recipients},
    encoding::{Dialect, Encoding},
    fanout::FanOut,
    messages::{Attach, Cutter, Delivery, FanOutBroadcast, Seat, Subscribe},
    outlets::Outlets,
    rooms::RoomId,
    subscribers::Subscribers,
};
