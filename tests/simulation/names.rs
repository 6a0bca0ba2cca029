//! The names of a simulation, by number: rooms, nicknames and avatars.

use std::str::FromStr as _;

use echoroom::testing::{
    RoomName,
    simulation::{Avatar, Nickname, Profile, Token},
};

/// Nicknames: two spellings of one name, two names that look alike, and others.
const NICKNAMES: [&str; 8] = ["ann", "bob", "cyd", "dora", "Ann", "eve", "b0b", "boo"];

const AVATARS: [&str; 2] = ["cat", "dog"];

pub struct Names {
    pub rooms: Vec<RoomName>,
    pub nicknames: Vec<Nickname>,
    avatars: Vec<Avatar>,
    /// For each nickname the first one with an equal key.
    keys: Vec<usize>,
    /// For each pair of nicknames whether they cannot be told apart.
    alike: Vec<bool>,
}

impl Names {
    pub fn new(rooms: usize) -> Self {
        let room = |number| RoomName::parse(&format!("room {number}")).expect("a legal name");
        let rooms = std::iter::once(RoomName::default()).chain((1..rooms).map(room)).collect();
        let nicknames: Vec<_> =
            NICKNAMES.iter().map(|name| Nickname::parse(name).expect("a legal name")).collect();
        let avatars = AVATARS.iter().map(|name| Avatar::known(name).expect("a known avatar")).collect();
        let key = |name: &Nickname| nicknames.iter().position(|other| other.key() == name.key());
        let keys: Vec<_> = nicknames.iter().filter_map(key).collect();
        let looks: Vec<Vec<_>> = nicknames.iter().map(|name| name.looks().collect()).collect();
        let pairs = (0..nicknames.len()).flat_map(|a| (0..nicknames.len()).map(move |b| (a, b)));
        let alike =
            pairs.map(|(a, b)| keys[a] == keys[b] || looks[a].iter().any(|look| looks[b].contains(look)));
        let alike = alike.collect();
        Self { rooms, nicknames, avatars, keys, alike }
    }

    pub fn room(&self, name: &RoomName) -> Option<usize> {
        self.rooms.iter().position(|known| known == name)
    }

    pub fn nickname(&self, text: &str) -> Option<usize> {
        self.nicknames.iter().position(|known| known.as_str() == text)
    }

    pub fn avatar(&self, text: &str) -> Option<usize> {
        self.avatars.iter().position(|known| known.as_str() == text)
    }

    pub fn key(&self, nickname: usize) -> usize {
        self.keys[nickname]
    }

    pub fn are_alike(&self, one: usize, other: usize) -> bool {
        self.alike[one * self.nicknames.len() + other]
    }

    pub fn profile(&self, nickname: usize, avatar: usize) -> Profile {
        Profile {
            nickname: self.nicknames[nickname].clone(),
            avatar: self.avatars[avatar].clone(),
            uid: None,
        }
    }

    /// Nickname and avatar of a profile.
    pub fn shown(&self, profile: &Profile) -> Option<Shown> {
        let name = self.nickname(profile.nickname.as_str())?;
        Some(Shown { name, avatar: self.avatar(profile.avatar.as_str())? })
    }
}

/// A user as others see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shown {
    pub name: usize,
    pub avatar: usize,
}

/// The token with these bits.
pub fn token(bits: u64) -> Token {
    Token::from_str(&format!("{bits:032x}")).expect("32 digits")
}
