//! How a conversation writes to its own client.

use std::future::poll_fn;

use bytes::Bytes;
use serde::Serialize;

use crate::{
    protocol::{
        chat::{self, Event, Failure},
        websocket::frame::OpCode,
    },
    session::voice::Voice,
    socketio::Socket,
};

/// The encoding of events and acks for one client.
#[derive(Clone, Debug)]
pub(crate) enum Speech {
    /// JSON over a WebSocket, each event and each ack in an envelope.
    WebSocket(Voice),
    /// Events and acks of Socket.IO.
    SocketIo(Socket),
}

/// The ack of a failed request over Socket.IO.
#[derive(Serialize)]
struct Failed<'a> {
    error: &'a Failure,
}

impl Speech {
    /// Sends an event with `data`.
    pub(crate) fn event(&self, name: &str, data: &impl Serialize) {
        match self {
            Self::WebSocket(voice) => say(voice, chat::event(name, data)),
            Self::SocketIo(socket) => socket.emit(name, data),
        }
    }

    /// Sends an event of the room.
    pub(crate) fn room_event(&self, event: &Event<'_>) {
        match self {
            Self::WebSocket(voice) => say(voice, event.to_json()),
            Self::SocketIo(socket) => socket.send_packet_text(event.to_packet()),
        }
    }

    /// Answers a request.
    pub(crate) fn ack(&self, number: u64, data: &impl Serialize) {
        match self {
            Self::WebSocket(voice) => say(voice, chat::ack(number, data)),
            Self::SocketIo(socket) => socket.send_ack_json(number, &chat::json_text(&[data])),
        }
    }

    /// Answers a request that failed.
    pub(crate) fn ack_failure(&self, number: u64, error: &Failure) {
        match self {
            Self::WebSocket(voice) => say(voice, chat::ack_failure(number, error)),
            Self::SocketIo(socket) => socket.send_ack_json(number, &chat::json_text(&[Failed { error }])),
        }
    }

    /// Waits until at most `max_waiting` bytes of answers wait for the client.
    pub(crate) async fn drained(&self, max_waiting: usize) {
        match self {
            Self::WebSocket(voice) => poll_fn(|cx| voice.outbound.poll_drained(max_waiting, cx)).await,
            Self::SocketIo(socket) => poll_fn(|cx| socket.poll_drained(max_waiting, cx)).await,
        }
    }
}

fn say(voice: &Voice, json: Vec<u8>) {
    voice.answer(OpCode::Text, Bytes::from(json));
}
