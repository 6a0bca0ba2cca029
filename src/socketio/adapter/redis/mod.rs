//! The thread with the connections to Redis.
//!
//! - [`handle`]: the thread as other threads have it. [`carrying`]: the thread, which carries out what the core decides.
//! - [`home`]: finds the server to connect to, and connects. [`traffic`]: what passes over open connections.
//! - [`others`]: the other servers of a Redis Cluster.
//! - [`requests`]: requests and their replies as values of Redis. [`replies`]: what replies mean.
//! - [`pushes`]: what comes without having been asked for. [`refusals`]: log lines of what Redis refuses.

mod carrying;
pub(crate) mod handle;
mod home;
mod others;
mod pushes;
mod refusals;
mod replies;
mod requests;
mod traffic;

#[cfg(test)]
mod tests;
