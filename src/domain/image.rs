//! Pictures as data URLs (RFC 2397), checked before anybody is shown one.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use imagesize::ImageType;

/// How large a picture may be.
#[derive(Clone, Copy, Debug)]
pub struct ImageLimits {
    /// Bytes of the data URL.
    pub bytes: usize,
    /// Pixels of its longer side: a small file can claim dimensions that fill a reader's memory.
    pub side: usize,
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
    /// The header of the picture cannot be read, or a side is 0 or over [`ImageLimits::side`].
    #[error("the image must be readable and 1 to {limit} pixels on each side")]
    Dimensions {
        /// The limit.
        limit: usize,
    },
}

/// The types we pass on: as the URL names them, and as their first bytes show them.
const TYPES: [(&str, ImageType); 4] = [
    ("image/png", ImageType::Png),
    ("image/jpeg", ImageType::Jpeg),
    ("image/gif", ImageType::Gif),
    ("image/webp", ImageType::Webp),
];

/// Checks that `url` is a picture within `limits`: its form, its type, its first bytes and its dimensions.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn check(url: &str, limits: ImageLimits) -> Result<(), ImageError> {
    if url.len() > limits.bytes {
        return Err(ImageError::TooLarge { got: url.len(), limit: limits.bytes });
    }
    let (kind, payload) = url
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(','))
        .and_then(|(head, payload)| Some((head.strip_suffix(";base64")?, payload)))
        .ok_or(ImageError::NoDataUrl)?;
    let &(name, expected) = TYPES
        .iter()
        .find(|(name, _)| *name == kind)
        .ok_or_else(|| ImageError::OtherType(kind.chars().take(40).collect()))?;
    let bytes = BASE64_STANDARD.decode(payload).map_err(|_| ImageError::NoBase64)?;
    if imagesize::image_type(&bytes).ok() != Some(expected) {
        return Err(ImageError::OtherBytes(name));
    }
    let side = 1..=limits.side;
    match imagesize::blob_size(&bytes) {
        Ok(size) if side.contains(&size.width) && side.contains(&size.height) => Ok(()),
        _ => Err(ImageError::Dimensions { limit: limits.side }),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const LIMITS: ImageLimits = ImageLimits { bytes: 4096, side: 100 };

    /// The first bytes of a picture of 16 times 16 pixels.
    fn picture(kind: &str, side: u16) -> Vec<u8> {
        let [high, low] = side.to_be_bytes();
        match kind {
            "image/png" => {
                let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
                png.extend([0, 0, high, low, 0, 0, high, low, 8, 6, 0, 0, 0]);
                png
            }
            "image/gif" => {
                let mut gif = b"GIF89a".to_vec();
                gif.extend([low, high, low, high, 0, 0, 0]);
                gif
            }
            "image/jpeg" => {
                let mut jpeg = vec![0xFF, 0xD8, 0xFF, 0xE0, 0, 16];
                jpeg.extend(b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
                jpeg.extend([
                    0xFF, 0xC0, 0, 17, 8, high, low, high, low, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1,
                ]);
                jpeg.extend([0xFF, 0xD9]);
                jpeg
            }
            "image/webp" => {
                let mut webp = b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0".to_vec();
                let [high, low] = (side - 1).to_be_bytes();
                webp.extend([low, high, 0, low, high, 0]);
                webp
            }
            other => panic!("no picture of type {other}"),
        }
    }

    /// A data URL of such a picture.
    pub(in crate::domain) fn data_url(kind: &str) -> String {
        format!("data:{kind};base64,{}", BASE64_STANDARD.encode(picture(kind, 16)))
    }

    #[test]
    fn four_kinds_of_pictures_pass() {
        for kind in ["image/png", "image/jpeg", "image/gif", "image/webp"] {
            assert_eq!(check(&data_url(kind), LIMITS), Ok(()), "{kind}");
        }
    }

    #[test]
    fn no_other_kind_passes() {
        assert_eq!(
            check("data:image/svg+xml;base64,PHN2Zy8+", LIMITS),
            Err(ImageError::OtherType("image/svg+xml".to_owned()))
        );
        assert_eq!(
            check("data:text/html;base64,YQ==", LIMITS),
            Err(ImageError::OtherType("text/html".to_owned()))
        );
        for no_url in ["", "hello", "http://x/y.png", "data:image/png,abc", "data:image/png;base64"] {
            assert_eq!(check(no_url, LIMITS), Err(ImageError::NoDataUrl), "{no_url}");
        }
    }

    #[test]
    fn the_bytes_must_be_what_the_url_says() {
        let lie = data_url("image/png").replace("image/png", "image/gif");
        assert_eq!(check(&lie, LIMITS), Err(ImageError::OtherBytes("image/gif")));
        assert_eq!(check("data:image/png;base64,", LIMITS), Err(ImageError::OtherBytes("image/png")));
        assert_eq!(check("data:image/png;base64,?", LIMITS), Err(ImageError::NoBase64));
    }

    #[test]
    fn size_and_dimensions_are_bounded() {
        let url = data_url("image/png");
        let limits = ImageLimits { bytes: url.len() - 1, side: 100 };
        assert_eq!(check(&url, limits), Err(ImageError::TooLarge { got: url.len(), limit: url.len() - 1 }));
        for kind in ["image/png", "image/jpeg", "image/gif", "image/webp"] {
            let huge = format!("data:{kind};base64,{}", BASE64_STANDARD.encode(picture(kind, 60_000)));
            assert_eq!(check(&huge, LIMITS), Err(ImageError::Dimensions { limit: 100 }), "{kind}");
        }
        let cut =
            format!("data:image/png;base64,{}", BASE64_STANDARD.encode(&picture("image/png", 16)[..12]));
        assert_eq!(check(&cut, LIMITS), Err(ImageError::Dimensions { limit: 100 }));
    }
}
