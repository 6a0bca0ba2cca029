//! `/health` says how the server is.

use echoroom::config::JournalKind;
use serde_json::json;

use crate::helpers::{TestServer, settings};

#[actix_web::test]
async fn health_counts_sessions_at_every_door_and_rooms() {
    let server = TestServer::start().await;
    let health = server.health().await;
    assert_eq!(health["status"], "ok");
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
    assert!(health["uptime_seconds"].is_u64());
    let _plain = server.connect("/ws?room=a").await;
    let _echo = server.connect("/echo").await;
    server.until_health_shows(2, 1).await;
}

#[actix_web::test]
async fn health_and_metrics_tell_how_much_of_each_bound_is_used() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings().with(|s| {
        s.journal.kind = JournalKind::Sqlite;
        s.journal.data_dir = folder.path().into();
        s.admission.max_sessions = 3.try_into().expect("not zero");
        s.rooms.max_rooms = 7.try_into().expect("not zero");
    });
    let server = TestServer::with(settings).await;
    let _plain = server.connect("/ws?room=tea").await;
    let _chat = server.connect("/chat").await;
    server.until_health_shows(2, 1).await;
    let health = server.health().await;
    assert_eq!(health["status"], "ok");
    let usage = &health["usage"];
    assert_eq!((&usage["sessions"]["used"], &usage["sessions"]["bound"]), (&json!(2), &json!(3)));
    assert_eq!((&usage["rooms"]["used"], &usage["rooms"]["bound"]), (&json!(1), &json!(7)));
    for what in ["connections", "memory", "disk", "avatars"] {
        let (used, bound) = (usage[what]["used"].as_u64(), usage[what]["bound"].as_u64());
        assert!(used.expect("a number") < bound.expect("a number"), "{what}: {usage}");
    }
    assert!(usage["disk"]["used"].as_u64() > Some(0), "{usage}");
    let metrics = server.get_raw("/metrics", "").await;
    for line in [
        "echoroom_used{what=\"sessions\"} 2",
        "echoroom_bound{what=\"sessions\"} 3",
        "echoroom_bound{what=\"rooms\"} 7",
        "echoroom_used{what=\"connections\"} ",
        "echoroom_bound{what=\"memory\"} ",
        "echoroom_used{what=\"disk\"} ",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}

#[actix_web::test]
async fn a_full_server_says_what_is_full_and_is_well() {
    let server =
        TestServer::with(settings().with(|s| s.admission.max_sessions = 1.try_into().expect("not zero")))
            .await;
    let session = server.connect("/echo").await;
    let answer = server.get_raw("/health", "").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "it serves those who are in: {answer}");
    let health = server.health().await;
    assert_eq!((&health["status"], &health["full"]), (&json!("full"), &json!(["sessions"])));
    drop(session);
    server.until_health_shows(0, 0).await;
    assert_eq!(server.health().await["status"], "ok");
}

#[actix_web::test]
async fn health_of_a_server_that_goes_on_without_a_shared_part_names_the_part() {
    let server = TestServer::start().await;
    let answer = server.post_raw("/poison/chat-server").await;
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    let mut plain = server.connect("/echo").await;
    plain.send("hello").await;
    plain.next_text().await;
    let answer = server.get_raw("/health", "").await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("chat-server has died"), "{answer}");
}
