//! Socket.IO, Echoroom and the Node reference in turn: memory of an idle session, CPU time of an event and of
//! a delivery.

pub mod broadcast;
pub mod echo;
pub mod idle;
pub mod redis;

use std::{
    error::Error,
    fmt,
    time::{Duration, Instant},
};

use mio::{Events, Poll};

use crate::{
    engineio::{Client, Transport},
    server::Server,
};

/// Longest silence of a server that owes a response.
const PATIENCE: Duration = Duration::from_secs(10);

/// A Socket.IO server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Candidate {
    /// Echoroom as its users run it.
    Echoroom,
    /// Echoroom with its relay namespace, which keeps events for recovery.
    EchoroomRelay,
    /// Echoroom as a library, with events of the example.
    Fixture,
    /// The reference server with its defaults.
    Reference,
    /// The reference server with connection state recovery.
    ReferenceRecovering,
}

impl Candidate {
    fn start(self) -> Result<Server, Box<dyn Error>> {
        match self {
            Self::Echoroom => Server::echoroom("memory", &[]),
            Self::EchoroomRelay => Server::echoroom("memory", &["--relay", "on"]),
            Self::Fixture => Server::fixture(),
            Self::Reference => Server::node("socketio", &[]),
            Self::ReferenceRecovering => Server::node("socketio", &["recovery"]),
        }
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Echoroom => "echoroom",
            Self::EchoroomRelay => "echoroom, relay",
            Self::Fixture => "echoroom, conformance example",
            Self::Reference => "Node socket.io",
            Self::ReferenceRecovering => "Node socket.io, recovery on",
        })
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WebSocket => "WebSocket",
            Self::Polling => "polling",
        })
    }
}

/// The clients of one turn, in one namespace, all on this thread.
struct Clients {
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    all: Vec<Client>,
}

impl Clients {
    /// Opens clients and waits until each has joined the namespace.
    fn join(
        server: &Server,
        transport: Transport,
        namespace: &str,
        count: usize,
    ) -> Result<Self, Box<dyn Error>> {
        Self::join_each(std::slice::from_ref(server), transport, namespace, count)
    }

    /// Opens `count` clients at each of these servers, first all of the first one, and waits until each has joined the
    /// namespace.
    fn join_each(
        servers: &[Server],
        transport: Transport,
        namespace: &str,
        count: usize,
    ) -> Result<Self, Box<dyn Error>> {
        let mut clients = Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            buffer: vec![0; 64 * 1024],
            all: Vec::with_capacity(servers.len() * count),
        };
        for index in 0..servers.len() * count {
            let (port, registry) = (servers[index / count].port, clients.poll.registry());
            clients.all.push(Client::open(port, transport, namespace, index, registry)?);
        }
        // A CONNECT reply: `0` and the namespace.
        let joined = if namespace == "/" { "0{".to_owned() } else { format!("0{namespace},{{") };
        clients.await_each(joined.as_bytes())?;
        Ok(clients)
    }

    /// Waits until each client has a message with this start.
    fn await_each(&mut self, start: &[u8]) -> Result<(), Box<dyn Error>> {
        self.await_messages(start, self.all.len())
    }

    /// Waits for `count` messages with this start.
    fn await_messages(&mut self, start: &[u8], count: usize) -> Result<(), Box<dyn Error>> {
        let mut waiting = count;
        while waiting > 0 {
            self.turn(|_, message| {
                waiting -= usize::from(message.starts_with(start));
                Ok(())
            })?;
        }
        Ok(())
    }

    fn queue(&mut self, client: usize, packet: &[u8]) {
        self.all[client].queue(packet);
    }

    /// Sends the queued packets of the first `count` clients.
    fn flush(&mut self, count: usize) -> Result<(), Box<dyn Error>> {
        let registry = self.poll.registry();
        self.all[..count].iter_mut().try_for_each(|client| client.flush(registry))
    }

    /// Answers pings for `duration`.
    fn linger(&mut self, duration: Duration) -> Result<(), Box<dyn Error>> {
        let until = Instant::now() + duration;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            self.wait(left, |_, _| Ok(()))?;
        }
        Ok(())
    }

    /// Waits for input and hands over each message with its client's index.
    fn turn(
        &mut self,
        take: impl FnMut(usize, &[u8]) -> Result<(), Box<dyn Error>>,
    ) -> Result<(), Box<dyn Error>> {
        if self.wait(PATIENCE, take)? { Ok(()) } else { Err("the server says nothing".into()) }
    }

    /// Waits for input for at most `timeout`. Returns whether there was any.
    fn wait(
        &mut self,
        timeout: Duration,
        mut take: impl FnMut(usize, &[u8]) -> Result<(), Box<dyn Error>>,
    ) -> Result<bool, Box<dyn Error>> {
        self.poll.poll(&mut self.events, Some(timeout))?;
        for event in &self.events {
            let (token, index) = (event.token(), event.token().0 / 2);
            let registry = self.poll.registry();
            self.all[index]
                .read(token, registry, &mut self.buffer, &mut |message| take(index, message))
                .map_err(|error| format!("client {index}: {error}"))?;
        }
        Ok(!self.events.is_empty())
    }
}
