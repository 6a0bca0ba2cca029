//! Names that are reserved for their users: from the chat server to the journal and back.

use std::time::{Duration, Instant};

use actix::{
    AsyncContext as _, Context,
    fut::{ActorFutureExt as _, wrap_future},
};
use log::warn;

use super::ChatServer;
use crate::{
    chat::{
        presence::Presence,
        reservations::{Changes, Reservation},
        rooms::RoomId,
    },
    domain::{Nickname, OwnerHash, RoomName, SessionId},
    journal::{ReservedName, now_millis},
};

impl ChatServer {
    /// The user of a session has shown its token: its name is reserved.
    pub(super) fn reserve_name(&mut self, session: SessionId, id: RoomId, ctx: &mut Context<Self>) {
        let now = Instant::now();
        let (until, max) = (now + self.limits.name_reservation, self.limits.max_held_names);
        let Some(room) = self.rooms.get(id) else {
            return;
        };
        let Changes { reserved, released } = room.presence.reserve(session, now, until, max);
        let name = room.name.clone();
        let reserved = reserved.iter().map(|reservation| to_keep(reservation, now));
        let names = reserved.chain(released.iter().map(to_free)).collect();
        self.keep_in_journal(name, names, ctx);
    }

    /// The user of a session logs out: its name is free.
    pub(super) fn release_name(&mut self, session: SessionId, ctx: &mut Context<Self>) {
        if let Some(room) = self.rooms.room_of(session).and_then(|id| self.rooms.get(id))
            && let Some(released) = room.presence.release(session)
        {
            let name = room.name.clone();
            self.keep_in_journal(name, vec![to_free(&released)], ctx);
        }
    }

    /// The server stops: the names of all who are there are held for them in the next one.
    pub(super) fn keep_names(&mut self, ctx: &mut Context<Self>) {
        let (now, hold) = (Instant::now(), self.limits.name_hold);
        let names_of = |presence: &Presence| -> Vec<_> {
            presence.names_to_hold(now, hold).map(|name| to_keep(&name, now)).collect()
        };
        let rooms: Vec<_> =
            self.rooms.iter().map(|room| (room.name.clone(), names_of(&room.presence))).collect();
        for (room, names) in rooms {
            self.keep_in_journal(room, names, ctx);
        }
    }

    pub(super) fn keep_in_journal(
        &mut self,
        room: RoomName,
        names: Vec<ReservedName>,
        ctx: &mut Context<Self>,
    ) {
        if names.is_empty() {
            return;
        }
        let asked = wrap_future(self.journal.reserve(room, names));
        ctx.spawn(asked.map(|answer: Result<(), _>, _: &mut Self, _| {
            if let Err(error) = answer {
                warn!("reserved names are not kept: {error}");
            }
        }));
    }
}

/// Takes in the names that the journal has kept for a room, for at most as long as a name is reserved now: a clock that was
/// ahead when they were kept has put their end far off. Gives back those whose end is nearer from here on.
pub(super) fn restore(
    presence: &mut Presence,
    names: Vec<ReservedName>,
    most: Duration,
) -> Vec<ReservedName> {
    let (now, wall) = (Instant::now(), now_millis());
    let mut nearer = Vec::new();
    for ReservedName { name, owner, until, .. } in names {
        // Rules for names may have become stricter since it was kept.
        let Ok(nickname) = Nickname::parse(&name) else {
            continue;
        };
        let left = Duration::from_millis(until.saturating_sub(wall));
        let reservation = Reservation { nickname, owner: OwnerHash(owner), until: now + left.min(most) };
        if left > most {
            nearer.push(to_keep(&reservation, now));
        }
        presence.restore(reservation);
    }
    nearer
}

fn to_keep(reservation: &Reservation, now: Instant) -> ReservedName {
    let left = reservation.until.saturating_duration_since(now);
    let until = now_millis().saturating_add(u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
    ReservedName { owner: reservation.owner.0, until, ..to_free(&reservation.nickname) }
}

fn to_free(name: &Nickname) -> ReservedName {
    ReservedName {
        key: name.key().as_str().to_owned(),
        name: name.as_str().to_owned(),
        owner: [0; 16],
        until: 0,
    }
}
