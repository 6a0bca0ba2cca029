//! The requests of clients to a session, from the threads of their connections.

use std::{future::poll_fn, sync::Arc};

use actix::{Message, Recipient};
use bytestring::ByteString;
use tokio::sync::oneshot;

use super::{gate::Gate, settings::EngineSettings};
use crate::{
    connection::{Ending, detached::Socket, outbound::PollAnswer},
    protocol::{
        engineio::{self, Packet},
        websocket::deflate::Agreement,
    },
};

/// Number of packets of one post that a session takes at a time. Its other messages are handled between two parts.
const POSTED_PART: usize = 128;

/// What a request wants of a session. The result says whether packets were accepted.
#[derive(Debug, Message)]
#[rtype(result = "bool")]
pub(super) enum Request {
    /// Answer with packets, when there are some.
    Poll(oneshot::Sender<PollAnswer>),
    /// Take these packets of a post.
    Packets(Packets),
    /// The client has given a request up.
    Gone,
    /// End.
    End(Ending),
    /// Stop, if the session has ended and waits for its client's next poll.
    Depart,
    /// Be probed by a WebSocket.
    Probe(Probe),
}

/// Packets of a post.
#[derive(Debug)]
pub(super) struct Packets {
    /// In the order of the post.
    pub packets: Vec<Packet>,
    /// Whether these are the first packets of the post.
    pub is_first: bool,
    /// Whether the next packet of the post cannot be decoded.
    pub is_broken: bool,
}

/// What the client of a WebSocket takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Takes {
    /// It takes no binary frames, but base64.
    pub base64: bool,
    /// The compression that was agreed on, if any.
    pub compression: Option<Agreement>,
}

/// A WebSocket that the client of a polling session probes for an upgrade.
#[derive(Debug)]
pub(super) struct Probe {
    /// Its socket.
    pub socket: Socket,
    /// What its client takes.
    pub takes: Takes,
}

/// A session, as HTTP requests use it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    session: Recipient<Request>,
    gate: Arc<Gate>,
}

impl Entry {
    /// The session behind this mailbox. `gate` decides when more may be read for it.
    pub(super) fn new(session: Recipient<Request>, gate: Arc<Gate>) -> Self {
        Self { session, gate }
    }

    /// Notes a request of the client. Returns whether the session polls; the session itself decides whether
    /// it takes the request.
    pub(crate) fn is_polling(&self) -> bool {
        self.gate.note_request();
        self.gate.is_polling()
    }

    /// Whether the session takes messages.
    pub(super) fn is_alive(&self) -> bool {
        self.session.connected()
    }

    /// Guards a request of a polling session. Dropping the guard without `answered` means that
    /// the client aborted the request, and ends the session.
    pub(crate) fn attend(&self) -> Attendance {
        Attendance(Some(self.session.clone()))
    }

    /// Waits for packets, or for the end of the session.
    pub(crate) async fn poll(&self) -> PollAnswer {
        let (answer, answered) = oneshot::channel();
        self.session.do_send(Request::Poll(answer));
        answered.await.unwrap_or(PollAnswer::Over)
    }

    /// Hands over the packets of a posted payload. Returns whether they were accepted. They go to the session
    /// in parts, each after the gate has opened.
    pub(crate) async fn post(&self, payload: &ByteString) -> bool {
        let mut packets = engineio::packets(payload);
        let mut is_first = true;
        loop {
            let (mut part, mut is_broken) = (Vec::new(), false);
            for packet in packets.by_ref().take(POSTED_PART) {
                match packet {
                    Ok(packet) => part.push(packet),
                    Err(_) => {
                        is_broken = true;
                        break;
                    }
                }
            }
            let is_last = is_broken || part.len() < POSTED_PART;
            let packets = Request::Packets(Packets { packets: part, is_first, is_broken });
            let was_taken = self.session.send(packets).await.unwrap_or(false);
            // The client sends its next post after this response.
            poll_fn(|cx| self.gate.poll_open(cx)).await;
            if is_last || !was_taken {
                // The packets behind one that ended the session are ignored, and the post was accepted.
                return was_taken || !is_first && !is_broken;
            }
            is_first = false;
        }
    }

    /// Marks a post as running. `None` if another post runs already, which ends the session.
    pub(crate) fn begin_post(&self) -> Option<Posting> {
        if self.gate.begin_post() {
            return Some(Posting(Arc::clone(&self.gate)));
        }
        self.end(Ending::TransportError);
        None
    }

    /// Has the client probe a WebSocket. Gives it back if the session is gone.
    pub(super) fn probe(&self, probe: Probe) -> Result<(), Probe> {
        if !self.session.connected() {
            return Err(probe);
        }
        self.session.do_send(Request::Probe(probe));
        Ok(())
    }

    /// Stops the session, if it has ended and waits for its client's next poll.
    pub(super) fn depart(&self) {
        self.session.do_send(Request::Depart);
    }

    /// Ends the session for this reason.
    pub(crate) fn end(&self, why: Ending) {
        self.session.do_send(Request::End(why));
    }
}

/// Marks a post as running until dropped.
#[derive(Debug)]
pub(crate) struct Posting(Arc<Gate>);

impl Posting {
    /// Largest payload in bytes for this post.
    pub(crate) fn max_size(&self, settings: &EngineSettings) -> usize {
        settings.max_size(self.0.is_known())
    }
}

impl Drop for Posting {
    fn drop(&mut self) {
        self.0.end_post();
    }
}

/// Guard of a request; see [`Entry::attend`].
#[derive(Debug)]
#[must_use = "dropping it gives the request up"]
pub(crate) struct Attendance(Option<Recipient<Request>>);

impl Attendance {
    /// Marks the request as answered.
    pub(crate) fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        if let Some(session) = self.0.take() {
            session.do_send(Request::Gone);
        }
    }
}
