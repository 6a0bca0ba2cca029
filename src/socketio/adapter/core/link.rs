//! Whether Redis can be reached, and which subscriptions are confirmed.

use std::collections::{HashMap, HashSet};

use bytestring::ByteString;
use log::warn;

use crate::socketio::{
    adapter::traffic::{Channel, Output, Query, QueryId, Reply},
    cluster::StreamId,
};

/// How far the link is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is not known whether Redis can be reached, or not all subscriptions are confirmed. What is said now is held until
    /// then, so that no answer is missed.
    Joining,
    /// All that others say is heard.
    Ready,
    /// Redis cannot be reached.
    Away,
}

/// The link to Redis.
pub(super) struct Link {
    state: State,
    is_connected: bool,
    /// What is subscribed to, and whether that is confirmed.
    channels: HashMap<Channel, bool>,
    /// Channels whose subscriptions are waited for before anything is said.
    awaited: HashSet<Channel>,
    reading: Option<Reading>,
}

/// Reads the stream in which events are.
struct Reading {
    stream: ByteString,
    /// The last entry that was handed over; `None` before the first connection.
    handed: Option<StreamId>,
    /// Asks for the last entry of the stream.
    asks: Option<QueryId>,
    is_on: bool,
}

impl Link {
    /// Nothing is known. Events are read from `stream`, if there is one.
    pub(super) fn new(stream: Option<ByteString>) -> Self {
        let reading = stream.map(|stream| Reading { stream, handed: None, asks: None, is_on: false });
        Self {
            state: State::Joining,
            is_connected: false,
            channels: HashMap::new(),
            awaited: HashSet::new(),
            reading,
        }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// There are connections: subscribes to all again. Returns what is to be asked for, to know where the stream is.
    pub(super) fn up(&mut self, out: &mut Vec<Output>) -> Option<Query> {
        (self.state, self.is_connected) = (State::Joining, true);
        for (channel, is_confirmed) in &mut self.channels {
            *is_confirmed = false;
            self.awaited.insert(channel.clone());
            out.push(Output::Subscribe(channel.clone()));
        }
        self.reading.as_ref().map(|reading| Query::Last { stream: reading.stream.clone() })
    }

    /// The position is asked for by this query.
    pub(super) fn asks_position(&mut self, id: QueryId) {
        if let Some(reading) = &mut self.reading {
            reading.asks = Some(id);
        }
    }

    /// Whether a reply tells the last entry of the stream.
    pub(super) fn has_asked(&self, id: QueryId) -> bool {
        self.reading.as_ref().is_some_and(|reading| reading.asks == Some(id))
    }

    /// Takes the reply that tells the last entry of the stream: reading begins. Returns where it begins; `None` if Redis does not
    /// let this server read.
    pub(super) fn position(
        &mut self,
        reply: &Result<Reply, String>,
        out: &mut Vec<Output>,
    ) -> Option<StreamId> {
        let reading = self.reading.as_mut()?;
        reading.asks = None;
        let last: StreamId = match reply {
            Ok(Reply::Entries(entries)) => {
                entries.last().and_then(|entry| entry.id.parse().ok()).unwrap_or_default()
            }
            Ok(_) => return None,
            Err(why) => {
                warn!("the stream {} cannot be read, so other servers are not heard: {why}", reading.stream);
                return None;
            }
        };
        let after = match reading.handed {
            Some(handed) if handed <= last => handed,
            Some(_) => {
                warn!(
                    "the stream {} has begun anew: clients that were away cannot be recovered",
                    reading.stream
                );
                last
            }
            None => last,
        };
        (reading.handed, reading.is_on) = (Some(after), true);
        out.push(Output::Read { stream: reading.stream.clone(), after: after.to_string().into() });
        Some(after)
    }

    /// The connections are lost.
    pub(super) fn down(&mut self) {
        (self.state, self.is_connected) = (State::Away, false);
        self.awaited.clear();
        self.channels.values_mut().for_each(|is_confirmed| *is_confirmed = false);
        if let Some(reading) = &mut self.reading {
            (reading.is_on, reading.asks) = (false, None);
        }
    }

    /// Subscribes to a channel, now and at each later connection.
    pub(super) fn subscribe(&mut self, channel: Channel, out: &mut Vec<Output>) {
        if self.channels.contains_key(&channel) {
            return;
        }
        self.channels.insert(channel.clone(), false);
        if self.is_connected {
            if self.state == State::Joining {
                self.awaited.insert(channel.clone());
            }
            out.push(Output::Subscribe(channel));
        }
    }

    pub(super) fn unsubscribe(&mut self, channel: Channel, out: &mut Vec<Output>) {
        self.awaited.remove(&channel);
        if self.channels.remove(&channel).is_some() && self.is_connected {
            out.push(Output::Unsubscribe(channel));
        }
    }

    pub(super) fn confirmed(&mut self, channel: &Channel) {
        self.awaited.remove(channel);
        if let Some(is_confirmed) = self.channels.get_mut(channel) {
            *is_confirmed = true;
        }
    }

    /// Whether what is published to a channel from now on is heard.
    pub(super) fn will_hear(&self, channel: &Channel) -> bool {
        match self.state {
            // It is sent behind the confirmation.
            State::Joining => self.channels.contains_key(channel),
            State::Ready => self.channels.get(channel).copied().unwrap_or(false),
            State::Away => false,
        }
    }

    /// Whether the stream is read, or will be before anything is appended.
    pub(super) fn is_reading(&self) -> bool {
        self.reading.as_ref().is_some_and(|reading| reading.is_on || self.state == State::Joining)
    }

    /// An entry of the stream is handed over.
    pub(super) fn handed(&mut self, id: StreamId) {
        if let Some(reading) = &mut self.reading {
            reading.handed = Some(id);
        }
    }

    /// The stream, and the last entry that was handed over.
    pub(super) fn read_up_to(&self) -> Option<(&ByteString, StreamId)> {
        let reading = self.reading.as_ref().filter(|reading| reading.is_on)?;
        Some((&reading.stream, reading.handed?))
    }

    /// Whether this is the moment from which on all that others say is heard.
    pub(super) fn check_ready(&mut self) -> bool {
        let is_ready = self.state == State::Joining
            && self.is_connected
            && self.awaited.is_empty()
            && self.reading.as_ref().is_none_or(|reading| reading.is_on);
        if is_ready {
            self.state = State::Ready;
        }
        is_ready
    }
}
