//! The steps of the clients of several nodes: what they send, and what is promised of all they are told.

use std::{
    rc::Rc,
    sync::{Arc, atomic::AtomicBool},
    task::Waker,
};

use echoroom::testing::{
    Dialect, Encoding, MemberId, WorkerId,
    simulation::{Bounds, EpochId, Intake, Lease, Outbound, Register},
};

use super::{Nodes, Sent};
use crate::{
    client::Unacked,
    names::Shown,
    node::ToShard,
    parse::{self, Told},
    seat::{Mailbox, WatchedOutlet},
    session::{Answer, Ask, Session, Welcome},
};

/// Requests that a client sends ahead.
const AHEAD: usize = 4;

/// Bytes that a client takes at once.
const MOUTHFUL: usize = 600;

/// Bytes of a session's messages that are not dealt with yet.
const INTAKE: usize = 1500;

/// Messages that a client tries again.
const MOST_UNACKED: usize = 6;

impl Nodes {
    // ----- what clients do -----

    pub fn client_acts(&mut self) -> bool {
        let client = self.rng.below(self.clients.len());
        let Some(number) = self.clients[client].session else {
            return self.rng.chance(300) && self.connects(client);
        };
        let member = self.clients[client].node;
        let sessions = &self.members[member].node.sessions;
        let Some(index) = sessions.iter().position(|session| session.number == number) else {
            return false;
        };
        if self.rng.chance(self.config.slow) {
            let is_reading = &mut self.clients[client].is_reading;
            *is_reading = !*is_reading;
            return true;
        }
        if self.rng.chance(if self.acts(member) { 15 } else { 60 }) {
            let is_lost = self.rng.chance(700);
            self.end_session(member, index, is_lost, true);
            return true;
        }
        if self.members[member].node.sessions[index].asks.len() >= AHEAD {
            return false;
        }
        let Some(ask) = self.ask(client) else {
            return false;
        };
        self.trace.note("a client asks", [client as u64, number, 0]);
        self.members[member].node.sessions[index].asks.push_back(ask);
        true
    }

    fn ask(&mut self, client: usize) -> Option<Ask> {
        if self.clients[client].is_guest {
            let len = self.rng.below(self.config.len);
            let number = self.new_message(client, self.clients[client].home, None);
            return Some(Ask::Publish { number, is_binary: false, len });
        }
        if self.clients[client].is_settled() {
            return self.settled_ask(client);
        }
        (self.clients[client].moves == 0).then(|| self.login_ask(client))
    }

    /// A client connects to a node, mostly the one that it was at.
    pub fn connects(&mut self, number: usize) -> bool {
        if self.rng.chance(400) {
            self.clients[number].node = self.rng.below(self.config.nodes);
        }
        let member = self.clients[number].node;
        if !self.acts(member) {
            self.clients[number].node = self.rng.below(self.config.nodes);
            return false;
        }
        self.last_session += 1;
        let session = self.last_session;
        let worker = self.rng.below(self.config.workers);
        let client = &mut self.clients[number];
        client.session = Some(session);
        client.is_reading = true;
        let (is_guest, home) = (client.is_guest, client.home);
        let dialect = match (is_guest, client.speaks_socket_io) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => 3,
        };
        client.room = is_guest.then_some(home);
        let encoding = Encoding { dialect: Dialect::of(dialect), deflated: false };
        let node = &mut self.members[member].node;
        let budget = &node.budget;
        let bounds = Bounds { waiting: self.config.bound, answer: 2000 };
        let lease = Lease::of_waiting(Arc::clone(budget));
        let outbound = Outbound::polled(bounds, lease, Waker::noop().clone(), None);
        let outlet = WatchedOutlet::new(session, &outbound, &self.seen);
        let is_evicted = Arc::new(AtomicBool::new(false));
        let (mailbox, seat) = Mailbox::new(&outbound, encoding, &is_evicted);
        let its = MemberId::of(session);
        node.workers[worker].outlets.add(its, Rc::clone(&outlet) as _);
        let intake = Intake::new(INTAKE, Arc::clone(budget));
        let room = is_guest.then(|| self.names.rooms[home].clone());
        let shard =
            room.as_ref().map_or_else(|| node.common.home_of(its), |room| node.common.shard_of(room)).0;
        node.sessions.push(Session::new(
            session, number, worker, shard, is_guest, outbound, outlet, mailbox, intake, is_evicted,
        ));
        let register = Register { member: its, room, worker: WorkerId(worker), seat, address: None };
        node.servers[shard].inbox.push_back(ToShard::Request(register.into()));
        self.trace.note("a client connects", [number as u64, session, member as u64]);
        true
    }

    fn new_message(&mut self, client: usize, room: usize, to: Option<usize>) -> u32 {
        let session = self.clients[client].session.unwrap_or(0);
        self.sent.push(Sent { session, room, is_private: to.is_some(), to: to.unwrap_or(0) });
        u32::try_from(self.sent.len() - 1).expect("few messages")
    }

    /// A client logs in, and says where it left off.
    pub fn login_ask(&mut self, number: usize) -> Ask {
        let room =
            if self.rng.chance(800) { self.clients[number].home } else { self.rng.below(self.config.rooms) };
        let name = if self.rng.chance(800) {
            self.clients[number].usual
        } else {
            self.rng.below(self.names.nicknames.len())
        };
        // Tabs of one browser share the token of its user.
        let twin = (number ^ 1).min(self.clients.len() - 1);
        let token =
            if self.rng.chance(850) { self.clients[number].token.or(self.clients[twin].token) } else { None };
        if let Some(session) = self.clients[number].session {
            let key = self.names.key(name);
            self.names_of.entry(session).or_default().push(key);
        }
        let client = &mut self.clients[number];
        let position = client.position(room);
        client.asked = client.known[room].position;
        client.moves += 1;
        let user = Shown { name, avatar: self.rng.below(2) };
        Ask::Login { room, user, token, position, wants_changes: client.wants_changes }
    }

    /// What a client asks that knows where it is.
    fn settled_ask(&mut self, number: usize) -> Option<Ask> {
        let room = self.clients[number].room?;
        if self.rng.chance(200)
            && let Some(ask) = self.retry(number, room)
        {
            return Some(ask);
        }
        Some(match self.rng.below(100) {
            0..=54 => {
                let len = self.rng.below(self.config.len);
                let message = self.new_message(number, room, None);
                let has_id = self.rng.chance(700) && self.remember(number, message, room, len, None);
                Ask::Post { number: message, has_id, len }
            }
            55..=69 => self.retry(number, room)?,
            70..=79 => {
                let to = self.names.key(self.rng.below(self.names.nicknames.len()));
                let message = self.new_message(number, room, Some(to));
                let has_id = self.rng.chance(700) && self.remember(number, message, room, 0, Some(to));
                Ask::Private { number: message, to, has_id }
            }
            80..=86 => Ask::Typing(self.rng.chance(500)),
            87..=92 => Ask::Users,
            93..=97 => self.login_ask(number),
            _ => {
                self.clients[number].moves += 1;
                Ask::Logout
            }
        })
    }

    /// Has a client try a message again until it is acked. False if it tries too many.
    fn remember(&mut self, client: usize, number: u32, room: usize, len: usize, to: Option<usize>) -> bool {
        let client = &mut self.clients[client];
        let Some(token) = client.token else {
            return false;
        };
        if client.unacked.len() >= MOST_UNACKED {
            client.unacked.remove(0);
        }
        client.unacked.push(Unacked { number, room, token, len, to });
        true
    }

    /// A message that is sent again, as it was.
    fn retry(&mut self, number: usize, room: usize) -> Option<Ask> {
        let client = &self.clients[number];
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
        let Some(number) = self.clients[client].session.filter(|_| self.clients[client].is_reading) else {
            return false;
        };
        let member = self.clients[client].node;
        let Some(session) = self.members[member].node.session(number) else {
            return false;
        };
        let outbound = session.outbound.clone();
        let Some(payload) = outbound.payload(MOUTHFUL) else {
            // A poll waits.
            return outbound.offer_poll(tokio::sync::oneshot::channel().0).is_ok();
        };
        drop(outbound.take_poll());
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
        if let Told::Answer = told {
            return self.client_is_answered(client, session);
        }
        let Some(room) = self.clients[client].room else {
            return self.trace.fail("nothing is told before a login and after a logout", || {
                format!("client {client}: {told:?}")
            });
        };
        match told {
            Told::Said { offset, number } => {
                self.client_is_told_said(client, room, offset, number);
                self.note_said(client, room, offset, number);
            }
            Told::Heard { number } => self.guest_hears(client, number),
            Told::Private { number, from, to } => self.client_is_told_private(client, number, from, to),
            Told::Come(user) => {
                self.trace.note("a client is told who came", [client as u64, user.name as u64, 0]);
                self.clients[client].come(user, &self.names);
            }
            Told::Gone(user) => {
                self.trace.note("a client is told who went", [client as u64, user.name as u64, 0]);
                self.clients[client].gone(user, &self.names);
            }
            Told::Users(users) => {
                self.trace.note("a client is told the users", [client as u64, users.len() as u64, 0]);
                self.clients[client].users = Some(users);
            }
            Told::Epoch(epoch) => self.client_is_told_epoch(client, room, epoch),
            Told::Typing | Told::Answer => {}
        }
    }

    fn client_is_told_epoch(&mut self, client: usize, room: usize, epoch: EpochId) {
        self.trace.note("a client is told an epoch", [client as u64, epoch.number, epoch.random]);
        self.counts.epochs += 1;
        self.clients[client].epoch(room, epoch);
    }

    fn client_is_told_said(&mut self, client: usize, room: usize, offset: u64, number: u32) {
        self.trace.note("a client is told a message", [client as u64, number.into(), offset]);
        let next = self.clients[client].next;
        self.trace.check(offset == next, "each reader gets each message once, in order", || {
            format!("client {client} in room {room} waits for {next} and gets {offset}, message {number}")
        });
        let sent = self.sent.get(number as usize);
        let is_true = sent.is_some_and(|sent| !sent.is_private && sent.room == room);
        self.trace.check(is_true, "nothing is told that was not said", || {
            format!("message {number} in room {room}: {sent:?}")
        });
        self.clients[client].process(room, offset, number);
    }

    /// A message was told when it was said: an offset of an epoch has one message at all nodes.
    fn note_said(&mut self, client: usize, room: usize, offset: u64, number: u32) {
        let Some((epoch, _)) = self.clients[client].known[room].position else {
            return;
        };
        let first = *self.said.entry((room, epoch.to_string(), offset)).or_insert(number);
        self.trace.check(first == number, "all have one order", || {
            format!("offset {offset} of room {room} in epoch {epoch} was message {first}, and is {number}")
        });
    }

    fn guest_hears(&mut self, client: usize, number: u32) {
        let Some(sent) = self.sent.get(number as usize).copied() else {
            return self.trace.fail("nothing is told that was not said", || format!("message {number}"));
        };
        let guest = &mut self.clients[client];
        let is_good = guest.is_guest && !sent.is_private && sent.room == guest.home;
        self.trace.check(is_good, "a guest hears its room, and nothing else", || {
            format!("client {client}: {number}")
        });
        self.trace.check(Some(sent.session) != guest.session, "a guest does not hear itself", || {
            format!("client {client}: message {number}")
        });
        guest.heard.push(number);
    }

    fn client_is_told_private(&mut self, client: usize, number: u32, from: usize, to: usize) {
        let own = self.names.key(self.clients[client].user.name);
        let (from, to) = (self.names.key(from), self.names.key(to));
        let sent = self.sent.get(number as usize).copied();
        let is_true = sent.is_some_and(|sent| sent.is_private && sent.to == to);
        self.trace.check(is_true && (own == from || own == to), "private stays private", || {
            format!("client {client}, name {own}, was told {number} from {from} to {to}: {sent:?}")
        });
    }

    // ----- answers -----

    fn client_is_answered(&mut self, number: usize, session: u64) {
        let member = self.clients[number].node;
        let answer =
            self.members[member].node.session(session).and_then(|session| session.answers.pop_front());
        let Some(answer) = answer else {
            return self.trace.fail("each request is answered once", || format!("client {number}"));
        };
        match answer {
            Answer::In(welcome) => self.client_is_in(number, &welcome),
            Answer::NotIn { is_out } => {
                self.moved(number);
                if is_out {
                    self.clients[number].leave();
                }
            }
            Answer::LoggedOut => {
                self.moved(number);
                self.clients[number].leave();
            }
            Answer::Posted { number: message, offset } => self.client_is_acked(number, message, offset),
            Answer::PrivateSent { number: message, delivered } => {
                if delivered {
                    self.counts.delivered += 1;
                    self.clients[number].unacked.retain(|unacked| unacked.number != message);
                    self.check_handed(message);
                }
            }
            Answer::Said { offset, number: message } => match self.clients[number].room {
                Some(room) => self.client_is_told_said(number, room, offset, message),
                None => self.trace.fail("nothing is told before a login and after a logout", || {
                    format!("client {number}: message {message}")
                }),
            },
            Answer::Epoch(epoch) => match self.clients[number].room {
                Some(room) => self.client_is_told_epoch(number, room, epoch),
                None => self.trace.fail("nothing is told before a login and after a logout", || {
                    format!("client {number}: epoch {epoch}")
                }),
            },
            Answer::Done => {}
        }
    }

    fn client_is_acked(&mut self, number: usize, message: u32, offset: u64) {
        self.trace.note("a client is acked", [number as u64, message.into(), offset]);
        self.counts.acks += 1;
        let room = self.sent[message as usize].room;
        let client = &mut self.clients[number];
        client.unacked.retain(|unacked| unacked.number != message);
        // On its way to another login it is not told what is said.
        let is_there = client.users.is_some() && client.room == Some(room) && client.moves == 0;
        let has_it = !is_there || client.next > offset;
        let next = client.next;
        client.known[room].acked.push((message, offset));
        self.trace.check(has_it, "an ack comes behind its message", || {
            format!("client {number} was acked {offset} and waits for {next}")
        });
    }

    /// A private message is delivered if a session of its reader, at any node, was handed it.
    fn check_handed(&mut self, message: u32) {
        let to = self.sent[message as usize].to;
        let handed = self.handed.get(&message).cloned().unwrap_or_default();
        let is_reader = |session: &u64| self.names_of.get(session).is_some_and(|names| names.contains(&to));
        let is_true = handed.iter().any(is_reader);
        self.trace.check(is_true, "a private message is delivered if a session of its reader has it", || {
            format!("message {message} to {to} was handed to {handed:?}")
        });
    }

    fn moved(&mut self, client: usize) {
        let moves = &mut self.clients[client].moves;
        *moves = moves.saturating_sub(1);
    }

    /// A client is told that it is in a room: with all that it missed, or not.
    fn client_is_in(&mut self, number: usize, welcome: &Welcome) {
        let (room, begin) = (welcome.room, welcome.begin);
        self.trace.note("a client is in", [number as u64, begin, welcome.is_recovered.into()]);
        self.moved(number);
        match self.clients[number].asked.take() {
            Some((epoch, offset)) => {
                self.counts.resumes += u64::from(welcome.is_recovered);
                self.counts.lost_resumes += u64::from(!welcome.is_recovered);
                let is_exact = begin == offset;
                self.trace.check(
                    !welcome.is_recovered || is_exact,
                    "a resume begins where its client left off",
                    || format!("client {number} in room {room}: at {begin} instead of {offset}"),
                );
                let is_due = self.config.is_safe() && !welcome.had_fault;
                self.trace.check(
                    welcome.is_recovered || !is_due,
                    "a resume is exact while Redis has it all",
                    || format!("client {number} in room {room} at {offset} of {epoch}: {welcome:?}"),
                );
            }
            None => {
                self.trace.check(!welcome.is_recovered, "a login without a position resumes nothing", || {
                    format!("client {number} in room {room}")
                })
            }
        }
        self.counts.declared += self.clients[number].enter(welcome, self.config.is_safe()) as u64;
    }
}
