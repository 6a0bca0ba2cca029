//! An event from a client, its ack, and what was wrong with it.

use std::{cell::Cell, fmt, rc::Rc};

use bytestring::ByteString;
use log::error;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{Refusal, Socket};
use crate::protocol::socketio::{Args, DecodeError, Value};

/// An event from a client. Clones are cheap and refer to one ack.
#[derive(Clone, Debug)]
pub struct Event(Rc<EventState>);

#[derive(Debug)]
struct EventState {
    name: ByteString,
    args: Args,
    ack: Ack,
}

impl Event {
    /// An event that asks for an ack with the id `ack`, if that is set.
    pub(crate) fn new(socket: &Socket, name: ByteString, args: Args, ack: Option<ByteString>) -> Self {
        let state = |id| Rc::new(AckState { id, socket: socket.clone(), is_sent: Cell::new(false) });
        Self(Rc::new(EventState { name, args, ack: Ack(ack.map(state)) }))
    }

    /// The event's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub(crate) fn owned_name(&self) -> &ByteString {
        &self.0.name
    }

    /// The arguments as received: a JSON array that begins with the name, with its attachments. To pass an event on,
    /// this costs less than decoding it.
    pub fn args(&self) -> &Args {
        &self.0.args
    }

    /// Decodes the arguments, as handlers get them: a tuple takes several, another type the first one.
    ///
    /// # Errors
    /// The argument that does not fit the type.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        self.0.args.decode()
    }

    /// The arguments as values of any type.
    ///
    /// # Errors
    /// An argument that no value can hold, such as a number beyond the range of `f64`.
    pub fn values(&self) -> Result<Vec<Value>, DecodeError> {
        self.0.args.values()
    }

    /// The ack. If the client did not ask for one, sending it does nothing.
    pub fn ack(&self) -> Ack {
        self.0.ack.clone()
    }
}

/// Answers an event, once (section "Acknowledgement" of the Socket.IO protocol). If it is dropped unused, the client gets
/// no answer.
#[derive(Clone)]
pub struct Ack(Option<Rc<AckState>>);

struct AckState {
    id: ByteString,
    socket: Socket,
    is_sent: Cell<bool>,
}

impl Ack {
    /// Whether the client asked for an answer and has not got one.
    pub fn is_wanted(&self) -> bool {
        self.0.as_ref().is_some_and(|state| !state.is_sent.get())
    }

    /// Sends the answer: a tuple is several arguments, `()` none, any other value one. Only the first answer counts. An
    /// answer that cannot be encoded is logged, and the client gets an error object instead.
    pub fn send(self, data: &(impl Serialize + ?Sized)) {
        if !self.is_wanted() {
            return;
        }
        match Args::encode_answer(data) {
            Ok(args) => self.send_args(&args),
            Err(problem) => {
                error!("an ack cannot be encoded: {problem}");
                self.send_error("bad_answer", "the answer of the server cannot be encoded");
            }
        }
    }

    /// Sends an answer that is encoded already: a JSON array of the arguments, with its attachments.
    pub fn send_args(self, args: &Args) {
        if let Some(state) = self.0.filter(|state| !state.is_sent.replace(true)) {
            state.socket.send_ack(&state.id, args);
        }
    }

    /// Answers with `{"error": {"code": ..., "msg": ...}}`.
    pub(crate) fn send_error(self, code: &str, msg: &str) {
        if let Ok(args) = Args::encode_answer(&json!({"error": {"code": code, "msg": msg}})) {
            self.send_args(&args);
        }
    }

    /// The id as a number, for code that keeps many acks. `None` without an ack, or if it does not fit 64 bits.
    pub(crate) fn number(&self) -> Option<u64> {
        self.0.as_ref()?.id.parse().ok()
    }
}

impl fmt::Debug for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ack").field("is_wanted", &self.is_wanted()).finish()
    }
}

/// Why an event reached no handler. See [`Namespace::on_error`](crate::socketio::Namespace::on_error).
#[derive(Clone, Debug, thiserror::Error)]
pub enum EventError {
    /// The arguments do not fit the type that the handler takes. The ack, if any, was answered with an error object.
    #[error("event {event:?}: {error}")]
    Arguments {
        /// The event's name.
        event: ByteString,
        /// The argument and what is wrong with it.
        error: DecodeError,
    },
    /// A middleware refused the event.
    #[error("event {event:?} was refused: {}", .refusal.message)]
    Refused {
        /// The event's name.
        event: ByteString,
        /// What the middleware said.
        refusal: Refusal,
    },
    /// The namespace has an admission that was replaced by one with another type of data, so handlers of the former type
    /// cannot run.
    #[error("event {event:?}: a handler takes another type of data than the sockets of its namespace have")]
    OtherData {
        /// The event's name.
        event: ByteString,
    },
}
