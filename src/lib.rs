//! Echoroom, a real-time room server on the [actix](https://docs.rs/actix) actor framework.
//!
//! A client connects over WebSocket, or over Socket.IO with polling too, and gets one actor. A plain client
//! gets each text back in upper case, and the text goes to the other members of its room. A chat client logs
//! in and sends events. The journal keeps the messages of each room, so a client that reconnects gets what it
//! missed.
//!
//! # Layout
//!
//! - [`app`]: puts the parts together: starts the actors, binds the port, runs until stopped.
//! - `http`: HTTP connections: request heads and bodies, timeouts, and the number of connections.
//! - [`routes`]: the route table, and the checks that a request must pass before it becomes a session.
//! - [`session`]: one actor per client; its conversation with the chat ([`session::conversation`]); the
//!   page's lessons ([`session::lesson`]).
//! - [`chat`]: the rooms of the chat, spread over shards. A [`ChatServer`](chat::server::ChatServer) keeps
//!   members, names and order of the rooms of one shard.
//! - [`socketio`]: a Socket.IO server. Its `RoomServer` keeps the rooms of its
//!   namespaces.
//! - [`broadcast`]: a [`Broadcaster`](broadcast::Broadcaster) for each of both, which keeps members, rooms and
//!   open broadcasts, and one [`FanOut`](broadcast::FanOut) per worker, which delivers.
//! - [`connection`]: the socket of a session ([`connection::wire`]), its input ([`connection::inlet`]), its
//!   output ([`connection::outbound`]), and the limits on what a client may make the server hold.
//! - [`nodes`]: several servers that share their rooms by way of one Redis: a [`Link`](nodes::link::Link) decides what
//!   is asked of it, [`nodes::redis`] has the functions in it and the connections.
//! - [`journal`]: the kept messages of each room: the contract, a store in memory, and a store in a SQLite
//!   file.
//! - [`protocol`]: decoders and encoders without I/O: frames and messages of RFC 6455, packets of Engine.IO
//!   and Socket.IO, the events of the chat, close codes, the upper-case answer.
//! - [`domain`], [`config`], [`metrics`], [`logging`], [`parts`]: names, profiles and ids; all settings;
//!   metrics; what log lines may show, and how often; what happens when a shared actor or thread panics.
//!
//! # Floors
//!
//! `use crate::` points down or stays in its own folder, in which files do not name each other in a circle. A
//! test checks it:
//!
//! `app` > `routes` `http` > `session` > `chat` `socketio` > `broadcast` > `connection` > `nodes` >
//! `journal` > `domain` `protocol` `config` `metrics` `parts` > `logging`
//!
//! A lower floor reaches an upper one through a `Recipient` of a message that the lower floor defines:
//! `broadcast` defines [`Delivery`](broadcast::Delivery), and sessions handle it. Within one thread a trait
//! of the lower floor serves too.
//!
//! # The path of a message
//!
//! [`Wire`](connection::wire::Wire) → [`Inlet`](connection::inlet::Inlet) (gate, decoder) →
//! [`WebSocketSession`](session::websocket::WebSocketSession) → [`Publish`](chat::Publish) → `ChatServer`,
//! whose broadcaster appends a frame to the room's broadcast → `FanOut` on each
//! worker with subscribers → the outlet of each session → its [outgoing queue](connection::outbound) → its
//! wire.
//!
//! The last step is a call ([`DirectOutlet`](connection::DirectOutlet)), because a fan-out and its sessions
//! share a thread; this includes sessions of Socket.IO. Replies to a session's requests, and frames behind
//! such replies, arrive as a message, [`Delivery`](broadcast::Delivery).
//!
//! `ChatServer` also sends the broadcast, encoded for the journal, to the [`Journal`](journal::Journal). Its
//! senders get their acks when it is durable. `docs/architecture.md` describes the code file by file.

// With this feature every item that is meant to be reachable is, so the compiler finds items that are public
// without need.
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
mod nodes;
mod parts;
mod protocol;
mod routes;
mod session;
pub mod socketio;

/// Items for this crate's tests and benchmarks beside the public API. They may change in any release.
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod testing {
    pub use crate::{
        broadcast::{
            Attach, Cutter, Delivery, Dialect, Encoding, FanOut, FanOutBroadcast, ForFanOut, Mail,
            OpenBroadcast, Outlets, Reach, Recipients, RoomId, Seat, Subscribe, Subscribers,
        },
        chat::{
            kept::Kept,
            line::{self, Line},
        },
        connection::{Backlog, Direct, DirectOutlet},
        domain::{MemberId, RoomName, WorkerId},
        journal::{
            Append, Epoch, Journal, Keyed, Kind, NewEntry, Record, Records, Retention, memory::MemoryJournal,
            now_millis, sqlite::SqliteJournal,
        },
        metrics::Metrics,
        parts::Mailbox,
        protocol::{
            chat::CODES,
            close,
            websocket::{self, deflate},
        },
    };

    /// What the tests of several nodes use.
    pub mod nodes {
        pub use crate::{
            config::NodeName,
            domain::{
                Avatar, Nickname, NicknameKey, RoomName, Token,
                avatar::{Picture, PictureId},
                token::{OwnerHash, PublicId},
            },
            journal::{Entry, Epoch, EpochId, Keyed, Kind, NewEntry, Page, Range, Record, entry::unpack},
            nodes::{
                Bounds, NodeUid, Partition,
                commands::{self, *},
                contract::{self, *},
                link,
                model::{Channel, ModelRedis},
                redis::{
                    BadPublication, BadReply, LIBRARY, Publications, answer, call, channel_of,
                    channel_of_node,
                    connecting::Options,
                    link_thread::{Decide, RedisLink, Status},
                    list, list_of,
                    moving::{MovingError, Tally, export, import},
                    page, page_of, picture, picture_of,
                    start::{StartError, check},
                },
            },
            parts::Parts,
        };
    }

    /// What the simulation links: the chat and the delivery without their actors.
    pub mod simulation {
        pub use crate::{
            broadcast::{
                DismissAll,
                fanout::sessions::{Lost as LostMail, Sessions as FanOutSessions},
            },
            chat::{
                calls::{Call, CallId},
                common::{ChatLimits, Common, ShardId, Sharing},
                core::Lost as LostInput,
                effects::{Done, Effect, Input, Job, Now},
                handing::{Decided, Decisions},
                ids::IdLimits,
                line::said_event,
                log::Resume,
                messages::{
                    Behind, CaughtUp, ChatNews, ListUsers, LoggedIn, Login, Logout, Payload, Post, Publish,
                    Register, Rejected, Reply, Request, SendPrivate, ShowTyping, Tail, Unregister, UntilKept,
                    UsersPage,
                },
                position::{Place, Position},
                shard::{Figures, Shard},
                transfer::ToShard,
            },
            config::NodeName,
            connection::{
                Accepted, Budget, Ending, Intake, Lease,
                lease::report_counts,
                outbound::{Bounds, Outbound, Outlet, PollAnswer},
            },
            domain::{Avatar, Nickname, NicknameKey, OwnerHash, Profile, PublicId, Token},
            journal::{Entry, EpochId, JournalError, Page, Range, ReservedName, RoomState, entry::unpack},
            nodes::{
                NodeUid, Partition,
                contract::{
                    AskId, Away, Claim, Heard, Leave, Link, NotEntered, Opened, Order, Owner, Partitions,
                    Person, SaidRecord, SayId, ToSay,
                },
            },
        };
    }
}
