//! Echoroom: a Socket.IO server for [actix-web](https://docs.rs/actix-web), and a chat server that is built on it.
//!
//! # As a library
//!
//! [`socketio`] serves clients of Socket.IO 4 (protocol 5 on Engine.IO 4) in the `App` of another program, over HTTP
//! long-polling and WebSockets. A program that needs nothing else leaves out the chat server, and with it SQLite, Redis and
//! the command line:
//!
//! ```toml
//! echoroom = { version = "0.1", default-features = false, features = ["socketio"] }
//! ```
//!
//! Its page begins with two short programs; `examples/` has whole ones. `docs/embedding.md` describes how it runs beside other
//! routes and on many workers, and `docs/from-node.md` names for each method of Node's `socket.io` what it is here. With the
//! feature `redis`, several servers share their namespaces, and Node servers with the official adapters may be among them:
//! `docs/beside-node.md`.
//!
//! # As a program
//!
//! `cargo run --release` serves a chat: rooms with a journal, for plain WebSockets, for events in JSON and for Socket.IO.
//! `README.md` describes it. With the feature `program`, which is on by default, `app` runs that server inside another
//! program, and `config` has its settings.
//!
//! # For contributors
//!
//! `docs/architecture.md` has the map of the code.

// With this feature every item that is meant to be reachable is, so the compiler finds items that are public
// without need.
#![cfg_attr(feature = "testing", warn(unreachable_pub))]
#![cfg_attr(
    not(feature = "program"),
    allow(
        dead_code,
        unused_imports,
        reason = "the program uses more of what is below `socketio`; its build finds dead code"
    )
)]

#[cfg(feature = "program")]
pub mod app;
mod broadcast;
#[cfg(feature = "program")]
mod chat;
#[cfg(not(feature = "program"))]
mod config;
#[cfg(feature = "program")]
pub mod config;
mod connection;
mod domain;
#[cfg(feature = "program")]
mod http;
#[cfg(feature = "program")]
mod journal;
mod logging;
mod metrics;
#[cfg(feature = "program")]
mod nodes;
mod parts;
mod protocol;
#[cfg(feature = "redis")]
mod redis_client;
#[cfg(feature = "program")]
mod routes;
#[cfg(feature = "program")]
mod session;
pub mod socketio;
mod web;

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
        connection::{Backlog, Budget, Direct, DirectOutlet},
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

    /// What the test of junk from Redis uses.
    pub mod socketio {
        pub use crate::socketio::adapter::formats::trial::{Reading, samples};
    }

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
