//! Avatars of users.

use std::{
    fmt,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::image::{self, ImageError, ImageLimits};

/// The built-in avatars by name. The first is the default.
pub(crate) const AVATARS: [&str; 12] =
    ["fox", "cat", "dog", "bear", "panda", "koala", "rabbit", "tiger", "owl", "penguin", "frog", "whale"];

/// Prefix of the address of an avatar picture.
pub(crate) const AVATARS_PATH: &str = "/avatars/";

/// An avatar: a name of [`AVATARS`], or the address of a picture. A picture is sent once, from its user to
/// the server; other clients get its address.
#[derive(Clone, Debug)]
pub struct Avatar(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Known(&'static str),
    /// The picture stays in memory while a user has it.
    Picture(Arc<Picture>),
    /// The address of a picture that is not in memory.
    Address(Arc<str>),
}

impl Avatar {
    /// The built-in avatar of this name; `None` for another name.
    pub fn known(name: &str) -> Option<Self> {
        AVATARS.into_iter().find(|known| *known == name).map(|known| Self(Kind::Known(known)))
    }

    /// A picture that is in memory.
    pub fn picture(picture: Arc<Picture>) -> Self {
        Self(Kind::Picture(picture))
    }

    /// The address of a picture that is not in memory.
    pub fn address(id: PictureId) -> Self {
        Self(Kind::Address(id.address().into()))
    }

    /// The name, or the address of the picture.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Kind::Known(name) => name,
            Kind::Picture(picture) => &picture.address,
            Kind::Address(address) => address,
        }
    }

    /// The picture, if it is in memory.
    pub fn as_picture(&self) -> Option<&Arc<Picture>> {
        match &self.0 {
            Kind::Picture(picture) => Some(picture),
            Kind::Known(_) | Kind::Address(_) => None,
        }
    }
}

impl Default for Avatar {
    fn default() -> Self {
        Self(Kind::Known(AVATARS[0]))
    }
}

impl PartialEq for Avatar {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Avatar {}

impl fmt::Display for Avatar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The id of a picture: a hash of its type and bytes, so that an address always shows one picture.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PictureId([u8; 16]);

/// Parse error of [`PictureId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an avatar's address ends in 22 characters of base64url")]
pub struct PictureIdError;

impl PictureId {
    /// Creates an id from its stored bits.
    pub fn from_bytes(bits: [u8; 16]) -> Self {
        Self(bits)
    }

    /// The 128 bits of the id.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Parses the address of a picture.
    ///
    /// # Errors
    /// The text is not [`AVATARS_PATH`] followed by an id.
    pub fn from_address(address: &str) -> Result<Self, PictureIdError> {
        address.strip_prefix(AVATARS_PATH).ok_or(PictureIdError)?.parse()
    }

    /// The path of the picture on the server.
    pub fn address(&self) -> String {
        format!("{AVATARS_PATH}{self}")
    }
}

impl FromStr for PictureId {
    type Err = PictureIdError;

    fn from_str(text: &str) -> Result<Self, PictureIdError> {
        let mut bits = [0; 16];
        // Each id has one text: the decoder rejects unused bits that are not 0.
        match BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut bits) {
            Ok(16) => Ok(Self(bits)),
            _ => Err(PictureIdError),
        }
    }
}

impl fmt::Display for PictureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for PictureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PictureId({self})")
    }
}

/// A small picture as a user's avatar.
#[derive(Debug)]
pub struct Picture {
    id: PictureId,
    address: Box<str>,
    media_type: &'static str,
    bytes: Bytes,
    /// When it was last passed to the journal, in milliseconds since 1970.
    kept_at: AtomicU64,
}

impl Picture {
    /// Parses and checks a data URL.
    ///
    /// # Errors
    /// The picture is not of an accepted type, is damaged, or is not within `limits`.
    pub fn parse(data_url: &str, limits: ImageLimits) -> Result<Self, ImageError> {
        let (media_type, bytes) = image::open(data_url, limits)?;
        Ok(Self::new(media_type, bytes.into()))
    }

    /// Creates a picture from its stored type and bytes. `None` if the type is not accepted.
    pub fn stored(media_type: &str, bytes: Bytes) -> Option<Self> {
        Some(Self::new(image::media_type(media_type)?, bytes))
    }

    fn new(media_type: &'static str, bytes: Bytes) -> Self {
        let hash = Sha256::new().chain_update(media_type).chain_update([0]).chain_update(&bytes).finalize();
        let mut bits = [0; 16];
        bits.copy_from_slice(&hash[..16]);
        let id = PictureId(bits);
        Self { id, address: id.address().into(), media_type, bytes, kept_at: AtomicU64::new(0) }
    }

    /// The id, a hash of type and bytes.
    pub fn id(&self) -> PictureId {
        self.id
    }

    /// The path of the picture on the server.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The media type, such as `image/png`.
    pub fn media_type(&self) -> &'static str {
        self.media_type
    }

    /// The image file.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Whether the picture must be passed to the journal again: the last time was at or before `since`. If
    /// so, sets that time to `now`.
    pub fn must_be_kept(&self, since: u64, now: u64) -> bool {
        let must = self.kept_at.load(Ordering::Relaxed) <= since;
        if must {
            self.kept_at.store(now, Ordering::Relaxed);
        }
        must
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::image::tests::data_url;

    const LIMITS: ImageLimits = ImageLimits { bytes: 400, side: 64, pixels: 4096 };

    #[test]
    fn the_address_of_a_picture_names_its_bytes_and_nothing_else() {
        let [png, gif] = ["image/png", "image/gif"].map(data_url);
        let picture = Picture::parse(&png, LIMITS).expect("a picture");
        assert_eq!(picture.media_type(), "image/png");
        assert_eq!(picture.address().len(), AVATARS_PATH.len() + 22);
        assert_eq!(PictureId::from_address(picture.address()), Ok(picture.id()));
        assert_eq!(Picture::parse(&png, LIMITS).expect("a picture").id(), picture.id());
        assert_ne!(Picture::parse(&gif, LIMITS).expect("a picture").id(), picture.id());
        let stored = Picture::stored("image/png", picture.bytes().clone()).expect("a picture");
        assert_eq!(stored.id(), picture.id());
        assert!(Picture::stored("text/html", picture.bytes().clone()).is_none());
        assert_eq!(Avatar::picture(Arc::new(picture)), Avatar::address(stored.id()));
    }

    #[test]
    fn other_texts_are_no_addresses() {
        for other in [
            "",
            "fox",
            "/avatars/",
            "/avatars/abc",
            "/avatars/AAAAAAAAAAAAAAAAAAAAAA=",
            "AAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(PictureId::from_address(other), Err(PictureIdError), "{other}");
        }
        assert_eq!(
            "AAAAAAAAAAAAAAAAAAAAAB".parse::<PictureId>(),
            Err(PictureIdError),
            "bits beyond the last byte"
        );
        assert!("AAAAAAAAAAAAAAAAAAAAAA".parse::<PictureId>().is_ok());
    }

    #[test]
    fn a_picture_is_given_to_the_journal_once_in_a_while() {
        let picture = Picture::parse(&data_url("image/png"), LIMITS).expect("a picture");
        assert!(picture.must_be_kept(0, 100));
        assert!(!picture.must_be_kept(50, 150));
        assert!(picture.must_be_kept(100, 200));
    }
}
