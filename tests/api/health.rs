//! `/health` says how the server is.

use echoroom::config::JournalKind;
use serde_json::json;

use crate::helpers::{TestServer, settings, soon, text};

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
    for what in ["connections", "memory", "intake", "disk", "avatars"] {
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

/// A server with a journal in a folder, whose parts may begin again so often.
pub async fn server_with_journal(folder: &tempfile::TempDir, max_restarts: usize) -> TestServer {
    TestServer::with(settings().with(|s| {
        s.journal.kind = JournalKind::Sqlite;
        s.journal.data_dir = folder.path().into();
        s.operation.max_restarts = max_restarts;
    }))
    .await
}

/// Waits until `/health` has this status line and names these parts as silent.
async fn until_health_names(server: &TestServer, status: &str, silent: &[&str]) {
    let expected = (!silent.is_empty()).then(|| json!(silent));
    soon(&format!("{status}, {silent:?}"), async {
        loop {
            let answer = server.get_raw("/health", "").await;
            let named = server_body(&answer).get("silent").cloned();
            if answer.starts_with(status) && named == expected {
                return;
            }
        }
    })
    .await;
}

fn server_body(answer: &str) -> serde_json::Value {
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    serde_json::from_str(body).expect("JSON")
}

#[actix_web::test]
async fn health_names_just_the_part_that_takes_no_steps_and_is_well_afterwards() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server_with_journal(&folder, 5).await;
    until_health_names(&server, "HTTP/1.1 200 ", &[]).await;
    for part in
        ["chat-server-0", "fan-out-0", "fan-out-1", "socketio-rooms", "journal-writer", "journal-reader"]
    {
        let answer = server.post_raw(&format!("/stall/{part}?ms=1500")).await;
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
        let answer = server.get_raw("/health", "").await;
        let health = server_body(&answer);
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert_eq!(
            (&health["silent"], &health["status"]),
            (&json!([part]), &json!(format!("{part} does not answer")))
        );
        until_health_names(&server, "HTTP/1.1 200 ", &[]).await;
    }
}

#[actix_web::test]
async fn a_part_that_panicked_and_went_on_is_well_and_its_restart_is_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = server_with_journal(&folder, 5).await;
    for part in ["chat-server-0", "fan-out-0", "fan-out-1", "journal-writer"] {
        server.post_raw(&format!("/poison/{part}")).await;
        let restarts = format!("echoroom_restarts_total{{part=\"{part}\"}} 1");
        soon(&restarts, async {
            while !server.get_raw("/metrics", "").await.contains(&restarts) {
                // A client that says something may be sent away for the panic.
                let mut members =
                    [server.connect("/ws?room=tea").await, server.connect("/ws?room=tea").await];
                for member in &mut members {
                    member.try_send("hello").await;
                    member.try_next().await;
                }
            }
        })
        .await;
    }
    until_health_names(&server, "HTTP/1.1 200 ", &[]).await;
    // Members may still leave.
    for line in [
        "echoroom_restarts_total{part=\"socketio-rooms\"} 0",
        "echoroom_mailbox_messages{part=\"fan-out-0\"} 0",
        "echoroom_mailbox_messages{part=\"socketio-rooms\"} 0",
        "echoroom_mailbox_messages{part=\"journal-writer\"} 0",
        "echoroom_mailbox_messages{part=\"journal-reader\"} 0",
    ] {
        soon(line, async { while !server.get_raw("/metrics", "").await.contains(line) {} }).await;
    }
}

#[actix_web::test]
async fn health_of_a_server_that_goes_on_without_a_shared_part_names_the_part() {
    for part in ["chat-server-0", "fan-out-0", "journal-writer"] {
        let folder = tempfile::tempdir().expect("a folder");
        let server = server_with_journal(&folder, 0).await;
        let answer = server.post_raw(&format!("/poison/{part}")).await;
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
        soon(&format!("{part} dies"), async {
            while server.health().await["silent"] != json!([part]) {
                // Two, so that one comes to each worker: with the question above they take turns.
                for _ in 0..2 {
                    // Without the chat server no handshake succeeds.
                    let mut raw = server.connect_tcp().await;
                    let handshake = raw.upgrade_request("/ws?room=tea");
                    raw.send(handshake.as_bytes()).await;
                    raw.send(&text("hello")).await;
                }
            }
        })
        .await;
        let answer = server.get_raw("/health", "").await;
        assert!(
            answer.starts_with("HTTP/1.1 503 ") && answer.contains(&format!("{part} has died")),
            "{answer}"
        );
    }
}
