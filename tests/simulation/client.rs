//! What a client knows, and what it has been told.

use echoroom::testing::simulation::{EpochId, Position, Token};

use crate::{
    names::{Names, Shown},
    session::Welcome,
};

/// The last message that a client has processed in a room.
#[derive(Clone, Copy, Debug)]
pub struct Processed {
    pub epoch: EpochId,
    pub offset: u64,
    /// The message; `None` if it was not given it.
    pub number: Option<u32>,
}

impl Processed {
    pub fn position(&self) -> Position {
        Position { epoch: self.epoch, offset: self.offset }
    }
}

/// A message with an id and without an ack.
#[derive(Clone, Copy, Debug)]
pub struct Unacked {
    pub number: u32,
    pub room: usize,
    pub token: Token,
    pub len: usize,
    /// The key of the reader, of a private message.
    pub to: Option<usize>,
}

pub struct Client {
    pub is_guest: bool,
    pub wants_changes: bool,
    pub speaks_socket_io: bool,
    /// The room that it likes, and its usual nickname.
    pub home: usize,
    pub usual: usize,
    pub token: Option<Token>,
    pub processed: Vec<Option<Processed>>,
    pub unacked: Vec<Unacked>,
    pub session: Option<u64>,
    pub is_reading: bool,
    // ----- by what it has read on this connection -----
    pub room: Option<usize>,
    pub user: Shown,
    epoch: Option<EpochId>,
    pub next: u64,
    /// Logins and logouts without an answer.
    pub moves: usize,
    /// Where it said that it left off.
    pub asked: Option<Processed>,
    pub users: Option<Vec<Shown>>,
    pub privates: Vec<u32>,
    /// What a guest has heard since the last rest, and the offset up to which that was checked.
    pub heard: Vec<u32>,
    pub heard_to: u64,
}

impl Client {
    pub fn new(number: usize, rooms: usize, home: usize) -> Self {
        Self {
            is_guest: number % 5 == 4,
            wants_changes: number % 2 == 1,
            speaks_socket_io: number % 3 == 2,
            home,
            usual: (number / 2) % 4,
            token: None,
            processed: vec![None; rooms],
            unacked: Vec::new(),
            session: None,
            is_reading: true,
            room: None,
            user: Shown { name: 0, avatar: 0 },
            epoch: None,
            next: 0,
            moves: 0,
            asked: None,
            users: None,
            privates: Vec::new(),
            heard: Vec::new(),
            heard_to: 0,
        }
    }

    /// The connection has ended.
    pub fn lost(&mut self) {
        self.session = None;
        self.room = None;
        self.moves = 0;
        self.users = None;
        self.privates.clear();
        self.heard.clear();
    }

    /// Whether it knows in which room and as whom its next message will be said.
    pub fn is_settled(&self) -> bool {
        self.session.is_some() && self.room.is_some() && self.moves == 0
    }

    /// It is told that it is in a room.
    pub fn enter(&mut self, welcome: &Welcome, known: Option<u32>) {
        self.room = Some(welcome.room);
        self.user = welcome.user;
        self.token = Some(welcome.token);
        self.epoch = Some(welcome.epoch);
        self.next = welcome.begin + 1;
        self.users = None;
        self.processed[welcome.room] =
            Some(Processed { epoch: welcome.epoch, offset: welcome.begin, number: known });
    }

    /// It has processed a message of its room.
    pub fn process(&mut self, room: usize, offset: u64, number: u32) {
        self.next = offset + 1;
        if let Some(epoch) = self.epoch {
            self.processed[room] = Some(Processed { epoch, offset, number: Some(number) });
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
