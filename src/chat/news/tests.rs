use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::domain::{Avatar, Nickname, Token};

/// A room, and what a member knows that has been there from the start.
struct Room {
    presence: Presence,
    news: News,
    now: Instant,
    known: BTreeSet<String>,
    lists: Vec<Instant>,
    /// Bytes that were sent to the member.
    bytes: usize,
    /// Number of others that want every change.
    want_changes: usize,
}

fn profile(number: u64) -> Profile {
    let nickname = Nickname::parse(&format!("user {number:05}")).expect("a legal name");
    Profile { nickname, avatar: Avatar::default(), uid: Some(token(number).public_id()) }
}

/// The token of a user, equal each time the user comes back.
fn token(number: u64) -> Token {
    format!("{number:032x}").parse().expect("a token")
}

impl Room {
    /// A room of `users` that all know of each other.
    fn of(users: u64) -> Self {
        let (presence, known) = (Presence::default(), BTreeSet::new());
        let news = News::default();
        let mut room =
            Self { presence, news, now: Instant::now(), known, lists: Vec::new(), bytes: 0, want_changes: 0 };
        for number in 0..users {
            room.login(number);
            room.wait(Duration::from_secs(20));
        }
        (room.bytes, room.lists) = (0, Vec::new());
        room
    }

    fn login(&mut self, number: u64) -> Vec<Notice> {
        let member = MemberId::of(number);
        let logged_in = self.presence.login(member, profile(number), None, token(number), self.now);
        self.changed(&logged_in.expect("a free name").1, member)
    }

    fn logout(&mut self, number: u64) -> Vec<Notice> {
        let member = MemberId::of(number);
        let left = self.presence.logout(member);
        self.changed(&Change { left, arrived: None }, member)
    }

    fn changed(&mut self, change: &Change, by: MemberId) -> Vec<Notice> {
        self.news.changed(change, by, self.presence.count(), self.now);
        self.look()
    }

    fn told(&self) -> Told {
        Told { members: self.presence.count(), want_changes: self.want_changes }
    }

    fn look(&mut self) -> Vec<Notice> {
        let notices = self.news.take_notices(&self.presence, self.told(), self.now);
        for notice in &notices {
            if notice.listed != Listed::Not {
                self.bytes += notice.bytes();
            }
            let name = notice.profile.nickname.to_string();
            let is_news = match notice.has_come {
                true => self.known.insert(name),
                false => self.known.remove(&name),
            };
            assert!(is_news || self.news.lists_given > 0, "what was known is told again");
            assert_eq!(notice.count, self.known.len());
        }
        if has_more(&notices) {
            self.known = self.names();
        }
        if self.news.take_list(&self.presence, self.told(), self.now) {
            self.bytes += list_bytes(&self.presence);
            self.lists.push(self.now);
        }
        notices
    }

    fn wait(&mut self, time: Duration) -> Vec<Notice> {
        let end = self.now + time;
        let mut notices = Vec::new();
        while let Some(at) = self.news.next_alarm(&self.presence, self.now).filter(|at| *at <= end) {
            self.now = at;
            self.news.rung(self.now);
            notices.extend(self.look());
        }
        // The next call of `wait` sets an alarm that is due later.
        self.news.alarm = None;
        self.now = end;
        notices
    }

    fn names(&self) -> BTreeSet<String> {
        self.presence.profiles().map(|profile| profile.nickname.to_string()).collect()
    }
}

/// Whether the list tells some of the changes.
fn has_more(told: &[Notice]) -> bool {
    told.iter().any(|notice| matches!(notice.listed, Listed::Last { .. }))
}

/// What a member with this knowledge knows after these notices.
fn follow(mut known: BTreeSet<String>, told: &[Notice], room: &Room) -> BTreeSet<String> {
    for notice in told {
        let name = notice.profile.nickname.to_string();
        if notice.has_come {
            known.insert(name)
        } else {
            known.remove(&name)
        };
    }
    if has_more(told) { room.names() } else { known }
}

const LONG: Duration = Duration::from_secs(100);

#[test]
fn a_small_room_is_told_at_once_and_has_its_list_once_a_second() {
    let mut room = Room::of(10);
    room.wait(LONG);
    let start = room.now;
    assert_eq!(room.login(10).len(), 1);
    assert_eq!(room.lists, [start]);
    assert_eq!(room.logout(3).len(), 1);
    assert_eq!(room.lists.len(), 1);
    assert!(room.wait(LONG).is_empty());
    assert_eq!(room.lists, [start, start + INTERVAL]);
}

#[test]
fn in_a_large_room_changes_wait_for_each_other_and_what_cancels_out_is_not_told() {
    let mut room = Room::of(200);
    room.wait(LONG);
    assert!(room.logout(3).is_empty());
    assert_eq!(room.wait(MAX_GATHERING).len(), 1, "the first one hardly waits");
    for number in [4, 5, 6] {
        assert!(room.logout(number).is_empty());
    }
    assert!(room.login(5).is_empty());
    let told = room.wait(LONG);
    assert_eq!(
        told.iter().map(|notice| notice.profile.clone()).collect::<Vec<_>>(),
        [profile(4), profile(6)]
    );
    assert_eq!(room.known, room.names());
}

#[test]
fn of_very_many_at_once_some_are_told_by_name_and_the_list_tells_the_rest() {
    let mut room = Room::of(1000);
    room.wait(LONG);
    (room.lists, room.bytes) = (Vec::new(), 0);
    for number in 0..500 {
        room.logout(number);
    }
    let told = room.wait(LONG);
    assert_eq!((told.len(), told[9].listed), (MOST_BY_NAME, Listed::Last { count: 500, more: 490 }));
    assert_eq!(room.lists.len(), 1);
    assert!(room.bytes < 8000, "{} bytes", room.bytes);
}

#[test]
fn who_wants_every_change_is_told_it_also_of_very_many() {
    let mut room = Room::of(1000);
    room.want_changes = 1;
    room.wait(LONG);
    for number in 0..500 {
        room.logout(number);
    }
    let told = room.wait(LONG);
    assert_eq!(told.len(), 500);
    assert!(told[..9].iter().all(|notice| notice.listed == Listed::Whole));
    assert_eq!(told[9].listed, Listed::Last { count: 500, more: 490 });
    assert!(told[10..].iter().all(|notice| notice.listed == Listed::Not));
    assert_eq!(told.last().map(|notice| notice.count), Some(500));
}

#[test]
fn the_lists_of_a_large_room_are_ten_seconds_apart_and_paid_for() {
    let mut room = Room::of(1000);
    room.wait(LONG);
    (room.lists, room.bytes) = (Vec::new(), 0);
    let mut changes = 0;
    for _ in 0..600 {
        room.logout(7);
        room.wait(Duration::from_millis(700));
        room.login(7);
        room.wait(Duration::from_millis(700));
        changes += 2;
    }
    // Earlier changes may have paid for the first list.
    let budget = changes * PAID_BY_CHANGE + list_bytes(&room.presence);
    assert!(room.bytes <= budget, "{} bytes for {changes} changes", room.bytes);
    assert!(room.lists.len() > 5, "{} lists", room.lists.len());
    assert!(room.lists.windows(2).all(|pair| pair[1] - pair[0] >= LIST_INTERVAL));
}

#[test]
fn a_member_that_is_given_the_list_while_a_user_is_away_is_told_of_the_return() {
    let mut room = Room::of(80);
    room.wait(LONG);
    room.logout(70);
    room.wait(MAX_GATHERING);
    assert!(room.logout(3).is_empty() && room.logout(4).is_empty());
    assert!(room.login(4).is_empty());
    room.news.list_given();
    assert!(room.login(3).is_empty());
    let told = room.wait(LONG);
    assert_eq!(
        told.iter().map(|notice| (notice.profile.clone(), notice.has_come)).collect::<Vec<_>>(),
        [(profile(3), true)]
    );
    room.logout(70);
    room.login(1000);
    room.news.list_given();
    room.logout(1000);
    let told = room.wait(LONG);
    assert_eq!(
        told.iter().map(|notice| (notice.profile.clone(), notice.has_come)).collect::<Vec<_>>(),
        [(profile(1000), false)]
    );
}

proptest! {
    /// Users come and go at random, in a room that grows large and small again.
    #[test]
    fn members_know_in_the_end_who_is_there(steps in prop::collection::vec((0..80u64, 0..4u8, 0..900u64), 0..400)) {
        let mut room = Room::of(45);
        let mut newcomer: Option<BTreeSet<String>> = None;
        for (number, step, millis) in steps {
            let told = match room.presence.user_of(MemberId::of(number)) {
                Some(_) => room.logout(number),
                None => room.login(number),
            };
            let told = match step {
                0 => [told, room.wait(Duration::from_millis(millis))].concat(),
                1 => {
                    room.news.list_given();
                    newcomer = Some(room.names());
                    continue;
                }
                _ => told,
            };
            newcomer = newcomer.map(|known| follow(known, &told, &room));
        }
        let told = room.wait(LONG);
        prop_assert_eq!(&room.known, &room.names());
        if let Some(known) = newcomer {
            prop_assert_eq!(follow(known, &told, &room), room.names());
        }
    }
}
