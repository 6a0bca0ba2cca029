//! The roll of the shared parts: asks each whether it is there, and how much waits for it.

use std::{pin::Pin, sync::Mutex, time::Duration};

use actix::{Actor, Handler, Message, WeakAddr, dev::ToEnvelope};
use actix_web::rt::time::timeout;
use futures_util::future::join_all;

use super::lock;

/// Asks a shared actor whether it handles its mailbox.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct AreYouThere;

/// The answer of a part: whether it is there.
pub(crate) type Presence = Pin<Box<dyn Future<Output = bool>>>;

/// Asks a part through its own mailbox or queue; `None` if it has ended, as the server it belongs to has.
type Ask = Box<dyn Fn() -> Option<Presence> + Send + Sync>;

/// How many messages wait for a part; `None` if it has ended.
type Depth = Box<dyn Fn() -> Option<usize> + Send + Sync>;

/// The parts that can be asked, and those whose mailbox is counted.
#[derive(Default)]
pub(super) struct Roll {
    asks: Mutex<Vec<(String, Ask)>>,
    depths: Mutex<Vec<(String, Depth)>>,
}

impl Roll {
    pub(super) fn add(&self, name: &str, ask: Ask) {
        lock(&self.asks).push((name.to_owned(), ask));
    }

    pub(super) fn count(&self, name: &str, depth: Depth) {
        lock(&self.depths).push((name.to_owned(), depth));
    }

    /// The names of the parts that can be asked.
    pub(super) fn names(&self) -> Vec<String> {
        lock(&self.asks).iter().map(|(name, _)| name.clone()).collect()
    }

    /// The names of the parts that do not answer within `patience`. All are asked at once.
    pub(super) async fn silent(&self, patience: Duration) -> Vec<String> {
        let mut asked = Vec::new();
        lock(&self.asks).retain(|(name, ask)| {
            let presence = ask();
            let is_left = presence.is_some();
            asked.extend(presence.map(|presence| (name.clone(), presence)));
            is_left
        });
        let answers = asked.into_iter().map(async |(name, presence)| {
            let is_there = timeout(patience, presence).await.unwrap_or(false);
            (!is_there).then_some(name)
        });
        join_all(answers).await.into_iter().flatten().collect()
    }

    /// The number of messages that wait for each part that counts them.
    pub(super) fn depths(&self) -> Vec<(String, usize)> {
        let mut depths = Vec::new();
        lock(&self.depths).retain(|(name, depth)| {
            let depth = depth();
            depths.extend(depth.map(|depth| (name.clone(), depth)));
            depth.is_some()
        });
        depths
    }
}

/// Asks an actor through its mailbox. The roll must not keep the actor alive.
pub(super) fn ask_actor<A>(address: WeakAddr<A>) -> Ask
where
    A: Actor + Handler<AreYouThere>,
    A::Context: ToEnvelope<A, AreYouThere>,
{
    Box::new(move || {
        let asked = address.upgrade()?.send(AreYouThere);
        Some(Box::pin(async move { asked.await.is_ok() }))
    })
}
