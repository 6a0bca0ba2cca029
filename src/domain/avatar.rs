//! Avatars: what users look like to others.

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

/// The avatars that pages know by name. The first is the default.
pub const AVATARS: [&str; 12] =
    ["fox", "cat", "dog", "bear", "panda", "koala", "rabbit", "tiger", "owl", "penguin", "frog", "whale"];

/// How the address of a picture begins, which the server has for every avatar that is one.
pub const AVATARS_PATH: &str = "/avatars/";

/// An avatar: a name of [`AVATARS`], or the address of a picture. A picture travels once, from its user to the server;
/// clients that are to show it are told the address.
#[derive(Clone, Debug)]
pub struct Avatar(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Known(&'static str),
    /// The picture is held as long as a user wears it.
    Picture(Arc<Picture>),
    /// The address of a picture that is not in memory.
    Address(Arc<str>),
}

impl Avatar {
    /// The avatar of this name, if there is one.
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

    /// Its name, or the address of its picture.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Kind::Known(name) => name,
            Kind::Picture(picture) => &picture.address,
            Kind::Address(address) => address,
        }
    }

    /// Its picture, if that is in memory.
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

/// The name of a picture: a hash of its bytes and its type, so that an address always shows one picture.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PictureId([u8; 16]);

/// A text is not the name of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an avatar's address ends in 22 characters of base64url")]
pub struct PictureIdError;

impl PictureId {
    /// The id of these bits, as they were stored.
    pub fn from_bytes(bits: [u8; 16]) -> Self {
        Self(bits)
    }

    /// The bits.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The id that an address names.
    ///
    /// # Errors
    /// It is no address of a picture.
    pub fn from_address(address: &str) -> Result<Self, PictureIdError> {
        address.strip_prefix(AVATARS_PATH).ok_or(PictureIdError)?.parse()
    }

    /// Where the picture is found.
    pub fn address(&self) -> String {
        format!("{AVATARS_PATH}{self}")
    }
}

impl FromStr for PictureId {
    type Err = PictureIdError;

    fn from_str(text: &str) -> Result<Self, PictureIdError> {
        let mut bits = [0; 16];
        // One bit pattern, one text: bits beyond the last byte must be 0.
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

/// A small picture that users may wear.
#[derive(Debug)]
pub struct Picture {
    id: PictureId,
    address: Box<str>,
    media_type: &'static str,
    bytes: Bytes,
    /// When it was last given to the journal, in milliseconds since 1970.
    kept_at: AtomicU64,
}

impl Picture {
    /// The picture of a data URL.
    ///
    /// # Errors
    /// It is none that we pass on, or not within `limits`.
    pub fn parse(data_url: &str, limits: ImageLimits) -> Result<Self, ImageError> {
        let (media_type, bytes) = image::open(data_url, limits)?;
        Ok(Self::new(media_type, bytes.into()))
    }

    /// The picture of this type and these bytes, as it was stored. `None` if there is no such type.
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

    /// Its name.
    pub fn id(&self) -> PictureId {
        self.id
    }

    /// Its address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its type, such as `image/png`.
    pub fn media_type(&self) -> &'static str {
        self.media_type
    }

    /// The file.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Whether the journal is to be given it once more: it was last given it before `since`, and is now.
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
