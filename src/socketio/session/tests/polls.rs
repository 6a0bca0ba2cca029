//! Polls and posts of a session.

use super::*;

#[actix_web::test]
async fn a_poll_waits_and_is_answered_with_the_packets_of_one_turn() {
    let stage = Stage::polling(settings());
    let (poll, was_taken) = tokio::join!(stage.poll(), stage.post("4a\u{1E}4b\u{1E}bYWJj"));
    assert!(was_taken);
    assert_eq!(poll.as_deref(), Some("4a\u{1E}4b\u{1E}bYWJj"));
    assert_eq!(stage.seen.borrow().texts, ["a", "b"]);
}

#[actix_web::test]
async fn a_packet_from_outside_of_its_turn_answers_the_poll_that_waits() {
    let stage = Stage::polling(settings());
    assert!(stage.post("4a").await);
    assert_eq!(stage.poll().await.as_deref(), Some("4a"));
    let speak = async {
        tokio::task::yield_now().await;
        stage.handle().await.packet("4later");
    };
    assert_eq!(tokio::join!(stage.poll(), speak).0.as_deref(), Some("4later"));
}

#[actix_web::test]
async fn a_second_poll_at_one_time_is_refused_and_ends_the_session() {
    let mut stage = Stage::polling(settings());
    let (first, second) = tokio::join!(stage.entry.poll(), stage.entry.poll());
    assert_eq!((first, second), (PollAnswer::Payload("1".to_owned()), PollAnswer::BadRequest));
    assert_eq!(stage.ended.recv().await, Some(Ending::TransportError));
}

#[actix_web::test]
async fn a_second_post_at_one_time_ends_the_session() {
    let mut stage = Stage::polling(settings());
    let first = stage.entry.begin_post();
    assert!(first.is_some() && stage.entry.begin_post().is_none());
    assert_eq!(stage.ended.recv().await, Some(Ending::TransportError));
    drop(first);
}

#[actix_web::test]
async fn packets_behind_the_one_that_ends_the_session_are_ignored() {
    let mut stage = Stage::polling(settings());
    assert!(stage.post("4a\u{1E}1\u{1E}4b").await);
    assert_eq!(stage.ended.recv().await, Some(Ending::ClosedByClient(None)));
    assert_eq!(stage.seen.borrow().texts, ["a"]);
    assert_eq!(stage.poll().await.as_deref(), Some("4a"));
    assert_eq!(stage.poll().await.as_deref(), Some("6"), "it has closed the session itself");
}

#[actix_web::test]
async fn a_post_waits_while_its_client_does_not_poll_for_its_answers() {
    let small = EngineSettings { max_waiting: 200, max_payload: 1000, ..settings() };
    let stage = Stage::polling(small);
    let text = format!("4{}", "x".repeat(1200));
    let payload = ByteString::from(text.clone());
    let (was_taken, poll) = tokio::join!(stage.entry.post(&payload), async {
        tokio::task::yield_now().await;
        assert!(!stage.seen.borrow().texts.is_empty(), "the post has been taken");
        stage.poll().await
    });
    assert!(was_taken);
    assert_eq!(poll, Some(text));
}
