//! A namespace without server code: an event of a client goes unchanged to the other members of its room.
//!
//! `join` with a room name (or `{room}`) enters the room and leaves the former one; `leave` leaves the room.
//! An ack is `{}` if the event was accepted and `{error: {code, msg}}` if it was rejected. Without an ack a
//! rejection is an `error` event.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use crate::{
    connection::{
        Ending,
        rate::{Measure, Meter, RateLimit},
    },
    domain::RoomName,
    protocol::chat::{Code, Failure},
    socketio::{Event, Server, Socket},
};

/// Name of the namespace.
const NAMESPACE: &str = "/relay";

/// Adds the namespace to a server. Clients may send events at this rate.
pub(crate) fn serve(io: &Server, rate: Option<RateLimit>) {
    // Sequential: each sender's events reach the others in their order, also around a change of rooms. Where several servers
    // share the namespace, all have one order.
    io.namespace(NAMESPACE)
        .sequential()
        .in_one_order()
        .admit(async move |_| {
            Ok(Relay { meter: Mutex::new(rate.map(|limit| Meter::new(limit, Instant::now()))) })
        })
        .on_any(async |socket, event| event_of(&socket, &event).await);
}

/// What is kept for each socket.
struct Relay {
    meter: Mutex<Option<Meter>>,
}

impl Relay {
    fn measure(&self) -> Option<Measure> {
        let mut meter = self.meter.lock().unwrap_or_else(PoisonError::into_inner);
        meter.as_mut().map(|meter| meter.measure(Instant::now()))
    }
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

async fn event_of(socket: &Socket<Relay>, event: &Event) {
    let outcome = match event.name() {
        _ if !socket.is_connected() => return,
        _ if let Err(failure) = measure(socket) => Err(failure),
        "join" => join(socket, event).await,
        "leave" => {
            rooms_of(socket).into_iter().for_each(|room| socket.leave(room));
            event.ack().send(&Done {});
            Ok(())
        }
        _ => relay(socket, event),
    };
    if let Err(error) = outcome {
        let error = &error;
        if event.ack().is_wanted() {
            event.ack().send(&Failed { error });
        } else {
            socket.unrecorded().emit("error", error);
        }
    }
}

/// Counts an event against the rate. A flood ends the session.
fn measure(socket: &Socket<Relay>) -> Result<(), Failure> {
    match socket.data().measure() {
        Some(Measure::TooFast { retry_after }) => Err(Failure::too_fast(retry_after)),
        Some(Measure::Flood) => {
            socket.end_session(Ending::Flood);
            Err(Failure::of(Code::RateLimited))
        }
        Some(Measure::Fits) | None => Ok(()),
    }
}

/// The rooms of the socket; one at most, unless it was put into more from outside.
fn rooms_of(socket: &Socket<Relay>) -> Vec<ByteString> {
    socket.rooms().into_iter().filter(|room| *room != socket.id()).collect()
}

async fn join(socket: &Socket<Relay>, event: &Event) -> Result<(), Failure> {
    let wish = event.decode().map_err(|_| Failure::with(Code::BadField, "join needs the name of a room"))?;
    let (Wish::Name(name) | Wish::Fields { room: name }) = wish;
    let room = RoomName::parse(&name).and_then(|name| name.check_new().map(|()| name));
    let room = room.map_err(|error| Failure::with(Code::BadRoom, error.to_string()))?;
    let (room, former) = (ByteString::from(room.as_str()), rooms_of(socket));
    // One room at a time.
    former.iter().filter(|former| **former != room).for_each(|former| socket.leave(former));
    if socket.join(room.clone()).await.is_err() {
        // Back to the former room, which still has its place unless another room has taken it.
        former.iter().for_each(|former| drop(socket.join(former)));
        return Err(Failure::of(Code::TooManyRooms));
    }
    event.ack().send(&Joined { room: &room });
    Ok(())
}

fn relay(socket: &Socket<Relay>, event: &Event) -> Result<(), Failure> {
    let room = rooms_of(socket).into_iter().next().ok_or_else(|| Failure::of(Code::NotInRoom))?;
    socket.to(room).emit_args(event.args().clone());
    event.ack().send(&Done {});
    Ok(())
}
