//! The adapter that shares namespaces with other servers by way of Redis, in the formats of the official adapters.
//!
//! - [`core`] decides: what is said, what becomes of what others say. It has no clock, connection or thread.
//! - [`speech`] is the format that the server speaks, of the [`formats`].
//! - `redis` is the thread with the connections, with the feature `redis`. [`traffic`] is what passes between the two.
//! - [`local`] does on this server what others want. [`handle`] is the adapter as the server has it.

mod core;
mod figures;
pub(crate) mod formats;
mod handle;
mod local;
#[cfg(feature = "redis")]
pub(crate) mod redis;
pub(crate) mod settings;
mod speech;
#[cfg(feature = "redis")]
pub(crate) mod start;
pub(crate) mod traffic;
