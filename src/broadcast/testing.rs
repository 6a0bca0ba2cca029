//! What the tests of this folder share.

use std::borrow::Cow;

use actix::{Actor, AsyncContext as _, Context, Handler};

use super::{
    directory::AnyRoom,
    encoding::{Dialect, Encode, Encoding},
    lines::Broadcast,
    messages::{Cutter, Delivery, Seat},
};
use crate::{
    connection::Backlog,
    domain::{MemberId, RoomName},
    protocol::websocket::frame::OpCode,
};

/// Texts as they were said.
pub(crate) const PLAIN: Encoding = Encoding { dialect: Dialect::of(0), deflated: false };

/// A line of less than 126 bytes, in all dialects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a>(pub(super) &'a str);

impl Encode for Text<'_> {
    fn payload(&self, _: Dialect) -> Option<(OpCode, Cow<'_, [u8]>)> {
        Some((OpCode::Text, Cow::Borrowed(self.0.as_bytes())))
    }
}

/// The texts that a session gets of a broadcast that is not aimed.
pub(super) fn texts_of(broadcast: &Broadcast, member: MemberId) -> Vec<String> {
    texts_in(&broadcast.frames_for(member, PLAIN).0.concat())
}

/// The texts in finished frames.
pub(super) fn texts_in(mut frames: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    while let [_, len, rest @ ..] = frames {
        let (text, rest) = rest.split_at(usize::from(*len));
        texts.push(String::from_utf8_lossy(text).into_owned());
        frames = rest;
    }
    texts
}

/// A session that takes nothing.
struct Absent;

impl Actor for Absent {
    type Context = Context<Self>;
}

impl Handler<Delivery> for Absent {
    type Result = ();

    fn handle(&mut self, _: Delivery, _: &mut Self::Context) {}
}

/// The seat of a session that takes nothing.
pub(crate) fn seat(encoding: Encoding) -> Seat {
    let deliveries = Context::<Absent>::new().address().recipient();
    Seat { deliveries, backlog: Backlog::new(usize::MAX), encoding, cutter: Cutter::new(|_| ()) }
}

/// A room of which its server keeps nothing but the name.
#[derive(Debug)]
pub(super) struct Place(RoomName);

impl AnyRoom for Place {
    type Name = RoomName;
    type Member = ();

    fn new(name: RoomName) -> Self {
        Self(name)
    }

    fn name(&self) -> &RoomName {
        &self.0
    }

    fn is_idle(&self) -> bool {
        true
    }

    fn is_reserved(name: &RoomName) -> bool {
        name.is_reserved()
    }
}
