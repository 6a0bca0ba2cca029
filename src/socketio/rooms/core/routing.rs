//! Where the server is one of a cluster: which requests the other servers are told of, and which wait for their place in the
//! order that all servers share.

use std::mem;

use bytestring::ByteString;

use super::{
    Namespace, SocketRooms,
    effects::{Effect, Request},
    occupancy::Change,
};
use crate::{
    domain::MemberId,
    socketio::{
        cluster::{Flags, Message, Mode, Opts, Order, Target},
        rooms::messages::{
            CountServers, DisconnectMany, Emit, EmitWithAck, EnterMany, Guarantee, Look, LookRooms, QuitMany,
            TellServers,
        },
    },
};

/// What becomes of a request.
enum Route {
    /// It is for this server alone.
    Here,
    /// Only its place in the order matters to others.
    InTurn,
    /// Others are told of it.
    Told(Message),
    /// Others are asked for acks too.
    Asked,
}

impl SocketRooms {
    /// Tells the other servers of a request, as far as it concerns them. Returns it if it is done here now; otherwise it comes
    /// back in its turn.
    pub(super) fn route(&mut self, mut request: Request) -> Option<Request> {
        let Some(cluster) = self.cluster.clone() else {
            return Some(request);
        };
        let Some(namespace) = self.namespace_of(&request) else {
            return self.send_off(request);
        };
        let Some(mode) = cluster.mode(&namespace) else {
            return Some(request);
        };
        self.look_elsewhere(&mut request);
        let route = route_of(&request, cluster.keeps_sessions());
        match (route, mode) {
            (Route::Here, _) | (Route::InTurn, Mode::AtOnce) => return Some(request),
            (Route::InTurn, Mode::InOrder) => {
                self.effects.push(Effect::Tell { namespace, message: None, back: Some(request) });
            }
            (Route::Told(message), Mode::AtOnce) => {
                self.effects.push(Effect::Tell { namespace, message: Some(message), back: None });
                return Some(request);
            }
            (Route::Told(message), Mode::InOrder) => {
                self.effects.push(Effect::Tell { namespace, message: Some(message), back: Some(request) });
            }
            (Route::Asked, mode) => return self.ask_elsewhere(namespace, mode, request),
        }
        None
    }

    /// The namespace of a request that has a place in an order.
    fn namespace_of(&mut self, request: &Request) -> Option<ByteString> {
        Some(match request {
            Request::Emit(Emit { namespace, .. })
            | Request::EmitWithAck(EmitWithAck { emit: Emit { namespace, .. }, .. })
            | Request::EnterMany(EnterMany { namespace, .. })
            | Request::QuitMany(QuitMany { namespace, .. })
            | Request::DisconnectMany(DisconnectMany { namespace, .. })
            | Request::Look(Look { namespace, .. })
            | Request::LookRooms(LookRooms { namespace, .. }) => namespace.clone(),
            Request::Barrier(barrier) => {
                let id = self.place(barrier.socket.member())?.namespace;
                self.namespaces.get(id)?.name.clone()
            }
            _ => return None,
        })
    }

    /// Sends off what is only for other servers. Returns any other request.
    fn send_off(&mut self, request: Request) -> Option<Request> {
        let order = match request {
            Request::TellServers(TellServers { namespace, args, answers }) => {
                Order::ServerEvent { namespace, args, answers }
            }
            Request::CountServers(CountServers { namespace, to }) => Order::CountServers { namespace, to },
            request => return Some(request),
        };
        self.effects.push(Effect::Order(order));
        None
    }

    /// Looks up what a look-up wants of other servers.
    fn look_elsewhere(&mut self, request: &mut Request) {
        let order = match request {
            Request::Look(Look { namespace, target, elsewhere, .. }) => elsewhere
                .take()
                .map(|to| Order::Fetch { namespace: namespace.clone(), target: target.clone(), to }),
            Request::LookRooms(LookRooms { namespace, elsewhere, .. }) => {
                elsewhere.take().map(|to| Order::ListRooms { namespace: namespace.clone(), to })
            }
            _ => None,
        };
        self.effects.extend(order.map(Effect::Order));
    }

    fn ask_elsewhere(&mut self, namespace: ByteString, mode: Mode, request: Request) -> Option<Request> {
        let Request::EmitWithAck(EmitWithAck { emit, timeout, answers }) = &request else {
            return Some(request);
        };
        let mut opts = opts_of(emit);
        opts.flags.timeout = Some(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        let (args, timeout, answers) = (emit.args.clone(), *timeout, answers.clone());
        let (now, back) = match mode {
            Mode::AtOnce => (Some(request), None),
            Mode::InOrder => (None, Some(request)),
        };
        self.effects.push(Effect::Ask { namespace, args, opts, timeout, answers, back });
        now
    }

    // ----- rooms that others need not be read for -----

    /// A socket has entered a room.
    pub(super) fn note_entry(&mut self, namespace: &ByteString, room: &ByteString) {
        if let Some(occupancy) = &mut self.occupancy {
            let change = occupancy.enter(namespace, room);
            self.effects.extend(change.map(order_of).map(Effect::Order));
        }
    }

    /// A socket has left a room.
    pub(super) fn note_exit(&mut self, namespace: &ByteString, room: &ByteString) {
        let now = self.now;
        if let Some(occupancy) = &mut self.occupancy {
            let change = occupancy.leave(now, namespace, room);
            self.effects.extend(change.map(order_of).map(Effect::Order));
        }
    }

    /// Tells of the rooms that do not count any more.
    pub(super) fn sweep_rooms(&mut self) {
        let now = self.now;
        if let Some(occupancy) = &mut self.occupancy {
            let vacant = occupancy.sweep(now);
            self.effects.extend(vacant.into_iter().map(order_of).map(Effect::Order));
        }
    }

    /// A socket that is gone was in these rooms.
    pub(super) fn note_exits(&mut self, namespace: &ByteString, rooms: &[ByteString]) {
        for room in rooms {
            self.note_exit(namespace, room);
        }
    }

    /// The names of the rooms of a socket, its own first, if they are counted.
    pub(super) fn counted_rooms(&mut self, member_id: MemberId) -> Option<(ByteString, Vec<ByteString>)> {
        self.occupancy.as_ref()?;
        let member = self.broadcaster.rooms.member(member_id)?;
        let (id, ids) = (member.own.namespace, member.rooms.clone());
        let mut names = vec![member.own.stay.sid.clone()];
        let named = ids.into_iter().filter_map(|id| self.broadcaster.rooms.get(id)?.room_name().cloned());
        names.extend(named);
        let Namespace { name, .. } = self.namespaces.get(id)?;
        Some((name.clone(), names))
    }

    /// Goes on after a panic: counts anew.
    pub(super) fn count_rooms_again(&mut self, members: &[MemberId]) {
        let Some(occupancy) = &mut self.occupancy else {
            return;
        };
        let former = mem::take(occupancy);
        let (fresh, former) = former.begin_again();
        *occupancy = fresh;
        let mut changes = Vec::new();
        for member in members {
            if let Some((namespace, rooms)) = self.counted_rooms(*member)
                && let Some(occupancy) = &mut self.occupancy
            {
                changes.extend(rooms.iter().filter_map(|room| occupancy.enter(&namespace, room)));
            }
        }
        let vacant = former.into_iter().filter(|room| !changes.contains(&Change::Occupied(room.clone())));
        let vacant: Vec<_> = vacant.map(Change::Vacant).collect();
        self.effects.extend(vacant.into_iter().chain(changes).map(order_of).map(Effect::Order));
    }
}

fn order_of(change: Change) -> Order {
    match change {
        Change::Occupied((namespace, room)) => Order::Occupied { namespace, room },
        Change::Vacant((namespace, room)) => Order::Vacant { namespace, room },
    }
}

fn opts_of(emit: &Emit) -> Opts {
    let volatile = emit.guarantee == Guarantee::Volatile;
    Opts {
        target: emit.target.clone(),
        flags: Flags { volatile, compress: emit.compress, ..Flags::default() },
    }
}

fn opts_for(target: &Target) -> Opts {
    Opts { target: target.clone(), ..Opts::default() }
}

/// What becomes of a request.
fn route_of(request: &Request, keeps_sessions: bool) -> Route {
    match request {
        Request::Emit(emit) if emit.is_local || (emit.is_direct && !keeps_sessions) => Route::InTurn,
        Request::Emit(emit) => {
            Route::Told(Message::Broadcast { args: emit.args.clone(), opts: opts_of(emit) })
        }
        Request::EmitWithAck(EmitWithAck { emit, .. }) if emit.is_local => Route::InTurn,
        Request::EmitWithAck(_) => Route::Asked,
        Request::EnterMany(EnterMany { is_local: true, .. })
        | Request::QuitMany(QuitMany { is_local: true, .. })
        | Request::DisconnectMany(DisconnectMany { is_local: true, .. })
        | Request::Barrier(_)
        | Request::Look(_)
        | Request::LookRooms(_) => Route::InTurn,
        Request::EnterMany(EnterMany { target, rooms, .. }) => {
            Route::Told(Message::Join { opts: opts_for(target), rooms: rooms.clone(), request: None })
        }
        Request::QuitMany(QuitMany { target, rooms, .. }) => {
            Route::Told(Message::Leave { opts: opts_for(target), rooms: rooms.clone(), request: None })
        }
        Request::DisconnectMany(DisconnectMany { target, close, .. }) => {
            Route::Told(Message::Disconnect { opts: opts_for(target), close: *close, request: None })
        }
        _ => Route::Here,
    }
}
