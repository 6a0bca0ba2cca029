//! The name of a node.

use std::{fmt, str::FromStr};

/// Characters of random names. All of them may stand in an address without an escape.
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The name of a node: 4 characters of letters, digits, `-` and `_`. The Socket.IO sids of the node begin with it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeName([u8; Self::LEN]);

/// A text is not the name of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a node's name is 4 characters of letters, digits, - and _")]
pub struct NodeNameError;

impl NodeName {
    /// Length in characters, which are bytes.
    pub const LEN: usize = 4;

    /// A random name.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut random = [0; Self::LEN];
        getrandom::fill(&mut random)?;
        Ok(Self(random.map(Self::letter)))
    }

    /// The name of these characters, all of which are [allowed](Self::is_allowed).
    pub(crate) const fn of_allowed(characters: [u8; Self::LEN]) -> Self {
        Self(characters)
    }

    /// One of the 64 characters, each for four values of `random`.
    pub(crate) fn letter(random: u8) -> u8 {
        LETTERS[usize::from(random % 64)]
    }

    /// Whether a character may be in a name: a letter or digit of ASCII, `-` or `_`.
    pub(crate) fn is_allowed(byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || b"-_".contains(&byte)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        // ASCII by construction.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for NodeName {
    type Err = NodeNameError;

    fn from_str(name: &str) -> Result<Self, NodeNameError> {
        let bytes: [u8; Self::LEN] = name.as_bytes().try_into().map_err(|_| NodeNameError)?;
        if bytes.into_iter().all(Self::is_allowed) { Ok(Self(bytes)) } else { Err(NodeNameError) }
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_four_characters_that_need_no_escape_in_an_address() {
        for bad in ["", "abc", "abcde", "a.bc", "a/bc", "a bc", "añb", "n:01"] {
            assert_eq!(bad.parse::<NodeName>(), Err(NodeNameError), "{bad}");
        }
        assert_eq!("n-_1".parse::<NodeName>().map(|name| name.to_string()), Ok("n-_1".to_owned()));
    }

    #[test]
    fn a_random_name_is_a_name() {
        for _ in 0..100 {
            let name = NodeName::random().expect("random numbers");
            assert_eq!(name.as_str().parse(), Ok(name));
        }
    }
}
