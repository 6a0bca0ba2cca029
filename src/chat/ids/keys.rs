//! What an id is remembered by.

use sha2::{Digest as _, Sha256};

use crate::domain::{NicknameKey, PublicId, RoomName, Token};

/// Identifies a message with an id: 8 bytes of a hash of the sender's token, 8 of a hash of token and id.
pub(crate) type Key = [u8; 16];

/// The first half of a key, equal for all messages of one sender: the beginning of a hash of the token.
pub(crate) type Sender = [u8; 8];

/// The first half of the keys of all messages of a token's owner.
pub(crate) fn sender_of(token: &Token) -> Sender {
    beginning(Sha256::digest(token.as_bytes()))
}

/// The key of a message; `sender` must be [`sender_of`] `token`. It cannot be computed without the token.
pub(crate) fn key_of(sender: Sender, token: &Token, id: &str) -> Key {
    joined(sender, hash_of(Sha256::new().chain_update(token.as_bytes()), &[id]))
}

/// The key of a private message of a user to another one of a room. Each node can compute it: only the node of the sender
/// has the token. Others cannot make use of it: a message has the public id that its sender has proved to a node.
pub(crate) fn private_key(sender: &PublicId, room: &RoomName, reader: &NicknameKey, id: &str) -> Key {
    let sender = sender.as_str();
    // Names hold no control characters, so `\0` separates the parts.
    let parts = [sender, "\0", room.as_str(), "\0", reader.as_str(), "\0", id];
    joined(beginning(Sha256::digest(sender)), hash_of(Sha256::new(), &parts))
}

fn hash_of(begun: Sha256, parts: &[&str]) -> [u8; 8] {
    beginning(parts.iter().fold(begun, |hash, part| hash.chain_update(part)).finalize())
}

fn beginning(hash: impl AsRef<[u8]>) -> [u8; 8] {
    std::array::from_fn(|index| hash.as_ref()[index])
}

fn joined(sender: Sender, message: [u8; 8]) -> Key {
    let mut key = Key::default();
    key[..8].copy_from_slice(&sender);
    key[8..].copy_from_slice(&message);
    key
}

/// The first half of a key.
pub(super) fn sender(key: &Key) -> Sender {
    std::array::from_fn(|index| key[index])
}
