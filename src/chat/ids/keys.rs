//! What an id is remembered by.

use sha2::{Digest as _, Sha256};

use crate::domain::{NicknameKey, RoomName, Token};

/// Identifies a message with an id: 8 bytes of a hash of the sender's token, 8 of a hash of token and id.
pub(crate) type Key = [u8; 16];

/// The first half of a key, equal for all messages of one sender: the beginning of a hash of the token.
pub(crate) type Sender = [u8; 8];

/// The first half of the keys of all messages of a token's owner.
pub(crate) fn sender_of(token: &Token) -> Sender {
    let hash = Sha256::digest(token.as_bytes());
    std::array::from_fn(|index| hash[index])
}

/// The key of a message; `sender` must be [`sender_of`] `token`. It cannot be computed without the token.
pub(crate) fn key_of(sender: Sender, token: &Token, id: &str) -> Key {
    key_of_parts(sender, token, &[id])
}

/// The key of a private message to one user of a room.
pub(crate) fn private_key(
    sender: Sender,
    token: &Token,
    room: &RoomName,
    reader: &NicknameKey,
    id: &str,
) -> Key {
    // Names hold no control characters, so `\0` separates the parts.
    key_of_parts(sender, token, &[room.as_str(), "\0", reader.as_str(), "\0", id])
}

fn key_of_parts(sender: Sender, token: &Token, parts: &[&str]) -> Key {
    let begun = Sha256::new().chain_update(token.as_bytes());
    let message = parts.iter().fold(begun, |hash, part| hash.chain_update(part)).finalize();
    let mut key = Key::default();
    key[..8].copy_from_slice(&sender);
    key[8..].copy_from_slice(&message[..8]);
    key
}

/// The first half of a key.
pub(super) fn sender(key: &Key) -> Sender {
    std::array::from_fn(|index| key[index])
}
