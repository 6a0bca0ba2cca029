//! A member hears what is said while it is subscribed: an open broadcast ends before its audience changes.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Stage, rooms_of};
use crate::{
    broadcast::{
        Broadcaster, Ended, Reach,
        testing::{Place, Text},
    },
    domain::MemberId,
};

#[test]
fn an_open_broadcast_ends_before_a_member_of_its_room_changes() {
    let mut stage = Stage::new();
    let (here, there) = (stage.room("here"), stage.room("there"));
    stage.subscriber(2, &[here]);
    let session = stage.register(4);
    assert!(rooms_of(stage.broadcaster.enter(session, here)).is_empty(), "it is not subscribed");
    for (change, text) in [
        (Broadcaster::subscribe as fn(&mut Broadcaster<Place>, MemberId) -> Ended, "before it subscribes"),
        (Broadcaster::unsubscribe, "before it unsubscribes"),
        (Broadcaster::subscribe, "before it subscribes again"),
    ] {
        drop(stage.say(here, text));
        assert_eq!(rooms_of(change(&mut stage.broadcaster, session)), [here], "{text}");
        assert!(rooms_of(change(&mut stage.broadcaster, session)).is_empty(), "nothing is open: {text}");
    }
    drop(stage.say(here, "before it enters another room"));
    drop(stage.say(there, "before it is entered"));
    // Lines of each of its rooms may be aimed at the members of another one.
    assert_eq!(rooms_of(stage.broadcaster.enter(session, there)), [here, there]);
    drop(stage.say(here, "before it leaves the other"));
    assert_eq!(rooms_of(stage.broadcaster.leave(session, there)), [here]);
    drop(stage.say(here, "before it leaves"));
    assert_eq!(rooms_of(stage.broadcaster.leave(session, here)), [here]);
    drop(stage.say(here, "afterwards"));
    drop(stage.broadcaster.end_all());
    let heard = [
        "before it unsubscribes",
        "before it enters another room",
        "before it leaves the other",
        "before it leaves",
    ];
    assert_eq!(stage.heard(4), heard);
    assert_eq!(stage.heard(2).len(), 7, "all that was said here");
}

/// What one of four members does. One that was removed comes back as another session.
#[derive(Clone, Copy, Debug)]
enum Step {
    Enter(usize),
    Leave(usize),
    Subscribe,
    Unsubscribe,
    Remove,
    Say(usize),
    SayVolatile(usize),
    EndTurn,
}

fn step() -> impl Strategy<Value = (usize, Step)> {
    let room = 0..3usize;
    let step = prop_oneof![
        4 => room.clone().prop_map(Step::Enter),
        2 => room.clone().prop_map(Step::Leave),
        3 => Just(Step::Subscribe),
        1 => Just(Step::Unsubscribe),
        1 => Just(Step::Remove),
        6 => room.clone().prop_map(Step::Say),
        1 => room.prop_map(Step::SayVolatile),
        1 => Just(Step::EndTurn),
    ];
    (0..4usize, step)
}

/// One of the members, by the simplest model: it hears each line at once.
#[derive(Default)]
struct Listener {
    number: u64,
    rooms: BTreeSet<usize>,
    is_subscribed: bool,
    heard: Vec<String>,
}

/// Texts in the order in which they were said in each room; rooms have no common order.
fn by_room(mut texts: Vec<String>) -> Vec<String> {
    texts.sort_by_key(|text| text.split(' ').next().map(str::to_owned));
    texts
}

proptest! {
    #[test]
    fn a_member_hears_what_is_said_while_it_is_subscribed_and_nothing_else(
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let mut stage = Stage::new();
        let rooms = ["a", "b", "c"].map(|name| stage.room(name));
        let mut members = [0, 1, 2, 3].map(|number| Listener { number, ..Listener::default() });
        members.iter().for_each(|member| _ = stage.register(member.number));
        for (said, (who, step)) in steps.into_iter().enumerate() {
            let member = &mut members[who];
            let session = MemberId::of(member.number);
            drop(match step {
                Step::Enter(room) => {
                    member.rooms.insert(room);
                    stage.broadcaster.enter(session, rooms[room])
                }
                Step::Leave(room) => {
                    member.rooms.remove(&room);
                    stage.broadcaster.leave(session, rooms[room])
                }
                Step::Subscribe => {
                    member.is_subscribed = true;
                    stage.broadcaster.subscribe(session)
                }
                Step::Unsubscribe => {
                    member.is_subscribed = false;
                    stage.broadcaster.unsubscribe(session)
                }
                Step::Remove => {
                    // Lines that are not sent yet are lost for it.
                    let ended = stage.broadcaster.end_all();
                    stage.broadcaster.remove(session);
                    prop_assert_eq!(by_room(stage.heard(member.number)), by_room(member.heard.clone()));
                    *member = Listener { number: member.number + 4, ..Listener::default() };
                    stage.register(member.number);
                    ended
                }
                Step::Say(room) | Step::SayVolatile(room) => {
                    let text = format!("{room} {said}");
                    let hears = |member: &&mut Listener| {
                        member.is_subscribed
                            && member.rooms.contains(&room)
                            && MemberId::of(member.number) != session
                    };
                    members.iter_mut().filter(hears).for_each(|member| member.heard.push(text.clone()));
                    let (line, reach) = (Text(&text), Reach::Exclude(session));
                    match step {
                        Step::Say(_) => stage.broadcaster.push(rooms[room], &line, reach, None),
                        _ => stage.broadcaster.send_volatile(rooms[room], &line, reach, None),
                    }
                }
                Step::EndTurn => stage.broadcaster.end_all(),
            });
        }
        drop(stage.broadcaster.end_all());
        for member in members {
            prop_assert_eq!(by_room(stage.heard(member.number)), by_room(member.heard));
        }
    }
}
