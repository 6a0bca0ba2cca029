//! The secret that proves that a session belongs to a user, and its hashes.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// 128 random bits, written as 32 hexadecimal digits. Every session with a user's token is that user.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token([u8; 16]);

/// Parse error of [`Token`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token is 32 hexadecimal digits")]
pub struct TokenError;

impl Token {
    /// Creates a token from the system's random numbers.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The 128 bits.
    pub(crate) fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The hash that stands for a token in the journal. It does not reveal the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OwnerHash(pub [u8; 16]);

/// The uid of a user, visible to all: a hash of the user's token, equal on every server. Written as 12
/// characters of base64 for URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PublicId([u8; PublicId::LEN]);

impl PublicId {
    /// Length in bytes, all of them ASCII.
    pub const LEN: usize = 12;

    /// Parses stored bytes; `None` if one is not of base64 for URLs.
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Option<Self> {
        bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)).then_some(Self(bytes))
    }

    /// The 12 characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Serialize for PublicId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for PublicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Token {
    /// The hash that stands for the token in the journal.
    pub fn owner_hash(&self) -> OwnerHash {
        OwnerHash(self.hash("owner"))
    }

    /// The uid of the token's user.
    pub fn public_id(&self) -> PublicId {
        let hash: [u8; 9] = self.hash("public id");
        let mut text = [0; PublicId::LEN];
        URL_SAFE_NO_PAD.encode_slice(hash, &mut text).expect("9 bytes are 12 characters");
        PublicId(text)
    }

    /// The first `LEN` bytes of the SHA-256 hash for a purpose. Hashes for different purposes cannot be
    /// linked.
    fn hash<const LEN: usize>(&self, purpose: &str) -> [u8; LEN] {
        let hash = Sha256::new().chain_update(purpose).chain_update(self.0).finalize();
        let mut beginning = [0; LEN];
        beginning.copy_from_slice(&hash[..LEN]);
        beginning
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(TokenError);
        }
        u128::from_str_radix(text, 16).map(|bits| Self(bits.to_be_bytes())).map_err(|_| TokenError)
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Omits the secret, because debug output ends in logs.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_what_it_writes() {
        let token = Token::random().expect("random numbers");
        assert_eq!(token.to_string().parse(), Ok(token));
        assert_eq!(token.to_string().len(), 32);
        assert_ne!(Token::random().expect("random numbers"), token);
    }

    #[test]
    fn a_public_id_is_the_tokens_own_and_tells_nothing_of_other_hashes() {
        let token = Token::random().expect("random numbers");
        let other = Token::random().expect("random numbers");
        assert_eq!(token.public_id(), token.public_id());
        assert_ne!(token.public_id(), other.public_id());
        assert_eq!(token.public_id().to_string().len(), 12);
        assert_eq!(PublicId::from_bytes(token.public_id().0), Some(token.public_id()));
        let owner: [u8; 9] = token.hash("owner");
        assert_ne!(URL_SAFE_NO_PAD.encode(owner), token.public_id().to_string());
    }

    #[test]
    fn other_texts_are_refused_and_the_secret_stays_out_of_logs() {
        for bad in ["", "abc", &"g".repeat(32), &"+".repeat(32), &"é".repeat(16)] {
            assert_eq!(bad.parse::<Token>(), Err(TokenError), "{bad}");
        }
        assert_eq!(format!("{:?}", Token::random().expect("random numbers")), "Token");
    }
}
