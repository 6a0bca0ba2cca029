//! A member that is removed hears nothing more.

use super::Stage;

#[test]
fn a_member_that_is_removed_hears_nothing_more_and_ends_no_broadcast() {
    let mut stage = Stage::new();
    let room = stage.room("a");
    let (gone, _) = (stage.subscriber(0, &[room]), stage.subscriber(2, &[room]));
    drop(stage.say(room, "a"));
    let member = stage.broadcaster.remove(gone).expect("it was registered");
    assert_eq!((&member.rooms[..], stage.broadcasts()), (&[room][..], [0, 0]));
    assert!(stage.broadcaster.remove(gone).is_none());
    drop(stage.say(room, "b"));
    stage.broadcaster.tell(gone, "news");
    drop(stage.broadcaster.end_all());
    assert_eq!((stage.heard(0), stage.heard(2)), (vec![], vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(stage.broadcaster.rooms.members_in(room), 1);
}
