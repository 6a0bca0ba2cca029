//! Several nodes on real servers of Redis, each test on one of its own. Without `redis-server` on the machine they are left
//! out, and say so.

mod connecting;
mod link;
mod redis_server;
mod starting;
