//! The adapter that shares namespaces with other servers by way of Redis, in the formats of the official adapters.
//!
//! - [`traffic`]: what passes between the core, which decides, and the thread with the connections. [`formats`]: messages as
//!   bytes.
//! - [`redis`]: the thread with the connections. [`settings`]: what it and the core are told, [`figures`]: what they count.

#![allow(dead_code, reason = "the server does not use it yet")]

pub(crate) mod figures;
pub(crate) mod formats;
#[cfg(feature = "redis")]
pub(crate) mod redis;
pub(crate) mod settings;
pub(crate) mod traffic;
