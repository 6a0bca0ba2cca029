//! Rest: all faults end, all that is under way arrives, and what all have been told is compared.

use std::collections::BTreeMap;

use echoroom::testing::simulation::{report_counts, unpack};

use super::{Nodes, inside::record_of};
use crate::{names::Shown, parse};

/// How long a rest is, in slices of 100 milliseconds.
const SLICES: u32 = 160;
const SLICE: u64 = 100_000;

/// Clients come back in the first slices.
const COMING_BACK: u32 = 120;

/// Names that a client tries while the nodes come to rest.
const TRIES: u32 = 6;

impl Nodes {
    /// Lets all that is under way arrive, and checks what must be true then.
    pub fn rest(&mut self) {
        self.trace.note("rest", [0; 3]);
        self.counts.rests += 1;
        self.mend();
        let mut tries = vec![0; self.clients.len()];
        for slice in 0..SLICES {
            self.clients.iter_mut().for_each(|client| client.is_reading = true);
            self.drain();
            if self.trace.broken.is_some() {
                return;
            }
            if slice < COMING_BACK {
                (0..self.clients.len()).for_each(|client| self.comes_back(client, &mut tries[client]));
            }
            self.advance(SLICE);
        }
        self.drain();
        if self.trace.broken.is_none() {
            self.check_rest();
        }
    }

    /// A client that has no session, or is in no room, connects or logs in.
    fn comes_back(&mut self, number: usize, tries: &mut u32) {
        let Some(session) = self.clients[number].session else {
            _ = self.connects(number);
            return;
        };
        let client = &self.clients[number];
        let member = client.node;
        let is_out = !client.is_guest && client.room.is_none() && client.moves == 0;
        if is_out && *tries < TRIES {
            *tries += 1;
            let ask = self.login_ask(number);
            if let Some(session) = self.members[member].node.session(session) {
                session.asks.push_back(ask);
            }
        }
    }

    fn check_rest(&mut self) {
        for member in 0..self.members.len() {
            self.check_node(member);
        }
        for room in 0..self.config.rooms {
            if self.trace.broken.is_none() {
                let log = self.log(room);
                self.check_room(room, &log);
            }
        }
    }

    fn check_node(&mut self, member: usize) {
        let is_up = self.members[member].connection.is_some() && self.members[member].is_alive;
        self.trace.check(is_up, "all nodes reach Redis at rest", || format!("node {member}"));
        let node = &self.members[member].node;
        let figures = node.servers.iter().map(|server| server.shard.figures());
        let (members, unkept) =
            figures.fold((0, 0), |all, figures| (all.0 + figures.members, all.1 + figures.unkept));
        let sessions = node.sessions.len();
        self.trace.check(members == sessions, "each session is a member, and nothing else is", || {
            format!("node {member} has {members} members, {sessions} sessions")
        });
        self.trace.check(unkept == 0, "all messages are kept at rest", || {
            format!("{unkept} of node {member} are not: {:?}", self.members[member].link)
        });
        for session in &node.sessions {
            self.trace.check(session.is_at_rest(), "each request is answered", || {
                format!("session {} of node {member}: {:?}", session.number, session.pending)
            });
        }
        let accepted = node.budget.accepted();
        self.trace.check(accepted == 0, "credits return", || format!("{accepted} bytes of node {member}"));
        report_counts();
        let used = node.budget.used();
        self.trace.check(used == 0, "the memory budget is free at rest", || {
            format!("{used} bytes of node {member} are held")
        });
    }

    /// What Redis has of a room, by offsets.
    fn log(&mut self, room: usize) -> BTreeMap<u64, u32> {
        let records = self.records(self.primary, room);
        let entries = records.into_iter().flat_map(|stored| unpack(&record_of(stored)).unwrap_or_default());
        entries.map(|entry| (entry.offset, parse::number(&entry.body).unwrap_or(u32::MAX))).collect()
    }

    fn check_room(&mut self, room: usize, log: &BTreeMap<u64, u32>) {
        let mut places = BTreeMap::new();
        let keys: BTreeMap<_, _> = self
            .records(self.primary, room)
            .iter()
            .flat_map(|record| record.keyed().collect::<Vec<_>>())
            .map(|keyed| (keyed.offset, keyed.key))
            .collect();
        for (offset, number) in log {
            let other = places.insert(*number, *offset);
            // An emptied Redis may lack the beginning, and get it back from a node later.
            self.trace.check(other.is_none() || self.was_flushed, "a message is said once", || {
                let key = |offset: &u64| keys.get(offset).copied();
                let both = (other.as_ref().and_then(key), key(offset));
                format!(
                    "message {number} of room {room} is at {other:?} and at {offset}, with the ids {both:?}"
                )
            });
        }
        self.check_names(room);
        let who = self.who();
        let mut listed: Option<Vec<Shown>> = None;
        for number in 0..self.clients.len() {
            let client = &self.clients[number];
            if client.room != Some(room) || client.session.is_none() {
                continue;
            }
            if client.is_guest {
                self.check_guest(number, log, &places);
                continue;
            }
            self.check_client(number, room, log);
            let mut users = self.clients[number].users.clone().unwrap_or_default();
            users.sort_unstable();
            let known = listed.get_or_insert_with(|| users.clone());
            self.trace.check(*known == users, "all nodes agree who is there", || {
                format!("room {room}: client {number} knows {users:?}, and another one {known:?}; {who}")
            });
        }
        self.check_list(room, &listed.unwrap_or_default());
    }

    /// The users in a room are the users of the sessions in it.
    fn check_list(&mut self, room: usize, listed: &[Shown]) {
        let there = self.clients.iter().filter(|client| !client.is_guest && client.room == Some(room));
        let mut keys: Vec<_> = there.map(|client| self.names.key(client.user.name)).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut known: Vec<_> = listed.iter().map(|user| self.names.key(user.name)).collect();
        known.sort_unstable();
        let who = self.who();
        self.trace.check(keys == known, "all know who is there", || {
            format!("in room {room} are {keys:?}, and {known:?} are known; {who}")
        });
    }

    /// Where all clients are, and whom they know.
    fn who(&self) -> String {
        let clients = self.clients.iter().enumerate().filter(|(_, client)| !client.is_guest);
        let known = clients.map(|(number, client)| {
            let users = client.users.iter().flatten().map(|user| user.name);
            let name = client.room.map(|_| client.user.name);
            (number, client.node, client.session, client.room, name, users.collect::<Vec<_>>())
        });
        format!("{:?}", known.collect::<Vec<_>>())
    }

    /// A name, and what looks like it, has one owner over all nodes.
    fn check_names(&mut self, room: usize) {
        let users: Vec<_> =
            self.clients.iter().filter(|client| !client.is_guest && client.room == Some(room)).collect();
        for (index, user) in users.iter().enumerate() {
            for other in &users[index + 1..] {
                let is_alike = self.names.are_alike(user.user.name, other.user.name);
                let is_one = self.names.key(user.user.name) == self.names.key(other.user.name)
                    && user.token == other.token;
                self.trace.check(
                    !is_alike || is_one,
                    "names of users cannot be taken for each other, at any node",
                    || {
                        format!(
                            "{:?} at node {} beside {:?} at node {}",
                            user.user, user.node, other.user, other.node
                        )
                    },
                );
            }
        }
    }

    fn check_client(&mut self, number: usize, room: usize, log: &BTreeMap<u64, u32>) {
        let client = &self.clients[number];
        let (first, head) = (log.keys().next().copied(), log.keys().next_back().copied().unwrap_or(0));
        let (next, known) = (client.next, &client.known[room]);
        self.trace.check(next == head + 1, "each reader gets each message", || {
            format!("client {number} in room {room} waits for {next}, the last is {head}")
        });
        let is_kept = |offset: u64| first.is_some_and(|first| offset >= first);
        let wrong =
            known.told.iter().find(|(offset, told)| is_kept(**offset) && log.get(offset) != Some(told));
        self.trace.check(wrong.is_none(), "all have one order, and what is lost is declared", || {
            let (offset, told) = wrong.map_or((0, 0), |(offset, told)| (*offset, *told));
            format!(
                "client {number} in room {room} was told {told} at {offset}, where {:?} is",
                log.get(&offset)
            )
        });
        let lost = known.acked.iter().find(|(acked, at)| is_kept(*at) && log.get(at) != Some(acked));
        self.trace.check(lost.is_none(), "what is acked is there, or its loss is declared", || {
            let (acked, at) = lost.copied().unwrap_or_default();
            format!("client {number} in room {room} was acked {acked} at {at}, where {:?} is", log.get(&at))
        });
    }

    /// A guest has heard what was said since it came, in order, but for its own.
    fn check_guest(&mut self, number: usize, log: &BTreeMap<u64, u32>, places: &BTreeMap<u32, u64>) {
        let guest = &self.clients[number];
        // A Redis that was emptied has only what nodes had in memory.
        let is_whole = log.contains_key(&1) || self.config.is_safe();
        let known = guest.heard.iter().position(|heard| places.contains_key(heard));
        let is_true = known == Some(0) || guest.heard.is_empty() || !is_whole;
        self.trace.check(is_true, "a guest hears what is said", || {
            format!("guest {number} heard {:?} first, which Redis does not have", guest.heard.first())
        });
        let Some(heard) = known.map(|known| &guest.heard[known..]) else {
            return;
        };
        let begin = places[&heard[0]];
        let is_others = |number: &u32| Some(self.sent[*number as usize].session) != guest.session;
        let said: Vec<_> = log.range(begin..).map(|(_, number)| *number).filter(is_others).collect();
        self.trace.check(said == heard, "a guest hears all that is said, in one order", || {
            let wrong = said.iter().zip(heard).find(|(said, heard)| said != heard);
            format!("guest {number} heard {} messages of {}, {wrong:?}", heard.len(), said.len())
        });
    }
}
