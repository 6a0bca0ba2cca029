//! A namespace without server code: an event of a client goes unchanged to the other members of its room.
//!
//! `join` with a room name (or `{room}`) enters the room and leaves the former one; `leave` leaves the room.
//! An ack is `{}` if the event was accepted and `{error: {code, msg}}` if it was rejected. Without an ack a
//! rejection is an `error` event.

use std::{cell::RefCell, rc::Rc, time::Instant};

use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use super::{
    Ending,
    namespaces::{AckTo, Event, Namespace, Refusal, Socket, SocketHandler},
};
use crate::{
    config::Settings,
    connection::rate::{Measure, Meter, RateLimit},
    domain::RoomName,
    protocol::{
        chat::{Code, Failure},
        socketio::Args,
    },
};

/// Name of the namespace.
pub const NAMESPACE: &str = "/relay";

/// The `/relay` namespace.
#[derive(Clone, Copy, Debug)]
pub struct Relay {
    rate: Option<RateLimit>,
}

impl Relay {
    /// Creates the namespace with the message rate of the settings.
    pub fn of(settings: &Settings) -> Self {
        Self { rate: RateLimit::of(settings) }
    }
}

impl Namespace for Relay {
    fn admit(&self, _: &str) -> Result<Box<dyn SocketHandler>, Refusal> {
        let meter = self.rate.map(|limit| Meter::new(limit, Instant::now()));
        Ok(Box::new(RelaySocket { meter, home: Rc::default() }))
    }

    fn recovers(&self) -> bool {
        true
    }
}

/// The handler of one socket in the namespace.
struct RelaySocket {
    meter: Option<Meter>,
    /// The last room that the socket entered. The socket returns to it if another room rejects it.
    home: Rc<RefCell<Option<ByteString>>>,
}

/// Argument of `join`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Wish {
    Name(String),
    Fields { room: String },
}

/// Ack of `join`.
#[derive(Serialize)]
struct Joined<'a> {
    room: &'a str,
}

/// Ack of any other accepted event.
#[derive(Serialize)]
struct Done {}

#[derive(Serialize)]
struct Failed<'a> {
    error: &'a Failure,
}

impl RelaySocket {
    /// Counts an event against the rate. A flood ends the session.
    fn measure(&mut self, socket: &Socket) -> Result<(), Failure> {
        match self.meter.as_mut().map(|meter| meter.measure(Instant::now())) {
            Some(Measure::TooFast { retry_after }) => Err(Failure::too_fast(retry_after)),
            Some(Measure::Flood) => {
                socket.handle().end(Ending::Flood);
                Err(Failure::of(Code::RateLimited))
            }
            Some(Measure::Fits) | None => Ok(()),
        }
    }

    fn join(&self, socket: &Socket, args: &Args, ack: Option<AckTo>) -> Result<(), (Option<AckTo>, Failure)> {
        let wish = args.element(1).and_then(|json| serde_json::from_str(json).ok());
        let Some(Wish::Name(name) | Wish::Fields { room: name }) = wish else {
            return Err((ack, Failure::with(Code::BadField, "join needs the name of a room")));
        };
        let room = match RoomName::parse(&name).and_then(|name| name.check_new().map(|()| name)) {
            Ok(room) => ByteString::from(room.as_str()),
            Err(error) => return Err((ack, Failure::with(Code::BadRoom, error.to_string()))),
        };
        // One room at a time. Events that follow `join` go to the new room already.
        for former in socket.rooms().into_iter().filter(|former| *former != room) {
            socket.leave(former);
        }
        let home = Rc::clone(&self.home);
        socket.join_and(room.clone(), move |socket, is_in| {
            if is_in {
                answer(ack, &Joined { room: &room });
                return drop(home.replace(Some(room)));
            }
            // Return to the former room, unless the socket has joined another one since.
            if let Some(home) = home.borrow().clone().filter(|_| socket.rooms().is_empty()) {
                socket.join(home);
            }
            fail(socket, ack, &Failure::of(Code::TooManyRooms));
        });
        Ok(())
    }

    fn relay(socket: &Socket, event: Event) -> Result<(), (Option<AckTo>, Failure)> {
        let Event { args, ack, accepted, .. } = event;
        let Some(room) = socket.rooms().into_iter().next() else {
            return Err((ack, Failure::of(Code::NotInRoom)));
        };
        socket.to(room).emit_holding(args, accepted);
        answer(ack, &Done {});
        Ok(())
    }
}

/// Sends an ack if the client asked for one.
fn answer(ack: Option<AckTo>, data: &impl Serialize) {
    if let Some(ack) = ack {
        ack.answer(&Args::answer(data));
    }
}

fn fail(socket: &Socket, ack: Option<AckTo>, error: &Failure) {
    match ack {
        Some(ack) => ack.answer(&Args::answer(&Failed { error })),
        None => socket.emit_once("error", error),
    }
}

impl SocketHandler for RelaySocket {
    fn connected(&mut self, socket: &Socket) {
        self.home.replace(socket.rooms().into_iter().next());
    }

    fn event(&mut self, socket: &Socket, event: Event) {
        let outcome = match self.measure(socket) {
            Err(failure) => Err((event.ack, failure)),
            Ok(()) if event.name == "join" => self.join(socket, &event.args, event.ack),
            Ok(()) if event.name == "leave" => {
                self.home.take();
                socket.rooms().into_iter().for_each(|room| socket.leave(room));
                answer(event.ack, &Done {});
                Ok(())
            }
            Ok(()) => Self::relay(socket, event),
        };
        if let Err((ack, failure)) = outcome {
            fail(socket, ack, &failure);
        }
    }
}
