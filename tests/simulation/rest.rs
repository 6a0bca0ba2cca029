//! Rest: all faults end, all that is under way arrives, and what all have been told is compared.

use std::sync::atomic::Ordering;

use echoroom::testing::simulation::{Figures, report_counts};

use crate::world::{Phase, World};

/// After this many rounds, what goes on never ends.
const MOST_ROUNDS: usize = 20_000;

impl World {
    /// Lets all that is under way arrive, and checks what must be true then.
    pub fn rest(&mut self) {
        self.trace.note("rest", [0; 3]);
        self.counts.rests += 1;
        self.journal.is_full = false;
        let faults = std::mem::take(&mut self.journal.faults);
        self.clients.iter_mut().for_each(|client| client.is_reading = true);
        for _ in 0..5 {
            self.drain();
            self.clock += 1100;
            while self.trace.broken.is_none() && self.wake() {}
        }
        self.drain();
        self.trace.check(self.phase == Phase::Running, "a stop ends", || format!("{:?}", self.phase));
        if self.trace.broken.is_none() {
            self.check_rest();
        }
        self.journal.faults = faults;
    }

    /// Does what there is to do, in turn, until there is nothing.
    fn drain(&mut self) {
        for round in 0.. {
            let mut is_busy = false;
            for shard in 0..self.config.shards {
                while self.trace.broken.is_none() && self.does(|world| world.shard_takes(shard)) {
                    is_busy = true;
                }
                is_busy |= self.does(|world| world.shard_ends_turn(shard));
            }
            for worker in 0..self.node.workers.len() {
                while self.does(|world| world.fanout_of_takes(worker)) {
                    is_busy = true;
                }
                is_busy |= self.does(|world| world.fanout_of_delivers(worker));
            }
            is_busy |= self.each_session(Self::session_takes_mail);
            is_busy |= self.each_session(Self::session_takes_request);
            for client in 0..self.clients.len() {
                is_busy |= self.does(|world| world.client_reads(client));
            }
            is_busy |= self.does(Self::journal_works) | self.does(Self::journal_answers);
            is_busy |= self.each_session(Self::session_reads_journal);
            if !is_busy || self.trace.broken.is_some() {
                return;
            }
            if round == MOST_ROUNDS {
                return self.trace.fail("all that is under way arrives", || "it goes on and on".to_owned());
            }
        }
    }

    fn does(&mut self, act: impl FnOnce(&mut Self) -> bool) -> bool {
        self.trace.step += 1;
        let is_done = act(self);
        self.trace.step -= u64::from(!is_done);
        self.settle();
        is_done
    }

    fn each_session(&mut self, act: fn(&mut Self, usize) -> bool) -> bool {
        let mut is_busy = false;
        let mut index = 0;
        while index < self.node.sessions.len() {
            let number = self.node.sessions[index].number;
            is_busy |= self.does(|world| act(world, index));
            index += usize::from(self.node.sessions.get(index).is_some_and(|next| next.number == number));
        }
        is_busy
    }

    fn check_rest(&mut self) {
        let figures = self.node.servers.iter().map(|server| server.shard.figures());
        let (members, unkept) = figures.fold((0, 0), |(all_members, all_unkept), figures| {
            let Figures { members, unkept, .. } = figures;
            (all_members + members, all_unkept + unkept)
        });
        let sessions = self.node.sessions.len();
        self.trace.check(members == sessions, "each session is a member, and nothing else is", || {
            let is_known = |number| self.node.views.iter().any(|view| view.session == number);
            let numbers = self.node.sessions.iter().map(|session| session.number);
            let unknown: Vec<_> = numbers.filter(|number| !is_known(*number)).collect();
            format!(
                "{members} members, {sessions} sessions, of which {unknown:?} are none; {:?}",
                self.node.views
            )
        });
        self.trace.check(unkept == 0, "all messages are kept at rest", || format!("{unkept} are not"));
        let accepted = self.node.budget.accepted();
        self.trace.check(accepted == 0, "credits return", || format!("{accepted} bytes are out"));
        report_counts();
        let used = self.node.budget.used();
        self.trace.check(used == 0, "the memory budget is free at rest", || format!("{used} bytes are held"));
        for room in 0..self.config.rooms {
            let (head, durable) = (self.truth.head(room), self.journal.head(room));
            self.trace.check(head == durable, "all messages are durable at rest", || {
                format!("room {room} has {head} messages, {durable} are durable")
            });
        }
        for index in 0..sessions {
            self.check_session_at_rest(index);
        }
        for client in 0..self.clients.len() {
            if self.clients[client].session.is_some() && self.trace.broken.is_none() {
                self.check_client_at_rest(client);
            }
        }
        for owed in std::mem::take(&mut self.node.owed) {
            let client = self.clients.iter().position(|client| client.session == Some(owed.session));
            if let Some(client) = client.filter(|_| owed.is_sure) {
                let has_it = self.clients[client].privates.contains(&owed.number);
                self.trace.check(has_it, "a private message reaches all sessions of both users", || {
                    format!("client {client} lacks {owed:?}")
                });
            }
        }
        self.clients.iter_mut().for_each(|client| client.privates.clear());
    }

    fn check_session_at_rest(&mut self, index: usize) {
        let session = &self.node.sessions[index];
        let number = session.number;
        let is_evicted = session.is_evicted.load(Ordering::Relaxed);
        let (is_at_rest, asks) = (session.is_at_rest(), session.asks.len());
        let pending = format!("session {number}: {:?}, {asks} unread", session.pending);
        self.trace.check(!is_evicted, "a session that is evicted ends", || format!("session {number}"));
        self.trace.check(is_at_rest, "each request is answered", || pending);
    }

    fn check_client_at_rest(&mut self, number: usize) {
        let Some(room) = self.clients[number].room else {
            return;
        };
        let head = self.truth.head(room);
        if self.clients[number].is_guest {
            return self.check_guest_at_rest(number, room);
        }
        let client = &self.clients[number];
        let next = client.next;
        self.trace.check(next == head + 1, "each reader gets each message", || {
            format!("client {number} in room {room} waits for {next}, the last is {head}")
        });
        let users = self.node.users(room, &self.names);
        let told = client.users.clone();
        let is_true = told.clone().is_some_and(|told| self.node.is_list_of(room, told, &self.names));
        self.trace.check(is_true, "all know who is there", || {
            format!("client {number} in room {room} knows {told:?}, and {users:?} are there")
        });
    }

    /// A guest has heard what was said since it came, in order, but for its own.
    fn check_guest_at_rest(&mut self, number: usize, room: usize) {
        let session = self.clients[number].session;
        let heard = std::mem::take(&mut self.clients[number].heard);
        let since =
            self.node.views.iter().find(|view| Some(view.session) == session).map_or(0, |view| view.since);
        let head = self.truth.head(room);
        let mut heard = heard.into_iter().peekable();
        for offset in self.clients[number].heard_to + 1..=head {
            let Some(message) = self.truth.at(room, offset) else {
                continue;
            };
            let said = *self.truth.message(message);
            let has_heard = heard.next_if(|heard| *heard == message).is_some();
            if Some(said.session) == session || said.is_vague {
                continue;
            }
            let is_due = said.taken > since;
            self.trace.check(has_heard == is_due, "a guest hears what is said from its coming on", || {
                format!("guest {number} heard message {message}: {has_heard}; due: {is_due}")
            });
        }
        let extra: Vec<_> = heard.collect();
        self.trace.check(extra.is_empty(), "all have one order", || {
            format!("guest {number} heard {extra:?} out of order or twice")
        });
        self.clients[number].heard_to = head;
    }
}
