//! Delivers broadcasts to a room, through outlets or through mailboxes. The work of actix is counted too.

use std::{cell::Cell, error::Error, rc::Rc, sync::Arc, time::Duration};

use actix::{Actor, Context, Handler, System};
use bytes::Bytes;
use echoroom::testing::{
    Attach, Backlog, Budget, Cutter, Delivery, Direct, DirectOutlet, Encoding, FanOut, FanOutBroadcast,
    ForFanOut, Mail, Mailbox, MemberId, Metrics, OpenBroadcast, Outlets, Reach, Recipients, RoomId, Seat,
    Subscribe, line,
};

use super::{Repetition, encode};

/// Deliveries of one repetition.
pub const DELIVERIES: usize = BROADCASTS * encode::LINES * (SUBSCRIBERS - 1);

const SUBSCRIBERS: usize = 1000;

/// Broadcasts of one repetition, each delivered before the next one starts.
const BROADCASTS: usize = 4;

/// Number of turns of the thread after which a missing delivery is an error.
const MAX_TURNS: usize = 10_000;

const PLAIN: Encoding = Encoding { dialect: line::PLAIN, deflated: false };

/// Number of bytes that all subscribers together have received.
type Heard = Rc<Cell<usize>>;

/// Replaces a member's outlet.
struct Sink(Heard);

/// Replaces a member's actor.
struct Subscriber {
    heard: Heard,
    backlog: Backlog,
}

/// A fan-out, a broadcast for it, and the number of bytes to deliver.
struct Stage {
    fanout: Mailbox<FanOut>,
    broadcast: FanOutBroadcast,
    heard: Heard,
    bytes: usize,
}

/// All subscribers have outlets.
pub fn direct(_: usize) -> Result<Repetition, Box<dyn Error>> {
    fan_out(|outlets, member, heard| {
        outlets.add(member, Rc::new(Sink(Rc::clone(heard))));
        // A counter that must stay zero: no delivery may go through the mailbox.
        Heard::default()
    })
}

/// No subscriber has an outlet.
pub fn mailbox(_: usize) -> Result<Repetition, Box<dyn Error>> {
    fan_out(|_, _, heard| Rc::clone(heard))
}

/// Creates subscribers. `add` returns the counter for deliveries through a subscriber's mailbox.
fn fan_out(add: impl Fn(&Outlets, MemberId, &Heard) -> Heard) -> Result<Repetition, Box<dyn Error>> {
    let system = System::new();
    let stage = system.block_on(Stage::new(add))?;
    Ok(Box::new(move || {
        system.block_on(async {
            for _ in 0..BROADCASTS {
                stage.deliver().await?;
            }
            Ok(())
        })
    }))
}

impl Stage {
    async fn new(add: impl Fn(&Outlets, MemberId, &Heard) -> Heard) -> Result<Self, Box<dyn Error>> {
        let room = RoomId::next();
        let (heard, outlets) = (Heard::default(), Outlets::default());
        let fanout = FanOut::start(
            &Arc::default(),
            "fan-out".to_owned(),
            Duration::ZERO,
            outlets.clone(),
            Arc::new(Metrics::new()),
        );
        let speaker = MemberId::next();
        for member in std::iter::once(speaker).chain(std::iter::repeat_with(MemberId::next)).take(SUBSCRIBERS)
        {
            let backlog = Backlog::new(1 << 20);
            let subscriber = Subscriber { heard: add(&outlets, member, &heard), backlog: backlog.clone() };
            let deliveries = subscriber.start().recipient();
            let seat = Seat { deliveries, backlog, encoding: PLAIN, cutter: Cutter::new(|_| ()) };
            let attach = ForFanOut::Attach(Attach { member, seat });
            let subscribe = ForFanOut::Subscribe(Subscribe { member, room, encoding: PLAIN });
            fanout.address().send(Mail(vec![attach, subscribe])).await?;
        }
        let mut open = OpenBroadcast::new(&encode::subscribers(&[line::PLAIN]));
        for offset in (1..).take(encode::LINES) {
            open.push(&encode::said(offset), Reach::Exclude(speaker), None);
        }
        let broadcast = open.finish(Recipients::Room, &Budget::new(1 << 20));
        let (frames, _) = broadcast.frames(PLAIN).ok_or("a broadcast has frames")?;
        let bytes = (SUBSCRIBERS - 1) * frames.len();
        Ok(Self { fanout, broadcast: FanOutBroadcast { room, broadcast: Arc::new(broadcast) }, heard, bytes })
    }

    /// Delivers the broadcast once more and waits for all deliveries.
    async fn deliver(&self) -> Result<(), Box<dyn Error>> {
        self.heard.set(0);
        self.fanout.do_send(Mail(vec![ForFanOut::Broadcast(self.broadcast.clone())]));
        for _ in 0..MAX_TURNS {
            if self.heard.get() == self.bytes {
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
        Err("a broadcast has not reached all subscribers".into())
    }
}

impl DirectOutlet for Sink {
    fn deliver(&self, frames: &[Bytes], _: usize, _: bool) -> Direct {
        self.0.set(self.0.get() + frames.iter().map(Bytes::len).sum::<usize>());
        Direct::Taken
    }

    fn note_mail(&self) {}
}

impl Actor for Subscriber {
    type Context = Context<Self>;
}

impl Handler<Delivery> for Subscriber {
    type Result = ();

    fn handle(&mut self, delivery: Delivery, _: &mut Self::Context) {
        if let Delivery::Frames { frames, .. } = delivery {
            let bytes = frames.iter().map(Bytes::len).sum();
            self.backlog.subtract(bytes);
            self.heard.set(self.heard.get() + bytes);
        }
    }
}
