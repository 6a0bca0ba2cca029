//! The steps of the clients: what they send, and what is promised of all they are told.

use std::{
    rc::Rc,
    sync::{Arc, atomic::AtomicBool},
    task::Waker,
};

use echoroom::testing::{
    Dialect, Encoding, MemberId, WorkerId,
    simulation::{Bounds, Intake, Lease, Outbound, Register},
};

use crate::{
    client::{Processed, Unacked},
    names::Shown,
    node::ToShard,
    parse::{self, Told},
    seat::{Mailbox, WatchedOutlet},
    session::{Answer, Ask, Session, Welcome},
    truth::{Kind, Message},
    world::{Phase, World},
};

/// Requests that a client sends ahead.
const AHEAD: usize = 4;

/// Bytes that a client takes at once.
const MOUTHFUL: usize = 600;

/// Bytes of a session's messages that are not dealt with yet.
const INTAKE: usize = 1500;

/// Messages that a client tries again.
const MOST_UNACKED: usize = 6;

/// A client gives a message up when this many others have been sent since.
const GIVEN_UP: u32 = 1000;

impl World {
    // ----- what clients do -----

    pub fn client_acts(&mut self) -> bool {
        let client = self.rng.below(self.clients.len());
        let Some(number) = self.clients[client].session else {
            return self.phase == Phase::Running && self.rng.chance(300) && self.connects(client);
        };
        let Some(index) = self.node.sessions.iter().position(|session| session.number == number) else {
            return false;
        };
        if self.rng.chance(self.config.slow) {
            let is_reading = &mut self.clients[client].is_reading;
            *is_reading = !*is_reading;
            self.trace.note("a client reads or does not", [client as u64, (*is_reading).into(), 0]);
            return true;
        }
        if self.rng.chance(15) {
            let is_lost = self.rng.chance(700);
            self.end_session(index, is_lost, true);
            return true;
        }
        if self.node.sessions[index].asks.len() >= AHEAD {
            return false;
        }
        let ask = if self.clients[client].is_guest {
            Some(self.guests_ask(client))
        } else if self.clients[client].is_settled() {
            self.settled_ask(client)
        } else if self.clients[client].moves == 0 {
            Some(self.login_ask(client))
        } else if self.rng.chance(300) {
            // Behind a login: it may be said in one room or the other.
            let number = self.new_message(client, Kind::Text, 0);
            Some(Ask::Post { number, has_id: false, len: 0 })
        } else {
            None
        };
        let Some(ask) = ask else {
            return false;
        };
        self.trace.note("a client asks", [client as u64, number, 0]);
        self.node.sessions[index].asks.push_back(ask);
        true
    }

    fn connects(&mut self, number: usize) -> bool {
        self.last_session += 1;
        let session = self.last_session;
        let worker = self.rng.below(self.node.workers.len());
        let client = &mut self.clients[number];
        client.session = Some(session);
        client.is_reading = true;
        let (is_guest, home) = (client.is_guest, client.home);
        let dialect = match (is_guest, client.speaks_socket_io) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => 3,
        };
        let encoding = Encoding { dialect: Dialect::of(dialect), deflated: false };
        let budget = &self.node.budget;
        let bounds = Bounds { waiting: self.config.bound, answer: 2000 };
        let lease = Lease::of_waiting(Arc::clone(budget));
        let outbound = Outbound::polled(bounds, lease, Waker::noop().clone(), None);
        let outlet = WatchedOutlet::new(session, &outbound, &self.seen);
        let is_evicted = Arc::new(AtomicBool::new(false));
        let (mailbox, seat) = Mailbox::new(&outbound, encoding, &is_evicted);
        let member = MemberId::of(session);
        self.node.workers[worker].outlets.add(member, Rc::clone(&outlet) as _);
        let intake = Intake::new(INTAKE, Arc::clone(budget));
        let room = is_guest.then(|| self.names.rooms[home].clone());
        let common = &self.node.common;
        let shard = room.as_ref().map_or_else(|| common.home_of(member), |room| common.shard_of(room)).0;
        let made = Session::new(
            session, number, worker, shard, is_guest, outbound, outlet, mailbox, intake, is_evicted,
        );
        self.node.sessions.push(made);
        let register = Register { member, room, worker: WorkerId(worker), seat, address: None };
        self.node.servers[shard].inbox.push_back(ToShard::Request(register.into()));
        self.trace.note("a client connects", [number as u64, session, worker as u64]);
        if is_guest {
            self.clients[number].room = Some(home);
        }
        true
    }

    fn new_message(&mut self, client: usize, kind: Kind, to: usize) -> u32 {
        let client = &self.clients[client];
        self.truth.add(Message {
            session: client.session.unwrap_or(0),
            kind,
            to,
            from: self.names.key(client.user.name),
            room: None,
            offset: 0,
            taken: 0,
            is_vague: false,
            handed_in: 0,
            sent_after: None,
            on_its_way_in: 0,
        })
    }

    fn len(&mut self) -> usize {
        self.rng.below(self.config.len)
    }

    fn guests_ask(&mut self, client: usize) -> Ask {
        let (is_binary, len) = (self.rng.chance(150), self.len());
        let kind = if is_binary { Kind::Binary } else { Kind::Text };
        Ask::Publish { number: self.new_message(client, kind, 0), is_binary, len }
    }

    fn login_ask(&mut self, number: usize) -> Ask {
        let room =
            if self.rng.chance(700) { self.clients[number].home } else { self.rng.below(self.config.rooms) };
        let name = if self.rng.chance(800) {
            self.clients[number].usual
        } else {
            self.rng.below(self.names.nicknames.len())
        };
        // Tabs of one browser share the token of its user.
        let twin = (number ^ 1).min(self.clients.len() - 1);
        let token =
            if self.rng.chance(850) { self.clients[number].token.or(self.clients[twin].token) } else { None };
        let has_position = self.rng.chance(850);
        let client = &mut self.clients[number];
        client.asked = client.processed[room].filter(|_| has_position);
        client.moves += 1;
        let user = Shown { name, avatar: self.rng.below(2) };
        let wants_changes = client.wants_changes;
        let position = client.asked.as_ref().map(Processed::position);
        Ask::Login { room, user, token, position, wants_changes }
    }

    /// What a client asks that knows where it is.
    fn settled_ask(&mut self, number: usize) -> Option<Ask> {
        let room = self.clients[number].room?;
        Some(match self.rng.below(100) {
            0..=49 => {
                let len = self.len();
                let message = self.new_message(number, Kind::Text, 0);
                let has_id = self.rng.chance(700) && self.remember(number, message, room, len, None);
                Ask::Post { number: message, has_id, len }
            }
            50..=64 => self.retry(number, room)?,
            65..=79 => {
                let to = self.names.key(self.rng.below(self.names.nicknames.len()));
                let message = self.new_message(number, Kind::Private, to);
                let has_id = self.rng.chance(700) && self.remember(number, message, room, 0, Some(to));
                Ask::Private { number: message, to, has_id }
            }
            80..=86 => Ask::Typing(self.rng.chance(500)),
            87..=92 => Ask::Users,
            93..=94 => {
                self.clients[number].moves += 1;
                self.clients[number].asked = None;
                Ask::JoinRoom { room: self.rng.below(self.config.rooms) }
            }
            95..=97 => self.login_ask(number),
            _ => {
                self.clients[number].moves += 1;
                Ask::Logout
            }
        })
    }

    /// Has a client try a message again until it is acked. False if it tries too many.
    fn remember(&mut self, client: usize, number: u32, room: usize, len: usize, to: Option<usize>) -> bool {
        let client = &mut self.clients[client];
        let Some(token) = client.token.filter(|_| client.unacked.len() < MOST_UNACKED) else {
            return false;
        };
        client.unacked.push(Unacked { number, room, token, len, to });
        true
    }

    /// A message that is sent again, as it was.
    fn retry(&mut self, number: usize, room: usize) -> Option<Ask> {
        let newest = u32::try_from(self.truth.count()).unwrap_or(u32::MAX);
        let client = &mut self.clients[number];
        client.unacked.retain(|message| message.number + GIVEN_UP > newest);
        let is_same = |message: &&Unacked| message.room == room && Some(message.token) == client.token;
        let count = client.unacked.iter().filter(is_same).count();
        let chosen = self.rng.below(count.max(1));
        let Unacked { number, len, to, .. } = *client.unacked.iter().filter(is_same).nth(chosen)?;
        Some(match to {
            Some(to) => Ask::Private { number, to, has_id: true },
            None => Ask::Post { number, has_id: true, len },
        })
    }

    // ----- what clients are told -----

    pub fn any_client_reads(&mut self) -> bool {
        let first = self.rng.below(self.clients.len());
        (0..self.clients.len()).any(|index| self.client_reads((first + index) % self.clients.len()))
    }

    pub fn client_reads(&mut self, client: usize) -> bool {
        if !self.clients[client].is_reading {
            return false;
        }
        let Some(number) = self.clients[client].session else {
            return false;
        };
        let Some(session) = self.node.session(number) else {
            return false;
        };
        let outbound = session.outbound.clone();
        let Some(payload) = outbound.payload(MOUTHFUL) else {
            // A poll waits.
            return outbound.offer_poll(tokio::sync::oneshot::channel().0).is_ok();
        };
        drop(outbound.take_poll());
        self.trace.note("a client reads", [client as u64, payload.len() as u64, 0]);
        for packet in payload.split('\u{1e}') {
            match parse::packet(packet, &self.names) {
                Some(told) => self.client_is_told(client, number, told),
                None => self.trace.fail("a client can read what it is sent", || packet.to_owned()),
            }
        }
        true
    }

    fn client_is_told(&mut self, client: usize, session: u64, told: Told) {
        self.counts.told += 1;
        let room = self.clients[client].room;
        let Some(here) = room else {
            if let Told::Answer = told {
                return self.client_is_answered(client, session);
            }
            return self.trace.fail("nothing is told before a login and after a logout", || {
                format!("client {client}: {told:?}")
            });
        };
        match told {
            Told::Answer => self.client_is_answered(client, session),
            Told::Said { offset, number } => self.client_is_told_said(client, here, offset, number),
            Told::Heard { number } => self.guest_hears(client, here, number),
            Told::Private { number, from, to } => self.client_is_told_private(client, here, number, from, to),
            Told::Come(user) => self.clients[client].come(user, &self.names),
            Told::Gone(user) => self.clients[client].gone(user, &self.names),
            Told::Users(users) => self.clients[client].users = Some(users),
            Told::Typing => {}
            Told::Epoch(epoch) => {
                self.trace.fail("a chat of one node begins no epoch", || format!("client {client}: {epoch}"));
            }
        }
    }

    fn client_is_told_said(&mut self, client: usize, room: usize, offset: u64, number: u32) {
        self.trace.note("a client is told a message", [client as u64, number.into(), offset]);
        let next = self.clients[client].next;
        self.trace.check(offset == next, "each reader gets each message once, in order", || {
            format!("client {client} in room {room} waits for {next} and gets {offset}, message {number}")
        });
        self.truth.seen(room, offset, number, &mut self.trace);
        self.clients[client].process(room, offset, number);
    }

    fn guest_hears(&mut self, client: usize, room: usize, number: u32) {
        self.trace.note("a guest hears", [client as u64, number.into(), 0]);
        if !self.truth.knows(number) {
            return self.trace.fail("nothing is told that was not said", || format!("message {number}"));
        }
        let message = *self.truth.message(number);
        let guest = &mut self.clients[client];
        self.trace.check(guest.is_guest, "a user gets events", || format!("client {client}: {number}"));
        self.trace.check(Some(message.session) != guest.session, "a guest does not hear itself", || {
            format!("client {client}: message {number}")
        });
        self.trace.check(message.kind != Kind::Private, "private stays private", || {
            format!("guest {client} heard {number}")
        });
        if message.kind == Kind::Binary {
            let known = *self.truth.message(number).room.get_or_insert(room);
            self.trace.check(known == room, "a message stays in its room", || format!("message {number}"));
        } else {
            guest.heard.push(number);
        }
    }

    fn client_is_told_private(&mut self, client: usize, room: usize, number: u32, from: usize, to: usize) {
        self.trace.note("a client is told a private message", [client as u64, number.into(), 0]);
        if !self.truth.knows(number) {
            return self.trace.fail("nothing is told that was not said", || format!("message {number}"));
        }
        let message = *self.truth.message(number);
        let own = self.names.key(self.clients[client].user.name);
        let (from, to) = (self.names.key(from), self.names.key(to));
        let is_its = own == from || own == to;
        let is_true =
            message.kind == Kind::Private && message.to == to && message.room.is_none_or(|its| its == room);
        self.trace.check(is_its && is_true, "private stays private", || {
            format!("client {client}, name {own} in room {room}, was told {number} from {from} to {to}: {message:?}")
        });
        let is_again = self.clients[client].privates.contains(&number);
        // A shard that has panicked remembers no private messages.
        let may_come_again = own == from || self.config.has_panics;
        self.trace.check(!is_again || may_come_again, "a reader gets a private message once", || {
            format!("client {client} was told {number} again")
        });
        self.clients[client].privates.push(number);
    }

    // ----- answers -----

    fn client_is_answered(&mut self, number: usize, session: u64) {
        let answer = self.node.session(session).and_then(|session| session.answers.pop_front());
        let Some(answer) = answer else {
            return self.trace.fail("each request is answered once", || format!("client {number}"));
        };
        match answer {
            Answer::In(welcome) => self.client_is_in(number, &welcome),
            Answer::NotIn { is_out } => {
                self.moved(number);
                if is_out {
                    self.clients[number].room = None;
                }
            }
            Answer::LoggedOut => {
                self.moved(number);
                self.clients[number].room = None;
            }
            Answer::Posted { number: message, offset } => {
                self.clients[number].unacked.retain(|unacked| unacked.number != message);
                let said = *self.truth.message(message);
                let client = &self.clients[number];
                let has_it = client.users.is_none() || client.room != said.room || client.next > offset;
                self.trace.check(has_it, "an ack comes behind its message", || {
                    format!("client {number} was acked {offset} and waits for {}", client.next)
                });
                let its = said.offset;
                self.trace.check(its == offset, "what is acked is durable, and once", || {
                    format!("message {message} was acked at {offset} and is at {its}")
                });
                self.trace.note("a client is acked", [number as u64, message.into(), offset]);
            }
            Answer::PrivateSent { number: message, delivered } => {
                if delivered {
                    self.clients[number].unacked.retain(|unacked| unacked.number != message);
                }
            }
            Answer::Said { offset, number: message } => match self.clients[number].room {
                Some(room) => self.client_is_told_said(number, room, offset, message),
                None => self.trace.fail("nothing is told before a login and after a logout", || {
                    format!("client {number}: message {message}")
                }),
            },
            Answer::Epoch(_) | Answer::Done => {}
        }
    }

    fn moved(&mut self, client: usize) {
        let moves = &mut self.clients[client].moves;
        *moves = moves.saturating_sub(1);
    }

    /// A client is told that it is in a room: with all that it missed, or not.
    fn client_is_in(&mut self, number: usize, welcome: &Welcome) {
        let (room, begin) = (welcome.room, welcome.begin);
        self.trace.note("a client is in", [number as u64, room as u64, begin]);
        self.moved(number);
        let asked = self.clients[number].asked.take();
        if let Some(Processed { epoch, offset, number: message }) = asked {
            let is_true = offset == 0 || message.is_some() && self.truth.at(room, offset) == message;
            let (first, is_known) = (self.journal.first(room), self.journal.knows(room, epoch, offset));
            self.counts.resumes += u64::from(welcome.is_recovered);
            self.counts.lost_resumes += u64::from(!welcome.is_recovered);
            if welcome.is_recovered {
                self.trace.check(begin == offset, "a resume begins where its client left off", || {
                    format!("client {number} in room {room}: at {begin} instead of {offset}")
                });
                self.trace.check(
                    is_true || message.is_none(),
                    "a resume says that something is lost",
                    || {
                        format!(
                            "client {number} in room {room} had message {message:?} at {offset} of {epoch}"
                        )
                    },
                );
            } else if is_true && message.is_some() && is_known && !welcome.had_fault {
                self.trace.check(
                    offset + 1 < first,
                    "a resume is exact while the journal has it all",
                    || format!("client {number} in room {room} at {offset} of {epoch}, first is {first}"),
                );
            }
        } else {
            self.trace.check(!welcome.is_recovered, "a login without a position resumes nothing", || {
                format!("client {number} in room {room}")
            });
        }
        let known = self.truth.at(room, begin);
        self.clients[number].enter(welcome, known);
    }
}
