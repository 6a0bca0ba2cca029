//! What clients missed while they were away: the last events of one namespace, and who may come back to it. A plain
//! struct that is told the time.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::{Duration, Instant},
};

use bytestring::ByteString;

use crate::chat::messages::{Emission, Target};

/// The bounds on what is kept of one namespace for those who may come back.
#[derive(Clone, Copy, Debug)]
pub struct RecoveryLimits {
    /// How long.
    pub window: Duration,
    /// Bytes of events.
    pub bytes: usize,
    /// Sockets.
    pub sockets: usize,
}

/// See the module's text.
#[derive(Debug)]
pub struct Recovery {
    limits: RecoveryLimits,
    /// Rising offsets, without gaps.
    events: VecDeque<Logged>,
    bytes: usize,
    last: u64,
    /// Who was lost, by a number that rises: oldest first.
    absent: BTreeMap<u64, (ByteString, Absent)>,
    /// The numbers, by the secrets.
    by_pid: HashMap<ByteString, u64>,
    last_absent: u64,
}

#[derive(Debug)]
struct Logged {
    target: Target,
    emission: Emission,
    at: Instant,
}

/// A socket whose client may come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// Its id.
    pub sid: ByteString,
    /// The rooms that it was in.
    pub rooms: Vec<ByteString>,
    /// What was kept with its place.
    pub kept: ByteString,
    /// Since when it has been away.
    pub since: Instant,
}

impl Logged {
    fn bytes(&self) -> usize {
        let names = self.target.to.iter().chain(&self.target.except).map(|name| name.len());
        let attachments = self.emission.attachments.iter().map(|attachment| attachment.len());
        size_of::<Self>() + self.emission.packet.len() + names.chain(attachments).sum::<usize>()
    }
}

impl Recovery {
    /// Nothing is kept yet.
    pub fn new(limits: RecoveryLimits) -> Self {
        Self {
            limits,
            events: VecDeque::new(),
            bytes: 0,
            last: 0,
            absent: BTreeMap::new(),
            by_pid: HashMap::new(),
            last_absent: 0,
        }
    }

    /// The offset of the next event.
    pub fn next_offset(&self) -> u64 {
        self.last + 1
    }

    /// Keeps an event under the next offset.
    pub fn log(&mut self, target: Target, emission: Emission, now: Instant) {
        let logged = Logged { target, emission, at: now };
        self.last += 1;
        self.bytes += logged.bytes();
        self.events.push_back(logged);
        self.expire(now);
    }

    /// Keeps the place of a client that was lost.
    pub fn keep(&mut self, pid: ByteString, absent: Absent) {
        let now = absent.since;
        self.last_absent += 1;
        if let Some(former) = self.by_pid.insert(pid.clone(), self.last_absent) {
            self.absent.remove(&former);
        }
        self.absent.insert(self.last_absent, (pid, absent));
        self.expire(now);
    }

    /// A client is back with the last offset that it has: its place, and what it missed. Its place is taken by that, so
    /// that nobody comes back twice. `None` if it was away for too long, or not all that it missed is still there.
    pub fn take(&mut self, pid: &str, offset: &str, now: Instant) -> Option<(Absent, Vec<Emission>)> {
        self.expire(now);
        let (_, absent) = self.absent.remove(&self.by_pid.remove(pid)?)?;
        let offset: u64 = offset.parse().ok()?;
        let first = self.last + 1 - self.events.len() as u64;
        let seen = usize::try_from(offset.checked_add(1)?.checked_sub(first)?).ok()?;
        let missed = (seen <= self.events.len()).then(|| self.events.range(seen..))?;
        let is_for_it = |target: &Target| absent.is_target(target);
        let missed =
            missed.filter(|logged| is_for_it(&logged.target)).map(|logged| logged.emission.clone()).collect();
        Some((absent, missed))
    }

    /// Lets go what is over the bounds.
    pub fn expire(&mut self, now: Instant) {
        let is_over = |at: Instant| now.saturating_duration_since(at) > self.limits.window;
        while let Some(oldest) = self.events.front()
            && (is_over(oldest.at) || self.bytes > self.limits.bytes)
        {
            self.bytes -= oldest.bytes();
            self.events.pop_front();
        }
        while let Some(oldest) = self.absent.first_entry()
            && (is_over(oldest.get().1.since) || self.by_pid.len() > self.limits.sockets)
        {
            let (pid, _) = oldest.remove();
            self.by_pid.remove(&pid);
        }
    }
}

impl Absent {
    fn is_target(&self, target: &Target) -> bool {
        let is_in =
            |rooms: &[ByteString]| rooms.iter().any(|room| self.rooms.contains(room) || *room == self.sid);
        (target.to.is_empty() || is_in(&target.to)) && !is_in(&target.except)
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
        Emission { packet: packet.into(), attachments: Vec::new() }
    }

    fn absent(sid: &'static str, rooms: &[&'static str], since: Instant) -> Absent {
        let rooms = rooms.iter().map(|room| ByteString::from_static(room)).collect();
        Absent { sid: sid.into(), rooms, kept: ByteString::default(), since }
    }

    fn packets(taken: Option<(Absent, Vec<Emission>)>) -> Option<Vec<String>> {
        let (_, missed) = taken?;
        Some(missed.iter().map(|emission| emission.packet.to_string()).collect())
    }

    #[test]
    fn who_comes_back_gets_what_was_for_it_behind_its_offset() {
        let (mut recovery, now) = (Recovery::new(LIMITS), Instant::now());
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
        assert_eq!(packets(recovery.take("p", "1", now)), Some(vec!["b".into(), "d".into(), "f".into()]));
        assert_eq!(recovery.take("p", "1", now), None, "a place is taken once");
        recovery.keep("p".into(), absent("me", &["red"], now));
        assert_eq!(packets(recovery.take("p", "7", now)), Some(vec![]));
    }

    #[test]
    fn an_offset_from_nowhere_recovers_nothing() {
        let (mut recovery, now) = (Recovery::new(LIMITS), Instant::now());
        recovery.log(target(&[], &[]), emission("a"), now);
        for offset in ["", "x", "-1", "2", "18446744073709551615", "99999999999999999999", "1 "] {
            recovery.keep("p".into(), absent("me", &[], now));
            assert_eq!(recovery.take("p", offset, now), None, "{offset:?}");
        }
        recovery.keep("p".into(), absent("me", &[], now));
        assert_eq!(packets(recovery.take("p", "0", now)), Some(vec!["a".into()]));
        assert_eq!(recovery.take("q", "0", now), None);
    }

    #[test]
    fn what_is_too_old_is_gone_and_who_would_miss_it_is_not_recovered() {
        let (mut recovery, start) = (Recovery::new(LIMITS), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        recovery.log(target(&[], &[]), emission("a"), start);
        recovery.log(target(&[], &[]), emission("b"), after(5));
        recovery.keep("p".into(), absent("me", &[], after(8)));
        recovery.keep("q".into(), absent("me", &[], after(8)));
        recovery.keep("r".into(), absent("me", &[], start));
        assert_eq!(recovery.take("p", "0", after(10)), None, "it missed a, which is gone");
        assert_eq!(packets(recovery.take("q", "1", after(10))), Some(vec!["b".into()]));
        assert_eq!(recovery.take("r", "2", after(10)), None, "it was away for too long");
        recovery.expire(after(60));
        assert_eq!(
            (recovery.events.len(), recovery.bytes, recovery.absent.len(), recovery.by_pid.len()),
            (0, 0, 0, 0)
        );
        recovery.keep("p".into(), absent("me", &[], after(60)));
        assert_eq!(packets(recovery.take("p", "2", after(60))), Some(vec![]), "it missed nothing");
    }

    #[test]
    fn no_more_is_kept_than_the_bounds_allow() {
        let (mut recovery, now) = (Recovery::new(LIMITS), Instant::now());
        for _ in 0..100 {
            recovery.log(target(&[], &[]), emission(&"x".repeat(900)), now);
        }
        assert!(recovery.bytes <= LIMITS.bytes && !recovery.events.is_empty());
        for pid in ["a", "b", "c", "d"] {
            recovery.keep(pid.into(), absent("me", &[], now));
        }
        assert_eq!((recovery.absent.len(), recovery.take("a", "100", now)), (3, None));
        for _ in 0..100 {
            recovery.keep("d".into(), absent("me", &[], now));
        }
        assert_eq!((recovery.absent.len(), recovery.by_pid.len()), (3, 3), "one place each");
    }
}
