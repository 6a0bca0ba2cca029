//! Handlers of one socket, which come and go while it is connected.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
};

use bytestring::ByteString;

use super::{
    Event, EventHandler, Socket, SocketData,
    handlers::{self, Call},
};
use crate::protocol::socketio::Args;

/// Told of an event that goes to the client.
type Outgoing = dyn Fn(&Socket, &Args);

/// Handlers of one socket. Most sockets have none.
#[derive(Default)]
pub(super) struct Local {
    tables: RefCell<Option<Box<Tables>>>,
    last: Cell<u64>,
    /// No handler will be called again, so none is kept.
    is_closed: Cell<bool>,
}

#[derive(Default)]
struct Tables {
    events: HashMap<ByteString, Vec<Entry<Call>>>,
    any: Vec<Entry<Call>>,
    outgoing: Vec<Entry<Outgoing>>,
}

struct Entry<F: ?Sized> {
    listener: Listener,
    is_once: bool,
    call: Rc<F>,
}

/// Names a handler of a socket, for [`Socket::off`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener(u64);

impl Local {
    fn add<F: ?Sized>(
        &self,
        call: Rc<F>,
        is_once: bool,
        place: impl FnOnce(&mut Tables) -> &mut Vec<Entry<F>>,
    ) -> Listener {
        let listener = Listener(self.last.replace(self.last.get() + 1));
        if self.is_closed.get() {
            return listener;
        }
        let mut tables = self.tables.borrow_mut();
        place(tables.get_or_insert_default()).push(Entry { listener, is_once, call });
        listener
    }

    /// The handlers of an event: first those of all events. Handlers of one event only are removed.
    pub(super) fn take(&self, name: &ByteString) -> (Vec<Rc<Call>>, Vec<Rc<Call>>) {
        let mut tables = self.tables.borrow_mut();
        let Some(tables) = &mut *tables else {
            return Default::default();
        };
        let calls = |entries: &Vec<Entry<Call>>| entries.iter().map(|entry| Rc::clone(&entry.call)).collect();
        let any = calls(&tables.any);
        let Some(entries) = tables.events.get_mut(name) else {
            return (any, Vec::new());
        };
        let named = calls(entries);
        // Their destructors do not run here: `named` holds them.
        entries.retain(|entry| !entry.is_once);
        (any, named)
    }

    /// The listeners of events to the client.
    pub(super) fn outgoing(&self) -> Vec<Rc<Outgoing>> {
        let tables = self.tables.borrow();
        let all = tables.iter().flat_map(|tables| &tables.outgoing);
        all.map(|entry| Rc::clone(&entry.call)).collect()
    }

    /// Drops all handlers, and those that are added later. They often own a clone of the socket, and the cycle would never
    /// be freed.
    pub(super) fn close(&self) {
        self.is_closed.set(true);
        drop(self.tables.take());
    }

    /// Takes the handlers of a socket in whose place this one is.
    pub(super) fn take_over(&self, other: &Self) {
        self.tables.replace(other.tables.take());
        self.last.set(other.last.get());
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.get()
    }
}

impl<U: SocketData> Socket<U> {
    /// Handles an event of this client, beside the handlers of the namespace, which are called first. A handler is dropped
    /// when the socket has left and its handlers of that are done; one that is added later is dropped at once.
    pub fn on<S>(&self, name: &str, handler: impl EventHandler<U, S>) -> Listener {
        self.0
            .local
            .add(handlers::local(handler), false, |tables| tables.events.entry(name.into()).or_default())
    }

    /// Handles the next event of this name.
    pub fn once<S>(&self, name: &str, handler: impl EventHandler<U, S>) -> Listener {
        self.0
            .local
            .add(handlers::local(handler), true, |tables| tables.events.entry(name.into()).or_default())
    }

    /// Handles every event of this client, before the handlers of its name.
    pub fn on_any(&self, handler: impl AsyncFn(Self, Event) + 'static) -> Listener {
        self.0.local.add(handlers::local_any(handler), false, |tables| &mut tables.any)
    }

    /// Called with each event that goes to this client, also with those to its rooms: the arguments as they are sent. Acks
    /// are no events. What the listener itself emits to this client is sent, and no listener is told of it; but events that
    /// it emits to rooms of the socket, and with connection state recovery all that it emits, come back to it.
    pub fn on_any_outgoing(&self, listener: impl Fn(&Self, &Args) + 'static) -> Listener {
        let call = Rc::new(move |socket: &Socket, args: &Args| {
            if let Some(socket) = socket.typed() {
                listener(&socket, args);
            }
        });
        self.once_connected(Socket::listen_for_outgoing);
        self.0.local.add::<Outgoing>(call, false, |tables| &mut tables.outgoing)
    }

    /// Removes a handler of this socket. Idempotent.
    pub fn off(&self, listener: Listener) {
        let is_it = |other: &Listener| *other == listener;
        let removed = self.0.local.tables.borrow_mut().as_deref_mut().map(|tables| {
            let Tables { events, any, outgoing } = tables;
            let named =
                events.values_mut().flat_map(|all| all.extract_if(.., |entry| is_it(&entry.listener)));
            let named: Vec<_> = named.chain(any.extract_if(.., |entry| is_it(&entry.listener))).collect();
            let outgoing: Vec<_> = outgoing.extract_if(.., |entry| is_it(&entry.listener)).collect();
            events.retain(|_, all| !all.is_empty());
            (named, outgoing)
        });
        // Dropped after the borrow: the destructor of a handler may use the socket.
        drop(removed);
    }

    /// Removes this socket's handlers of an event. Those of the namespace stay.
    pub fn remove_all_listeners(&self, name: &str) {
        let removed =
            self.0.local.tables.borrow_mut().as_deref_mut().and_then(|tables| tables.events.remove(name));
        drop(removed);
    }
}
