//! What the members of a room have yet to be told of who came and went. A plain struct that is told the time.
//!
//! In a small room each change is told at once, and the list of users follows, once a second at most. In a large one a
//! change is heard by so many that changes wait for each other: what cancels out is not told, of many at once only some
//! are told by name, and the next ones wait the longer the more the last ones cost. The list is sent seldom there, and
//! only once as many changes have come as are worth its bytes, so that no request makes the server send much more than
//! it sent itself.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::presence::{Change, Face, Presence};
use crate::{
    domain::{NicknameKey, SessionId},
    protocol::chat::{MAX_USERS_AT_ONCE, USERS_PAGE},
};

/// Between two lists of a small room, and between two batches of changes of a large one, at least.
const INTERVAL: Duration = Duration::from_secs(1);

/// Between two batches of changes of a large room, at most.
const MAX_INTERVAL: Duration = Duration::from_secs(10);

/// Between two lists of a large room, at least.
const LIST_INTERVAL: Duration = Duration::from_secs(10);

/// What changes, and what lists, may cost a large room: bytes a second, to all its members together.
const BYTES_PER_SECOND: usize = 256 * 1024;

/// How long the first change of a large room waits for others, for each member: about as long as it takes to tell them
/// all. When many go at once, those who are gone need not be told.
const GATHERING: Duration = Duration::from_micros(20);

/// The first change waits no longer than this.
const MAX_GATHERING: Duration = Duration::from_millis(500);

/// So many changes of a batch are told by name if the list can tell the rest.
const MOST_BY_NAME: usize = 10;

/// What a change pays for, in bytes to each member: more than one line of it takes, for the list is paid from the rest.
const PAID_BY_CHANGE: usize = 200;

/// Bytes of a line beside name and avatar, with the public id.
const LINE_BYTES: usize = 96;

/// Bytes of a user in a list beside name and avatar, with the public id.
const USER_BYTES: usize = 48;

/// See the module's text.
#[derive(Debug, Default)]
pub struct News {
    /// What has changed since the members were last told.
    untold: BTreeMap<NicknameKey, Untold>,
    /// How many users the members know of.
    told_count: usize,
    /// How many sessions have come in and been given the list.
    lists_given: u64,
    /// No earlier than this are the next changes told.
    lines_from: Option<Instant>,
    list: ListClock,
    /// When the room is to be looked at again.
    alarm: Option<Instant>,
}

/// A user that the members know of otherwise than it is.
#[derive(Debug)]
struct Untold {
    /// What they know.
    told: Option<Face>,
    /// The session that made it otherwise, which knows.
    by: SessionId,
    /// How many had been given the list when it first became otherwise, and when it last did. A session that was given it
    /// between knows what the others were never told.
    lists: (u64, u64),
    /// The face in the last change.
    last: Face,
}

/// When the list is sent.
#[derive(Debug, Default)]
struct ListClock {
    is_stale: bool,
    /// No earlier than this.
    from: Option<Instant>,
    /// What changes have paid for, in bytes to each member.
    paid: usize,
}

/// A change as the members are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Who.
    pub face: Face,
    /// Whether they came, or went.
    pub has_come: bool,
    /// How many are there now.
    pub count: usize,
    /// What of it those are told who get lists; those who want every change are told of it.
    pub listed: Listed,
    /// The session that need not be told.
    pub by: SessionId,
}

/// What of a change those are told who get lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// All.
    Whole,
    /// It is the last one that is told by name.
    Last {
        /// How many are there after all changes.
        count: usize,
        /// How many more changes there are.
        more: usize,
    },
    /// Nothing: the list will tell.
    Not,
}

/// Those who are told.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// How many they are.
    pub members: usize,
    /// How many of them want every change.
    pub want_changes: usize,
}

impl Notice {
    fn bytes(&self) -> usize {
        LINE_BYTES + bytes_of(&self.face)
    }
}

impl News {
    /// A session has changed who is there. So many members are to be told of it.
    pub fn changed(&mut self, change: &Change, by: SessionId, members: usize, now: Instant) {
        if self.untold.is_empty() {
            let members = u32::try_from(members).unwrap_or(u32::MAX);
            let gathered = now + GATHERING.saturating_mul(members).min(MAX_GATHERING);
            self.lines_from = self.lines_from.max(Some(gathered));
        }
        for (face, told) in [(&change.left, change.left.as_ref()), (&change.arrived, None)] {
            if let Some(face) = face {
                let lists = (self.lists_given, self.lists_given);
                let untold = self.untold.entry(face.nickname.key());
                let untold =
                    untold.or_insert_with(|| Untold { told: told.cloned(), by, lists, last: face.clone() });
                (untold.by, untold.lists.1) = (by, lists.1);
                untold.last = face.clone();
            }
        }
        if change.left.is_some() || change.arrived.is_some() {
            self.list.paid = self.list.paid.saturating_add(PAID_BY_CHANGE);
            self.list.is_stale = true;
        }
    }

    /// What is to be told now.
    pub fn take_notices(&mut self, presence: &Presence, told: Told, now: Instant) -> Vec<Notice> {
        if self.untold.is_empty() || (is_large(presence) && self.lines_from.is_some_and(|from| now < from)) {
            return Vec::new();
        }
        let mut notices = self.net_changes(presence);
        let changes = notices.len();
        let told_by_name: usize = notices.iter().take(MOST_BY_NAME).map(Notice::bytes).sum();
        if changes > MOST_BY_NAME && self.list.paid >= told_by_name + list_bytes(presence) {
            if told.want_changes == 0 {
                notices.truncate(MOST_BY_NAME);
            }
            let last = Listed::Last { count: presence.count(), more: changes - MOST_BY_NAME };
            notices[MOST_BY_NAME - 1].listed = last;
            notices[MOST_BY_NAME..].iter_mut().for_each(|notice| notice.listed = Listed::Not);
        }
        let of_all: usize = notices.iter().map(Notice::bytes).sum();
        let of_listed = notices.iter().filter(|notice| notice.listed != Listed::Not).map(Notice::bytes).sum();
        self.list.paid = self.list.paid.saturating_sub(of_listed);
        let bytes = of_all * told.want_changes + of_listed * told.members.saturating_sub(told.want_changes);
        self.lines_from = Some(now + interval(bytes).clamp(INTERVAL, MAX_INTERVAL));
        self.told_count = presence.count();
        notices
    }

    /// What has changed since the members were last told, in the order of names, and is not as it was again.
    fn net_changes(&mut self, presence: &Presence) -> Vec<Notice> {
        let mut count = self.told_count;
        let mut notices = Vec::new();
        for (key, Untold { told, by, lists, last }) in std::mem::take(&mut self.untold) {
            let is = presence.find(&key).map(|user| &user.face);
            let is_as_told = told.as_ref() == is;
            if is_as_told && lists.0 == lists.1 {
                continue;
            }
            if let Some(face) = told.filter(|_| !is_as_told) {
                count = count.saturating_sub(1);
                notices.push(Notice { face, has_come: false, count, listed: Listed::Whole, by });
            }
            match is {
                Some(face) => {
                    count += usize::from(!is_as_told);
                    notices.push(Notice {
                        face: face.clone(),
                        has_come: true,
                        count,
                        listed: Listed::Whole,
                        by,
                    });
                }
                None if is_as_told => {
                    notices.push(Notice { face: last, has_come: false, count, listed: Listed::Whole, by })
                }
                None => {}
            }
        }
        notices
    }

    /// Whether the list is to be sent now to those who get lists, who then have it.
    pub fn take_list(&mut self, presence: &Presence, told: Told, now: Instant) -> bool {
        if !self.list.is_stale || !self.untold.is_empty() || self.list.from.is_some_and(|from| now < from) {
            return false;
        }
        let (mut bytes, mut least) = (0, INTERVAL);
        if is_large(presence) {
            (bytes, least) = (list_bytes(presence), LIST_INTERVAL);
            if self.list.paid < bytes {
                return false;
            }
        }
        // Nothing is saved up: what one change costs is not what others have paid for.
        self.list.paid = 0;
        self.list.from =
            Some(now + interval(bytes * told.members.saturating_sub(told.want_changes)).max(least));
        self.list.is_stale = false;
        true
    }

    /// A session that comes in is given the list. What it is told later may be what it knows from there.
    pub fn list_given(&mut self) {
        self.lists_given += 1;
    }

    /// When the room is to be looked at again, if no alarm has been set that comes before.
    pub fn next_alarm(&mut self, presence: &Presence, now: Instant) -> Option<Instant> {
        let lines = self.lines_from.filter(|_| !self.untold.is_empty());
        let is_paid = || !is_large(presence) || self.list.paid >= list_bytes(presence);
        let list = self.list.from.filter(|from| self.list.is_stale && *from > now && is_paid());
        let at = lines.into_iter().chain(list).min()?;
        if self.alarm.is_some_and(|alarm| alarm <= at) {
            return None;
        }
        self.alarm = Some(at);
        Some(at)
    }

    /// The alarm has come.
    pub fn rung(&mut self, now: Instant) {
        self.alarm = self.alarm.filter(|alarm| *alarm > now);
    }
}

fn is_large(presence: &Presence) -> bool {
    presence.count() > MAX_USERS_AT_ONCE
}

fn bytes_of(face: &Face) -> usize {
    face.nickname.as_str().len() + face.avatar.as_str().len()
}

fn list_bytes(presence: &Presence) -> usize {
    presence.users().take(USERS_PAGE).map(|user| USER_BYTES + bytes_of(&user.face)).sum()
}

/// How long so many bytes last.
fn interval(bytes: usize) -> Duration {
    Duration::from_millis((bytes / (BYTES_PER_SECOND / 1000)) as u64)
}

#[cfg(test)]
mod tests;
