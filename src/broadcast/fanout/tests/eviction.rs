//! A session with more unread bytes than its bound is sent away, and no other one waits for it.

use std::sync::atomic::Ordering;

use super::{BOUND, Stage};
use crate::broadcast::RoomId;

#[actix_web::test]
async fn a_session_over_its_bound_is_sent_away_and_cut_while_others_get_the_lines() {
    let (mut stage, room) = (Stage::new(), RoomId::next());
    let (slow, other) = (stage.listener(&[room]), stage.listener(&[room]));
    slow.backlog.add(BOUND + 1);
    for text in ["a", "b"] {
        stage.say(room, text);
        stage.fanout.deliver_all();
    }
    assert_eq!((slow.heard(), slow.mail().await), (vec![], vec!["SlowConsumer".to_owned()]));
    assert_eq!((slow.cuts.load(Ordering::Relaxed), other.heard()), (1, vec!["a".into(), "b".into()]));
    assert!(other.mail().await.is_empty());
    let metrics = stage.metrics.render().expect("metrics");
    assert!(metrics.contains("echoroom_evictions_total 1"), "{metrics}");
}

#[actix_web::test]
async fn a_session_at_its_bound_gets_the_next_lines_however_long_they_are() {
    let (mut stage, room) = (Stage::new(), RoomId::next());
    let listener = stage.listener(&[room]);
    listener.backlog.add(BOUND);
    let long = "x".repeat(BOUND + 1);
    stage.say(room, &long);
    stage.fanout.deliver_all();
    assert_eq!((listener.heard(), listener.mail().await), (vec![long], vec![]));
}

#[actix_web::test]
async fn a_session_that_does_not_empty_its_mailbox_is_sent_away_and_owes_nothing_for_what_did_not_fit() {
    let (mut stage, room) = (Stage::new(), RoomId::next());
    let listener = stage.listener_by_mail(&[room]);
    // The mailbox is full long before its bytes reach the bound, because its actor does not run meanwhile.
    for _ in 0..BOUND / 4 {
        stage.say(room, "x");
        stage.fanout.deliver_all();
    }
    let waiting = listener.backlog.bytes();
    let mut mail = listener.mail().await;
    assert_eq!(mail.pop().as_deref(), Some("SlowConsumer"));
    assert!(mail.iter().all(|text| text == "x") && waiting == mail.len() * "..x".len(), "{waiting} {mail:?}");
}
