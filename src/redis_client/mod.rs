//! How this crate connects to a Redis: for the rooms of nodes, and for namespaces of Socket.IO that servers share.
//!
//! - [`connecting`]: opens a connection. [`error`]: why there is none. [`pauses`]: the time between two attempts.
//! - [`facts`]: what a Redis tells of itself. [`slots`]: which server of a Redis Cluster has which slots.
//! - [`values`]: reads what Redis answers.

pub(crate) mod connecting;
pub(crate) mod error;
pub(crate) mod facts;
pub(crate) mod pauses;
pub(crate) mod slots;
pub(crate) mod values;
