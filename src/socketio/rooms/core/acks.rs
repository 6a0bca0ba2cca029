//! Acks of events that many sockets are asked to answer.

use std::collections::{BTreeMap, HashMap};

use bytestring::ByteString;
use tokio::sync::mpsc::UnboundedSender;

use super::{SocketRooms, effects::Effect};
use crate::{
    domain::MemberId,
    protocol::socketio::Args,
    socketio::rooms::messages::{Answered, Emission, Emit, EmitWithAck, NoAck},
};

/// Ack ids from this one on belong to events for many sockets. Smaller ids belong to one socket.
pub(crate) const FIRST_SHARED_ACK: u64 = 1 << 32;

/// The sockets that have not answered yet, for each ack id.
#[derive(Debug, Default)]
pub(super) struct Acks {
    emitted: u64,
    waiting: HashMap<u64, Waiting>,
}

/// The wait for the acks of one event.
#[derive(Debug)]
struct Waiting {
    /// The sockets that have not answered, with their sids.
    expected: BTreeMap<MemberId, ByteString>,
    to: UnboundedSender<Answered>,
}

impl Waiting {
    /// Whether there is nothing to wait for: all have answered, or the receiver is gone.
    fn is_over(&self) -> bool {
        self.expected.is_empty() || self.to.is_closed()
    }

    fn missing(&self, sid: ByteString, why: NoAck) {
        // If the receiver is gone, the wait is forgotten.
        let _ = self.to.send(Answered::Missing { sid, why });
    }
}

impl Acks {
    /// Waits for answers from `expected`. Returns an ack id that no other event has.
    fn expect(&mut self, expected: BTreeMap<MemberId, ByteString>, to: UnboundedSender<Answered>) -> u64 {
        let id = FIRST_SHARED_ACK + self.emitted;
        self.emitted += 1;
        // If the receiver is gone, the wait is forgotten.
        let _ = to.send(Answered::Expecting(expected.len()));
        self.waiting.insert(id, Waiting { expected, to });
        self.settle(id);
        id
    }

    /// Takes a socket's answer. False if the socket was not asked, or has answered before.
    pub(super) fn answered(&mut self, id: u64, member_id: MemberId, args: Args) -> bool {
        let Some(waiting) = self.waiting.get_mut(&id) else {
            return false;
        };
        let Some(sid) = waiting.expected.remove(&member_id) else {
            return false;
        };
        // If the receiver is gone, the wait is forgotten.
        let _ = waiting.to.send(Answered::Of { sid, args });
        self.settle(id);
        true
    }

    /// Counts a socket that is gone as missing in all acks that wait for it.
    pub(super) fn gone(&mut self, member_id: MemberId) {
        self.waiting.retain(|_, waiting| {
            if let Some(sid) = waiting.expected.remove(&member_id) {
                waiting.missing(sid, NoAck::Left);
            }
            !waiting.is_over()
        });
    }

    /// Goes on after a panic: gives up all acks, for what asked for them may be lost. No id is given out again.
    pub(super) fn begin_again(mut self) -> Self {
        let ids: Vec<_> = self.waiting.keys().copied().collect();
        ids.into_iter().for_each(|id| self.give_up(id));
        Self { emitted: self.emitted, waiting: HashMap::new() }
    }

    /// The timeout has passed: the rest is missing.
    pub(super) fn give_up(&mut self, id: u64) {
        if let Some(mut waiting) = self.waiting.remove(&id) {
            for (_, sid) in std::mem::take(&mut waiting.expected) {
                waiting.missing(sid, NoAck::TimedOut);
            }
        }
    }

    /// Forgets the waits whose receivers are gone.
    pub(super) fn forget_unheard(&mut self) {
        self.waiting.retain(|_, waiting| !waiting.is_over());
    }

    fn settle(&mut self, id: u64) {
        if self.waiting.get(&id).is_some_and(Waiting::is_over) {
            self.waiting.remove(&id);
        }
    }
}

impl SocketRooms {
    /// Emits an event that asks for acks.
    pub(super) fn emit_with_ack(&mut self, message: EmitWithAck) {
        let EmitWithAck {
            emit: Emit { namespace: name, target, args, compress, accepted, .. },
            answers,
            timeout,
        } = message;
        let recipients = self.recipients(&name, &target);
        let found = self.namespaces.find(&name).filter(|_| !recipients.is_empty());
        let reach = found.and_then(|id| self.reach(id, &target));
        let room = found.and_then(|id| self.namespaces.get(id)).map(|namespace| namespace.room);
        let sid =
            |member_id| Some((member_id, self.broadcaster.rooms.member(member_id)?.own.stay.sid.clone()));
        let expected = recipients.into_iter().filter_map(sid).collect();
        let id = self.acks.expect(expected, answers);
        // Without a recipient the emitter has been answered.
        if let (Some(reach), Some(room)) = (reach, room) {
            found.into_iter().for_each(|id| self.tell_listeners(id, &target, &args));
            let emission = Emission::new(&name, args, None, Some(id)).compressed(compress);
            drop(self.broadcaster.push(room, &emission, reach, accepted));
            self.effects.push(Effect::GiveUpAfter(timeout, id));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::{self, UnboundedReceiver, error::TryRecvError};

    use super::*;

    const MEMBERS: [(u64, &str); 3] = [(1, "a"), (2, "b"), (3, "c")];

    fn args(json: &'static str) -> Args {
        Args { json: json.into(), attachments: Vec::new() }
    }

    fn of(sid: &'static str, json: &'static str) -> Answered {
        Answered::Of { sid: sid.into(), args: args(json) }
    }

    fn missing(sid: &'static str, why: NoAck) -> Answered {
        Answered::Missing { sid: sid.into(), why }
    }

    /// A wait for the acks of some members.
    fn expect(acks: &mut Acks, members: &[(u64, &'static str)]) -> (u64, UnboundedReceiver<Answered>) {
        let (to, answers) = mpsc::unbounded_channel();
        let expected = members.iter().map(|(id, sid)| (MemberId::of(*id), (*sid).into())).collect();
        (acks.expect(expected, to), answers)
    }

    /// What has come so far, and whether the channel is closed.
    fn come(answers: &mut UnboundedReceiver<Answered>) -> (Vec<Answered>, bool) {
        let mut come = Vec::new();
        loop {
            match answers.try_recv() {
                Ok(answered) => come.push(answered),
                Err(error) => return (come, error == TryRecvError::Disconnected),
            }
        }
    }

    #[test]
    fn each_answer_comes_at_once_with_its_sid_and_the_last_one_ends_the_wait() {
        let mut acks = Acks::default();
        let (id, mut answers) = expect(&mut acks, &MEMBERS);
        let members = [1, 2, 3].map(MemberId::of);
        assert_eq!(come(&mut answers), (vec![Answered::Expecting(3)], false));
        assert!(acks.answered(id, members[1], args("[2]")));
        assert_eq!(come(&mut answers), (vec![of("b", "[2]")], false));
        assert!(!acks.answered(id, members[1], args("[9]")));
        assert!(!acks.answered(id, MemberId::of(7), args("[9]")));
        assert!(!acks.answered(id + 1, members[0], args("[9]")));
        acks.gone(members[0]);
        assert_eq!(come(&mut answers), (vec![missing("a", NoAck::Left)], false));
        assert!(acks.answered(id, members[2], args("[3]")));
        assert_eq!(come(&mut answers), (vec![of("c", "[3]")], true));
        assert!(acks.waiting.is_empty());
    }

    #[test]
    fn after_the_timeout_the_rest_is_missing_and_without_sockets_there_is_no_wait() {
        let mut acks = Acks::default();
        let (id, mut answers) = expect(&mut acks, &MEMBERS[..2]);
        acks.give_up(id);
        assert!(!acks.answered(id, MemberId::of(1), args("[1]")));
        let items =
            vec![Answered::Expecting(2), missing("a", NoAck::TimedOut), missing("b", NoAck::TimedOut)];
        assert_eq!(come(&mut answers), (items, true));
        let (_, mut answers) = expect(&mut acks, &[]);
        assert_eq!(come(&mut answers), (vec![Answered::Expecting(0)], true));
        assert!(acks.waiting.is_empty());
    }

    #[test]
    fn a_wait_whose_receiver_is_gone_is_forgotten() {
        let mut acks = Acks::default();
        let (id, answers) = expect(&mut acks, &MEMBERS);
        let (_, unheard) = expect(&mut acks, &MEMBERS);
        drop((answers, unheard));
        assert!(acks.answered(id, MemberId::of(1), args("[1]")), "it was asked");
        assert_eq!(acks.waiting.len(), 1);
        acks.forget_unheard();
        assert!(acks.waiting.is_empty());
    }
}
