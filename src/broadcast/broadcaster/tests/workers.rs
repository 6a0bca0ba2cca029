//! Each worker gets what is for its sessions, once.

use super::{Stage, rooms_of};
use crate::domain::MemberId;

#[test]
fn a_broadcast_goes_once_to_each_worker_with_a_subscriber_and_to_no_other() {
    let mut stage = Stage::new();
    let (both, one) = (stage.room("both"), stage.room("one"));
    [0, 2].iter().for_each(|number| _ = stage.subscriber(*number, &[both, one]));
    stage.subscriber(1, &[both]);
    for room in [both, both, one] {
        drop(stage.say(room, "hello"));
    }
    assert_eq!(stage.broadcasts(), [0, 0], "they wait for more lines");
    assert_eq!(rooms_of(stage.broadcaster.end_all()), [both, one]);
    assert_eq!(stage.broadcasts(), [2, 1]);
    assert!(rooms_of(stage.broadcaster.end_all()).is_empty());
}

#[test]
fn news_come_behind_finished_broadcasts_and_only_to_members_that_are_registered() {
    let mut stage = Stage::new();
    let room = stage.room("a");
    let sessions = [0, 1, 2, 3].map(|number| stage.subscriber(number, &[room]));
    drop(stage.say(room, "said"));
    drop(stage.broadcaster.end(room));
    sessions.iter().for_each(|member| stage.broadcaster.tell(*member, "news"));
    stage.broadcaster.tell(MemberId::of(9), "not registered");
    for number in 0..4 {
        assert_eq!(stage.heard(number), ["said", "news"]);
    }
    assert!(stage.heard(9).is_empty());
}
