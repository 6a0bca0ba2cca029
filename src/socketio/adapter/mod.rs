//! The adapter that shares namespaces with other servers by way of Redis, in the formats of the official adapters.

pub(crate) mod formats;
pub(crate) mod traffic;
