//! The thread that has the connections to Redis, and carries out what the links decide.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use actix_web::rt;
use log::{info, warn};
use tokio::sync::{mpsc, oneshot};

use super::{
    cluster::Owners,
    connecting::NotConnected,
    links::{Decide, Links},
    places::Places,
    questions::Question,
    servers::{Event as ServerEvent, ServerId, Servers},
    status::{Shared, words_of_cluster},
};
use crate::{
    nodes::{
        Partition,
        commands::Refused,
        contract::{Away, Heard, Listener, Order},
        link::{Input, Output},
    },
    parts::Supervisor,
    redis_client::slots::{is_down, is_moved, moved_to},
};

/// How long the links may take to end.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// Most orders that are taken at once.
const MOST_AT_ONCE: usize = 1024;

/// Stands for an address where no server can be asked for the slots of a Redis Cluster.
const NO_SERVER: &str = "the slots";

/// What the thread is told.
pub(super) enum Job {
    Order(Order),
    Ask(Question),
    AreYouThere(oneshot::Sender<()>),
    Stop,
}

/// What the thread waits for.
enum Event {
    Job(Option<Job>),
    Found(Result<Owners, NotConnected>),
    Server(ServerId, ServerEvent),
    Wake,
    /// The links have not ended in time.
    TooLate,
}

pub(super) struct LinkThread<D, L> {
    servers: Servers,
    places: Places,
    links: Links<D>,
    listener: L,
    jobs: mpsc::UnboundedReceiver<Job>,
    shared: Arc<Shared>,
    /// Why servers cannot be reached, as the log was told, by their addresses.
    troubles: BTreeMap<String, String>,
    /// Inputs for the links.
    inputs: Vec<(usize, Input)>,
    out: Vec<Output>,
    stops_at: Option<Instant>,
    is_done: bool,
}

impl<D: Decide, L: Listener> LinkThread<D, L> {
    pub(super) fn new(
        servers: Servers,
        places: Places,
        links: Links<D>,
        listener: L,
        jobs: mpsc::UnboundedReceiver<Job>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            servers,
            places,
            links,
            listener,
            jobs,
            shared,
            troubles: BTreeMap::new(),
            inputs: Vec::new(),
            out: Vec::new(),
            stops_at: None,
            is_done: false,
        }
    }

    pub(super) async fn run(mut self, supervisor: &Supervisor) {
        while !self.is_done {
            let event = self.event().await;
            supervisor.wait_while_stalled();
            supervisor.panic_if_poisoned();
            self.take(event);
            self.take_more_jobs();
            self.turn();
        }
    }

    async fn event(&mut self) -> Event {
        let at = |time: Option<Instant>| async move {
            match time {
                Some(time) => rt::time::sleep_until(time.into()).await,
                None => std::future::pending().await,
            }
        };
        let (wake, stop) = (at(self.links.next_wake()), at(self.stops_at));
        let is_stopping = self.stops_at.is_some();
        tokio::select! {
            (id, event) = self.servers.next() => Event::Server(id, event),
            found = self.places.found() => Event::Found(found),
            // A queue that is closed was heard of once.
            job = self.jobs.recv(), if !is_stopping || !self.jobs.is_closed() => Event::Job(job),
            () = wake => Event::Wake,
            () = stop => Event::TooLate,
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Job(job) => self.take_job(job),
            Event::Found(Ok(owners)) => self.found(&owners),
            Event::Found(Err(why)) => self.not_found(&why),
            Event::Server(id, ServerEvent::Connected) => self.connected(id),
            Event::Server(id, ServerEvent::Passed) => self.passed(id),
            Event::Server(id, ServerEvent::Lost(why)) => {
                // What has come before.
                self.passed(id);
                self.lose(id, &why);
            }
            Event::Wake => {
                let due = self.links.due(Instant::now());
                self.inputs.extend(due);
            }
            Event::TooLate => {
                warn!("the link to Redis could not be ended in time");
                self.is_done = true;
            }
        }
    }

    // ----- jobs -----

    fn take_job(&mut self, job: Option<Job>) {
        match job {
            Some(Job::Order(order)) => {
                self.shared.waiting.fetch_sub(1, Ordering::Relaxed);
                let orders = self.links.orders(order).into_iter();
                self.inputs.extend(orders.map(|(index, order)| (index, Input::Order(order))));
            }
            Some(Job::Ask(question)) => self.ask(question),
            // The caller may not wait any more.
            Some(Job::AreYouThere(answer)) => _ = answer.send(()),
            Some(Job::Stop) | None if self.stops_at.is_none() => {
                self.stops_at = Some(Instant::now() + STOP_PATIENCE);
                self.inputs.extend(self.links.indices().map(|index| (index, Input::Stop)));
            }
            Some(Job::Stop) | None => {}
        }
    }

    /// Asks a question past the link.
    fn ask(&mut self, question: Question) {
        let index = self.links.of(question.partition);
        let server = self.links.at(index).server;
        match server.and_then(|id| self.servers.traffic(id)) {
            Some((traffic, _)) => traffic.ask(question),
            None => question.refuse(self.why_away(server)),
        }
    }

    /// Why a server, or any, cannot be reached.
    fn why_away(&self, server: Option<ServerId>) -> String {
        let url = server.and_then(|id| self.servers.url(id)).map(ToString::to_string);
        let why = url.and_then(|url| self.troubles.get(&url)).or(self.troubles.values().next());
        why.cloned().unwrap_or_else(|| "Redis is not connected yet".to_owned())
    }

    /// Takes what else waits, so that it goes to Redis in one write.
    fn take_more_jobs(&mut self) {
        for _ in 0..MOST_AT_ONCE {
            match self.jobs.try_recv() {
                Ok(job) => self.take_job(Some(job)),
                Err(_) => return,
            }
        }
    }

    // ----- what links want -----

    /// Hands all inputs to the links, and carries out what they want.
    fn turn(&mut self) {
        let now = Instant::now();
        let (mut inputs, mut out) = (std::mem::take(&mut self.inputs), std::mem::take(&mut self.out));
        for (index, input) in inputs.drain(..) {
            self.links.handle(index, now, input, &mut out);
            out.drain(..).for_each(|output| self.carry_out(index, output));
        }
        (self.inputs, self.out) = (inputs, out);
        self.is_done |= self.links.have_left();
        self.servers.send();
    }

    fn carry_out(&mut self, index: usize, output: Output) {
        let server = self.links.at(index).server;
        if let Output::Tell(heard) = output {
            self.log(index, &heard);
            return self.listener.heard(heard);
        }
        // Else the link is told that Redis cannot be reached, and asks again once it can be.
        let Some((traffic, batch)) = server.and_then(|id| self.servers.traffic(id)) else {
            return;
        };
        match output {
            Output::Call(id, command) => traffic.call(id, command, batch),
            Output::Subscribe(room) => traffic.subscribe(room, batch),
            Output::Unsubscribe(room) => traffic.unsubscribe(&room, batch),
            Output::SubscribeNode(partition, node) => traffic.subscribe_node(partition, node, batch),
            Output::Tell(_) | Output::Left => {}
        }
    }

    /// Logs that a server, which can be reached, takes nothing, and that it does again.
    fn log(&mut self, index: usize, heard: &Heard) {
        if !matches!(heard, Heard::Up(_) | Heard::Down(..)) {
            return;
        }
        let server = self.links.at(index).server.filter(|id| self.servers.opened(*id).is_some());
        let Some(url) = server.and_then(|id| self.servers.url(id)) else {
            return;
        };
        match (self.links.is_change_of_refusal(index, heard), heard) {
            (Some(true), Heard::Down(_, why)) => warn!("Redis at {url} takes no messages now: {why}"),
            (Some(false), _) => info!("Redis at {url} takes messages again"),
            _ => {}
        }
    }

    // ----- servers -----

    /// Has links that have no server, or may have a wrong one, go to those that have their partitions.
    fn found(&mut self, owners: &Owners) {
        for index in self.links.indices() {
            let placed = self.links.at(index);
            if placed.server.is_some() && !placed.is_in_doubt {
                continue;
            }
            let owner = self.links.partition(index).and_then(|partition| owners.of(partition));
            let Some(owner) = owner else {
                self.displace(index, &Away("no server of the Redis Cluster has the slot".to_owned()));
                continue;
            };
            let (id, placed) = (self.servers.at(owner), self.links.at(index));
            placed.is_in_doubt = false;
            if placed.server == Some(id) {
                continue;
            }
            if placed.server.is_some() {
                self.displace(index, &Away(format!("Redis at {owner} has the slot now")));
            }
            self.links.at(index).server = Some(id);
            self.tell_up(id, &[index]);
        }
        self.give_unused_up();
        self.look_if_needed();
        self.set_status();
    }

    fn not_found(&mut self, why: &NotConnected) {
        let away = Away(format!("no server of the Redis Cluster can be asked: the last one {why}"));
        if self.troubles.get(NO_SERVER) != Some(&away.0) {
            warn!("{away}; trying again");
            self.troubles.insert(NO_SERVER.to_owned(), away.0.clone());
        }
        for index in self.links.indices() {
            if self.links.at(index).server.is_none() {
                self.displace(index, &away);
            }
        }
        self.look_if_needed();
        self.set_status();
    }

    fn look_if_needed(&mut self) {
        if self.links.iter().any(|placed| placed.server.is_none()) {
            self.places.look();
        }
    }

    fn give_unused_up(&mut self) {
        let links = &self.links;
        self.servers.retain(|id| links.iter().any(|placed| placed.server == Some(id)));
    }

    /// Tells links that their server can be reached, if it can be.
    fn tell_up(&mut self, id: ServerId, links: &[usize]) {
        if let Some((run, _)) = self.servers.opened(id) {
            for &index in links {
                self.links.at(index).is_down = false;
                self.inputs.push((index, Input::Up { server: run.to_owned() }));
            }
        }
    }

    fn connected(&mut self, id: ServerId) {
        if let (Some(url), Some((_, terms))) = (self.servers.url(id), self.servers.opened(id)) {
            let words = &terms.words;
            if terms.is_hollow {
                warn!("connected to Redis at {url}; {words}");
            } else {
                info!("connected to Redis at {url}; {words}");
            }
            self.troubles.remove(&url.to_string());
            self.troubles.remove(NO_SERVER);
        }
        self.tell_up(id, &self.links.at_server(id));
        self.set_status();
    }

    /// Takes what has come from a server.
    fn passed(&mut self, id: ServerId) {
        let (inputs, moved) = self.servers.take(id);
        for mut input in inputs {
            let index = self.links.receiver(&mut input);
            let placed = self.links.at(index);
            // A partition may have gone to another server meanwhile.
            if placed.server != Some(id) {
                continue;
            }
            match &input {
                Input::Answered(_, Err(Refused(why))) if is_moved(why) => {
                    let why = why.clone();
                    self.moved(id, index, why);
                    continue;
                }
                Input::Answered(_, Err(Refused(why))) if is_down(why) => {
                    placed.is_in_doubt = true;
                    self.places.look();
                }
                Input::Answered(_, Ok(_)) => placed.is_in_doubt = false,
                _ => {}
            }
            self.inputs.push((index, input));
        }
        for moved in moved {
            let index = self.links.of(moved.partition);
            if self.links.at(index).server == Some(id) {
                self.moved(id, index, moved.why);
            }
        }
    }

    /// A server of a Redis Cluster has given the partition of a link to another one.
    fn moved(&mut self, from: ServerId, index: usize, why: String) {
        let url = self.servers.url(from);
        if let Some(to) = url.and_then(|url| moved_to(&why, url)) {
            self.places.ask_first(to);
        }
        info!("part {index} of the rooms is looked for at another server of the Redis Cluster: {why}");
        self.displace(index, &Away(why));
        self.look_if_needed();
        self.set_status();
    }

    /// A link has no server any more.
    fn displace(&mut self, index: usize, why: &Away) {
        let placed = self.links.at(index);
        placed.server = None;
        (placed.is_refused, placed.is_in_doubt) = (false, false);
        if !std::mem::replace(&mut placed.is_down, true) {
            self.inputs.push((index, Input::Down(why.clone())));
        }
    }

    /// Gives a server up, tells so once, and looks for the ones that have its partitions.
    fn lose(&mut self, id: ServerId, Away(why): &Away) {
        if let Some(url) = self.servers.url(id) {
            let key = url.to_string();
            if self.troubles.get(&key) != Some(why) {
                warn!("Redis at {url}: {why}; trying again");
                self.troubles.insert(key, why.clone());
            }
        }
        if self.servers.remove(id) {
            self.shared.status().losses += 1;
        }
        for index in self.links.at_server(id) {
            self.displace(index, &Away(why.clone()));
        }
        self.look_if_needed();
        self.set_status();
    }

    /// Notes for all threads whether Redis can be reached.
    fn set_status(&mut self) {
        let (mut open, mut partitions) = (BTreeMap::new(), 0);
        for id in self.links.iter().filter_map(|placed| placed.server) {
            if let (Some(url), Some((_, terms))) = (self.servers.url(id), self.servers.opened(id)) {
                open.insert(url.to_string(), terms.words.clone());
                partitions += 1;
            }
        }
        if !self.links.is_one_each() {
            partitions *= Partition::COUNT;
        }
        if partitions == Partition::COUNT {
            // Those of servers that have no partitions any more.
            self.troubles.clear();
        }
        let words = if self.links.is_one_each() {
            Some(words_of_cluster(&open, &self.troubles, partitions))
        } else {
            open.into_values().next().or_else(|| self.troubles.values().next().cloned())
        };
        self.shared.status().set(partitions, words);
    }
}
