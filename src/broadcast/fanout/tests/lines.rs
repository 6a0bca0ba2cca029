//! Each subscriber gets the lines that are for it.

use std::sync::Arc;

use super::Stage;
use crate::broadcast::{Aim, Reach, Recipients, RoomId};

fn to(aim: Aim) -> Reach {
    Reach::To(Arc::new(aim))
}

#[actix_web::test]
async fn a_sender_does_not_get_the_lines_that_exclude_it() {
    let (mut stage, room) = (Stage::new(), RoomId::next());
    let [ann, ben, reader] = [0, 1, 2].map(|_| stage.listener(&[room]));
    let elsewhere = stage.listener(&[RoomId::next()]);
    let lines = |first: &'static str, second: &'static str| {
        [
            (first, Reach::Exclude(ann.member)),
            (second, Reach::Exclude(ben.member)),
            ("all", Reach::Exclude(elsewhere.member)),
        ]
    };
    for _ in 0..2 {
        stage.broadcast(room, Recipients::Room, &lines("by ann,", "by ben,"));
        stage.fanout.deliver_all();
    }
    assert_eq!(ann.heard(), ["by ben, all"; 2]);
    assert_eq!(ben.heard(), ["by ann, all"; 2]);
    assert_eq!(reader.heard(), ["by ann, by ben, all"; 2]);
    assert!(elsewhere.heard().is_empty());
}

#[actix_web::test]
async fn broadcasts_of_one_turn_are_one_delivery() {
    let (mut stage, room) = (Stage::new(), RoomId::next());
    let (sender, reader) = (stage.listener(&[room]), stage.listener(&[room]));
    stage.say(room, "a");
    stage.broadcast(room, Recipients::Room, &[("b", Reach::Exclude(sender.member))]);
    stage.say(room, "c");
    assert!(reader.heard().is_empty(), "they wait for the end of the turn");
    stage.fanout.deliver_all();
    assert_eq!((sender.heard(), reader.heard()), (vec!["a c".to_owned()], vec!["a b c".to_owned()]));
}

#[actix_web::test]
async fn an_aimed_line_goes_to_the_members_of_its_rooms_once_each_and_to_its_sessions() {
    let (mut stage, all) = (Stage::new(), RoomId::next());
    let (red, blue) = (RoomId::next(), RoomId::next());
    let both = stage.listener(&[all, red, blue]);
    let one = stage.listener(&[all, red]);
    let alone = stage.listener(&[all]);
    let outside = stage.listener(&[red, blue]);
    let aims = [
        ("red,", Aim { to_rooms: vec![red], ..Aim::default() }),
        ("red or blue,", Aim { to_rooms: vec![red, blue], ..Aim::default() }),
        ("blue or me,", Aim { to_rooms: vec![blue], to_sessions: vec![alone.member], ..Aim::default() }),
        ("not red,", Aim { all: true, exclude_rooms: vec![red], ..Aim::default() }),
        ("red, not one,", Aim { to_rooms: vec![red], exclude_sessions: vec![one.member], ..Aim::default() }),
        ("none,", Aim { to_rooms: vec![blue], exclude_rooms: vec![red], ..Aim::default() }),
    ];
    let mut lines: Vec<_> = aims.map(|(text, aim)| (text, to(aim))).into();
    lines.extend([("all but one,", Reach::Exclude(one.member)), ("all", Reach::All)]);
    for _ in 0..2 {
        stage.broadcast(all, Recipients::Room, &lines);
        stage.fanout.deliver_all();
    }
    assert_eq!(both.heard(), ["red, red or blue, blue or me, red, not one, all but one, all"; 2]);
    assert_eq!(one.heard(), ["red, red or blue, all"; 2]);
    assert_eq!(alone.heard(), ["blue or me, not red, all but one, all"; 2]);
    assert!(outside.heard().is_empty(), "it is not subscribed to the room of the broadcast");
}
