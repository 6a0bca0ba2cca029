//! What a client of several nodes knows, and what it has been told.

use std::collections::BTreeMap;

use echoroom::testing::simulation::{EpochId, Position, Token};

use super::Config;
use crate::{
    client::Unacked,
    names::{Names, Shown},
    rng::Rng,
    session::Welcome,
};

/// What a client knows of a room.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// The last message that it has processed.
    pub position: Option<(EpochId, u64)>,
    /// What it has been told, by offsets.
    pub told: BTreeMap<u64, u32>,
    /// The messages that it was acked, each with its offset.
    pub acked: Vec<(u32, u64)>,
}

pub struct Client {
    pub is_guest: bool,
    pub wants_changes: bool,
    pub speaks_socket_io: bool,
    /// The room that it likes, and its usual nickname.
    pub home: usize,
    pub usual: usize,
    pub token: Option<Token>,
    pub unacked: Vec<Unacked>,
    pub known: Vec<Known>,
    pub session: Option<u64>,
    /// The node of its session, or of its last one.
    pub node: usize,
    pub is_reading: bool,
    // ----- by what it has read on this connection -----
    pub room: Option<usize>,
    pub user: Shown,
    pub next: u64,
    /// Logins and logouts without an answer.
    pub moves: usize,
    /// Where it said that it left off.
    pub asked: Option<(EpochId, u64)>,
    pub users: Option<Vec<Shown>>,
    /// What a guest has heard.
    pub heard: Vec<u32>,
}

impl Client {
    pub fn new(number: usize, config: &Config, rng: &mut Rng) -> Self {
        Self {
            is_guest: number % 5 == 4,
            wants_changes: number % 2 == 1,
            speaks_socket_io: number % 3 == 2,
            home: rng.below(config.rooms),
            usual: (number / 2) % 4,
            token: None,
            unacked: Vec::new(),
            known: vec![Known::default(); config.rooms],
            session: None,
            node: rng.below(config.nodes),
            is_reading: true,
            room: None,
            user: Shown { name: 0, avatar: 0 },
            next: 0,
            moves: 0,
            asked: None,
            users: None,
            heard: Vec::new(),
        }
    }

    /// The connection has ended.
    pub fn lost(&mut self) {
        self.leave();
        self.session = None;
        self.moves = 0;
        self.heard.clear();
    }

    /// It is in no room any more.
    pub fn leave(&mut self) {
        self.room = None;
        self.users = None;
    }

    /// Whether it knows in which room and as whom its next message will be said.
    pub fn is_settled(&self) -> bool {
        self.session.is_some() && self.room.is_some() && self.moves == 0
    }

    /// Where it left off in a room.
    pub fn position(&self, room: usize) -> Option<Position> {
        self.known[room].position.map(|(epoch, offset)| Position { epoch, offset })
    }

    /// It is told that it is in a room, and how much of what it had it must let go. Returns how many acks that declares
    /// to be void.
    ///
    /// Unless Redis `is_safe`, an ack counts no more whose message it was not told before the connection ended.
    pub fn enter(&mut self, welcome: &Welcome, is_safe: bool) -> usize {
        let known = &mut self.known[welcome.room];
        let mut void = 0;
        if !welcome.is_recovered || !is_safe {
            let seen = welcome.begin.saturating_sub(welcome.missed);
            known.told.retain(|offset, _| *offset <= seen);
            let before = known.acked.len();
            known.acked.retain(|(_, offset)| *offset <= seen);
            void = before - known.acked.len();
        }
        known.position = Some((welcome.epoch, welcome.begin));
        self.room = Some(welcome.room);
        self.user = welcome.user;
        self.token = Some(welcome.token);
        self.next = welcome.begin + 1;
        self.users = None;
        void
    }

    /// It has processed a message of its room.
    pub fn process(&mut self, room: usize, offset: u64, number: u32) {
        self.next = offset + 1;
        let known = &mut self.known[room];
        if let Some(position) = &mut known.position {
            position.1 = offset;
        }
        known.told.insert(offset, number);
    }

    /// What it has processed is of this epoch now.
    pub fn epoch(&mut self, room: usize, epoch: EpochId) {
        let known = &mut self.known[room];
        if let Some(position) = &mut known.position {
            position.0 = epoch;
        }
    }

    /// It is told that a user came.
    pub fn come(&mut self, user: Shown, names: &Names) {
        self.gone(user, names);
        if let Some(users) = &mut self.users {
            users.push(user);
        }
    }

    /// It is told that a user went.
    pub fn gone(&mut self, user: Shown, names: &Names) {
        if let Some(users) = &mut self.users {
            users.retain(|known| names.key(known.name) != names.key(user.name));
        }
    }
}
