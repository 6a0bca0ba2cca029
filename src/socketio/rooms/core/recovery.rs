//! Recovery of one namespace: its last events, and the lost sockets whose clients may come back. Callers pass
//! the time.
//!
//! Events have rising offsets, and a client that comes back says which one it has seen last. Its socket is
//! restored if every later event for it is still kept. `Gone` knows the targets of events that are not kept
//! any more, so a busy room does not end the recovery of clients in a quiet one.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use bytestring::ByteString;

use super::{gone::Gone, stay::Stay};
use crate::{
    connection::{Budget, Charge},
    protocol::socketio::Offset,
    socketio::rooms::messages::{Emission, Missed, Target},
};

/// The bounds on what recovery keeps of one namespace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecoveryLimits {
    /// How long events and sockets are kept; zero switches recovery off.
    pub window: Duration,
    /// Bytes of kept events.
    pub bytes: usize,
    /// Number of lost sockets.
    pub sockets: usize,
}

/// The kept events and the lost sockets of one namespace.
#[derive(Debug)]
pub(crate) struct Recovery {
    limits: RecoveryLimits,
    budget: Arc<Budget>,
    /// Their offsets rise without gaps up to `last`.
    events: VecDeque<Logged>,
    bytes: usize,
    last: u64,
    gone: Gone,
    /// Lost sockets by a rising number, oldest first.
    absent: BTreeMap<u64, (ByteString, Absent)>,
    /// The numbers of `absent` by pid.
    by_pid: HashMap<ByteString, u64>,
    last_absent: u64,
}

#[derive(Debug)]
struct Logged {
    target: Target,
    emission: Emission,
    at: Instant,
    /// The charge for the event, while a client is given it.
    lent: Weak<Charge>,
}

/// A lost socket whose client may come back.
#[derive(Clone, Debug)]
pub(crate) struct Absent {
    /// What recovery restores.
    pub stay: Stay,
    /// When the socket was lost.
    pub since: Instant,
}

impl Logged {
    fn bytes(&self) -> usize {
        let names = self.target.to.iter().chain(&self.target.except).map(|name| name.len());
        let attachments = self.emission.attachments.iter().map(|attachment| attachment.len());
        size_of::<Self>() + self.emission.packet.len() + names.chain(attachments).sum::<usize>()
    }
}

impl Logged {
    /// The event for a client that missed it. It is charged to `budget` once, however many clients are given it, until the
    /// last one has taken it: it may then be kept no more.
    fn lend(&mut self, budget: &Arc<Budget>) -> Missed {
        let charge = self.lent.upgrade().unwrap_or_else(|| Charge::new(self.bytes(), budget));
        self.lent = Arc::downgrade(&charge);
        let Emission { packet, attachments, .. } = self.emission.clone();
        Missed {
            packet: charge.hold(packet.into_bytes()),
            attachments: attachments.into_iter().map(|attachment| charge.hold(attachment)).collect(),
        }
    }
}

impl Recovery {
    /// Nothing is kept yet. What clients are given is charged to `budget`.
    pub(crate) fn new(limits: RecoveryLimits, budget: Arc<Budget>) -> Self {
        Self {
            limits,
            budget,
            events: VecDeque::new(),
            bytes: 0,
            last: 0,
            gone: Gone::default(),
            absent: BTreeMap::new(),
            by_pid: HashMap::new(),
            last_absent: 0,
        }
    }

    /// Goes on after a panic, with an empty memory. One offset is skipped, as that of an event for all which is not
    /// kept: so an offset from before recovers nothing, and none is given out twice.
    pub(super) fn begin_again(self) -> Self {
        let mut gone = Gone::default();
        gone.add(self.last + 1, Target::default());
        Self { last: self.last + 1, gone, ..Self::new(self.limits, self.budget) }
    }

    /// Whether no client can come back. What is kept is of no use then.
    pub(crate) fn is_vacant(&self) -> bool {
        self.absent.is_empty()
    }

    /// The offset of the last event.
    pub(crate) fn last_offset(&self) -> u64 {
        self.last
    }

    /// Keeps an event under the next offset.
    pub(crate) fn log(&mut self, target: Target, emission: Emission, now: Instant) {
        let logged = Logged { target, emission, at: now, lent: Weak::new() };
        self.last += 1;
        self.bytes += logged.bytes();
        self.events.push_back(logged);
        self.expire(now);
    }

    /// Keeps a lost socket until its client comes back or a bound is reached.
    pub(crate) fn keep(&mut self, pid: ByteString, absent: Absent) {
        let now = absent.since;
        self.last_absent += 1;
        if let Some(former) = self.by_pid.insert(pid.clone(), self.last_absent) {
            self.absent.remove(&former);
        }
        self.absent.insert(self.last_absent, (pid, absent));
        self.expire(now);
    }

    /// Takes out the socket of a client that is back, and the events that it missed. A socket can be taken
    /// once. `None` if the client was away too long, or an event that it missed is not kept any more.
    pub(crate) fn take(&mut self, pid: &str, offset: &Offset, now: Instant) -> Option<(Stay, Vec<Missed>)> {
        self.expire(now);
        let (_, Absent { stay, .. }) = self.absent.remove(&self.by_pid.remove(pid)?)?;
        let seen = self.seen(offset, &stay)?;
        if self.gone.last_for(&stay) > seen {
            return None;
        }
        let missed = self.offsets().zip(&mut self.events).filter(|(offset, logged)| {
            // Events from before the socket connected were not for it.
            *offset > seen && stay.hears(*offset, &logged.target)
        });
        let missed = missed.map(|(_, logged)| logged.lend(&self.budget)).collect();
        Some((stay, missed))
    }

    /// The offsets of the events that are kept.
    fn offsets(&self) -> impl Iterator<Item = u64> + use<> {
        self.last + 1 - self.events.len() as u64..=self.last
    }

    /// The last event that the client has seen, according to `offset`; `None` if that cannot be known.
    fn seen(&self, offset: &Offset, stay: &Stay) -> Option<u64> {
        let offset = match offset {
            // A client has no offset before its first event.
            Offset::Missing => return Some(stay.began),
            Offset::Other => return None,
            Offset::Text(text) => text,
        };
        // A text that is not a number is not from this server: the client has seen no event of this
        // namespace.
        if offset.is_empty() || !offset.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(stay.began);
        }
        let offset =
            offset.parse().ok().filter(|offset| *offset <= self.last || stay.foreign == Some(*offset))?;
        if stay.foreign == Some(offset) {
            // The client has seen nothing, unless an event for it has this number by chance.
            return (!self.may_be_for(offset, stay)).then_some(stay.began);
        }
        Some(offset.max(stay.began))
    }

    fn may_be_for(&self, offset: u64, stay: &Stay) -> bool {
        if offset <= stay.began || offset > self.last {
            return false;
        }
        let first = self.last + 1 - self.events.len() as u64;
        let kept = offset.checked_sub(first).and_then(|index| self.events.get(usize::try_from(index).ok()?));
        kept.map_or_else(|| self.gone.last_for(stay) >= offset, |logged| stay.hears(offset, &logged.target))
    }

    /// Drops the events and sockets that are over the bounds.
    pub(crate) fn expire(&mut self, now: Instant) {
        let is_over = |at: Instant| now.saturating_duration_since(at) > self.limits.window;
        while let Some(oldest) = self.events.front()
            && (is_over(oldest.at) || self.bytes > self.limits.bytes)
        {
            self.bytes -= oldest.bytes();
            let offset = self.last + 1 - self.events.len() as u64;
            if let Some(Logged { target, .. }) = self.events.pop_front() {
                self.gone.add(offset, target);
            }
        }
        while let Some(oldest) = self.absent.first_entry()
            && (is_over(oldest.get().1.since) || self.by_pid.len() > self.limits.sockets)
        {
            let (pid, _) = oldest.remove();
            self.by_pid.remove(&pid);
        }
    }

    /// Whether [`forget`](Self::forget) is due.
    pub(crate) fn is_forgetting_due(&self) -> bool {
        self.gone.has_doubled()
    }

    /// Forgets targets of dropped events, except names of existing rooms and sockets (`is_there`) and of lost
    /// sockets.
    pub(crate) fn forget(&mut self, is_there: impl Fn(&ByteString) -> bool) {
        let absent = self.absent.values().flat_map(|(_, Absent { stay, .. })| {
            stay.rooms.iter().map(|(room, _)| room).chain(std::iter::once(&stay.sid))
        });
        self.gone.forget(absent, is_there);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RecoveryLimits = RecoveryLimits { window: Duration::from_secs(9), bytes: 4000, sockets: 3 };

    fn target(to: &[&'static str], except: &[&'static str]) -> Target {
        let names = |names: &[&'static str]| names.iter().map(|name| ByteString::from_static(name)).collect();
        Target { to: names(to), except: names(except) }
    }

    fn emission(packet: &str) -> Emission {
        let mut emission = Emission::default();
        emission.packet = packet.into();
        emission
    }

    /// A socket that connected before all events.
    fn absent(sid: &'static str, rooms: &[&'static str], since: Instant) -> Absent {
        let rooms = rooms.iter().map(|room| (ByteString::from_static(room), 0)).collect();
        Absent { stay: Stay { sid: sid.into(), rooms, ..Stay::default() }, since }
    }

    fn at(offset: &str) -> Offset {
        Offset::Text(offset.into())
    }

    fn packets(taken: Option<(Stay, Vec<Missed>)>) -> Option<Vec<String>> {
        let (_, missed) = taken?;
        Some(missed.iter().map(|missed| String::from_utf8_lossy(&missed.packet).into_owned()).collect())
    }

    fn some(packets: &[&str]) -> Option<Vec<String>> {
        Some(packets.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn who_comes_back_gets_what_was_for_it_behind_its_offset() {
        let (mut recovery, now) = (Recovery::new(LIMITS, Budget::new(1 << 20)), Instant::now());
        for (packet, target) in [
            ("a", target(&[], &[])),
            ("b", target(&["red"], &[])),
            ("c", target(&["blue"], &[])),
            ("d", target(&["blue", "me"], &[])),
            ("e", target(&[], &["red"])),
            ("f", target(&[], &["other"])),
            ("g", target(&["red"], &["me"])),
        ] {
            recovery.log(target, emission(packet), now);
        }
        recovery.keep("p".into(), absent("me", &["red"], now));
        assert_eq!(packets(recovery.take("p", &at("1"), now)), some(&["b", "d", "f"]));
        assert_eq!(packets(recovery.take("p", &at("1"), now)), None, "a place is taken once");
        recovery.keep("p".into(), absent("me", &["red"], now));
        assert_eq!(packets(recovery.take("p", &at("7"), now)), some(&[]));
    }

    #[test]
    fn who_has_no_offset_gets_all_since_it_came() {
        let (mut recovery, now) = (Recovery::new(LIMITS, Budget::new(1 << 20)), Instant::now());
        let mut lost = absent("me", &[], now);
        for packet in ["a", "b", "c", "d", "e", "f"] {
            let to = if packet > "c" { target(&["red"], &[]) } else { target(&[], &[]) };
            recovery.log(to, emission(packet), now);
        }
        // It connected after b, and entered its room after d.
        (lost.stay.began, lost.stay.rooms) = (2, vec![("red".into(), 4)]);
        for offset in [Offset::Missing, at("connected"), at(""), at("-1"), at("Q827nVs"), at("0"), at("2")] {
            recovery.keep("p".into(), lost.clone());
            assert_eq!(packets(recovery.take("p", &offset, now)), some(&["c", "e", "f"]), "{offset:?}");
        }
    }

    #[test]
    fn an_offset_from_nowhere_recovers_nothing() {
        let (mut recovery, now) = (Recovery::new(LIMITS, Budget::new(1 << 20)), Instant::now());
        recovery.log(target(&[], &[]), emission("a"), now);
        for offset in [at("2"), at("18446744073709551615"), at("99999999999999999999"), Offset::Other] {
            recovery.keep("p".into(), absent("me", &[], now));
            assert_eq!(packets(recovery.take("p", &offset, now)), None, "{offset:?}");
        }
        recovery.keep("p".into(), absent("me", &[], now));
        assert_eq!(packets(recovery.take("p", &at("0"), now)), some(&["a"]));
        assert_eq!(packets(recovery.take("q", &at("0"), now)), None);
    }

    /// A client keeps the offset of another server, or of this one before a restart, until its first event.
    #[test]
    fn an_offset_that_was_brought_from_elsewhere_counts_as_none() {
        let (mut recovery, now) = (Recovery::new(LIMITS, Budget::new(1 << 20)), Instant::now());
        for packet in ["a", "b", "c"] {
            recovery.log(target(&["red"], &["you"]), emission(packet), now);
        }
        let mut lost = absent("me", &["red"], now);
        lost.stay.began = 1;
        for (sid, foreign, taken) in [
            ("me", 99, some(&["b", "c"])),
            ("me", 1, some(&["b", "c"])),
            // The client may have seen b, or not.
            ("me", 2, None),
            ("you", 2, some(&[])),
        ] {
            (lost.stay.sid, lost.stay.foreign) = (sid.into(), Some(foreign));
            recovery.keep("p".into(), lost.clone());
            assert_eq!(packets(recovery.take("p", &at(&foreign.to_string()), now)), taken, "{sid} {foreign}");
        }
    }

    #[test]
    fn an_old_offset_is_good_if_nothing_that_was_for_its_client_is_gone() {
        let (mut recovery, start) = (Recovery::new(LIMITS, Budget::new(1 << 20)), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        recovery.log(target(&["red"], &[]), emission("a"), start);
        for second in 1..20 {
            recovery.log(target(&["blue"], &[]), emission("b"), after(second));
            recovery.log(target(&["red"], &["me"]), emission("by me"), after(second));
        }
        recovery.log(target(&["red"], &[]), emission("z"), after(21));
        for (sid, room, offset, taken) in [
            ("me", "red", "1", some(&["z"])),
            // For these, an event was dropped that they missed: by its time or by its room.
            ("me", "red", "0", None),
            ("you", "red", "1", None),
            ("me", "blue", "1", None),
            ("me", "green", "1", some(&[])),
        ] {
            recovery.keep("p".into(), absent(sid, &[room], after(20)));
            assert_eq!(packets(recovery.take("p", &at(offset), after(22))), taken, "{sid} {room} {offset}");
        }
    }

    #[test]
    fn what_several_clients_missed_is_charged_once_until_the_last_has_taken_it() {
        let (budget, now) = (Budget::new(1 << 20), Instant::now());
        let mut recovery = Recovery::new(LIMITS, Arc::clone(&budget));
        recovery.log(target(&[], &[]), emission(&"x".repeat(3000)), now);
        let mut taken = Vec::new();
        for pid in ["p", "q", "r"] {
            recovery.keep(pid.into(), absent("me", &[], now));
            taken.push(recovery.take(pid, &Offset::Missing, now).expect("it is kept"));
        }
        let kept = recovery.bytes;
        // Another event takes its place.
        recovery.log(target(&[], &[]), emission(&"y".repeat(3000)), now);
        crate::connection::lease::report_counts();
        assert_eq!((recovery.events.len(), budget.used()), (1, kept));
        drop(taken);
        crate::connection::lease::report_counts();
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_others_push_out_is_no_loss_to_who_comes_back() {
        let (mut recovery, now) = (Recovery::new(LIMITS, Budget::new(1 << 20)), Instant::now());
        recovery.keep("p".into(), absent("me", &["red"], now));
        recovery.keep("q".into(), absent("you", &["blue"], now));
        for _ in 0..100 {
            recovery.log(target(&["blue"], &[]), emission(&"x".repeat(900)), now);
        }
        assert!(recovery.events.len() < 100);
        recovery.log(target(&["red"], &[]), emission("a"), now);
        assert_eq!(packets(recovery.take("p", &Offset::Missing, now)), some(&["a"]));
        assert_eq!(packets(recovery.take("q", &Offset::Missing, now)), None);
    }

    #[test]
    fn what_is_too_old_is_gone_and_who_would_miss_it_is_not_recovered() {
        let (mut recovery, start) = (Recovery::new(LIMITS, Budget::new(1 << 20)), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        recovery.log(target(&[], &[]), emission("a"), start);
        recovery.log(target(&[], &[]), emission("b"), after(5));
        recovery.keep("p".into(), absent("me", &[], after(8)));
        recovery.keep("q".into(), absent("me", &[], after(8)));
        recovery.keep("r".into(), absent("me", &[], start));
        assert_eq!(packets(recovery.take("p", &at("0"), after(10))), None, "it missed a, which is gone");
        assert_eq!(packets(recovery.take("q", &at("1"), after(10))), some(&["b"]));
        assert_eq!(packets(recovery.take("r", &at("2"), after(10))), None, "it was away for too long");
        recovery.expire(after(60));
        assert_eq!(
            (recovery.events.len(), recovery.bytes, recovery.absent.len(), recovery.by_pid.len()),
            (0, 0, 0, 0)
        );
        recovery.keep("p".into(), absent("me", &[], after(60)));
        assert_eq!(packets(recovery.take("p", &at("2"), after(60))), some(&[]), "it missed nothing");
    }

    #[test]
    fn no_more_is_kept_than_the_bounds_allow() {
        let (mut recovery, now) = (Recovery::new(LIMITS, Budget::new(1 << 20)), Instant::now());
        for _ in 0..100 {
            recovery.log(target(&[], &[]), emission(&"x".repeat(900)), now);
        }
        assert!(recovery.bytes <= LIMITS.bytes && !recovery.events.is_empty());
        for pid in ["a", "b", "c", "d"] {
            recovery.keep(pid.into(), absent("me", &[], now));
        }
        assert_eq!((recovery.absent.len(), packets(recovery.take("a", &at("100"), now))), (3, None));
        for _ in 0..100 {
            recovery.keep("d".into(), absent("me", &[], now));
        }
        assert_eq!((recovery.absent.len(), recovery.by_pid.len()), (3, 3), "one place each");
    }
}
