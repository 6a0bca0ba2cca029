//! Volatile lines are left out for a session that is not writable, which is no reason to send it away.

use super::{BOUND, Stage};
use crate::{
    broadcast::{Reach, Recipients, RoomId},
    connection::Direct,
};

const LINE: [(&str, Reach); 1] = [("typing", Reach::All)];

#[actix_web::test]
async fn a_session_that_is_not_writable_misses_volatile_lines_and_gets_the_others() {
    let (mut stage, room) = (Stage::new(), RoomId::next());
    let (busy, other) = (stage.listener(&[room]), stage.listener(&[room]));
    busy.outlet.says.set(Direct::Skipped);
    for _ in 0..3 {
        stage.broadcast(room, Recipients::Volatile, &LINE);
        stage.fanout.deliver_all();
    }
    busy.outlet.says.set(Direct::Taken);
    stage.say(room, "said");
    stage.fanout.deliver_all();
    assert_eq!((busy.heard(), busy.mail().await), (vec!["said".to_owned()], vec![]));
    assert_eq!(other.heard(), ["volatile typing", "volatile typing", "volatile typing", "said"]);
}

#[actix_web::test]
async fn a_volatile_line_sends_no_session_away() {
    let (mut stage, room) = (Stage::new(), RoomId::next());
    let (slow, by_mail) = (stage.listener(&[room]), stage.listener_by_mail(&[room]));
    slow.outlet.says.set(Direct::Skipped);
    [&slow, &by_mail].iter().for_each(|listener| listener.backlog.add(BOUND + 1));
    for _ in 0..3 {
        stage.broadcast(room, Recipients::Volatile, &LINE);
        stage.fanout.deliver_all();
    }
    assert!(slow.mail().await.is_empty());
    // Its session decides.
    assert_eq!(by_mail.mail().await, ["volatile typing"; 3]);
}

#[actix_web::test]
async fn a_volatile_line_that_the_mailbox_does_not_take_sends_no_session_away() {
    let (mut stage, room) = (Stage::new(), RoomId::next());
    let listener = stage.listener_by_mail(&[room]);
    // The actor of the mailbox does not run meanwhile.
    for _ in 0..100 {
        stage.broadcast(room, Recipients::Volatile, &LINE);
        stage.fanout.deliver_all();
    }
    let mail = listener.mail().await;
    assert!(mail.len() < 100 && mail.iter().all(|text| text == "volatile typing"), "{mail:?}");
    listener.backlog.subtract(listener.backlog.bytes());
    stage.say(room, "said");
    stage.fanout.deliver_all();
    assert_eq!(listener.mail().await, ["said"]);
}

#[actix_web::test]
async fn volatile_lines_keep_their_place_among_the_others() {
    let (mut stage, room) = (Stage::new(), RoomId::next());
    let listener = stage.listener(&[room]);
    stage.say(room, "before");
    stage.broadcast(room, Recipients::Volatile, &LINE);
    stage.say(room, "after");
    stage.fanout.deliver_all();
    assert_eq!(listener.heard(), ["before", "volatile typing", "after"]);
}
