//! Which changes of its users the members of a room have yet to be told. Callers pass the time.
//!
//! In a small room each change is told at once, and the list of users follows, once a second at most. In a
//! large room each change costs many bytes, so changes wait for each other: changes that cancel out are not
//! told, of many at once only some are told by name, and the next ones wait longer the more the last ones
//! cost. A large room gets the list rarely, and only once enough changes have come to pay for its bytes, so
//! that no request makes the server send much more than it sent itself.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::{presence::Presence, users::Change};
use crate::{
    domain::{MemberId, NicknameKey, Profile},
    protocol::chat::{MAX_USERS_AT_ONCE, USERS_PAGE},
};

/// Minimum time between two lists of a small room, and between two batches of changes of a large one.
const INTERVAL: Duration = Duration::from_secs(1);

/// Maximum time between two batches of changes of a large room.
const MAX_INTERVAL: Duration = Duration::from_secs(10);

/// Minimum time between two lists of a large room.
const LIST_INTERVAL: Duration = Duration::from_secs(10);

/// What changes, and what lists, may cost a large room: bytes a second for all its members together.
const BYTES_PER_SECOND: usize = 256 * 1024;

/// How long the first change of a large room waits for others, per member: about as long as it takes to tell
/// them all. When many users leave at once, those who have left need not be told.
const GATHERING: Duration = Duration::from_micros(20);

/// The longest wait of the first change.
const MAX_GATHERING: Duration = Duration::from_millis(500);

/// How many changes of a batch are told by name if the list can tell the rest.
const MOST_BY_NAME: usize = 10;

/// What one change pays, in bytes to each member: more than its own line takes, because the rest pays for the
/// list.
const PAID_BY_CHANGE: usize = 200;

/// Bytes of a line except name and avatar, including the public id.
const LINE_BYTES: usize = 96;

/// Bytes of a user in a list except name and avatar, including the public id.
const USER_BYTES: usize = 48;

/// Changes of a room's users that its members have yet to be told, and when they may be.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// What has changed since the members were last told.
    untold: BTreeMap<NicknameKey, Untold>,
    /// Number of users that the members know of.
    told_count: usize,
    /// How many times a session that subscribed was given the list.
    lists_given: u64,
    /// The earliest time for the next changes.
    lines_from: Option<Instant>,
    list: ListClock,
    /// The time of the alarm that is set for the room.
    alarm: Option<Instant>,
}

/// A user whose state differs, or has differed, from what the members were told.
#[derive(Debug)]
struct Untold {
    /// The user as the members were told; `None` if they do not know it.
    told: Option<Profile>,
    /// The session of this node that caused the last change; it need not be told.
    by: Option<MemberId>,
    /// `lists_given` at the first and at the last change. A session that was given the list between them
    /// knows what the others were never told.
    lists: (u64, u64),
    /// The profile in the last change.
    last: Profile,
}

/// Decides when the list is sent.
#[derive(Debug, Default)]
struct ListClock {
    is_stale: bool,
    /// The earliest time for the next list.
    from: Option<Instant>,
    /// What changes have paid, in bytes to each member.
    paid: usize,
}

/// A user came or went, as members are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The profile of the user.
    pub profile: Profile,
    /// True if the user came, false if it went.
    pub has_come: bool,
    /// Number of users after this change.
    pub count: usize,
    /// What subscribers that get lists are told of it; those that want every change always get it.
    pub listed: Listed,
    /// The session of this node that caused the change; it is not told.
    pub by: Option<MemberId>,
}

/// What of a change is told to subscribers that get lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// The change, by name.
    Whole,
    /// The change, as the last one that is told by name.
    Last {
        /// Number of users after all changes of the batch.
        count: usize,
        /// Number of further changes, which the list tells.
        more: usize,
    },
    /// Nothing: the next list tells it.
    Not,
}

/// The members to tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    /// Number of members.
    pub members: usize,
    /// Number of those that want every change.
    pub want_changes: usize,
}

impl Notice {
    fn bytes(&self) -> usize {
        LINE_BYTES + bytes_of(&self.profile)
    }
}

impl News {
    /// A session, of this node or of another one, has changed which users are in the room; `members` are to be told.
    pub(crate) fn changed(
        &mut self,
        change: &Change,
        by: impl Into<Option<MemberId>>,
        members: usize,
        now: Instant,
    ) {
        let by = by.into();
        if self.untold.is_empty() {
            let members = u32::try_from(members).unwrap_or(u32::MAX);
            let gathered = now + GATHERING.saturating_mul(members).min(MAX_GATHERING);
            self.lines_from = self.lines_from.max(Some(gathered));
        }
        for (profile, told) in [(&change.left, change.left.as_ref()), (&change.arrived, None)] {
            if let Some(profile) = profile {
                let lists = (self.lists_given, self.lists_given);
                let untold = self.untold.entry(profile.nickname.key());
                let untold = untold.or_insert_with(|| Untold {
                    told: told.cloned(),
                    by,
                    lists,
                    last: profile.clone(),
                });
                (untold.by, untold.lists.1) = (by, lists.1);
                untold.last = profile.clone();
            }
        }
        if change.left.is_some() || change.arrived.is_some() {
            self.list.paid = self.list.paid.saturating_add(PAID_BY_CHANGE);
            self.list.is_stale = true;
        }
    }

    /// The notices to send now.
    pub(crate) fn take_notices(&mut self, presence: &Presence, told: Told, now: Instant) -> Vec<Notice> {
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

    /// The changes since the members were last told, in the order of names, without those that cancel out.
    fn net_changes(&mut self, presence: &Presence) -> Vec<Notice> {
        let mut count = self.told_count;
        let mut notices = Vec::new();
        for (key, Untold { told, by, lists, last }) in std::mem::take(&mut self.untold) {
            let is = presence.profile_of(&key);
            let is_as_told = told.as_ref() == is;
            if is_as_told && lists.0 == lists.1 {
                continue;
            }
            if let Some(profile) = told.filter(|_| !is_as_told) {
                count = count.saturating_sub(1);
                notices.push(Notice { profile, has_come: false, count, listed: Listed::Whole, by });
            }
            match is {
                Some(profile) => {
                    count += usize::from(!is_as_told);
                    notices.push(Notice {
                        profile: profile.clone(),
                        has_come: true,
                        count,
                        listed: Listed::Whole,
                        by,
                    });
                }
                None if is_as_told => {
                    notices.push(Notice { profile: last, has_come: false, count, listed: Listed::Whole, by })
                }
                None => {}
            }
        }
        notices
    }

    /// Whether the list is to be sent now to subscribers that get lists; if so, it counts as sent.
    pub(crate) fn take_list(&mut self, presence: &Presence, told: Told, now: Instant) -> bool {
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
        // Nothing is saved up: the next list is paid by new changes only.
        self.list.paid = 0;
        self.list.from =
            Some(now + interval(bytes * told.members.saturating_sub(told.want_changes)).max(least));
        self.list.is_stale = false;
        true
    }

    /// The room is opened with this number of users, and nothing is to be told of them.
    pub(crate) fn begin_with(&mut self, users: usize) {
        self.untold.clear();
        self.told_count = users;
    }

    /// A session was given the list. A later notice may tell it what it knows from there.
    pub(crate) fn list_given(&mut self) {
        self.lists_given += 1;
    }

    /// When the room must be checked again; `None` if never, or if the alarm that is set comes before that.
    pub(crate) fn next_alarm(&mut self, presence: &Presence, now: Instant) -> Option<Instant> {
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

    /// The alarms of the chat are lost.
    pub(crate) fn forget_alarm(&mut self) {
        self.alarm = None;
    }

    /// The alarm is due.
    pub(crate) fn rung(&mut self, now: Instant) {
        self.alarm = self.alarm.filter(|alarm| *alarm > now);
    }
}

fn is_large(presence: &Presence) -> bool {
    presence.count() > MAX_USERS_AT_ONCE
}

fn bytes_of(profile: &Profile) -> usize {
    profile.nickname.as_str().len() + profile.avatar.as_str().len()
}

fn list_bytes(presence: &Presence) -> usize {
    presence.profiles().take(USERS_PAGE).map(|profile| USER_BYTES + bytes_of(profile)).sum()
}

/// How long this number of bytes takes at [`BYTES_PER_SECOND`].
fn interval(bytes: usize) -> Duration {
    Duration::from_millis((bytes / (BYTES_PER_SECOND / 1000)) as u64)
}

#[cfg(test)]
mod tests;
