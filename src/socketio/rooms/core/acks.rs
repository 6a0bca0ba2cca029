//! Acks of events that many sockets are asked to answer.

use std::collections::{HashMap, HashSet};

use tokio::sync::oneshot;

use super::{SocketRooms, effects::Effect};
use crate::{
    domain::MemberId,
    protocol::socketio::Args,
    socketio::rooms::messages::{Answers, Emission, Emit, EmitWithAck},
};

/// Ack ids from this one on belong to events for many sockets. Smaller ids belong to one socket.
pub const FIRST_SHARED_ACK: u64 = 1 << 32;

/// The sockets that have not answered yet, for each ack id.
#[derive(Debug, Default)]
pub(super) struct Acks {
    emitted: u64,
    waiting: HashMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    expected: HashSet<MemberId>,
    answers: Answers,
    to: oneshot::Sender<Answers>,
}

impl Acks {
    /// Waits for answers from `expected`. Returns an ack id that no other event has.
    fn expect(&mut self, expected: HashSet<MemberId>, to: oneshot::Sender<Answers>) -> u64 {
        let id = FIRST_SHARED_ACK + self.emitted;
        self.emitted += 1;
        self.waiting.insert(id, Waiting { expected, answers: Answers::default(), to });
        self.settle(id);
        id
    }

    /// Takes a socket's answer. False if the socket was not asked, or has answered before.
    pub(super) fn answered(&mut self, id: u64, member_id: MemberId, args: Args) -> bool {
        let Some(waiting) = self.waiting.get_mut(&id) else {
            return false;
        };
        let was_asked = waiting.expected.remove(&member_id);
        if was_asked {
            waiting.answers.answers.push(args);
            self.settle(id);
        }
        was_asked
    }

    /// Counts a socket that is gone as missing in all acks that wait for it.
    pub(super) fn gone(&mut self, member_id: MemberId) {
        let mut asked = Vec::new();
        for (id, waiting) in &mut self.waiting {
            if waiting.expected.remove(&member_id) {
                waiting.answers.missing += 1;
                asked.push(*id);
            }
        }
        asked.into_iter().for_each(|id| self.settle(id));
    }

    /// Goes on after a panic: gives up all acks, for what asked for them may be lost. No id is given out again.
    pub(super) fn begin_again(mut self) -> Self {
        let ids: Vec<_> = self.waiting.keys().copied().collect();
        ids.into_iter().for_each(|id| self.give_up(id));
        Self { emitted: self.emitted, waiting: HashMap::new() }
    }

    /// The timeout has passed: sends the answers, and counts the rest as missing.
    pub(super) fn give_up(&mut self, id: u64) {
        if let Some(Waiting { expected, mut answers, to }) = self.waiting.remove(&id) {
            answers.missing += expected.len();
            // The receiver may be gone.
            let _ = to.send(answers);
        }
    }

    fn settle(&mut self, id: u64) {
        if self.waiting.get(&id).is_some_and(|waiting| waiting.expected.is_empty()) {
            self.give_up(id);
        }
    }
}

impl SocketRooms {
    /// Emits an event that asks for acks.
    pub(super) fn emit_with_ack(&mut self, message: EmitWithAck) {
        let EmitWithAck { emit: Emit { namespace: name, target, args, accepted, .. }, answers, timeout } =
            message;
        let index = self.namespace(&name);
        let expected: HashSet<_> = self.recipients(index, &target).into_iter().collect();
        let reach = self.reach(index, &target).filter(|_| !expected.is_empty());
        let id = self.acks.expect(expected, answers);
        // Without a recipient the emitter has been answered.
        if let Some(reach) = reach {
            let emission = Emission::new(&name, args, None, Some(id));
            self.push(index, &emission, reach, accepted);
            self.effects.push(Effect::GiveUpAfter(timeout, id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(json: &'static str) -> Args {
        Args { json: json.into(), attachments: Vec::new() }
    }

    #[test]
    fn answers_come_together_when_the_last_is_there() {
        let mut acks = Acks::default();
        let members = [1, 2, 3].map(MemberId::of);
        let (to, mut answers) = oneshot::channel();
        let id = acks.expect(members.into_iter().collect(), to);
        assert!(acks.answered(id, members[0], args("[1]")));
        assert!(!acks.answered(id, members[0], args("[9]")));
        assert!(!acks.answered(id, MemberId::of(7), args("[9]")));
        assert!(!acks.answered(id + 1, members[1], args("[9]")));
        acks.gone(members[1]);
        assert!(answers.try_recv().is_err());
        acks.answered(id, members[2], args("[3]"));
        let expected = Answers { answers: vec![args("[1]"), args("[3]")], missing: 1 };
        assert_eq!(answers.try_recv(), Ok(expected));
        assert!(acks.waiting.is_empty());
    }

    #[test]
    fn a_late_answer_is_missing_and_without_sockets_there_is_no_wait() {
        let mut acks = Acks::default();
        let (to, mut answers) = oneshot::channel();
        let id = acks.expect([MemberId::of(1)].into_iter().collect(), to);
        acks.give_up(id);
        acks.answered(id, MemberId::of(1), args("[1]"));
        assert_eq!(answers.try_recv(), Ok(Answers { answers: vec![], missing: 1 }));
        let (to, mut answers) = oneshot::channel();
        acks.expect(HashSet::new(), to);
        assert_eq!(answers.try_recv(), Ok(Answers::default()));
    }
}
