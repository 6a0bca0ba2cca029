//! Pages of history: one at a time, whole, and with the reader's own messages.

use super::*;

/// The offsets of the page that answers the only ack, and whether there are more.
fn page(heard: &[Value]) -> (Vec<u64>, bool) {
    let [answer] = heard else { panic!("one answer: {heard:?}") };
    let messages = answer["data"]["messages"].as_array().unwrap_or_else(|| panic!("a page: {answer}"));
    let offsets = messages.iter().map(|message| message["offset"].as_u64().expect("an offset")).collect();
    (offsets, answer["data"]["more"] == true)
}

/// A user of a room of `durable` messages, of which the journal has `records`.
async fn reader(durable: u64, records: Vec<Record>) -> Stage {
    let mut stage = Stage::new();
    append(&stage, records).await;
    stage.send("login", json!({"username": "ann"}), Some(1));
    let reading = stage.logged_in(durable, durable, Resume::Fresh);
    stage.run(reading).await;
    stage.heard();
    stage
}

#[actix_web::test]
async fn a_page_of_history_waits_for_the_acks_of_its_readers_messages() {
    let mut stage = Stage::subscribed().await;
    stage.send("sendMessage", json!({"msg": "a"}), None);
    let first = stage.ticket();
    stage.send("sendMessage", json!({"msg": "b"}), None);
    let second = stage.ticket();
    stage.send("history", json!({"limit": 1}), Some(3));
    let kept = stage.ticket();
    assert!(stage.talk.is_on_hold());
    append(&stage, [record(1, &["a", "b"])]).await;
    assert!(is_nothing(&stage.reply(kept, posted(2))), "two are on their way");
    assert!(is_nothing(&stage.reply(second, posted(2))), "one more is on its way");
    let reading = stage.reply(first, Reply::Rejected(Rejected::NotKeptYet));
    stage.heard();
    assert!(stage.talk.is_on_hold(), "one page at a time");
    assert!(is_nothing(&stage.run(reading).await));
    assert!(!stage.talk.is_on_hold());
    let heard = stage.heard();
    assert_eq!((&heard[0]["ack"], page(&heard)), (&json!(3), (vec![2], true)));
    let message = &heard[0]["data"]["messages"][0];
    assert_eq!((&message["msg"], &message["kind"]), (&json!("b"), &json!("message")));
}

#[actix_web::test]
async fn a_page_of_history_waits_until_all_is_durable_that_the_room_has_heard_if_that_can_be() {
    for answer in [posted(1), Reply::Rejected(Rejected::NotKeptYet)] {
        let mut stage = reader(1, vec![record(1, &["a"])]).await;
        stage.send("history", json!({}), Some(1));
        assert!(stage.heard().is_empty(), "it waits");
        let reading = stage.reply(stage.ticket(), answer);
        assert!(is_nothing(&stage.run(reading).await));
        assert_eq!(page(&stage.heard()), (vec![1], false));
    }
}

#[actix_web::test]
async fn a_page_lies_before_an_offset_and_has_at_most_two_hundred_messages() {
    let mut stage = reader(300, vec![record(1, &["a"; 300])]).await;
    for (data, offsets, more) in [
        (json!({}), 251..=300, true),
        (json!({"before": 251}), 201..=250, true),
        (json!({"before": 4, "limit": 9}), 1..=3, false),
        (json!({"before": 4, "limit": 0}), 3..=3, true),
        (json!({"limit": 1000}), 101..=300, true),
    ] {
        let reading = stage.ask_for_page(data.clone(), 1);
        assert!(stage.talk.is_on_hold(), "{data}");
        assert!(is_nothing(&stage.run(reading).await), "{data}");
        assert_eq!(page(&stage.heard()), (offsets.collect(), more), "{data}");
        assert!(!stage.talk.is_on_hold(), "{data}");
    }
}

#[actix_web::test]
async fn history_is_answered_by_an_ack_only() {
    let mut stage = reader(0, Vec::new()).await;
    stage.send("history", json!({}), None);
    assert_eq!(stage.code(), "bad_field");
    assert!(!stage.talk.is_on_hold());
}

#[actix_web::test]
async fn a_page_without_a_message_that_must_be_there_is_damaged() {
    let mut stage = reader(4, vec![record(1, &["a", "b"])]).await;
    for (before, is_damaged) in [(None, true), (Some(4), true), (Some(3), false), (Some(2), false)] {
        let reading = stage.ask_for_page(json!({"before": before}), 1);
        stage.run(reading).await;
        if is_damaged {
            assert_eq!(stage.code(), "damaged", "{before:?}");
        } else {
            assert!(!page(&stage.heard()).0.is_empty(), "{before:?}");
        }
        assert!(!stage.talk.is_on_hold());
    }
}

#[actix_web::test]
async fn a_page_that_cannot_be_read_is_an_error_and_ends_the_pause() {
    let mut stage = reader(3, vec![record(1, &["a"]), broken(2), record(3, &["c"])]).await;
    let reading = stage.ask_for_page(json!({}), 1);
    stage.run(reading).await;
    assert_eq!((&*stage.code(), stage.talk.is_on_hold()), ("damaged", false));
    drop(stage.ask_for_page(json!({}), 2));
    let purpose = Purpose::History { ack: 2, before: u64::MAX };
    let result = Err(JournalError::Unavailable("the disk is full".to_owned()));
    stage.talk.have_read(Outcome { purpose, result });
    assert_eq!((&*stage.code(), stage.talk.is_on_hold()), ("journal_unavailable", false));
}
