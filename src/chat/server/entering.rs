//! Coming into rooms, hearing them, and going.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use actix::{AsyncContext as _, Context};

use super::ChatServer;
use crate::{
    chat::{
        line::Line,
        messages::{Behind, Delivery, Enter, Entered, Hear, Ignore, Listen, Refusal, Reply, Tail},
        presence::Change,
        room::{Book, ListTime, Waiting},
        rooms::{Found, Membership, RoomId, Standing},
    },
    domain::{RoomName, SessionId},
    logging,
    protocol::chat::UserRef,
};

/// The settings whose bounds are reached, as the log names them.
pub(super) const MAX_ROOMS: &str = "--max-rooms (ECHOROOM_MAX_ROOMS)";
const MAX_NEW_ROOMS: &str = "--max-new-rooms-per-minute (ECHOROOM_MAX_NEW_ROOMS_PER_MINUTE)";

/// Most users that a list names.
const MAX_LISTED: usize = 500;

/// Most bytes of names and faces in a list: faces may be pictures.
const MAX_LIST_BYTES: usize = 64 * 1024;

impl ChatServer {
    /// A session wants to be somebody in a room, as soon as the room's place in the journal is known.
    pub(super) fn enter(&mut self, enter: Enter, ctx: &mut Context<Self>) {
        let address = self.rooms.membership(enter.session).and_then(|member| member.address);
        let id = match self.find_or_make(&enter.room, address, ctx) {
            Ok(id) => id,
            Err(refusal) => return self.refuse(enter.session, enter.ticket, refusal),
        };
        self.open_book(id, ctx);
        match self.rooms.get(id).map(|room| &mut room.book) {
            Some(Book::Opening(waiting)) => waiting.push(Waiting::Enter(enter)),
            _ => self.enter_open(id, enter, ctx),
        }
    }

    /// Whether a client of this address may enter a room, which it would make if the room is not there.
    pub(super) fn may_enter(&self, name: &RoomName, address: Option<IpAddr>) -> Result<(), Refusal> {
        if name.is_reserved() {
            return Ok(());
        }
        let standing = self.rooms.standing(name);
        if standing != Standing::Known && self.knows_rooms {
            name.check_new().map_err(Refusal::NoNewRoom)?;
        }
        match standing {
            Standing::Known => Ok(()),
            Standing::New if self.new_rooms.may_make(address, Instant::now()) => Ok(()),
            Standing::New => {
                let address = address.map_or_else(String::new, |address| address.to_string());
                logging::refused(
                    MAX_NEW_ROOMS,
                    format_args!("{address} has made as many rooms in a minute as one address may"),
                );
                Err(Refusal::TooManyNewRooms)
            }
            Standing::TooMany => {
                let count = self.rooms.count();
                logging::refused(MAX_ROOMS, format_args!("{count} rooms are in use; one more was refused"));
                Err(Refusal::TooManyRooms)
            }
        }
    }

    /// The room of that name. It is made if it is not there; if there are as many as there may be, the room that has been
    /// silent longest loses its history for it.
    pub(super) fn find_or_make(
        &mut self,
        name: &RoomName,
        address: Option<IpAddr>,
        ctx: &mut Context<Self>,
    ) -> Result<RoomId, Refusal> {
        self.may_enter(name, address)?;
        let is_new = self.rooms.standing(name) == Standing::New;
        let Found { id, forgotten } = self.rooms.find_or_make(name).map_err(|_| Refusal::TooManyRooms)?;
        if is_new {
            self.new_rooms.made(address, Instant::now());
        }
        if let Some(forgotten) = forgotten {
            self.forget(forgotten, ctx);
        }
        Ok(id)
    }

    /// The same in a room whose place in the journal is known.
    pub(super) fn enter_open(&mut self, id: RoomId, enter: Enter, ctx: &mut Context<Self>) {
        let Enter { session, ticket, face, token, spare, since, .. } = enter;
        // Somebody who has gone meanwhile takes no name.
        let Some(former) = self.rooms.membership(session).map(Membership::room) else {
            return self.rooms.retire(id);
        };
        let Some(room) = self.rooms.get(id) else {
            return self.refuse(session, ticket, Refusal::JournalUnavailable);
        };
        let Ok((token, change)) = room.presence.enter(session, face.clone(), token, spare, Instant::now())
        else {
            self.refuse(session, ticket, Refusal::NameTaken);
            return self.rooms.retire(id);
        };
        let Some(log) = room.log() else {
            return self.refuse(session, ticket, Refusal::JournalUnavailable);
        };
        let (epoch, resume) = (log.epoch().id, log.resume(since));
        if former == Some(id) {
            self.stop_hearing(session);
        } else {
            self.part(session, None, ctx);
            self.rooms.put(session, id);
        }
        self.announce(id, &change, ctx);
        // Now, and not before: what it hears later is behind the lines of this turn.
        let Some(log) = self.rooms.get(id).and_then(|room| room.log()) else {
            return;
        };
        let (head, durable) = (log.head(), log.durable());
        self.rooms.set_visit(session, ticket);
        let name = enter.room;
        let entered = Entered { name, face, token, epoch, head, durable, resume };
        self.reply(session, ticket, Reply::Entered(Box::new(entered)));
    }

    /// A session has read the journal and wants to hear the rest.
    pub(super) fn listen(&mut self, listen: Listen, ctx: &mut Context<Self>) {
        let Listen { session, visit, after } = listen;
        let is_there = |member: &&Membership| member.visit == visit && !member.hears;
        let Some(id) = self.rooms.membership(session).filter(is_there).and_then(Membership::room) else {
            return;
        };
        // What is still open is behind what it has read.
        self.end_round(id);
        let Some(log) = self.rooms.get(id).and_then(|room| room.log()) else {
            return;
        };
        let Some(records) = log.since(after) else {
            let behind = Some(Behind { durable: log.durable() });
            return self.tell(session, Delivery::Tail(Tail { session, visit, records: Vec::new(), behind }));
        };
        self.tell(session, Delivery::Tail(Tail { session, visit, records, behind: None }));
        self.hear(session, id);
        self.announce_list(id, ctx);
    }

    /// A session hears its room from here on.
    pub(super) fn hear(&mut self, session: SessionId, id: RoomId) {
        self.end_round(id);
        self.rooms.set_hears(session, true);
        if let Some(fanout) = self.fanout_of(session) {
            fanout.do_send(Hear { session, room: id });
        }
    }

    fn stop_hearing(&mut self, session: SessionId) {
        if let Some(id) =
            self.rooms.membership(session).filter(|member| member.hears).and_then(Membership::room)
        {
            // While it still hears: its own last lines go to the others, their last lines to it.
            self.end_round(id);
            self.rooms.set_hears(session, false);
            if let Some(fanout) = self.fanout_of(session) {
                fanout.do_send(Ignore { session, room: id });
            }
        }
    }

    /// The one way out of a room, harmless for a session that is in none. The name of who drops is held that long.
    pub(super) fn part(&mut self, session: SessionId, hold: Option<Duration>, ctx: &mut Context<Self>) {
        self.stop_hearing(session);
        let Some(id) = self.rooms.room_of(session) else {
            return;
        };
        self.rooms.take_out(session, id);
        let left = self.rooms.get(id).and_then(|room| match hold {
            Some(hold) => room.presence.drop_out(session, Instant::now() + hold),
            None => room.presence.leave(session),
        });
        if let Some(hold) = hold.filter(|_| left.is_some()) {
            ctx.run_later(hold, move |server, _| server.expire(id));
        }
        self.announce(id, &Change { left, arrived: None }, ctx);
        self.rooms.retire(id);
    }

    /// Lets names go that have been held long enough.
    fn expire(&mut self, id: RoomId) {
        if let Some(room) = self.rooms.get(id) {
            room.presence.expire(Instant::now());
            self.rooms.retire(id);
        }
    }

    /// Tells a room who came and who went.
    fn announce(&mut self, id: RoomId, change: &Change, ctx: &mut Context<Self>) {
        let Some(count) = self.rooms.get(id).map(|room| room.presence.count()) else {
            return;
        };
        if let Some(left) = &change.left {
            // One after the other: who arrives is not there yet.
            self.add_line(id, &Line::Left(left, count - usize::from(change.arrived.is_some())));
            self.announce_list(id, ctx);
        }
        // The list waits until who came can hear it.
        if let Some(arrived) = &change.arrived {
            self.add_line(id, &Line::Arrived(arrived, count));
        }
    }

    /// Sends a room its list of users, now or when a second has gone by since the last.
    fn announce_list(&mut self, id: RoomId, ctx: &mut Context<Self>) {
        match self.rooms.get(id).map(|room| room.list.changed(Instant::now())) {
            Some(ListTime::Now) => self.send_list(id),
            Some(ListTime::In(delay)) => {
                ctx.run_later(delay, move |server, _| {
                    if let Some(room) = server.rooms.get(id) {
                        room.list.due(Instant::now());
                        server.send_list(id);
                        server.end_round(id);
                    }
                });
            }
            Some(ListTime::Scheduled) | None => {}
        }
    }

    fn send_list(&mut self, id: RoomId) {
        let Some(room) = self.rooms.get(id) else {
            return;
        };
        let mut bytes = 0;
        let faces: Vec<_> = room
            .presence
            .users()
            .take(MAX_LISTED)
            .take_while(|user| {
                bytes += user.face.nickname.as_str().len() + user.face.avatar.as_str().len();
                bytes <= MAX_LIST_BYTES
            })
            .map(|user| user.face.clone())
            .collect();
        let users: Vec<_> = faces
            .iter()
            .map(|face| UserRef { username: face.nickname.as_str(), avatar: face.avatar.as_str() })
            .collect();
        self.add_line(id, &Line::Users(&users));
    }
}
