//! What this server hears of the others, and what it answers.

use std::time::Instant;

use bytes::Bytes;
use bytestring::ByteString;
use log::{debug, warn};

use super::Core;
use crate::socketio::{
    adapter::{
        speech::{Envelope, Junk},
        traffic::{Channel, Entry, FromHere, Heard, Here, Output},
    },
    cluster::{Message, Opts, StreamId},
};

impl Core {
    /// Takes what was published.
    pub(super) fn published(
        &mut self,
        now: Instant,
        by: &Channel,
        channel: &ByteString,
        body: Bytes,
        out: &mut Vec<Output>,
    ) {
        let Some((namespace, heard)) = self.namespaces.heard_by(by) else {
            return;
        };
        self.namespaces.heard_something(now);
        let own = self.namespaces.own(now, &namespace, &body);
        if !own.is_empty() {
            return out.extend(own.into_iter().map(|deliver| Output::Deliver(deliver, None)));
        }
        // Others are not decoded for rooms in which there is none of this server's sockets.
        let room = if heard == Heard::Broadcasts { self.speech.room_of(&namespace, channel) } else { None };
        if room.is_some_and(|room| !self.namespaces.is_occupied(&namespace, room))
            || self.speech.is_own(heard, &namespace, &body)
        {
            return;
        }
        match self.speech.read(heard, &body) {
            Ok(envelope) => self.take_message(now, &namespace, envelope, None, out),
            Err(junk) => self.drop_junk(&namespace, &junk),
        }
    }

    /// Takes entries of the stream.
    pub(super) fn read(&mut self, now: Instant, entries: Vec<Entry>, out: &mut Vec<Output>) {
        self.namespaces.heard_something(now);
        for Entry { id, fields } in entries {
            let Ok(id) = id.parse::<StreamId>() else {
                self.figures.count_junk();
                continue;
            };
            self.link.handed(id);
            let Some((uid, namespace, body)) = self.speech.entry_head(&fields) else {
                self.figures.count_junk();
                continue;
            };
            if !self.namespaces.is_served(&namespace) {
                continue;
            }
            let is_own = uid == self.speech.uid();
            let own = if is_own { self.namespaces.own(now, &namespace, &body) } else { Vec::new() };
            let is_restoring = self.restoring.is_any();
            if is_own && !is_restoring {
                out.extend(own.into_iter().map(|deliver| Output::Deliver(deliver, Some(id))));
                continue;
            }
            match self.speech.read_entry(&fields) {
                Ok(envelope) => {
                    if is_restoring {
                        self.restoring.heard(id, &namespace, &envelope.message);
                    }
                    if is_own {
                        out.extend(own.into_iter().map(|deliver| Output::Deliver(deliver, Some(id))));
                    } else {
                        self.take_message(now, &namespace, envelope, Some(id), out);
                    }
                }
                Err(junk) => self.drop_junk(&namespace, &junk),
            }
        }
        if self.restoring.is_any() {
            self.hand_out(out);
        }
    }

    fn drop_junk(&self, namespace: &ByteString, junk: &Junk) {
        self.figures.count_junk();
        debug!("namespace {namespace}: what another server says is dropped: {junk}");
    }

    /// Takes what another server says, or this one where it is not to be heeded.
    fn take_message(
        &mut self,
        now: Instant,
        namespace: &ByteString,
        envelope: Envelope,
        offset: Option<StreamId>,
        out: &mut Vec<Output>,
    ) {
        let Envelope { uid, namespace: said, message } = envelope;
        if uid.as_ref().is_some_and(|uid| uid == self.speech.uid())
            || said.is_some_and(|said| said != *namespace)
        {
            return;
        }
        let namespace = namespace.clone();
        match message {
            Message::Broadcast { args, opts } => {
                out.push(Output::Here(Here::Emit { namespace, args, opts, offset }));
            }
            Message::Join { opts, rooms, request } => {
                let request = self.if_here(&namespace, request, &opts);
                let here = Here::Join { namespace: namespace.clone(), target: opts.target, rooms };
                out.push(Output::Here(here));
                self.done(&namespace, request, out);
            }
            Message::Leave { opts, rooms, request } => {
                let request = self.if_here(&namespace, request, &opts);
                let here = Here::Leave { namespace: namespace.clone(), target: opts.target, rooms };
                out.push(Output::Here(here));
                self.done(&namespace, request, out);
            }
            Message::Disconnect { opts, close, request } => {
                let request = self.if_here(&namespace, request, &opts);
                let here = Here::Disconnect { namespace: namespace.clone(), target: opts.target, close };
                out.push(Output::Here(here));
                self.done(&namespace, request, out);
            }
            Message::Claim { pid } if self.speech.session_key(&pid).is_some() => {
                out.push(Output::Here(Here::Release { namespace, pid }));
            }
            Message::Claim { .. } => self.figures.count_junk(),
            Message::Ask { .. }
            | Message::ListSids { .. }
            | Message::ListRooms { .. }
            | Message::Fetch { .. }
            | Message::ServerEvent { .. } => {
                let most = self.bounds.max_foreign_requests;
                match self.asking.take(now, namespace, uid, message, most) {
                    Some(here) => out.push(Output::Here(here)),
                    None => self.figures.count_junk(),
                }
            }
            answer => self.asked.answered(answer),
        }
    }

    /// The request of an old server, which names one socket, if this server has that.
    fn if_here(
        &self,
        namespace: &ByteString,
        request: Option<ByteString>,
        opts: &Opts,
    ) -> Option<ByteString> {
        request.filter(|_| opts.target.to.iter().any(|sid| self.namespaces.is_occupied(namespace, sid)))
    }

    /// Tells an old server that what it has asked for is done.
    fn done(&mut self, namespace: &ByteString, request: Option<ByteString>, out: &mut Vec<Output>) {
        if let Some(request) = request {
            self.reply(namespace, None, &Message::Done { request }, out);
        }
    }

    fn reply(
        &mut self,
        namespace: &ByteString,
        asker: Option<&ByteString>,
        message: &Message,
        out: &mut Vec<Output>,
    ) {
        match self.speech.reply(namespace, asker, message) {
            Ok(sending) => self.send_message(sending, out),
            Err(problem) => warn!("namespace {namespace}: another server is not answered: {problem}"),
        }
    }

    /// Takes an answer of this server to what another one has asked.
    pub(super) fn take_answer(&mut self, answer: FromHere, out: &mut Vec<Output>) {
        if let Some((namespace, asker, message)) = self.asking.answer(answer) {
            self.reply(&namespace, asker.as_ref(), &message, out);
        }
    }
}
