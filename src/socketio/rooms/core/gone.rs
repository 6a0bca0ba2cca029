//! The targets of events that recovery does not keep any more.

use std::collections::{HashMap, HashSet};

use bytestring::ByteString;

use super::stay::Stay;
use crate::socketio::rooms::messages::Target;

/// Number of new names, at least, before [`Gone::forget`] is due.
const MIN_GROWTH: usize = 1024;

/// The last event that is not kept any more, for each room and each sid. A client that has seen less has
/// missed an event.
#[derive(Debug, Default)]
pub(super) struct Gone {
    /// Events to the whole namespace.
    whole: Latest,
    by_name: HashMap<ByteString, Latest>,
    /// Number of names after the last [`forget`](Self::forget).
    left: usize,
}

/// The last of some events, and the last one before it with another `except`. A sender is excluded from its
/// own events: for the sender the older one counts, for all others the newer one.
#[derive(Debug, Default)]
struct Latest {
    offset: u64,
    except: Vec<ByteString>,
    before: u64,
}

impl Latest {
    fn add(&mut self, offset: u64, except: Vec<ByteString>) {
        if self.except != except {
            self.before = self.offset;
            self.except = except;
        }
        self.offset = offset;
    }

    /// The last event that may have been for this socket.
    fn offset_for(&self, stay: &Stay) -> u64 {
        if stay.is_in_any(self.offset, &self.except) { self.before } else { self.offset }
    }
}

impl Gone {
    /// Notes the target of an event that is not kept any more.
    pub(super) fn add(&mut self, offset: u64, Target { to, except }: Target) {
        let mut names = to.into_iter();
        let Some(last) = names.next_back() else {
            return self.whole.add(offset, except);
        };
        for name in names {
            self.by_name.entry(name).or_default().add(offset, except.clone());
        }
        self.by_name.entry(last).or_default().add(offset, except);
    }

    /// The last event that is gone and may have been for a socket; 0 if there is none.
    pub(super) fn last_for(&self, stay: &Stay) -> u64 {
        let offset_of =
            |name: &ByteString| self.by_name.get(name).map_or(0, |latest| latest.offset_for(stay));
        let in_rooms = stay.rooms.iter().map(|(room, since)| {
            let offset = offset_of(room);
            if offset > *since { offset } else { 0 }
        });
        let alone = [self.whole.offset_for(stay), offset_of(&stay.sid)];
        in_rooms.chain(alone).max().unwrap_or(0)
    }

    /// Whether the number of names has more than doubled since the last [`forget`](Self::forget).
    pub(super) fn has_doubled(&self) -> bool {
        self.by_name.len() > 2 * self.left + MIN_GROWTH
    }

    /// Forgets all names except `absent` and those for which `is_there` holds.
    pub(super) fn forget<'a>(
        &mut self,
        absent: impl Iterator<Item = &'a ByteString>,
        is_there: impl Fn(&ByteString) -> bool,
    ) {
        let absent: HashSet<_> = absent.collect();
        self.by_name.retain(|name, _| absent.contains(name) || is_there(name));
        self.left = self.by_name.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<ByteString> {
        names.iter().map(|name| ByteString::from(*name)).collect()
    }

    fn stay(sid: &str, rooms: &[(&str, u64)]) -> Stay {
        let rooms = rooms.iter().map(|(room, since)| (ByteString::from(*room), *since)).collect();
        Stay { sid: sid.into(), rooms, ..Stay::default() }
    }

    #[test]
    fn what_is_gone_is_known_by_whom_it_was_for() {
        let mut gone = Gone::default();
        for (offset, to, except) in [
            (1, &["red"][..], &[][..]),
            (2, &["blue"], &[]),
            (3, &["red"], &["me"]),
            (4, &["red"], &["me"]),
            (5, &["me"], &[]),
            (6, &["blue", "green"], &["red"]),
        ] {
            gone.add(offset, Target { to: names(to), except: names(except) });
        }
        for (sid, rooms, last) in [
            ("you", &[("red", 0)][..], 4),
            ("me", &[("red", 0)], 5),
            ("you", &[("red", 4)], 0),
            ("you", &[("blue", 0)], 6),
            ("you", &[("blue", 0), ("red", 5)], 2),
            ("you", &[("blue", 0), ("red", 6)], 6),
            ("you", &[], 0),
        ] {
            assert_eq!(gone.last_for(&stay(sid, rooms)), last, "{sid} {rooms:?}");
        }
        gone.add(7, Target { to: vec![], except: names(&["me"]) });
        assert_eq!((gone.last_for(&stay("you", &[])), gone.last_for(&stay("me", &[("red", 0)]))), (7, 5));
    }

    #[test]
    fn rooms_that_are_no_more_are_forgotten_and_no_others() {
        let mut gone = Gone::default();
        for offset in 1..=3000 {
            gone.add(offset, Target { to: names(&[&format!("room {offset}")]), except: vec![] });
        }
        assert!(gone.has_doubled());
        let absent = names(&["room 7"]);
        gone.forget(absent.iter(), |name| *name == "room 8");
        assert!(!gone.has_doubled());
        let known = ["room 7", "room 8", "room 9"].map(|room| gone.last_for(&stay("me", &[(room, 0)])));
        assert_eq!(known, [7, 8, 0]);
    }
}
