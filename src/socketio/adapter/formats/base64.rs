//! Base64 as Node reads it: with padding or without.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;

use super::Junk;

const TOLERANT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The bytes of a text in Base64.
///
/// # Errors
/// It is not Base64.
pub(super) fn from_base64(text: &[u8]) -> Result<Bytes, Junk> {
    TOLERANT.decode(text).map(Bytes::from).map_err(|_| Junk::NotBase64)
}
