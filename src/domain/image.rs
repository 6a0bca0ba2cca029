//! Pictures as data URLs (RFC 2397), checked before anybody is shown one.
//!
//! A small file can make a reader's browser reserve any amount of memory, so it is not believed: its bytes are walked
//! through once, by its format's rules, and every frame that a reader would draw is counted.

use base64::{Engine as _, prelude::BASE64_STANDARD};

pub use self::frames::MAX_FRAMES;
use self::reader::Reader;

mod frames;
mod gif;
mod jpeg;
mod png;
mod reader;
mod webp;

/// How large a picture may be.
#[derive(Clone, Copy, Debug)]
pub struct ImageLimits {
    /// Bytes of the data URL.
    pub bytes: usize,
    /// Pixels of its longer side.
    pub side: usize,
    /// Pixels of all its frames together.
    pub pixels: u64,
}

/// Why a text is not a picture we pass on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// More bytes than [`ImageLimits::bytes`].
    #[error("the image is {got} bytes as a data URL, at most {limit} are taken")]
    TooLarge {
        /// Its size.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// Not `data:image/...;base64,...`.
    #[error("an image is a data URL: data:image/png;base64,...")]
    NoDataUrl,
    /// A type we do not pass on. SVG is one: it can hold scripts.
    #[error("an image is image/png, image/jpeg, image/gif or image/webp, not {0:?}")]
    OtherType(String),
    /// The part behind the comma.
    #[error("the image is not base64")]
    NoBase64,
    /// The bytes are not those of the type the URL names.
    #[error("the bytes of the image are not {0}")]
    OtherBytes(&'static str),
    /// A side is 0 or over [`ImageLimits::side`].
    #[error("the image must be 1 to {limit} pixels on each side")]
    Dimensions {
        /// The limit.
        limit: usize,
    },
    /// The bytes are not arranged as those of its type are.
    #[error("the image cannot be read")]
    Unreadable,
    /// A frame reaches over the edge of the picture, or is of another size than the picture says.
    #[error("a frame of the image reaches over its edge")]
    FrameOutside,
    /// The frames have more pixels than [`ImageLimits::pixels`].
    #[error("the frames of the image have more than {limit} pixels together")]
    TooManyPixels {
        /// The limit.
        limit: u64,
    },
    /// More frames, or parts of frames, than [`MAX_FRAMES`].
    #[error("the image has more than {MAX_FRAMES} frames, or too many scans")]
    TooManyFrames,
    /// The picture is over, and something follows.
    #[error("there are more bytes behind the end of the image")]
    MoreBehind,
}

/// A walk through all frames of a picture within limits. A picture may be cut: then a browser draws as much as there is.
type Walker = fn(&[u8], ImageLimits) -> Result<(), ImageError>;

/// Checks that nothing follows the end of a picture.
fn end(rest: &Reader<'_>) -> Result<(), ImageError> {
    if rest.is_empty() { Ok(()) } else { Err(ImageError::MoreBehind) }
}

/// A type we pass on.
struct Format {
    /// As the URL names it.
    name: &'static str,
    /// As its first bytes show it.
    is_it: fn(&[u8]) -> bool,
    walk: Walker,
}

const FORMATS: [Format; 4] = [
    Format { name: "image/png", is_it: |bytes| bytes.starts_with(png::SIGNATURE), walk: png::walk },
    Format { name: "image/jpeg", is_it: |bytes| bytes.starts_with(b"\xFF\xD8\xFF"), walk: jpeg::walk },
    Format {
        name: "image/gif",
        is_it: |bytes| bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a"),
        walk: gif::walk,
    },
    Format {
        name: "image/webp",
        is_it: |bytes| bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP"),
        walk: webp::walk,
    },
];

/// Checks that `url` is a picture within `limits`: its form, its type, its first bytes and all its frames.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn check(url: &str, limits: ImageLimits) -> Result<(), ImageError> {
    open(url, limits).map(|_| ())
}

/// The type of a picture that we pass on, if this is one.
pub(super) fn media_type(name: &str) -> Option<&'static str> {
    FORMATS.iter().map(|format| format.name).find(|known| *known == name)
}

/// The type and the bytes of a picture, once they are checked as [`check`] does.
pub(super) fn open(url: &str, limits: ImageLimits) -> Result<(&'static str, Vec<u8>), ImageError> {
    if url.len() > limits.bytes {
        return Err(ImageError::TooLarge { got: url.len(), limit: limits.bytes });
    }
    let (kind, payload) = url
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(','))
        .and_then(|(head, payload)| Some((head.strip_suffix(";base64")?, payload)))
        .ok_or(ImageError::NoDataUrl)?;
    let format = FORMATS
        .iter()
        .find(|format| format.name == kind)
        .ok_or_else(|| ImageError::OtherType(kind.chars().take(40).collect()))?;
    let bytes = BASE64_STANDARD.decode(payload).map_err(|_| ImageError::NoBase64)?;
    if !(format.is_it)(&bytes) {
        return Err(ImageError::OtherBytes(format.name));
    }
    (format.walk)(&bytes, limits)?;
    Ok((format.name, bytes))
}

#[cfg(test)]
pub(super) mod tests;
