//! Bounds in bytes: of messages, and of what the server holds for clients.

use std::num::NonZeroUsize;

use clap::Args;

use super::{
    ByteSize, SettingError,
    events::ENVELOPE_BYTES,
    range::{self, MOST_BYTES_OF_ALL, MOST_BYTES_OF_ONE, MOST_OF_A_KIND},
    reading,
};

/// Bytes that all clients make the server hold if `--max-memory` is not set, and messages are not large.
pub(super) const MAX_MEMORY: ByteSize = ByteSize(256 * 1024 * 1024);

/// Least bytes that all clients make the server hold.
const LEAST_MEMORY_BYTES: u64 = 1 << 20;

/// Least bytes that may wait for one session.
const LEAST_QUEUE_BYTES: u64 = 1024;

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

impl Limits {
    /// Checks each of these settings alone.
    ///
    /// # Errors
    /// The first setting that is not valid.
    pub(super) fn check(&self) -> Result<(), SettingError> {
        range::bytes("max-message-size", self.max_message_size, 1..=MOST_BYTES_OF_ONE)?;
        range::count("max-fragments", self.max_fragments.get(), 1..=MOST_OF_A_KIND)?;
        range::bytes("max-queue-bytes", self.max_queue_bytes, LEAST_QUEUE_BYTES..=MOST_BYTES_OF_ONE)?;
        range::bytes("max-intake-bytes", self.max_intake_bytes, 1..=MOST_BYTES_OF_ONE)?;
        range::bytes("max-intake-total", self.max_intake_total, 1..=MOST_BYTES_OF_ALL)?;
        if let Some(memory) = self.max_memory {
            range::bytes("max-memory", memory, LEAST_MEMORY_BYTES..=MOST_BYTES_OF_ALL)?;
        }
        range::bytes("max-login-size", self.max_login_size, ENVELOPE_BYTES as u64..=MOST_BYTES_OF_ONE)
    }
}

/// Memory in which a message of `size` bytes finds room while it comes in: a buffer that grows is up to twice as large, and
/// a quarter is for messages that have come.
pub(super) fn memory_for(size: ByteSize) -> usize {
    size.get().saturating_mul(4)
}
