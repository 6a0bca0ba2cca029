//! Faces.

use std::{fmt, sync::Arc};

use super::image::{self, ImageLimits};

/// The faces that pages know by name. The first is the default.
pub const AVATARS: [&str; 12] =
    ["fox", "cat", "dog", "bear", "panda", "koala", "rabbit", "tiger", "owl", "penguin", "frog", "whale"];

/// A face: a name of [`AVATARS`], or a small picture as a data URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Avatar(Arc<str>);

impl Avatar {
    /// The face that `text` asks for; the default for one that is unknown, too large or no picture.
    pub fn parse_or_default(text: &str, limits: ImageLimits) -> Self {
        if AVATARS.contains(&text) || image::check(text, limits).is_ok() {
            Self(text.into())
        } else {
            Self::default()
        }
    }

    /// The name or the data URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Avatar {
    fn default() -> Self {
        Self(AVATARS[0].into())
    }
}

impl fmt::Display for Avatar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::image::tests::data_url;

    #[test]
    fn a_face_is_known_by_name_or_is_a_small_picture() {
        let limits = ImageLimits { bytes: 400, side: 64, pixels: 4096 };
        assert_eq!(Avatar::parse_or_default("owl", limits).as_str(), "owl");
        let picture = data_url("image/png");
        assert_eq!(Avatar::parse_or_default(&picture, limits).as_str(), picture);
    }

    #[test]
    fn anything_else_becomes_the_default() {
        let limits = ImageLimits { bytes: 20, side: 64, pixels: 4096 };
        for other in ["", "img/3.jpg", "javascript:alert(1)", &data_url("image/png")] {
            assert_eq!(Avatar::parse_or_default(other, limits), Avatar::default(), "{other}");
        }
    }
}
