//! Bounds in bytes: of messages, and of what the server holds for clients.

use std::num::NonZeroUsize;

use clap::Args;

use super::{ByteSize, reading};

/// How large messages, queues and all of them together may be.
#[derive(Args, Clone, Debug)]
pub struct Limits {
    /// Largest text or binary message in bytes; a larger one closes its session with 1009, a text at /chat is refused
    #[arg(long, env = "ECHOROOM_MAX_MESSAGE_SIZE", value_name = "BYTES", default_value = "64k")]
    pub max_message_size: ByteSize,

    /// Frames one message may come in; more close its session with 1009
    #[arg(long, env = "ECHOROOM_MAX_FRAGMENTS", value_name = "COUNT", default_value = "1024",
          value_parser = reading::count::<NonZeroUsize>)]
    pub max_fragments: NonZeroUsize,

    /// Bytes from its room that may wait for a session that reads too slowly; more close it with 1013. So many bytes
    /// of answers to its own messages make the server stop reading from it
    #[arg(long, env = "ECHOROOM_MAX_QUEUE_BYTES", value_name = "BYTES", default_value = "1m")]
    pub max_queue_bytes: ByteSize,

    /// Bytes of messages a session may have accepted and not yet relayed; at this bound the server stops reading from
    /// it until they are
    #[arg(long, env = "ECHOROOM_MAX_INTAKE_BYTES", value_name = "BYTES", default_value = "256k")]
    pub max_intake_bytes: ByteSize,

    /// The same bound over all sessions together; at most a quarter of --max-memory
    #[arg(long, env = "ECHOROOM_MAX_INTAKE_TOTAL", value_name = "BYTES", default_value = "64m")]
    pub max_intake_total: ByteSize,

    /// Bytes that all clients together make the server hold: messages that are unfinished or not yet relayed, and what waits
    /// for clients that read slowly. While they are held, a client that needs more than 4 KiB is closed with 1013, or gets
    /// 503 [default: 256m, or four of the largest messages]
    #[arg(long, env = "ECHOROOM_MAX_MEMORY", value_name = "BYTES")]
    pub max_memory: Option<ByteSize>,

    /// Largest message before login at /chat, and before a namespace is joined and logged in to at Socket.IO; one more than
    /// an avatar is allowed in any case
    #[arg(long, env = "ECHOROOM_MAX_LOGIN_SIZE", value_name = "BYTES", default_value = "64k")]
    pub max_login_size: ByteSize,
}
