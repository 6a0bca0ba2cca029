//! The connections to Redis.
