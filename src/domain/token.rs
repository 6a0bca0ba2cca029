//! The secret by which the server knows somebody again.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// 128 random bits, written as 32 hexadecimal digits. Whoever bears it is its user.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token([u8; 16]);

/// Why a text is not a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token is 32 hexadecimal digits")]
pub struct TokenError;

impl Token {
    /// A new one, from the system's random numbers.
    ///
    /// # Errors
    /// The system has none to give.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The bits.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// What a token's bearer is known by in the journal. The token cannot be found from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OwnerHash(pub [u8; 16]);

/// What others know a user by beside the name: the hash of the user's token, the same wherever the token is shown. Written
/// as 12 characters of base64 for URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PublicId([u8; PublicId::LEN]);

impl PublicId {
    /// Its length in bytes, all of them ASCII.
    pub const LEN: usize = 12;

    /// One that was written before.
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Option<Self> {
        bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)).then_some(Self(bytes))
    }

    /// Its characters.
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
    /// What its bearer is known by in the journal.
    pub fn owner_hash(&self) -> OwnerHash {
        OwnerHash(self.hash("owner"))
    }

    /// What others know its bearer by.
    pub fn public_id(&self) -> PublicId {
        let hash: [u8; 9] = self.hash("public id");
        let mut text = [0; PublicId::LEN];
        URL_SAFE_NO_PAD.encode_slice(hash, &mut text).expect("9 bytes are 12 characters");
        PublicId(text)
    }

    /// The beginning of a hash for one purpose: hashes for different purposes say nothing of each other.
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

/// Not the secret: what is debugged ends in logs.
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
