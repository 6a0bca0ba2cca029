//! The WebSocket protocol of a server, RFC 6455, without I/O.
//!
//! - [`frame`]: one frame's header, in both directions, and the mask
//! - [`message`]: bytes as they arrive to whole messages, every rule checked at the first byte that breaks it
//! - [`close`]: the payload of a close frame
//! - [`deflate`]: permessage-deflate, RFC 7692
//! - [`error`]: what a peer did wrong, and the close code that answers it

pub mod close;
pub mod deflate;
pub mod error;
pub mod frame;
pub mod message;

pub use self::{
    close::CloseFrame,
    error::ProtocolError,
    message::{Decoder, Limits, Message},
};
