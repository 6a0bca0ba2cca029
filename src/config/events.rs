//! Sizes of events, and of the images and avatars in them.

use std::num::NonZeroUsize;

use clap::Args;

use super::{ByteSize, reading};

/// How large an event, an image and an avatar may be.
#[derive(Args, Clone, Debug)]
pub struct Events {
    /// Largest message at /chat, and largest message or payload of Socket.IO, in bytes, images included; a larger one
    /// closes its session with 1009, or gets 413
    #[arg(long, env = "ECHOROOM_MAX_PAYLOAD", value_name = "BYTES", default_value = "1000000")]
    pub max_payload: ByteSize,

    /// Largest image as a data URL in bytes; a larger one is refused [default: 512k, or less if --max-payload has no
    /// room for that]
    #[arg(long, env = "ECHOROOM_MAX_IMAGE_SIZE", value_name = "BYTES")]
    pub max_image_size: Option<ByteSize>,

    /// Pixels of an image's longer side; a larger one is refused
    #[arg(long, env = "ECHOROOM_MAX_IMAGE_SIDE", value_name = "PIXELS", default_value = "4096",
          value_parser = reading::count::<NonZeroUsize>)]
    pub max_image_side: NonZeroUsize,

    /// Pixels of all frames of an image together; one with more is refused
    // Twice those of the largest image by default: a browser holds four bytes for each.
    #[arg(long, env = "ECHOROOM_MAX_IMAGE_PIXELS", value_name = "PIXELS", default_value = "33554432",
          value_parser = reading::count::<NonZeroUsize>)]
    pub max_image_pixels: NonZeroUsize,

    /// Largest avatar as a data URL in bytes; for a larger one the default is shown [default: 4k, or less if
    /// --max-payload has no room for that]
    #[arg(long, env = "ECHOROOM_MAX_AVATAR_SIZE", value_name = "BYTES")]
    pub max_avatar_size: Option<ByteSize>,

    /// Pixels of an avatar's longer side; for a larger one the default is shown. All its frames together may have four
    /// times the pixels of the largest
    #[arg(long, env = "ECHOROOM_MAX_AVATAR_SIDE", value_name = "PIXELS", default_value = "256",
          value_parser = reading::count::<NonZeroUsize>)]
    pub max_avatar_side: NonZeroUsize,

    /// Bytes of avatars that are pictures, in memory and in the journal each (there at most a quarter of
    /// --max-data-size); those that no user wears go, the longest unused first
    #[arg(long, env = "ECHOROOM_AVATAR_BYTES", value_name = "BYTES", default_value = "64m")]
    pub avatar_bytes: ByteSize,
}
