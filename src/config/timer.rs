//! The bound on timers of clients.

/// What a timer of JavaScript can wait: a longer one fires at once. Clients of Socket.IO wait for the interval of
/// pings and their timeout together.
pub const LONGEST_TIMER_MILLIS: u64 = (1 << 31) - 1;
