//! Pictures as data URLs (RFC 2397), checked before any client gets them.
//!
//! A small file can make a browser allocate any amount of memory. So the bytes are read once, by the rules of
//! the format, and every frame that a browser would draw is counted.

use base64::{Engine as _, prelude::BASE64_STANDARD};

pub(crate) use self::frames::MAX_FRAMES;
use self::reader::Reader;

mod frames;
mod gif;
mod jpeg;
mod png;
mod reader;
mod webp;

/// Bounds on a picture.
#[derive(Clone, Copy, Debug)]
pub struct ImageLimits {
    /// Maximum bytes of the data URL.
    pub bytes: usize,
    /// Maximum pixels of the longer side.
    pub side: usize,
    /// Maximum pixels of all frames together.
    pub pixels: u64,
}

/// Errors of a picture check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// More bytes than [`ImageLimits::bytes`].
    #[error("the image is {got} bytes as a data URL, at most {limit} are taken")]
    TooLarge {
        /// The size in bytes.
        got: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Not `data:image/...;base64,...`.
    #[error("an image is a data URL: data:image/png;base64,...")]
    NoDataUrl,
    /// A type that is not accepted. SVG is one: it can contain scripts.
    #[error("an image is image/png, image/jpeg, image/gif or image/webp, not {0:?}")]
    OtherType(String),
    /// The part after the comma is not base64.
    #[error("the image is not base64")]
    NoBase64,
    /// The bytes are not those of the type the URL names.
    #[error("the bytes of the image are not {0}")]
    OtherBytes(&'static str),
    /// A side is 0 or over [`ImageLimits::side`].
    #[error("the image must be 1 to {limit} pixels on each side")]
    Dimensions {
        /// The limit in pixels.
        limit: usize,
    },
    /// The bytes break the rules of the format.
    #[error("the image cannot be read")]
    Unreadable,
    /// A frame exceeds the picture, or its size differs from the one that its container declares.
    #[error("a frame of the image reaches over its edge")]
    FrameOutside,
    /// The frames have more pixels than [`ImageLimits::pixels`].
    #[error("the frames of the image have more than {limit} pixels together")]
    TooManyPixels {
        /// The limit in pixels.
        limit: u64,
    },
    /// More frames than [`MAX_FRAMES`], or too many scans of a JPEG.
    #[error("the image has more than {MAX_FRAMES} frames, or too many scans")]
    TooManyFrames,
    /// Bytes follow the end of the picture.
    #[error("there are more bytes behind the end of the image")]
    MoreBehind,
}

/// Checks all frames of a picture against limits. A truncated picture is accepted: a browser draws the part
/// that exists.
type Walker = fn(&[u8], ImageLimits) -> Result<(), ImageError>;

/// Checks that nothing follows the end of a picture.
fn end(rest: &Reader<'_>) -> Result<(), ImageError> {
    if rest.is_empty() { Ok(()) } else { Err(ImageError::MoreBehind) }
}

/// An accepted image format.
struct Format {
    /// The media type in the URL.
    name: &'static str,
    /// Whether the first bytes are those of the format.
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
/// The first error found.
pub(crate) fn check(url: &str, limits: ImageLimits) -> Result<(), ImageError> {
    open(url, limits).map(|_| ())
}

/// The accepted media type of this name, if there is one.
pub(super) fn media_type(name: &str) -> Option<&'static str> {
    FORMATS.iter().map(|format| format.name).find(|known| *known == name)
}

/// Checks a picture as [`check`] does; returns its type and bytes.
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
