//! Runs the handlers of a socket: in order, as many at a time as wait, or one after another.
//!
//! A handler runs at once up to its first wait; then it is a task of the thread, which goes on if the client leaves. The
//! input that it handles counts against the client's share until it is done.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::Future as _,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use actix_web::rt;
use futures_util::future::join_all;
use log::{debug, error, warn};
use smallvec::{SmallVec, smallvec};

use super::{
    Event, EventError, Reason, Socket,
    handlers::{NotCalled, Running},
};
use crate::{connection::Accepted, protocol::socketio::Args, socketio::Transport};

/// Bytes that a handler counts for while it waits, beside its event: about the memory of its task.
const HANDLER_BYTES: usize = 1024;

/// What happens to a socket, in its order.
#[derive(Debug)]
pub(crate) enum Turn {
    /// The client has connected.
    Connect,
    /// The client has sent an event.
    Event(Event),
    /// The session has another transport.
    Upgrade(Transport),
    /// The socket has left.
    Disconnect(Reason),
}

impl Turn {
    fn label(&self) -> Label {
        match self {
            Self::Connect => Label::Life("connect"),
            Self::Event(event) => Label::Event(event.clone()),
            Self::Upgrade(_) => Label::Life("upgrade"),
            Self::Disconnect(_) => Label::Life("disconnect"),
        }
    }
}

/// Names a handler in the log.
#[derive(Clone)]
enum Label {
    Life(&'static str),
    Event(Event),
}

impl Label {
    fn as_str(&self) -> &str {
        match self {
            Self::Life(name) => name,
            Self::Event(event) => event.name(),
        }
    }
}

/// Handlers that have been called. Usually there is one.
type Handlers = SmallVec<[Running; 1]>;

/// The turns of a sequential socket that have not begun.
#[derive(Debug, Default)]
pub(super) struct Turns {
    is_busy: Cell<bool>,
    waiting: RefCell<VecDeque<(Turn, Option<Accepted>)>>,
}

impl Socket {
    /// Has the handlers take a turn, for which the client is charged `share`.
    pub(crate) fn take_turn(&self, turn: Turn, share: Option<Accepted>) {
        if matches!(turn, Turn::Event(_)) && self.is_disconnected_by_server() {
            return;
        }
        if !self.0.definition.is_sequential {
            return match turn {
                Turn::Disconnect(_) => self.finish(&turn),
                turn => self.start(&turn, share),
            };
        }
        self.0.turns.waiting.borrow_mut().push_back((turn, share));
        if !self.0.turns.is_busy.replace(true) {
            self.go_on();
        }
    }

    /// Starts the handlers of a turn, in order. Each goes on by itself.
    fn start(&self, turn: &Turn, share: Option<Accepted>) {
        // Most events have one handler, which holds the share alone.
        if self.0.definition.filters.is_empty() {
            let mut handlers = self.handlers_of(turn, None);
            return match handlers.pop() {
                Some(only) if handlers.is_empty() => self.run(turn.label(), only, share),
                Some(last) => {
                    handlers.push(last);
                    self.run_all(turn, handlers, share.map(Rc::new).as_ref());
                }
                None => {}
            };
        }
        let share = share.map(Rc::new);
        let handlers = self.handlers_of(turn, share.as_ref());
        self.run_all(turn, handlers, share.as_ref());
    }

    /// Runs handlers that hold one share together.
    fn run_all(&self, turn: &Turn, handlers: Handlers, share: Option<&Rc<Accepted>>) {
        for running in handlers {
            self.run(turn.label(), running, share.cloned());
        }
    }

    /// Runs the waiting turns one after another, until one has to wait.
    fn go_on(&self) {
        loop {
            // The borrow ends first: a handler may cause another turn.
            let next = self.0.turns.waiting.borrow_mut().pop_front();
            let Some((turn, share)) = next else {
                self.0.turns.is_busy.set(false);
                return self.forget_handlers_if_gone();
            };
            if matches!(turn, Turn::Event(_)) && self.0.was_put_out.get() {
                // The server has disconnected it meanwhile.
                continue;
            }
            let name = turn.label();
            let handlers = self.handlers_of(&turn, None);
            let mut all = Guarded::new(self, name, Box::pin(one_after_another(handlers)));
            if all.poll_now().is_pending() {
                let (costs, socket) = (self.0.handle.intake().accept(HANDLER_BYTES), self.clone());
                rt::spawn(async move {
                    all.await;
                    drop((share, costs));
                    socket.go_on();
                });
                return;
            }
        }
    }

    /// Runs the last handlers of the socket. When all are done, it is forgotten what the program keeps with it.
    fn finish(&self, turn: &Turn) {
        let guard = |running| Guarded::new(self, turn.label(), running);
        let mut all = Box::pin(join_all(self.handlers_of(turn, None).into_iter().map(guard)));
        if all.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return self.forget_handlers_if_gone();
        }
        let socket = self.clone();
        rt::spawn(async move {
            all.await;
            socket.forget_handlers_if_gone();
        });
    }

    /// Runs a handler: now, and as a task if it waits. It holds its share of the client's input until it is done.
    fn run<S: 'static>(&self, name: Label, running: Running, share: S) {
        let mut guarded = Guarded::new(self, name, running);
        if guarded.poll_now().is_pending() {
            let costs = self.0.handle.intake().accept(HANDLER_BYTES);
            rt::spawn(async move {
                guarded.await;
                drop((share, costs));
            });
        }
    }

    /// Calls the handlers of a turn, which have done nothing yet. Those that are only known once middlewares have run
    /// hold `share`, too.
    fn handlers_of(&self, turn: &Turn, share: Option<&Rc<Accepted>>) -> Handlers {
        let called = catch_unwind(AssertUnwindSafe(|| self.call_handlers_of(turn, share)));
        called.unwrap_or_else(|panic| {
            self.broke(turn.label().as_str(), &*panic);
            Handlers::new()
        })
    }

    fn call_handlers_of(&self, turn: &Turn, share: Option<&Rc<Accepted>>) -> Handlers {
        let definition = &self.0.definition;
        match turn {
            Turn::Connect => {
                let called: Handlers =
                    definition.connect.iter().filter_map(|handler| handler(self)).collect();
                if called.len() < definition.connect.len() {
                    let namespace = self.namespace();
                    error!(
                        "namespace {namespace}: a connect handler takes another type of data than its sockets have"
                    );
                }
                called
            }
            Turn::Upgrade(transport) => {
                definition.upgrade.iter().filter_map(|handler| handler(self, transport)).collect()
            }
            Turn::Disconnect(reason) => {
                definition.disconnect.iter().filter_map(|handler| handler(self, reason)).collect()
            }
            Turn::Event(event) if definition.filters.is_empty() => self.called_with(event),
            Turn::Event(event) => {
                let running: Running = Box::pin(self.clone().filtered(event.clone(), share.cloned()));
                smallvec![running]
            }
        }
    }

    /// Has the middlewares look at an event, and then runs its handlers.
    async fn filtered(self, event: Event, share: Option<Rc<Accepted>>) {
        let definition = Arc::clone(&self.0.definition);
        for filter in &definition.filters {
            let Some(passing) = filter(&self, &event) else {
                return self.note_error(&EventError::OtherData { event: event.owned_name().clone() });
            };
            if let Err(refusal) = passing.await {
                event.ack().send_error("refused", &refusal.message);
                let event = event.owned_name().clone();
                return self.note_error(&EventError::Refused { event, refusal });
            }
        }
        let handlers = self.called_with(&event);
        if definition.is_sequential {
            return one_after_another(handlers).await;
        }
        for running in handlers {
            self.run(Label::Event(event.clone()), running, share.clone());
        }
    }

    /// Calls the handlers of an event: first those of all events.
    fn called_with(&self, event: &Event) -> Handlers {
        let definition = &self.0.definition;
        let name = event.owned_name();
        let (any, named) = self.0.local.take(name);
        let shared_named = definition.events.get(name).map(Vec::as_slice).unwrap_or_default();
        let mut running = Handlers::new();
        let mut add = |called: Result<Running, NotCalled>| match called {
            Ok(handler) => running.push(handler),
            Err(why) => self.not_called(event, why),
        };
        definition.any.iter().for_each(|call| add(call(self, event)));
        any.iter().for_each(|call| add(call(self, event)));
        shared_named.iter().for_each(|call| add(call(self, event)));
        named.iter().for_each(|call| add(call(self, event)));
        let is_known =
            !(definition.any.is_empty() && any.is_empty() && shared_named.is_empty() && named.is_empty());
        if !is_known {
            debug!("namespace {}: event {name:?} has no handler", self.namespace());
        }
        running
    }

    fn not_called(&self, event: &Event, why: NotCalled) {
        let name = event.owned_name().clone();
        let problem = match why {
            NotCalled::Arguments(error) => EventError::Arguments { event: name, error },
            NotCalled::OtherData => EventError::OtherData { event: name },
        };
        if event.ack().is_wanted() {
            event.ack().send_error("bad_arguments", &problem.to_string());
        }
        self.note_error(&problem);
    }

    /// Logs an event that reached no handler, and tells the program.
    fn note_error(&self, problem: &EventError) {
        warn!("namespace {}: {problem}", self.namespace());
        self.0.definition.errors.iter().for_each(|hook| hook(self, problem));
    }

    /// Tells the listeners of an event to the client. An event that one of them emits is not told, or it would have no end.
    pub(super) fn note_outgoing(&self, args: &Args) {
        if self.0.is_told_of_outgoing.replace(true) {
            return;
        }
        let local = self.0.local.outgoing();
        if local.is_empty() && self.0.definition.outgoing.is_empty() {
            return;
        }
        let told = catch_unwind(AssertUnwindSafe(|| {
            self.0.definition.outgoing.iter().for_each(|hook| hook(self, args));
            local.iter().for_each(|hook| hook(self, args));
        }));
        self.0.is_told_of_outgoing.set(false);
        if let Err(panic) = told {
            self.broke("any outgoing", &*panic);
        }
    }

    /// Calls the handlers that want to see the socket leave while it is in its rooms.
    pub(super) fn note_leaving(&self, reason: &Reason) {
        let called = catch_unwind(AssertUnwindSafe(|| {
            let handlers = &self.0.definition.disconnecting;
            handlers.iter().filter_map(|handler| handler(self, reason)).collect()
        }));
        let handlers: Vec<_> = called.unwrap_or_else(|panic| {
            self.broke("disconnecting", &*panic);
            Vec::new()
        });
        for running in handlers {
            self.run(Label::Life("disconnecting"), running, ());
        }
    }

    /// A handler has panicked: its socket ends, and no other.
    fn broke(&self, name: &str, panic: &(dyn Any + Send)) {
        let words =
            panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(|s| &**s));
        error!(
            "namespace {}: the handler of {name:?} panicked ({}); its socket {} is disconnected",
            self.namespace(),
            words.unwrap_or("no message"),
            self.id(),
        );
        self.disconnect(false);
    }
}

/// Runs handlers one after another.
async fn one_after_another(handlers: Handlers) {
    for handler in handlers {
        handler.await;
    }
}

/// A handler whose panics end its socket.
struct Guarded {
    socket: Socket,
    name: Label,
    running: Running,
}

impl Guarded {
    fn new(socket: &Socket, name: Label, running: Running) -> Self {
        Self { socket: socket.clone(), name, running }
    }

    /// Runs the handler up to its first wait. Its task polls it again with a waker of its own.
    fn poll_now(&mut self) -> Poll<()> {
        Pin::new(self).poll(&mut Context::from_waker(Waker::noop()))
    }
}

impl Future for Guarded {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let running = &mut self.running;
        match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx))) {
            Ok(poll) => poll,
            Err(panic) => {
                self.socket.broke(self.name.as_str(), &*panic);
                Poll::Ready(())
            }
        }
    }
}
