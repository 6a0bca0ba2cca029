//! How a fan-out reaches a session of the simulation: the product's outlet and an actor's mailbox, both watched.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Waker},
};

use actix::{Actor, Handler};
use bytes::Bytes;
use echoroom::testing::{
    Cutter, Delivery, Direct, DirectOutlet, Encoding, Seat,
    simulation::{Outbound, Outlet},
};

use crate::parse;

/// What the outlets of all sessions have seen since they were last asked.
#[derive(Debug, Default)]
pub struct Seen {
    /// Sessions, and the private messages that each was handed.
    pub handed: Vec<(u64, u32)>,
    pub broken: Option<(&'static str, String)>,
}

/// An outlet of the product, watched.
pub struct WatchedOutlet {
    session: u64,
    inner: Rc<Outlet>,
    outbound: Outbound,
    seen: Rc<RefCell<Seen>>,
    /// Private messages in frames that go by the mailbox.
    behind_mail: RefCell<Vec<u32>>,
    /// Whether the mailbox may have something.
    has_mail: Cell<bool>,
}

impl WatchedOutlet {
    pub fn new(session: u64, outbound: &Outbound, seen: &Rc<RefCell<Seen>>) -> Rc<Self> {
        Rc::new(Self {
            session,
            inner: outbound.open_outlet(),
            outbound: outbound.clone(),
            seen: Rc::clone(seen),
            behind_mail: RefCell::default(),
            has_mail: Cell::new(false),
        })
    }

    pub fn has_mail(&self) -> bool {
        self.has_mail.get()
    }

    pub fn set_mail(&self, has_mail: bool) {
        self.has_mail.set(has_mail);
    }

    /// The session took a message from its mailbox.
    pub fn take_mail(&self) {
        self.inner.take_mail();
    }

    pub fn close(&self) {
        self.inner.close();
    }

    fn fail(&self, promise: &'static str) {
        let bytes = self.outbound.backlog().bytes();
        let seen = || (promise, format!("session {} with {bytes} bytes that wait", self.session));
        self.seen.borrow_mut().broken.get_or_insert_with(seen);
    }
}

impl DirectOutlet for WatchedOutlet {
    fn deliver(&self, frames: &[Bytes], bytes: usize, is_volatile: bool) -> Direct {
        let (is_over, is_writable) = (self.outbound.backlog().is_over(), self.outbound.is_writable());
        let direct = self.inner.deliver(frames, bytes, is_volatile);
        if direct == Direct::Taken && is_over && !is_volatile {
            self.fail("nothing more is queued for a client over its bound");
        }
        if direct == Direct::Taken && is_volatile && !is_writable {
            self.fail("typing is told to writable clients only");
        }
        self.behind_mail.borrow_mut().clear();
        for frames in frames {
            parse::private_numbers(frames, |number| match direct {
                Direct::Taken => self.seen.borrow_mut().handed.push((self.session, number)),
                Direct::BehindMail => self.behind_mail.borrow_mut().push(number),
                Direct::Gone | Direct::Skipped | Direct::Behind => {}
            });
        }
        direct
    }

    fn note_mail(&self) {
        self.inner.note_mail();
        self.has_mail.set(true);
        let mailed =
            self.behind_mail.borrow_mut().drain(..).map(|number| (self.session, number)).collect::<Vec<_>>();
        self.seen.borrow_mut().handed.extend(mailed);
    }
}

/// The mailbox of a session: an actor that keeps what comes.
pub struct Mailbox {
    came: Rc<RefCell<VecDeque<Delivery>>>,
    actor: Pin<Box<dyn Future<Output = ()>>>,
}

struct Inbox(Rc<RefCell<VecDeque<Delivery>>>);

impl Actor for Inbox {
    type Context = actix::Context<Self>;
}

impl Handler<Delivery> for Inbox {
    type Result = ();

    fn handle(&mut self, delivery: Delivery, _: &mut Self::Context) {
        self.0.borrow_mut().push_back(delivery);
    }
}

impl Mailbox {
    /// A mailbox, and the seat of its session.
    pub fn new(outbound: &Outbound, encoding: Encoding, is_evicted: &Arc<AtomicBool>) -> (Self, Seat) {
        let context = actix::Context::<Inbox>::new();
        let deliveries = actix::AsyncContext::address(&context).recipient();
        let came = Rc::<RefCell<VecDeque<Delivery>>>::default();
        let actor = Box::pin(context.into_future(Inbox(Rc::clone(&came))));
        let is_evicted = Arc::clone(is_evicted);
        let cutter = Cutter::new(move |_| is_evicted.store(true, Ordering::Relaxed));
        let seat = Seat { deliveries, backlog: outbound.backlog(), encoding, cutter };
        (Self { came, actor }, seat)
    }

    /// The next message.
    pub fn next(&mut self) -> Option<Delivery> {
        if self.came.borrow().is_empty() {
            let _ = self.actor.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
        self.came.borrow_mut().pop_front()
    }
}
