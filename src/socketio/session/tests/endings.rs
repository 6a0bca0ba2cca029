//! The first ending counts, and a client that polls learns of it.

use super::*;

#[actix_web::test]
async fn the_first_ending_counts_and_what_is_carried_is_told_once() {
    let mut stage = Stage::polling(settings());
    assert!(stage.post("4a").await);
    for ending in [Ending::Flood, Ending::Restart, Ending::ParseError] {
        stage.entry.end(ending);
    }
    assert_eq!(stage.ended.recv().await, Some(Ending::Flood));
    stage.until_forgotten().await;
    drop(stage.seen.borrow_mut().handle.take());
    assert_eq!(stage.ended.recv().await, None, "what it carried is dropped");
}

#[actix_web::test]
async fn an_ending_of_what_is_carried_comes_behind_its_packets() {
    let mut stage = Stage::polling(settings());
    assert!(stage.post("4a").await);
    assert_eq!(stage.poll().await.as_deref(), Some("4a"));
    let handle = stage.handle().await;
    handle.packet("4last");
    handle.end(Ending::ClosedByServer);
    handle.end(Ending::Flood);
    assert_eq!(stage.ended.recv().await, Some(Ending::ClosedByServer));
    assert_eq!(stage.poll().await.as_deref(), Some("4last\u{1E}1"));
    stage.until_forgotten().await;
}

#[actix_web::test]
async fn who_has_yet_to_poll_gets_all_packets_and_then_the_close_packet() {
    let mut stage = Stage::polling(settings());
    for _ in 0..20 {
        assert!(stage.post("4a").await);
    }
    stage.handle().await.end(Ending::Behind);
    assert_eq!(stage.ended.recv().await, Some(Ending::Behind));
    assert_eq!(stage.registry.count_ended(), 1);
    assert_eq!(stage.poll().await.map(|payload| payload.matches("4a").count()), Some(16));
    assert_eq!(stage.poll().await.as_deref(), Some("4a\u{1E}4a\u{1E}4a\u{1E}4a"));
    assert_eq!(stage.poll().await.as_deref(), Some("6\u{1E}1"));
    stage.until_forgotten().await;
    assert_eq!((stage.poll().await, stage.registry.count_ended()), (None, 0));
}

#[actix_web::test]
async fn a_client_that_breaks_the_protocol_with_nothing_waiting_finds_no_session() {
    let mut stage = Stage::polling(settings());
    assert!(!stage.post("x").await);
    assert_eq!(stage.ended.recv().await, Some(Ending::ParseError));
    stage.until_forgotten().await;
    assert!(!stage.post("4a").await);
}

#[actix_web::test]
async fn a_request_that_is_given_up_ends_the_session_and_an_answered_one_does_not() {
    let mut stage = Stage::polling(settings());
    stage.entry.attend().answered();
    assert!(stage.post("4a").await);
    assert!(stage.ended.try_recv().is_err());
    drop(stage.entry.attend());
    assert_eq!(stage.ended.recv().await, Some(Ending::Lost));
    stage.until_forgotten().await;
}

#[actix_web::test]
async fn a_client_that_never_comes_back_is_not_waited_for() {
    let timeout = Duration::from_millis(1);
    let mut stage = Stage::polling(EngineSettings { polling_open_timeout: timeout, ..settings() });
    assert_eq!(stage.ended.recv().await, Some(Ending::Lost));
    stage.until_forgotten().await;
}

#[actix_web::test]
async fn a_session_that_begins_while_the_server_stops_is_ended() {
    let registry = Registry::new(settings(), Arc::new(Metrics::new()), Budget::new(1 << 20));
    registry.end_all();
    let mut stage = Stage::begin(Arc::clone(&registry), None);
    assert_eq!(stage.ended.recv().await, Some(Ending::Restart));
    stage.until_forgotten().await;
}

#[actix_web::test]
async fn more_ended_sessions_than_may_wait_for_their_clients_push_out_the_oldest() {
    let settings = EngineSettings { max_ended_sessions: 2, ..settings() };
    let registry = Registry::new(settings, Arc::new(Metrics::new()), Budget::new(1 << 20));
    let mut stages = Vec::new();
    for _ in 0..3 {
        let mut stage = Stage::begin(Arc::clone(&registry), None);
        assert!(stage.post("4a").await);
        stage.handle().await.end(Ending::Flood);
        assert_eq!(stage.ended.recv().await, Some(Ending::Flood));
        stages.push(stage);
    }
    stages[0].until_forgotten().await;
    assert_eq!(registry.count_ended(), 2);
    for stage in &stages[1..] {
        assert_eq!(stage.poll().await.as_deref(), Some("4a"));
        assert_eq!(stage.poll().await.as_deref(), Some("6\u{1E}1"));
        stage.until_forgotten().await;
    }
}
