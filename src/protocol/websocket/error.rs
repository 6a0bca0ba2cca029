//! Protocol errors of a peer.

use crate::protocol::close::{self, CloseReason};

/// A rule of RFC 6455 or a limit of the server that the peer's bytes break. It ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A reserved bit without an extension that uses it, or on a frame where that is forbidden (section 5.2;
    /// RFC 7692, section 6).
    #[error("a reserved bit is set")]
    ReservedBit,
    /// Opcodes 3-7 and 11-15 (section 5.2).
    #[error("opcode {0} is reserved")]
    ReservedOpCode(u8),
    /// An unmasked client frame (section 5.1).
    #[error("a client frame is not masked")]
    NotMasked,
    /// A control frame with FIN clear (section 5.5).
    #[error("a control frame is fragmented")]
    FragmentedControl,
    /// A control frame over 125 bytes (section 5.5).
    #[error("a control frame is over 125 bytes")]
    LongControl,
    /// A 64-bit length with the top bit set (section 5.2).
    #[error("the top bit of a 64-bit length is set")]
    LengthTopBit,
    /// A continuation frame without an unfinished message (section 5.4).
    #[error("a continuation frame comes without a message to continue")]
    UnexpectedContinuation,
    /// A new message inside an unfinished one (section 5.4).
    #[error("a new message begins inside an unfinished one")]
    UnfinishedMessage,
    /// A close payload of one byte (section 5.5.1).
    #[error("a close frame has half a status code")]
    HalfCloseCode,
    /// A close code that must not be sent (section 7.4).
    #[error("close code {0} must not be sent")]
    BadCloseCode(u16),
    /// A close reason that is not UTF-8 (section 5.5.1).
    #[error("a close reason is not UTF-8")]
    BadCloseReason,
    /// A text that is not UTF-8 (section 8.1).
    #[error("a text message is not UTF-8")]
    BadText,
    /// A compressed message that cannot be inflated (RFC 7692, section 7.2.2).
    #[error("a compressed message cannot be inflated")]
    BadCompression,
    /// A message over `--max-message-size`: by its header, joined or decompressed.
    #[error("a message is over {limit} bytes")]
    MessageTooBig {
        /// The limit in bytes.
        limit: usize,
    },
    /// More frames than `--max-fragments`.
    #[error("a message has over {limit} fragments")]
    TooManyFragments {
        /// The limit in frames.
        limit: usize,
    },
}

impl ProtocolError {
    /// The close reason for this error.
    pub fn close_reason(self) -> CloseReason {
        match self {
            Self::BadCloseReason | Self::BadText | Self::BadCompression => close::INVALID_TEXT,
            Self::MessageTooBig { .. } | Self::TooManyFragments { .. } => close::TOO_BIG,
            _ => close::PROTOCOL_ERROR,
        }
    }
}
