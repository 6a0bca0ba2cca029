//! Sizes of events, and of the images and avatars in them.

use std::num::NonZeroUsize;

use clap::Args;

use super::{
    ByteSize, SettingError,
    range::{self, MOST_BYTES_OF_ALL, MOST_BYTES_OF_ONE},
    reading,
};

/// Largest image if `--max-image-size` is not set.
const MAX_IMAGE_SIZE: ByteSize = ByteSize(512 * 1024);

/// Largest avatar if `--max-avatar-size` is not set.
const MAX_AVATAR_SIZE: ByteSize = ByteSize(4 * 1024);

/// Bytes of an event beside the picture or the text that it carries: names, ids, the JSON around them.
pub(super) const ENVELOPE_BYTES: usize = 1024;

/// Pixels of the longest side of a picture that can be allowed.
const MOST_PIXELS_OF_A_SIDE: u64 = u16::MAX as u64;

/// Pixels of the largest picture that can be allowed.
const MOST_PIXELS: u64 = MOST_PIXELS_OF_A_SIDE * MOST_PIXELS_OF_A_SIDE;

/// Least bytes of all avatars together.
const LEAST_AVATAR_BYTES: u64 = 1024;

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

impl Events {
    /// Checks each of these settings alone.
    ///
    /// # Errors
    /// The first setting that is not valid.
    pub(super) fn check(&self) -> Result<(), SettingError> {
        range::bytes("max-payload", self.max_payload, ENVELOPE_BYTES as u64..=MOST_BYTES_OF_ONE)?;
        range::count("max-image-side", self.max_image_side.get(), 1..=MOST_PIXELS_OF_A_SIDE)?;
        range::count("max-image-pixels", self.max_image_pixels.get(), 1..=MOST_PIXELS)?;
        range::count("max-avatar-side", self.max_avatar_side.get(), 1..=MOST_PIXELS_OF_A_SIDE)?;
        range::bytes("avatar-bytes", self.avatar_bytes, LEAST_AVATAR_BYTES..=MOST_BYTES_OF_ALL)
    }

    /// Largest image: as it is set, or else the default as far as an event has room for it.
    pub fn max_image_size(&self) -> ByteSize {
        self.max_image_size.unwrap_or_else(|| self.as_far_as_it_fits(MAX_IMAGE_SIZE))
    }

    /// Largest avatar: as it is set, or else the default as far as an event has room for it.
    pub fn max_avatar_size(&self) -> ByteSize {
        self.max_avatar_size.unwrap_or_else(|| self.as_far_as_it_fits(MAX_AVATAR_SIZE))
    }

    /// Bytes of a picture that the largest event has room for.
    pub(super) fn room_for_a_picture(&self) -> usize {
        self.max_payload.get().saturating_sub(ENVELOPE_BYTES).max(1)
    }

    fn as_far_as_it_fits(&self, size: ByteSize) -> ByteSize {
        ByteSize(size.get().min(self.room_for_a_picture()))
    }
}
