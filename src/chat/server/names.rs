//! Reserved nicknames: from the chat server to the journal and back.

use std::time::{Duration, Instant};

use actix::{
    AsyncContext as _, Context,
    fut::{ActorFutureExt as _, wrap_future},
};
use log::warn;

use super::ChatServer;
use crate::{
    broadcast::RoomId,
    chat::{
        presence::Presence,
        reservations::{Changes, Reservation},
    },
    domain::{MemberId, Nickname, OwnerHash, RoomName},
    journal::{ReservedName, now_millis},
};

impl ChatServer {
    /// Reserves the nickname of a user that has shown its token.
    pub(super) fn reserve_name(&mut self, member: MemberId, id: RoomId, ctx: &mut Context<Self>) {
        let now = Instant::now();
        let (until, max) = (now + self.limits.name_reservation, self.limits.max_held_names);
        let Some(room) = self.broadcaster.rooms.get(id) else {
            return;
        };
        let Changes { reserved, released } = room.presence.reserve(member, now, until, max);
        let name = room.name.clone();
        let reserved = reserved.iter().map(|reservation| to_keep(reservation, now));
        let names = reserved.chain(released.iter().map(to_free)).collect();
        self.keep_in_journal(name, names, ctx);
    }

    /// Frees the nickname of a user that logs out.
    pub(super) fn release_name(&mut self, member: MemberId, ctx: &mut Context<Self>) {
        if let Some(room) =
            self.broadcaster.rooms.room_of(member).and_then(|id| self.broadcaster.rooms.get(id))
            && let Some(released) = room.presence.release(member)
        {
            let name = room.name.clone();
            self.keep_in_journal(name, vec![to_free(&released)], ctx);
        }
    }

    /// The server stops: the journal keeps the nicknames of all users, so that the next server holds them.
    pub(super) fn keep_names(&mut self, ctx: &mut Context<Self>) {
        let (now, hold) = (Instant::now(), self.limits.name_hold);
        let names_of = |presence: &Presence| -> Vec<_> {
            presence.names_to_hold(now, hold).map(|name| to_keep(&name, now)).collect()
        };
        let rooms: Vec<_> = self
            .broadcaster
            .rooms
            .iter()
            .map(|(_, room)| (room.name.clone(), names_of(&room.presence)))
            .collect();
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

/// Restores the reserved nicknames of a room, for at most `most`: a clock that was ahead when they were
/// stored has put their end too far off. Returns those whose end was moved.
pub(super) fn restore(
    presence: &mut Presence,
    names: Vec<ReservedName>,
    most: Duration,
) -> Vec<ReservedName> {
    let (now, wall) = (Instant::now(), now_millis());
    let mut nearer = Vec::new();
    for ReservedName { name, owner, until, .. } in names {
        // The rules for nicknames may have become stricter since.
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
