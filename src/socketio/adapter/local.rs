//! Does on this server what other servers want.

use std::{
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytestring::ByteString;
use tokio::sync::{
    mpsc::{self, UnboundedSender},
    oneshot,
};

use super::traffic::{FromHere, Here, HereId, Local};
use crate::{
    parts::Mailbox,
    protocol::socketio::Args,
    socketio::{
        cluster::{Answered, Opts, ServerEventHeard, StreamId, Target},
        emitter::{DEFAULT_ACK_TIMEOUT, MAX_ACK_TIMEOUT},
        namespace::Table,
        rooms::{
            InTurn, Position, Request, RoomServer,
            messages::{
                DisconnectMany, Emit, EmitWithAck, EnterMany, Guarantee, Look, LookRooms, QuitMany, Release,
            },
        },
        shown::shown,
    },
};

/// The rooms and the listeners of this server.
pub(crate) struct Locally {
    /// Set once the server has its first worker; before, it has no sockets.
    pub(crate) rooms: Weak<OnceLock<Mailbox<RoomServer>>>,
    /// Has the listeners.
    pub(crate) table: Arc<Table>,
    /// The number of the last offset of the cluster.
    pub(crate) position: Arc<AtomicU64>,
    /// Whether others are shown the headers of handshakes.
    pub(crate) shows_headers: bool,
}

impl Locally {
    fn rooms(&self) -> Option<Mailbox<RoomServer>> {
        self.rooms.upgrade()?.get().cloned()
    }

    /// Has the rooms do something, if there are any.
    fn in_turn(&self, request: impl Into<Request>) {
        if let Some(rooms) = self.rooms() {
            rooms.do_send(InTurn::new(request, None));
        }
    }

    fn emit(&self, emit: Emit, offset: Option<StreamId>) {
        if let Some(rooms) = self.rooms() {
            rooms.do_send(InTurn::new(emit, offset));
        }
    }

    fn ask(&self, emit: Emit, opts: &Opts, id: HereId, replies: &UnboundedSender<FromHere>) {
        let (answers, mut answered) = mpsc::unbounded_channel();
        let timeout = opts.flags.timeout.map_or(DEFAULT_ACK_TIMEOUT, Duration::from_millis);
        match self.rooms() {
            Some(rooms) => {
                let timeout = timeout.min(MAX_ACK_TIMEOUT);
                rooms.do_send(InTurn::new(EmitWithAck { emit, timeout, answers }, None));
            }
            // The receiver is there.
            None => drop(answers.send(Answered::Expecting(0))),
        }
        let replies = replies.clone();
        tokio::spawn(async move {
            // If nothing takes the answers any more, they are dropped.
            while let Some(answered) = answered.recv().await {
                let _ = replies.send(FromHere::Answered(id, Some(answered)));
            }
            let _ = replies.send(FromHere::Answered(id, None));
        });
    }

    fn look(&self, namespace: ByteString, target: Target, id: HereId, replies: &UnboundedSender<FromHere>) {
        let (to, found) = oneshot::channel();
        self.in_turn(Look { namespace, target, to, elsewhere: None });
        let (replies, shows_headers) = (replies.clone(), self.shows_headers);
        tokio::spawn(async move {
            // Without rooms there are no sockets.
            let found = found.await.unwrap_or_default();
            let sockets = found.iter().map(|found| shown(found, shows_headers)).collect();
            // If nothing takes the answer any more, it is dropped.
            let _ = replies.send(FromHere::Sockets(id, sockets));
        });
    }

    fn look_rooms(&self, namespace: ByteString, id: HereId, replies: &UnboundedSender<FromHere>) {
        let (to, rooms_found) = oneshot::channel();
        self.in_turn(LookRooms { namespace, with_sids: true, to, elsewhere: None });
        let replies = replies.clone();
        tokio::spawn(async move {
            let found = rooms_found.await.unwrap_or_default();
            let names = found.into_iter().map(|(name, _)| name).collect();
            // If nothing takes the answer any more, it is dropped.
            let _ = replies.send(FromHere::Rooms(id, names));
        });
    }

    fn tell_listeners(
        &self,
        namespace: ByteString,
        args: Args,
        id: Option<HereId>,
        replies: &UnboundedSender<FromHere>,
    ) {
        let answer = id.map(|id| {
            let (answer, answered) = oneshot::channel();
            let replies = replies.clone();
            tokio::spawn(async move {
                // Without an answer, the asker gives up by itself.
                if let Ok(args) = answered.await {
                    let _ = replies.send(FromHere::ServerAnswer(id, args));
                }
            });
            answer
        });
        self.table.hear(ServerEventHeard { namespace, args, answer });
    }

    fn position(&self, position: StreamId) {
        self.position.fetch_max(position.number(), Ordering::Relaxed);
        if let Some(rooms) = self.rooms() {
            rooms.do_send(Position(position));
        }
    }
}

/// An event of another server.
fn emit(namespace: ByteString, args: Args, opts: &Opts) -> Emit {
    let Opts { target, flags } = opts;
    Emit {
        namespace,
        target: target.clone(),
        args,
        guarantee: if flags.volatile { Guarantee::Volatile } else { Guarantee::Kept },
        compress: flags.compress,
        accepted: None,
        is_local: true,
        is_direct: false,
    }
}

impl Local for Locally {
    fn perform(&mut self, here: Here, replies: &UnboundedSender<FromHere>) {
        match here {
            Here::Position(position) => self.position(position),
            Here::Emit { namespace, args, opts, offset } => self.emit(emit(namespace, args, &opts), offset),
            Here::Ask { id, namespace, args, opts } => {
                self.ask(emit(namespace, args, &opts), &opts, id, replies);
            }
            Here::Join { namespace, target, rooms } => {
                let enter = EnterMany { namespace, target, rooms, is_local: true };
                self.in_turn(enter);
            }
            Here::Leave { namespace, target, rooms } => {
                let quit = QuitMany { namespace, target, rooms, is_local: true };
                self.in_turn(quit);
            }
            Here::Disconnect { namespace, target, close } => {
                let end = DisconnectMany { namespace, target, close, is_local: true };
                self.in_turn(end);
            }
            Here::Release { namespace, pid } => self.in_turn(Release { namespace, pid }),
            Here::Look { id, namespace, target } => {
                self.look(namespace, target, id, replies);
            }
            Here::LookRooms { id, namespace } => self.look_rooms(namespace, id, replies),
            Here::ServerEvent { id, namespace, args } => self.tell_listeners(namespace, args, id, replies),
        }
    }
}
