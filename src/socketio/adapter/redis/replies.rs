//! What replies to requests mean: inputs of the core, figures, or the end of the connections.

use std::sync::{Arc, atomic::Ordering};

use redis::Value;

use super::{
    refusals,
    requests::{Asked, reply},
};
use crate::{
    redis_client::{slots::is_moved, values::refusal},
    socketio::adapter::{figures::Figures, traffic::Input},
};

/// Takes replies.
pub(super) struct Replies {
    /// What is counted.
    pub(super) figures: Arc<Figures>,
    /// The slot of the adapter's key.
    pub(super) home_slot: u16,
}

impl Replies {
    /// Takes the replies of the home.
    ///
    /// # Errors
    /// The connections are to be given up, for this reason.
    pub(super) fn take(
        &self,
        asked: Vec<Asked>,
        values: Vec<Value>,
        inputs: &mut Vec<Input>,
    ) -> Result<(), String> {
        if values.len() != asked.iter().map(Asked::replies).sum::<usize>() {
            return Err("Redis has answered something else than what it was asked".to_owned());
        }
        let (mut verdict, mut is_any_refused) = (Ok(()), false);
        let mut values = values.into_iter();
        for asked in asked {
            let replies: Vec<_> = values.by_ref().take(asked.replies()).collect();
            let refused = match asked {
                Asked::Query(id, query) => {
                    let reply = reply(&query, replies);
                    let refused = reply.as_ref().err().cloned();
                    inputs.push(Input::Replied(id, reply));
                    refused
                }
                Asked::Published(command) => {
                    let refused = self.take_reply(command, true, &replies);
                    is_any_refused |= refused.is_some();
                    refused
                }
                Asked::Stored => self.take_reply("SET", false, &replies),
            };
            if let Some(text) = refused.filter(|text| self.is_for_another_server(text)) {
                verdict = Err(format!("Redis has become another one: {text}"));
            }
        }
        if is_any_refused {
            inputs.push(Input::Refused);
        }
        verdict
    }

    /// Takes the replies of another server. The connections stay if it fails, and are made anew if it has other slots now.
    ///
    /// # Errors
    /// The connections are to be given up, for this reason.
    pub(super) fn take_elsewhere(
        &self,
        asked: Vec<Asked>,
        replies: Result<Vec<Value>, String>,
        inputs: &mut Vec<Input>,
    ) -> Result<(), String> {
        let values = match replies {
            Ok(values) => values,
            Err(why) => {
                for asked in asked {
                    match asked {
                        Asked::Query(id, _) => inputs.push(Input::Replied(id, Err(why.clone()))),
                        Asked::Published(command) => self.count_refused(command, &why),
                        Asked::Stored => self.count_refused("SET", &why),
                    }
                }
                return Ok(());
            }
        };
        let moved = values.iter().filter_map(refusal).find(|text| is_moved(text));
        self.take(asked, values, inputs)?;
        moved.map_or(Ok(()), |text| Err(format!("the slots of the Redis Cluster have moved: {text}")))
    }

    fn count_refused(&self, command: &str, why: &str) {
        self.figures.refused.fetch_add(1, Ordering::Relaxed);
        refusals::log(command, why);
    }

    /// Counts the reply to a command that asks nothing; the refusal, if it is one.
    fn take_reply(&self, command: &str, is_publication: bool, replies: &[Value]) -> Option<String> {
        let refused = replies.first().and_then(refusal);
        match &refused {
            Some(text) => self.count_refused(command, text),
            None if is_publication => _ = self.figures.published.fetch_add(1, Ordering::Relaxed),
            None => {}
        }
        refused
    }

    /// Whether a refusal will not pass on this connection: the server is a replica now, or the slot of the key is another
    /// server's. Other keys of a Redis Cluster are always in other slots.
    fn is_for_another_server(&self, text: &str) -> bool {
        let moved = text.strip_prefix("MOVED ").and_then(|rest| rest.split(' ').next()?.parse().ok());
        moved == Some(self.home_slot) || text.starts_with("READONLY")
    }
}
