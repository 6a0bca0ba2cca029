//! Echoroom, a real-time room server on the [actix](https://docs.rs/actix) actor framework.
//!
//! A client connects over WebSocket, or by Socket.IO over polling too, and becomes one actor. A plain one is answered in
//! upper case, and what it says is relayed to everybody else in its room; a chat client logs in, and speaks events. What
//! is said in a room is kept in its journal, and who comes back gets what was missed.
//!
//! # Layout
//!
//! - [`app`]: starts the actors, binds the port, runs until stopped. The one place that plugs the pieces together.
//! - `http`: connections that speak HTTP: their heads and bodies, deadlines and number.
//! - [`routes`]: the route table, and the checks a request passes before it becomes a session.
//! - [`session`]: one client as an actor; its socket ([`session::wire`]), its way in ([`session::inlet`]) and its way out
//!   ([`session::outlet`]); its chat ([`session::conversation`]); one that speaks Socket.IO ([`session::socketio`]);
//!   the lessons of the page ([`session::lesson`]).
//! - [`chat`]: rooms. One [`ChatServer`](chat::ChatServer) keeps membership, names and order, one
//!   [`FanOut`](chat::FanOut) per worker thread delivers. For the namespaces of Socket.IO a [`Hub`](chat::Hub) does what
//!   `ChatServer` does for the chat.
//! - [`journal`]: what was said in each room, kept: the contract, a store in memory, one in a SQLite file.
//! - [`protocol`]: bytes in, values out: frames and messages of RFC 6455, packets of Engine.IO and Socket.IO, the chat
//!   vocabulary, close codes, the upper-case answer.
//! - [`domain`], [`config`], [`metrics`], [`logging`], [`parts`]: names, faces and ids; all settings; what the process
//!   counts; what log lines may show and how often; what happens when a shared actor or thread panics.
//!
//! # Floors
//!
//! `use crate::` points down or stays on its floor's own folder, and a test checks it:
//!
//! `app` > `routes` `http` > `session` > `chat` > `journal` > `domain` `protocol` `config` `metrics` `parts` > `logging`
//!
//! When a lower floor must speak to an upper one, it holds a `Recipient` of a message that it defines itself:
//! `chat` defines [`Delivery`](chat::Delivery), sessions handle it. Or a trait that it defines, within one thread.
//!
//! # The way of a message
//!
//! [`Wire`](session::wire::Wire) → [`Inlet`](session::inlet::Inlet) (gate, decoder) →
//! [`WebSocketSession`](session::websocket::WebSocketSession) → [`Publish`](chat::Publish) →
//! `ChatServer` (a frame appended to its room's [round](chat::round)) → `FanOut` on each worker with members →
//! [`Outbox`](session::outlet::Outbox) of each session → its wire.
//!
//! The last step is a call ([`DirectOutlet`](chat::DirectOutlet)): a fan-out and its sessions share a thread. Answers to a
//! session's requests, and frames behind such answers, come to it as a message, [`Delivery`](chat::Delivery).
//!
//! The same round, packed, goes from `ChatServer` to the [`Journal`](journal::Journal); its senders get their acks when it
//! is durable.

pub mod app;
pub mod chat;
pub mod config;
pub mod domain;
mod http;
pub mod journal;
pub mod logging;
pub mod metrics;
pub mod parts;
pub mod protocol;
pub mod routes;
pub mod session;
