//! Who comes back is given what it missed, page by page, or is told how much is gone.

use super::*;
use crate::{chat::messages::Behind, domain::PictureId};

/// The client comes to the lobby and is logged in; its first page is still to be read.
fn come(stage: &mut Stage, head: u64, durable: u64, resume: Resume) -> (u64, Next) {
    stage.send("login", json!({"username": "ann"}), Some(1));
    (stage.ticket(), stage.logged_in(head, durable, resume))
}

/// What the answer to the login says: whether all follows, and how many messages do not.
fn welcome(heard: &[Value]) -> (bool, u64) {
    let data = &heard[0]["data"];
    assert_eq!(heard[0]["ack"], 1, "the answer to the login comes first: {heard:?}");
    (data["recovered"].as_bool().expect("a boolean"), data["missed"].as_u64().expect("a number"))
}

fn tail(visit: u64, records: Vec<Record>) -> Tail {
    Tail { visit, epoch: EPOCH, records, behind: None }
}

/// One record for each offset, each with more than half a page.
fn large(offsets: impl IntoIterator<Item = u64>) -> Vec<Record> {
    let body = "x".repeat(40_000);
    offsets.into_iter().map(|offset| record(offset, &[&body])).collect()
}

fn is_pending(reading: &mut Reading) -> bool {
    reading.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

#[actix_web::test]
async fn a_page_is_read_when_the_client_has_taken_the_page_before_it() {
    let mut stage = Stage::new();
    append(&stage, large(1..=5)).await;
    let (_, Next::Read(first)) = come(&mut stage, 5, 5, Resume::From(0)) else { panic!("a first page") };
    let outcome = first.await;
    let Next::Read(mut second) = stage.talk.have_read(outcome) else { panic!("a second page") };
    assert!(is_pending(&mut second), "the client has taken nothing");
    let heard = stage.heard();
    assert_eq!((welcome(&heard), said(&heard)), ((true, 0), vec![(1, true), (2, true)]));
    let outcome = second.await;
    let Next::Read(mut third) = stage.talk.have_read(outcome) else { panic!("a third page") };
    assert!(is_pending(&mut third));
    assert_eq!(said(&stage.heard()), [(3, true), (4, true)]);
    assert!(is_nothing(&stage.run(Next::Read(third)).await), "now it waits for the tail");
    assert_eq!(said(&stage.heard()), [(5, true)]);
}

#[actix_web::test]
async fn the_tail_follows_without_a_repetition_and_only_what_was_said_before_the_login_is_a_replay() {
    let mut stage = Stage::new();
    append(&stage, [record(1, &["a", "b", "c"])]).await;
    let (visit, reading) = come(&mut stage, 4, 3, Resume::From(1));
    assert!(is_nothing(&stage.run(reading).await));
    let records = vec![record(3, &["c", "d"]), record(5, &["e"])];
    assert!(is_nothing(&stage.talk.tail(tail(visit, records))));
    let heard = stage.heard();
    assert_eq!((welcome(&heard), &heard[0]["data"]["offset"]), ((true, 0), &json!(4)));
    assert_eq!(said(&heard), [(2, true), (3, true), (4, true), (5, false)]);
    assert!(is_nothing(&stage.talk.tail(tail(visit, vec![record(6, &["f"])]))), "it is subscribed");
    assert!(stage.heard().is_empty());
}

#[actix_web::test]
async fn who_logs_out_before_it_has_caught_up_is_given_the_tail_and_what_follows_has_no_gap() {
    let mut stage = Stage::new();
    append(&stage, [record(1, &["a"])]).await;
    let (visit, reading) = come(&mut stage, 1, 1, Resume::From(0));
    assert!(is_nothing(&stage.run(reading).await), "it waits for the tail");
    stage.send("logout", json!({}), Some(2));
    let ticket = stage.ticket();
    stage.talk.tail(tail(visit, vec![record(2, &["b"])]));
    assert_eq!(said(&stage.heard()), [(1, true), (2, false)]);
    stage.reply(ticket, Reply::LoggedOut);
    stage.talk.tail(tail(visit, vec![record(3, &["c"])]));
    assert_eq!(said(&stage.heard()), [], "it is in no room");
}

#[actix_web::test]
async fn who_missed_nothing_is_given_nothing() {
    let mut stage = Stage::new();
    append(&stage, [record(1, &["a", "b"])]).await;
    let (visit, reading) = come(&mut stage, 2, 2, Resume::From(2));
    assert!(is_nothing(&stage.run(reading).await));
    stage.talk.tail(tail(visit, Vec::new()));
    let heard = stage.heard();
    assert_eq!((welcome(&heard), heard.len()), ((true, 0), 1));
}

#[actix_web::test]
async fn who_is_new_is_given_the_latest_fifty() {
    let mut stage = Stage::new();
    append(&stage, [record(1, &["a"; 60])]).await;
    let (_, reading) = come(&mut stage, 60, 60, Resume::Fresh);
    stage.run(reading).await;
    let heard = stage.heard();
    assert_eq!(welcome(&heard), (false, 0));
    assert_eq!(said(&heard), (11..=60).map(|offset| (offset, true)).collect::<Vec<_>>());
}

#[actix_web::test]
async fn who_has_seen_lost_messages_is_given_the_latest_and_told_what_lies_before_them() {
    for (seen, missed) in [(2, 8), (10, 0), (30, 0)] {
        let mut stage = Stage::new();
        append(&stage, [record(1, &["a"; 60])]).await;
        let (_, reading) = come(&mut stage, 60, 60, Resume::Lost(seen));
        stage.run(reading).await;
        let heard = stage.heard();
        assert_eq!((welcome(&heard), said(&heard).len()), ((false, missed), 50), "{seen}");
    }
}

#[actix_web::test]
async fn who_missed_more_than_can_be_read_is_told_how_much_and_given_the_rest() {
    let kept_from_11 = vec![record(11, &["a", "b"])];
    let broken_at_2 = vec![record(1, &["a"]), broken(2), record(3, &["c"])];
    let broken_at_3 = vec![record(1, &["a", "b"]), broken(3)];
    let ends_at_2 = vec![record(1, &["a", "b"])];
    for (what, records, after, durable, missed, offsets) in [
        ("the oldest are gone", kept_from_11, 3, 12, 7, vec![11, 12]),
        ("one between cannot be read", broken_at_2.clone(), 0, 3, 2, vec![3]),
        ("the first that it missed cannot be read", broken_at_2, 1, 3, 1, vec![3]),
        ("the newest cannot be read", broken_at_3, 1, 3, 2, vec![]),
        ("the newest are gone", ends_at_2, 1, 4, 3, vec![]),
        ("all are gone", vec![], 1, 4, 3, vec![]),
    ] {
        let mut stage = Stage::new();
        append(&stage, records).await;
        let (visit, reading) = come(&mut stage, durable, durable, Resume::From(after));
        assert!(is_nothing(&stage.run(reading).await), "{what}");
        stage.talk.tail(tail(visit, vec![record(durable + 1, &["new"])]));
        let heard = stage.heard();
        assert_eq!(welcome(&heard), (false, missed), "{what}");
        let replays = offsets.into_iter().map(|offset| (offset, true));
        assert_eq!(said(&heard), replays.chain([(durable + 1, false)]).collect::<Vec<_>>(), "{what}");
    }
}

#[actix_web::test]
async fn who_is_behind_the_tail_takes_a_second_look_at_the_journal() {
    let mut stage = Stage::new();
    append(&stage, [record(1, &["a", "b"])]).await;
    let (visit, reading) = come(&mut stage, 2, 2, Resume::From(0));
    stage.run(reading).await;
    append(&stage, [record(3, &["c"]), record(4, &["d"])]).await;
    let behind = Some(Behind { durable: 4 });
    let reading = stage.talk.tail(Tail { visit, epoch: EPOCH, records: Vec::new(), behind });
    assert_eq!(said(&stage.heard()), [(1, true), (2, true)]);
    assert!(is_nothing(&stage.run(reading).await));
    assert_eq!(said(&stage.heard()), [(3, false), (4, false)]);
    assert!(is_nothing(&stage.talk.tail(tail(visit, vec![record(4, &["d", "e"])]))));
    assert_eq!(said(&stage.heard()), [(5, false)]);
}

/// A client that is cut off in between comes back with an epoch that all it has is of.
#[actix_web::test]
async fn an_epoch_that_has_begun_since_the_login_is_told_before_its_messages() {
    let mut stage = Stage::new();
    append(&stage, [record(1, &["a", "b"]), record(3, &["c"])]).await;
    let (visit, reading) = come(&mut stage, 2, 2, Resume::From(0));
    assert!(is_nothing(&stage.run(reading).await));
    assert_eq!(said(&stage.heard()), [(1, true), (2, true)], "the other one may be of another epoch");
    let epoch = EpochId { number: EPOCH.number + 1, ..EPOCH };
    let records = vec![record(3, &["c"])];
    assert!(is_nothing(&stage.talk.tail(Tail { visit, epoch, records, behind: None })));
    let heard = stage.heard();
    let events: Vec<_> = heard.iter().map(|heard| heard["event"].clone()).collect();
    assert_eq!(events, ["epoch", "receiveMessage"]);
    assert_eq!(heard[0]["data"]["epoch"], epoch.to_string());
}

#[actix_web::test]
async fn what_is_lost_after_the_login_was_answered_ends_the_session_so_that_its_client_comes_back() {
    let gap = large([1, 2, 4]);
    let end = large([1, 2, 3]);
    let mut damaged_at_once = large([1, 2]);
    damaged_at_once.extend([broken(3), record(4, &["d"])]);
    let mut damaged_later = large([1, 2, 3]);
    damaged_later.push(broken(4));
    for (what, records, last) in [
        ("a gap", gap, 2),
        ("an end before the durable one", end, 3),
        ("damage", damaged_at_once, 2),
        ("damage behind a message", damaged_later, 3),
    ] {
        let mut stage = Stage::new();
        append(&stage, records).await;
        let (_, reading) = come(&mut stage, 4, 4, Resume::From(0));
        let next = stage.run(reading).await;
        assert_eq!(ending_of(next), Some(Ending::Behind), "{what}");
        let heard = stage.heard();
        assert_eq!(said(&heard).last(), Some(&(last, true)), "{what}");
        assert_eq!(welcome(&heard), (true, 0), "{what}");
    }
}

#[actix_web::test]
async fn a_tail_that_cannot_be_read_or_is_lost_ends_the_session() {
    let mut stage = Stage::new();
    let (visit, reading) = come(&mut stage, 0, 0, Resume::From(0));
    stage.run(reading).await;
    let next = stage.talk.tail(tail(visit, vec![broken(1)]));
    assert_eq!(ending_of(next), Some(Ending::Behind));
    assert_eq!(ending_of(stage.talk.news(ChatNews::Lost)), Some(Ending::Behind));
}

#[actix_web::test]
async fn who_cannot_be_given_the_journal_now_is_logged_out_and_told_why() {
    for (event, data, ack, failure) in [
        ("login", json!({"username": "ann"}), Some(1), Value::Null),
        ("login", json!({"username": "ann"}), None, json!("loginError")),
        ("joinRoom", json!({"room": "garden"}), None, json!("error")),
    ] {
        let mut stage = Stage::subscribed().await;
        stage.send(event, data, ack);
        let visit = stage.ticket();
        stage.logged_in(0, 0, Resume::Fresh);
        let purpose = Purpose::FirstPage { visit, range: Range::After { after: 0, max_bytes: 1 } };
        let result = Err(JournalError::Unavailable("the disk is full".to_owned()));
        assert!(is_nothing(&stage.talk.have_read(Outcome { purpose, result })));
        let heard = stage.heard();
        assert_eq!((&heard[0]["event"], heard.len()), (&failure, 1));
        assert!(heard[0].to_string().contains("journal_unavailable"));
        assert!(!stage.talk.is_on_hold());
        assert!(matches!(stage.talk.pending[&stage.ticket()], Pending::Logout { ack: None }));
        stage.send("sendMessage", json!({"msg": "hi"}), Some(2));
        assert_eq!(stage.code(), "not_logged_in");
    }
}

#[actix_web::test]
async fn a_change_of_room_drops_what_is_still_read_of_the_former_room() {
    let mut stage = Stage::new();
    append(&stage, large(1..=3)).await;
    let (former, Next::Read(first)) = come(&mut stage, 3, 3, Resume::From(0)) else { panic!("a first page") };
    let outcome = first.await;
    let second = stage.talk.have_read(outcome);
    assert_eq!(said(&stage.heard()), [(1, true), (2, true)]);
    stage.send("joinRoom", json!({"room": "garden"}), Some(2));
    let name = RoomName::parse("garden").expect("a legal name");
    let garden = LoggedIn { name, ..login("ann", 0, 0, Resume::Fresh) };
    let reading = stage.reply(stage.ticket(), Reply::LoggedIn(Box::new(garden)));
    assert!(is_nothing(&stage.run(second).await));
    assert!(is_nothing(&stage.talk.tail(tail(former, vec![record(4, &["d"])]))));
    assert!(stage.heard().is_empty());
    stage.run(reading).await;
    let data = json!({"room": "garden", "epoch": EPOCH.to_string(), "offset": 0, "count": 1});
    assert_eq!(stage.heard(), [json!({"ack": 2, "data": data})]);
}

#[actix_web::test]
async fn a_picture_that_an_older_journal_holds_comes_as_its_address() {
    let picture = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAUwAOw==";
    let mut stage = Stage::new();
    append(&stage, [record_by(picture, 1, &["a"]), record_by("data:trash", 2, &["b"])]).await;
    let (_, reading) = come(&mut stage, 2, 2, Resume::From(0));
    stage.run(reading).await;
    let heard = stage.heard();
    let avatars = [&heard[1]["data"]["avatar"], &heard[2]["data"]["avatar"]];
    let address = avatars[0].as_str().expect("a text");
    let id = PictureId::from_address(address).expect("an address");
    assert!(stage.worker.avatars.find(&id).is_some());
    assert_eq!(avatars[1], Avatar::default().as_str());
}
