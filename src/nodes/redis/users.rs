//! Users as Redis keeps and publishes them: four lines, which are owner and uid, nodes, avatar, and name.

use std::time::Duration;

use crate::{
    domain::{Avatar, Nickname, OwnerHash, PictureId, PublicId},
    nodes::contract::{Claim, Owner, Person},
};

/// Digits of an owner.
const OWNER: usize = 32;

/// An owner as 32 digits.
pub(super) fn owner_text(owner: &OwnerHash) -> String {
    format!("{:032x}", u128::from_be_bytes(owner.0))
}

/// Reads 32 digits of an owner.
pub(super) fn read_owner(text: &str) -> Option<OwnerHash> {
    let bits = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == OWNER)?;
    Some(OwnerHash(bits.to_be_bytes()))
}

/// The first line of a user.
pub(super) fn who_text(owner: &Owner) -> String {
    format!("{}{}", owner_text(&owner.hash), owner.uid)
}

/// The last lines of a user.
pub(super) fn shown_text(claim: &Claim) -> String {
    format!("{}\n{}", claim.avatar, claim.name)
}

/// Reads a user; `None` if it is none.
pub(super) fn read_person(text: &str, held_for: u64) -> Option<Person> {
    let mut lines = text.splitn(4, '\n');
    let (hash, uid) = lines.next()?.split_at_checked(OWNER)?;
    let uid = PublicId::from_bytes(uid.as_bytes().try_into().ok()?)?;
    let nodes = lines.next()?.split_terminator(' ').map(|node| node.parse().ok());
    let nodes = nodes.collect::<Option<Vec<_>>>()?;
    let avatar = read_avatar(lines.next()?)?;
    let name = Nickname::parse(lines.next()?).ok()?;
    let owner = Owner { hash: read_owner(hash)?, uid };
    Some(Person { name, avatar, owner, nodes, held_for: Duration::from_millis(held_for) })
}

fn read_avatar(text: &str) -> Option<Avatar> {
    Avatar::known(text).or_else(|| PictureId::from_address(text).ok().map(Avatar::address))
}
