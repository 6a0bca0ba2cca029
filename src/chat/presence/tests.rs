//! Logins, holds and reservations of names.

use std::{collections::BTreeSet, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::domain::Avatar;

fn profile(name: &str) -> Profile {
    Profile { nickname: Nickname::parse(name).expect("a legal name"), avatar: Avatar::default(), uid: None }
}

/// The profile of the owner of a token.
fn profile_of(name: &str, bearer: u8) -> Profile {
    Profile { uid: Some(token(bearer).public_id()), ..profile(name) }
}

fn token(number: u8) -> Token {
    format!("{number:032x}").parse().expect("a token")
}

fn member(number: u64) -> MemberId {
    MemberId::of(number)
}

fn names(presence: &Presence) -> Vec<String> {
    presence.profiles().map(|profile| profile.nickname.to_string()).collect()
}

const SPARE: u8 = 99;

fn login(
    presence: &mut Presence,
    number: u64,
    name: &str,
    with: Option<u8>,
    now: Instant,
) -> Result<(Token, Change), NameTaken> {
    presence.login(member(number), profile(name), with.map(token), token(SPARE), now)
}

#[test]
fn two_tabs_are_one_user_who_arrives_and_leaves_once() {
    let (mut presence, now) = (Presence::default(), Instant::now());
    let (ann, change) = login(&mut presence, 1, "Ann", None, now).expect("free");
    assert_eq!((ann, change.arrived), (token(SPARE), Some(profile_of("Ann", SPARE))));
    let (again, change) = login(&mut presence, 2, "Ann", Some(SPARE), now).expect("hers");
    assert_eq!((again, change), (ann, Change::default()));
    assert_eq!(presence.count(), 1);
    assert_eq!(presence.logout(member(1)), None);
    assert_eq!(presence.logout(member(1)), None, "idempotent");
    assert_eq!(presence.logout(member(2)), Some(profile_of("Ann", SPARE)));
    assert!(presence.is_idle());
}

#[test]
fn a_name_that_looks_alike_is_taken_without_its_token() {
    let (mut presence, now) = (Presence::default(), Instant::now());
    login(&mut presence, 1, "Ann", Some(1), now).expect("free");
    for with in [None, Some(2)] {
        assert_eq!(login(&mut presence, 2, "ＡＮＮ", with, now), Err(NameTaken));
    }
    assert!(presence.user_of(member(2)).is_none());
}

#[test]
fn a_name_in_use_keeps_its_look_when_a_name_like_it_is_restored() {
    let (mut presence, now) = (Presence::default(), Instant::now());
    login(&mut presence, 1, "b0b", Some(1), now).expect("free");
    let over = Reservation { nickname: profile("bob").nickname, owner: token(2).owner_hash(), until: now };
    presence.restore(over);
    assert_eq!(login(&mut presence, 2, "bob", Some(3), now), Err(NameTaken));
}

#[test]
fn a_name_that_looks_like_one_in_use_or_held_is_taken() {
    let (mut presence, now) = (Presence::default(), Instant::now());
    let later = now + Duration::from_secs(30);
    login(&mut presence, 1, "Alice", Some(1), now).expect("free");
    for _ in 0..3 {
        for with in [None, Some(1), Some(2)] {
            assert_eq!(login(&mut presence, 2, "AIice", with, now), Err(NameTaken), "{with:?}");
        }
    }
    presence.drop_out(member(1), now, later, 9);
    assert_eq!(login(&mut presence, 2, "A1ICE", Some(2), now), Err(NameTaken), "held");
    assert!(login(&mut presence, 3, "AIice", Some(1), now).is_ok(), "the bearer may spell it otherwise");
    assert_eq!(login(&mut presence, 2, "Alice", Some(2), now), Err(NameTaken));
    let (_, change) = login(&mut presence, 3, "Alice", Some(1), now).expect("its own name looks like that");
    assert_eq!(change, Change { left: Some(profile_of("AIice", 1)), arrived: Some(profile_of("Alice", 1)) });
    presence.logout(member(3));
    assert!(login(&mut presence, 2, "AIice", None, now).is_ok(), "free at once");
    presence.drop_out(member(2), now, later, 9);
    assert!(login(&mut presence, 4, "Alice", None, later).is_ok(), "not held any longer");
}

#[test]
fn a_dropped_users_name_is_held_for_its_bearer_and_then_free() {
    let (mut presence, now) = (Presence::default(), Instant::now());
    let later = now + Duration::from_secs(30);
    login(&mut presence, 1, "Ann", Some(1), now).expect("free");
    assert_eq!(presence.drop_out(member(1), now, later, 9), Some(profile_of("Ann", 1)));
    assert_eq!(presence.count(), 0);
    assert_eq!(login(&mut presence, 2, "ann", Some(2), now), Err(NameTaken));
    assert!(login(&mut presence, 3, "Ann", Some(1), now).is_ok());
    presence.drop_out(member(3), now, later, 9);
    assert!(login(&mut presence, 2, "ann", Some(2), later).is_ok(), "not held any longer");
    presence.logout(member(2));
    presence.expire(later);
    assert!(presence.is_idle());
}

#[test]
fn a_session_that_takes_another_name_leaves_its_first() {
    let (mut presence, now) = (Presence::default(), Instant::now());
    login(&mut presence, 1, "Ann", Some(1), now).expect("free");
    login(&mut presence, 2, "Ben", Some(2), now).expect("free");
    assert_eq!(login(&mut presence, 1, "ben", Some(1), now), Err(NameTaken));
    assert_eq!(names(&presence), ["Ann", "Ben"], "a rejected login changes nothing");
    let (kept, change) = login(&mut presence, 1, "Cleo", Some(1), now).expect("free");
    assert_eq!(kept, token(1));
    assert_eq!(change, Change { left: Some(profile_of("Ann", 1)), arrived: Some(profile_of("Cleo", 1)) });
    assert!(login(&mut presence, 3, "Ann", None, now).is_ok(), "the name is free at once");
}

#[test]
fn one_of_two_tabs_that_takes_another_name_is_another_user() {
    let (mut presence, now) = (Presence::default(), Instant::now());
    for tab in [1, 2] {
        login(&mut presence, tab, "Ann", Some(1), now).expect("hers");
    }
    let (fresh, change) = login(&mut presence, 2, "Cleo", Some(1), now).expect("free");
    assert_eq!((fresh, change.left), (token(SPARE), None));
    assert_eq!(names(&presence), ["Ann", "Cleo"]);
}

#[test]
fn the_same_name_spelled_otherwise_is_a_new_profile() {
    let (mut presence, now) = (Presence::default(), Instant::now());
    login(&mut presence, 1, "Ann", Some(1), now).expect("free");
    let (_, change) = login(&mut presence, 1, "ANN", None, now).expect("its own");
    assert_eq!(change, Change { left: Some(profile_of("Ann", 1)), arrived: Some(profile_of("ANN", 1)) });
    assert_eq!(presence.user_of(member(1)).map(|user| user.sessions.len()), Some(1));
}

/// The simplest correct model: a list of sessions with their users, and of held nicknames.
#[derive(Default)]
struct Model {
    speaking: Vec<(u64, String, u8)>,
    held: Vec<(String, u8, u64)>,
}

impl Model {
    fn owner(&self, name: &str, now: u64) -> Option<u8> {
        let speaking = self.speaking.iter().find(|(_, other, _)| other == name).map(|(_, _, token)| *token);
        let held = self.held.iter().find(|(other, _, until)| other == name && *until > now);
        speaking.or(held.map(|(_, token, _)| *token))
    }

    fn present(&self) -> BTreeSet<String> {
        self.speaking.iter().map(|(_, name, _)| name.clone()).collect()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Login { member: u64, name: usize },
    Logout(u64),
    Drop(u64),
    Wait(u64),
}

const NAMES: [&str; 4] = ["ann", "ben", "cleo", "dan"];
const HOLD: u64 = 30;

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..8u64, 0..NAMES.len()).prop_map(|(member, name)| Step::Login { member, name }),
        1 => (0..8u64).prop_map(Step::Logout),
        2 => (0..8u64).prop_map(Step::Drop),
        1 => (1..40u64).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Sessions 0 to 7 have the tokens 0 to 3, two each, and come and go at random.
    #[test]
    fn presence_is_what_a_simple_model_says(steps in prop::collection::vec(step(), 0..200)) {
        let start = Instant::now();
        let (mut presence, mut model, mut now) = (Presence::default(), Model::default(), 0);
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut seen = BTreeSet::new();
        for step in steps {
            match step {
                Step::Login { member: number, name } => {
                    let (name, bearer) = (NAMES[name], (number / 2) as u8);
                    let own = model.speaking.iter().find(|(other, ..)| *other == number).cloned();
                    let stays = own.as_ref().is_some_and(|(_, other, _)| other == name);
                    let free = stays || model.owner(name, now).is_none_or(|owner| owner == bearer);
                    // Each login brings a spare token of its own, which no other session has.
                    let spare = token(100 + number as u8);
                    let logged_in = presence.login(member(number), profile(name), Some(token(bearer)), spare, at(now));
                    prop_assert_eq!(logged_in.is_ok(), free);
                    if let Ok((token, change)) = logged_in {
                        if let Some(left) = change.left {
                            prop_assert!(seen.remove(left.nickname.as_str()));
                        }
                        if let Some(arrived) = change.arrived {
                            prop_assert!(seen.insert(arrived.nickname.to_string()));
                        }
                        if !stays {
                            model.speaking.retain(|(other, ..)| *other != number);
                            let owner = u8::from_str_radix(&token.to_string(), 16).expect("small");
                            model.speaking.push((number, name.to_owned(), owner));
                        }
                        model.held.retain(|(other, held, _)| other != name && *held != bearer);
                    }
                }
                Step::Logout(number) | Step::Drop(number) => {
                    let own = model.speaking.iter().find(|(other, ..)| *other == number).cloned();
                    model.speaking.retain(|(other, ..)| *other != number);
                    let is_last = own.as_ref().is_some_and(|(_, name, _)| !model.present().contains(name));
                    let gone = if matches!(step, Step::Logout(_)) {
                        presence.logout(member(number))
                    } else {
                        if let Some((_, name, token)) = own.filter(|_| is_last) {
                            model.held.push((name, token, now + HOLD));
                        }
                        presence.drop_out(member(number), at(now), at(now + HOLD), 99)
                    };
                    prop_assert_eq!(gone.is_some(), is_last);
                    if let Some(left) = gone {
                        prop_assert!(seen.remove(left.nickname.as_str()));
                    }
                }
                Step::Wait(seconds) => {
                    now += seconds;
                    presence.expire(at(now));
                    model.held.retain(|(_, _, until)| *until > now);
                }
            }
            let present: BTreeSet<String> = names(&presence).into_iter().collect();
            prop_assert_eq!(&present, &model.present());
            prop_assert_eq!(&present, &seen, "what the others were told is what is");
        }
    }
}
