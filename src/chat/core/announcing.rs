//! Tells a room which users came and went.

use std::time::Instant;

use super::Chat;
use crate::{
    broadcast::{Reach, RoomId},
    chat::{
        alarms::Alarm,
        line::{CHANGES, Line, shown},
        messages::{ListUsers, Rejected, Reply, UsersPage},
        news::Told,
        presence::Presence,
        users::Change,
    },
    domain::{MemberId, Profile},
    protocol::chat::{self, USERS_PAGE},
};

impl Chat {
    /// Notes a change of the room's users; it is told when it is due.
    pub(super) fn announce(&mut self, by: impl Into<Option<MemberId>>, id: RoomId, change: &Change) {
        let members = self.broadcaster.rooms.members_in(id);
        if let Some(room) = self.broadcaster.rooms.get(id) {
            room.news.changed(change, by, members, self.now.at);
            self.tell_news(id);
        }
    }

    /// Adds the notices and lists that are due to the broadcast, and sets the alarm for the rest.
    pub(super) fn tell_news(&mut self, id: RoomId) {
        let now = self.now.at;
        let members = self.broadcaster.rooms.members_in(id);
        let subscribers = self.broadcaster.rooms.subscribers(id);
        let want_changes = subscribers.map_or(0, |subscribers| subscribers.of_dialects(&CHANGES));
        let told = Told { members, want_changes };
        let Some(room) = self.room(id) else {
            return;
        };
        let notices = room.news.take_notices(&room.presence, told, now);
        let is_list_due = room.news.take_list(&room.presence, told, now);
        let list = is_list_due.then(|| first_users(&room.presence));
        let alarm = room.news.next_alarm(&room.presence, now);
        for notice in &notices {
            self.add_line(id, &Line::Notice(notice), notice.by.map_or(Reach::All, Reach::Exclude), None);
        }
        if let Some(list) = list {
            self.add_line(id, &Line::UsersAgain(&all_shown(&list)), Reach::All, None);
        }
        if let Some(at) = alarm {
            self.alarms.set(at, id, Alarm::News);
        }
    }

    /// Sends the list of users to a session that has just subscribed.
    pub(super) fn send_list_to(&mut self, member: MemberId, id: RoomId) {
        let Some(room) = self.room(id) else {
            return;
        };
        room.news.list_given();
        let list = first_users(&room.presence);
        let line = Line::Users(&all_shown(&list));
        let ended = self.broadcaster.send_only(id, vec![member], &line, None, None);
        self.keep(ended);
    }

    /// Sends the list of users to all subscribers of a room.
    pub(super) fn send_list_to_all(&mut self, id: RoomId) {
        let Some(room) = self.room(id) else {
            return;
        };
        room.news.list_given();
        let list = first_users(&room.presence);
        self.add_line(id, &Line::Users(&all_shown(&list)), Reach::All, None);
    }

    /// Answers a session with the users of its room.
    pub(super) fn list_users(&mut self, asked: &ListUsers) -> Result<Reply, Rejected> {
        let id = self.broadcaster.rooms.room_of(asked.member).ok_or(Rejected::NotLoggedIn)?;
        // The list tells of users whose coming the room has not heard yet.
        self.end_broadcast(id);
        let presence = &self.broadcaster.rooms.get(id).ok_or(Rejected::NotLoggedIn)?.presence;
        let mut behind = presence.profiles_after(asked.after.as_ref());
        let users = behind.by_ref().take(asked.limit).cloned().collect();
        let page = UsersPage { users, count: presence.count(), more: behind.next().is_some() };
        Ok(Reply::Users(Box::new(page)))
    }

    /// The time of the earliest alarm.
    pub(in crate::chat) fn next_alarm(&self) -> Option<Instant> {
        self.alarms.next().into_iter().chain(self.next_end_of_patience()).min()
    }

    /// Handles the alarms that are due.
    pub(in crate::chat) fn ring(&mut self) {
        let now = self.now.at;
        if self.is_shared() {
            self.end_patience();
        }
        while let Some((id, alarm)) = self.alarms.take_due(now) {
            let Some(room) = self.room(id) else {
                continue;
            };
            match alarm {
                Alarm::News => {
                    room.news.rung(now);
                    self.tell_news(id);
                    self.end_broadcast(id);
                }
                Alarm::Names => {
                    let last = room.presence.expire(now);
                    room.has_names_alarm = last.is_some();
                    if let Some(last) = last {
                        self.alarms.set(last, id, Alarm::Names);
                    }
                    self.retire(id);
                }
                Alarm::Rest => {
                    room.has_rest_alarm = false;
                    self.retire(id);
                }
            }
        }
    }
}

/// The users that fit in one list.
fn first_users(presence: &Presence) -> Vec<Profile> {
    presence.profiles().take(USERS_PAGE).cloned().collect()
}

fn all_shown(profiles: &[Profile]) -> Vec<chat::Profile<'_>> {
    profiles.iter().map(shown).collect()
}
