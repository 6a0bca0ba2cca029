//! Socket.IO, ours and the Node reference by turns: an idle session's memory, an event's and a delivery's CPU time.

pub mod broadcast;
pub mod echo;
pub mod idle;

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

/// How long the server may say nothing while something is awaited.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Candidate {
    /// The server as its users run it.
    Echoroom,
    /// The same, which relays events, and keeps them for clients that drop.
    EchoroomRelay,
    /// This crate as a library, with events of its own.
    Fixture,
    /// The reference as it comes.
    Reference,
    /// The reference, connection state recovery on.
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

/// The clients of one turn, in one namespace, all in this thread.
struct Clients {
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    all: Vec<Client>,
}

impl Clients {
    /// Opens so many, and waits until each has joined.
    fn join(
        server: &Server,
        transport: Transport,
        namespace: &str,
        count: usize,
    ) -> Result<Self, Box<dyn Error>> {
        let mut clients = Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            buffer: vec![0; 64 * 1024],
            all: Vec::with_capacity(count),
        };
        for index in 0..count {
            let registry = clients.poll.registry();
            clients.all.push(Client::open(server.port, transport, namespace, index, registry)?);
        }
        // `0` and the namespace: it has been joined.
        let joined = if namespace == "/" { "0{".to_owned() } else { format!("0{namespace},{{") };
        clients.await_each(joined.as_bytes())?;
        Ok(clients)
    }

    /// Waits until each has a message that begins so.
    fn await_each(&mut self, start: &[u8]) -> Result<(), Box<dyn Error>> {
        let mut waiting = self.all.len();
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

    /// Sends what is queued for the first so many clients.
    fn flush(&mut self, count: usize) -> Result<(), Box<dyn Error>> {
        let registry = self.poll.registry();
        self.all[..count].iter_mut().try_for_each(|client| client.flush(registry))
    }

    /// Lets time pass, and pings be answered.
    fn linger(&mut self, duration: Duration) -> Result<(), Box<dyn Error>> {
        let until = Instant::now() + duration;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            self.wait(left, |_, _| Ok(()))?;
        }
        Ok(())
    }

    /// Waits until something comes, and hands each message on with its client's index.
    fn turn(
        &mut self,
        take: impl FnMut(usize, &[u8]) -> Result<(), Box<dyn Error>>,
    ) -> Result<(), Box<dyn Error>> {
        if self.wait(PATIENCE, take)? { Ok(()) } else { Err("the server says nothing".into()) }
    }

    /// Whether something came in that time.
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
