//! A fan-out whose sessions have fake outlets, and mailboxes that can be looked into.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::atomic::{AtomicUsize, Ordering},
};

use actix::{Addr, Recipient};

use super::*;
use crate::{
    broadcast::{
        Attach, Cutter, Delivery, FanOutBroadcast, Reach, Recipients, RoomId, Seat, Subscribe, Subscribers,
        lines::{Broadcast, OpenBroadcast},
        messages::Tell,
        testing::{PLAIN, Text, texts_in},
    },
    connection::{Backlog, Budget, Direct, DirectOutlet},
    domain::MemberId,
};

mod eviction;
mod lines;
mod order;
mod panics;
mod some_members;
mod volatile;

/// Bytes that may wait for a session.
const BOUND: usize = 100;

/// Keeps what is delivered to a session directly, one string for each delivery.
struct FakeOutlet {
    backlog: Backlog,
    heard: RefCell<Vec<String>>,
    /// What it says of the next deliveries.
    says: Cell<Direct>,
    mails: Cell<usize>,
}

impl DirectOutlet for FakeOutlet {
    fn deliver(&self, frames: &[bytes::Bytes], bytes: usize, is_volatile: bool) -> Direct {
        let frames = frames.concat();
        assert_eq!(frames.len(), bytes);
        if self.backlog.is_over() && !is_volatile {
            return Direct::Behind;
        }
        if self.says.get() == Direct::Taken {
            let kind = if is_volatile { "volatile " } else { "" };
            self.heard.borrow_mut().push(format!("{kind}{}", texts_in(&frames).join(" ")));
        }
        self.says.get()
    }

    fn note_mail(&self) {
        self.mails.set(self.mails.get() + 1);
    }
}

/// Keeps what comes by the mailbox of a session.
#[derive(Default)]
struct Mailbox(Vec<String>);

/// Asks for what has come by the mailbox.
#[derive(Message)]
#[rtype(result = "Vec<String>")]
struct Open;

impl Actor for Mailbox {
    type Context = Context<Self>;
}

impl Handler<Delivery> for Mailbox {
    type Result = ();

    fn handle(&mut self, delivery: Delivery, _: &mut Self::Context) {
        self.0.push(match delivery {
            Delivery::Frames { frames, .. } => texts_in(&frames.concat()).join(" "),
            Delivery::Volatile { frames, .. } => format!("volatile {}", texts_in(&frames.concat()).join(" ")),
            Delivery::News { news, .. } => (*news.downcast::<&str>().expect("a text")).to_owned(),
            Delivery::Dismissed(dismissal) => format!("{dismissal:?}"),
        });
    }
}

impl Handler<Open> for Mailbox {
    type Result = Vec<String>;

    fn handle(&mut self, _: Open, _: &mut Self::Context) -> Vec<String> {
        std::mem::take(&mut self.0)
    }
}

/// A session of the fan-out.
struct Listener {
    member: MemberId,
    backlog: Backlog,
    outlet: Rc<FakeOutlet>,
    mailbox: Addr<Mailbox>,
    cuts: Arc<AtomicUsize>,
}

impl Listener {
    /// What was delivered directly.
    fn heard(&self) -> Vec<String> {
        self.outlet.heard.borrow().clone()
    }

    /// What has come by the mailbox since this was last called.
    async fn mail(&self) -> Vec<String> {
        self.mailbox.send(Open).await.expect("the mailbox is open")
    }
}

struct Stage {
    fanout: Sessions,
    outlets: Outlets,
    metrics: Arc<Metrics>,
    sessions: u64,
}

impl Stage {
    fn new() -> Self {
        let (outlets, metrics) = (Outlets::default(), Arc::new(Metrics::new()));
        let fanout = Sessions::new(Duration::ZERO, outlets.clone(), Arc::clone(&metrics));
        Self { fanout, outlets, metrics, sessions: 0 }
    }

    /// Attaches a session that is subscribed to these rooms. Lines are delivered to it directly.
    fn listener(&mut self, rooms: &[RoomId]) -> Listener {
        self.attach(rooms, true)
    }

    /// Attaches a session that gets all by its mailbox.
    fn listener_by_mail(&mut self, rooms: &[RoomId]) -> Listener {
        self.attach(rooms, false)
    }

    fn attach(&mut self, rooms: &[RoomId], has_outlet: bool) -> Listener {
        self.sessions += 1;
        let member = MemberId::of(self.sessions);
        let backlog = Backlog::new(BOUND);
        let outlet = Rc::new(FakeOutlet {
            backlog: backlog.clone(),
            heard: RefCell::default(),
            says: Cell::new(Direct::Taken),
            mails: Cell::new(0),
        });
        if has_outlet {
            self.outlets.add(member, Rc::clone(&outlet) as Rc<dyn DirectOutlet>);
        }
        let (mailbox, cuts) = (Mailbox::default().start(), Arc::default());
        let deliveries: Recipient<Delivery> = mailbox.clone().recipient();
        let counter: Arc<AtomicUsize> = Arc::clone(&cuts);
        let cutter = Cutter::new(move |_| _ = counter.fetch_add(1, Ordering::Relaxed));
        let seat = Seat { deliveries, backlog: backlog.clone(), encoding: PLAIN, cutter };
        self.fanout.attach(Attach { member, seat });
        rooms
            .iter()
            .for_each(|room| self.fanout.subscribe(Subscribe { member, room: *room, encoding: PLAIN }));
        Listener { member, backlog, outlet, mailbox, cuts }
    }

    /// A broadcast for a room comes.
    fn broadcast(&mut self, room: RoomId, recipients: Recipients, lines: &[(&str, Reach)]) {
        let broadcast = Arc::new(broadcast(recipients, lines));
        self.fanout.add(FanOutBroadcast { room, broadcast });
    }

    /// A broadcast of one line for all subscribers of a room comes.
    fn say(&mut self, room: RoomId, text: &str) {
        self.broadcast(room, Recipients::Room, &[(text, Reach::All)]);
    }

    fn tell(&mut self, listener: &Listener, news: &'static str) {
        self.fanout.tell(Tell { member: listener.member, news: Box::new(news) });
    }
}

fn broadcast(recipients: Recipients, lines: &[(&str, Reach)]) -> Broadcast {
    let mut subscribers = Subscribers::default();
    subscribers.add(WorkerId(0), PLAIN);
    let mut open = OpenBroadcast::new(&subscribers);
    lines.iter().for_each(|(text, reach)| open.push(&Text(text), reach.clone(), None));
    open.finish(recipients, &Budget::new(1 << 20))
}
