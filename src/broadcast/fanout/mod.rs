//! Delivers finished broadcasts to the sessions of one worker thread.

use std::{sync::Arc, time::Duration};

use actix::{Actor, ActorContext as _, AsyncContext as _, Context, Handler, Message};

use self::sessions::{Lost, Sessions};
use super::{
    messages::{ForFanOut, Mail, ToFanOut},
    outlets::Outlets,
    turn::OneTurnLater,
};
use crate::{
    domain::WorkerId,
    metrics::Metrics,
    parts::{AreYouThere, Mailbox, Panicked, Parts, Supervisor, Waiting},
};

mod delivery;
pub(crate) mod sessions;
mod subscriber;
mod subscriptions;
#[cfg(test)]
mod tests;

/// The actor of one worker that delivers broadcasts. It delivers one turn after a broadcast has arrived and
/// merges the broadcasts that arrive meanwhile, because each session's write is the largest cost. A session
/// with an outlet (see [`Outlets`]) is written to directly; others get one message.
///
/// After a panic, what its sessions have got is not certain: it sends them away, for their clients to come
/// back, and goes on with the mail that follows.
#[derive(Debug)]
pub struct FanOut {
    sessions: Sessions,
    supervisor: Supervisor,
    waiting: Waiting,
}

/// Tells a server of rooms of a worker's fan-out, before any session of that worker registers.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct AddWorker {
    /// The worker.
    pub(crate) worker: WorkerId,
    /// The fan-out on its thread.
    pub(crate) fanout: Arc<dyn ToFanOut>,
}

impl FanOut {
    /// Starts a fan-out without sessions on this thread, as one of `parts`. A session that it evicts is cut if
    /// it does not finish within `before_cut`.
    pub fn start(
        parts: &Arc<Parts>,
        name: String,
        before_cut: Duration,
        outlets: Outlets,
        metrics: Arc<Metrics>,
    ) -> Mailbox<Self> {
        parts.start_counted(name, |supervisor, waiting| Self {
            sessions: Sessions::new(before_cut, outlets, metrics),
            supervisor,
            waiting,
        })
    }

    /// Handles mail. A message that panics is dropped; those behind it are handled.
    fn take(&mut self, mail: Vec<ForFanOut>, ctx: &mut Context<Self>) {
        let mut mail = mail.into_iter();
        let mut lost = Lost::default();
        loop {
            let step = || {
                for message in mail.by_ref() {
                    lost = Lost::of(&message);
                    self.sessions.take(message);
                }
            };
            match self.supervisor.attempt(step) {
                Ok(()) => return,
                Err(panicked) => self.begin_again(panicked, std::mem::take(&mut lost), ctx),
            }
            if mail.as_slice().is_empty() {
                return;
            }
        }
    }

    /// Delivers what waits.
    fn deliver(&mut self, ctx: &mut Context<Self>) {
        if let Err(panicked) = self.supervisor.attempt(|| self.sessions.deliver_all()) {
            self.begin_again(panicked, Lost::default(), ctx);
        }
    }

    fn begin_again(&mut self, panicked: Panicked, lost: Lost, ctx: &mut Context<Self>) {
        match panicked {
            Panicked::BeginAgain => self.sessions.begin_again(lost),
            Panicked::TooOften => ctx.terminate(),
        }
    }
}

impl ToFanOut for Mailbox<FanOut> {
    fn send(&self, mail: Mail) {
        self.do_send(mail);
    }
}

impl Actor for FanOut {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.spawn(OneTurnLater::new(|fanout| fanout.sessions.has_work(), Self::deliver));
    }
}

impl Handler<Mail> for FanOut {
    type Result = ();

    fn handle(&mut self, Mail(messages): Mail, ctx: &mut Self::Context) {
        self.waiting.taken();
        self.take(messages, ctx);
    }
}

impl Handler<AreYouThere> for FanOut {
    type Result = ();

    fn handle(&mut self, _: AreYouThere, _: &mut Self::Context) {}
}
