//! The server's side of the WebSocket protocol, RFC 6455, without I/O.
//!
//! - [`frame`]: one frame's header, in both directions, and the mask
//! - [`message`]: decodes bytes into messages; every rule is checked at the first byte that breaks it
//! - [`close`]: the payload of a close frame
//! - [`deflate`]: permessage-deflate, RFC 7692
//! - [`error`]: protocol errors of a peer, and their close reasons

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
