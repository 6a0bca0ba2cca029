//! Lines wait in the open broadcast of their room, which keeps their order.

use super::{Stage, rooms_of};
use crate::broadcast::{Reach, lines::MAX_LINES, testing::Text};

#[test]
fn a_full_broadcast_ends_and_the_next_line_opens_another_one() {
    let mut stage = Stage::new();
    let room = stage.room("a");
    stage.subscriber(0, &[room]);
    for line in 1..=2 * MAX_LINES {
        let ended = rooms_of(stage.say(room, "x"));
        assert_eq!(!ended.is_empty(), line % MAX_LINES == 0, "{line}");
    }
    assert_eq!((stage.heard(0).len(), stage.broadcasts()), (2 * MAX_LINES, [2, 0]));
}

#[test]
fn a_volatile_line_and_one_for_some_members_come_behind_what_was_said_before() {
    let mut stage = Stage::new();
    let room = stage.room("a");
    let reader = stage.subscriber(0, &[room]);
    stage.subscriber(2, &[room]);
    drop(stage.say(room, "1"));
    assert_eq!(
        rooms_of(stage.broadcaster.send_volatile(room, &Text("2"), Reach::Exclude(reader), None)),
        [room]
    );
    drop(stage.say(room, "3"));
    assert_eq!(rooms_of(stage.broadcaster.send_only(room, vec![reader], &Text("4"), None, None)), [room]);
    drop(stage.say(room, "5"));
    drop(stage.broadcaster.end_all());
    assert_eq!((stage.heard(0).concat(), stage.heard(2).concat()), ("1345".into(), "1235".into()));
}

#[test]
fn a_room_with_lines_to_send_stays_in_memory() {
    let mut stage = Stage::new();
    let room = stage.room("a");
    drop(stage.say(room, "x"));
    assert!(stage.broadcaster.rooms.retire(room).is_none());
    assert_eq!(rooms_of(stage.broadcaster.end(room)), [room], "its owner may have to keep them");
    assert!(stage.broadcaster.rooms.retire(room).is_some());
}
