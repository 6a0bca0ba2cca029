//! Echoroom, a real-time room server on the [actix](https://docs.rs/actix) actor framework.
//!
//! A client connects over WebSocket, or by Socket.IO over polling too, and becomes one actor. A plain one is answered in
//! upper case, and what it says is relayed to everybody else in its room; a chat client logs in, and speaks events. What
//! is said in a room is kept in its journal, and who comes back gets what was missed.
//!
//! # Layout
//!
//! - [`app`]: puts the pieces together: starts the actors, binds the port, runs until stopped.
//! - `http`: connections that speak HTTP: their heads and bodies, deadlines and number.
//! - [`routes`]: the route table, and the checks a request passes before it becomes a session.
//! - [`session`]: one client as an actor; its conversation with the chat ([`session::conversation`]); the lessons of the
//!   page ([`session::lesson`]).
//! - [`chat`]: the rooms of the chat. One [`ChatServer`](chat::ChatServer) keeps members, names and order.
//! - [`socketio`]: a Socket.IO server of its own. Its [`Hub`](socketio::hub::Hub) keeps the rooms of namespaces.
//! - [`broadcast`]: what both are built on: members, rooms, [`Round`](broadcast::Round)s, and one
//!   [`FanOut`](broadcast::FanOut) per worker, which delivers.
//! - [`connection`]: the socket of a session ([`connection::wire`]), the way in ([`connection::inlet`]), the way out
//!   ([`connection::outlet`]), and the bounds on what a client may make the server hold.
//! - [`journal`]: what was said in each room, kept: the contract, a store in memory, one in a SQLite file.
//! - [`protocol`]: bytes in, values out: frames and messages of RFC 6455, packets of Engine.IO and Socket.IO, the chat
//!   vocabulary, close codes, the upper-case answer.
//! - [`domain`], [`config`], [`metrics`], [`logging`], [`parts`]: names, profiles and ids; all settings; what the process
//!   counts; what log lines may show and how often; what happens when a shared actor or thread panics.
//!
//! # Floors
//!
//! `use crate::` points down or stays in its own folder, and a test checks it:
//!
//! `app` > `routes` `http` > `session` > `chat` `socketio` > `broadcast` > `connection` > `journal` > `domain` `protocol`
//! `config` `metrics` `parts` > `logging`
//!
//! When a lower floor must speak to an upper one, it holds a `Recipient` of a message that it defines itself:
//! `broadcast` defines [`Delivery`](broadcast::Delivery), sessions handle it. Or a trait that it defines, within one
//! thread.
//!
//! # The way of a message
//!
//! [`Wire`](connection::wire::Wire) → [`Inlet`](connection::inlet::Inlet) (gate, decoder) →
//! [`WebSocketSession`](session::websocket::WebSocketSession) → [`Publish`](chat::Publish) → `ChatServer` (a frame appended
//! to its room's [round](chat::round)) → `FanOut` on each worker with members → the outlet of each session → its wire.
//!
//! The last step is a call ([`DirectOutlet`](connection::DirectOutlet)): a fan-out and its sessions share a thread, those
//! that speak Socket.IO too. Answers to a session's requests, and frames behind such answers, come to it as a message,
//! [`Delivery`](broadcast::Delivery).
//!
//! The same round, packed, goes from `ChatServer` to the [`Journal`](journal::Journal); its senders get their acks when it
//! is durable. `docs/architecture.md` walks through the code file by file.

// With this feature each item that is meant to be reachable is, so the compiler finds those that are public without need.
#![cfg_attr(feature = "testing", warn(unreachable_pub))]
#![allow(rustdoc::private_intra_doc_links, reason = "the map above names private modules, too")]

pub mod app;
mod broadcast;
mod chat;
pub mod config;
mod connection;
mod domain;
mod http;
mod journal;
mod logging;
mod metrics;
mod parts;
mod protocol;
mod routes;
mod session;
pub mod socketio;

/// What tests and benchmarks of this crate use beside its public API. No promise is made about it.
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod testing {
    pub use crate::{
        broadcast::{
            Attach, Audience, Cutter, Delivery, Dialect, Encoding, FanOut, FanOutRound, Hear, Hearers,
            Outlets, Patience, Reach, Rooms, Seat,
        },
        chat::{
            line::{self, Line},
            room::Room,
            round::ChatRound,
        },
        connection::{Direct, DirectOutlet, Waiting},
        domain::{RoomName, SessionId, WorkerId},
        journal::{
            Append, Epoch, Journal, Keyed, Kind, NewEntry, Record, Retention, memory::MemoryJournal,
            now_millis, sqlite::SqliteJournal,
        },
        metrics::Metrics,
        protocol::{
            chat::CODES,
            close,
            websocket::{self, deflate},
        },
    };
}
