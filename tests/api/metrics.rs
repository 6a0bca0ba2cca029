//! `/metrics` counts what happens.

use echoroom::config::Switch;
use serde_json::json;

use crate::{
    chatters::{CHAT_DOORS, Chatter},
    helpers::{TestServer, settings},
};

pub async fn value(server: &TestServer, line: &str) -> f64 {
    let text = server.get_raw("/metrics", "").await;
    let found = text.lines().find_map(|candidate| candidate.strip_prefix(line));
    found.unwrap_or_else(|| panic!("{line} in\n{text}")).trim().parse().expect("a number")
}

#[actix_web::test]
async fn sessions_messages_and_deliveries_are_counted() {
    let server = TestServer::start().await;
    assert_eq!(value(&server, "echoroom_journal_available").await, 1.0, "before anything is said");
    let (mut ann, mut ben) = (server.connect("/ws").await, server.connect("/ws").await);
    let _echo = server.connect("/echo").await;
    for number in 0..5 {
        ann.send(&number.to_string()).await;
        assert_eq!(ben.next_text().await, number.to_string());
    }
    assert_eq!(value(&server, "echoroom_sessions{protocol=\"plain\"}").await, 2.0);
    assert_eq!(value(&server, "echoroom_sessions{protocol=\"echo\"}").await, 1.0);
    assert_eq!(value(&server, "echoroom_rooms").await, 1.0);
    assert_eq!(value(&server, "echoroom_messages_received_total{protocol=\"plain\"}").await, 5.0);
    assert_eq!(value(&server, "echoroom_deliveries_total").await, 5.0);
    assert!(value(&server, "echoroom_bytes_received_total").await >= 5.0 * 7.0);
    assert!(value(&server, "echoroom_bytes_sent_total").await >= 5.0 * 3.0);
    assert!(value(&server, "echoroom_relay_seconds_count").await >= 1.0);
    assert!(value(&server, "process_resident_memory_bytes").await > 0.0);
    ann.close().await;
    server.until_health_shows(2, 1).await;
    assert_eq!(value(&server, "echoroom_closes_total{code=\"1000\"}").await, 1.0);
}

#[actix_web::test]
async fn answers_count_as_bytes_sent_at_every_door_of_the_chat() {
    for door in CHAT_DOORS {
        let server = TestServer::start().await;
        let mut ann = Chatter::settled(&server, door, "ann").await;
        for _ in 0..10 {
            ann.ask("sendMessage", &json!({"msg": "x".repeat(1000)})).await;
        }
        let before = value(&server, "echoroom_bytes_sent_total").await;
        let answer = ann.ask("history", &json!({"limit": 10})).await;
        assert_eq!(answer["data"]["messages"].as_array().map(Vec::len), Some(10));
        // They are counted behind the write, which the client may hear of first.
        let mut sent = 0.0;
        for _ in 0..1000 {
            sent = value(&server, "echoroom_bytes_sent_total").await - before;
            if sent >= 10_000.0 {
                break;
            }
        }
        assert!((10_000.0..20_000.0).contains(&sent), "{sent} bytes at {door:?}");
    }
}

#[actix_web::test]
async fn a_message_that_nobody_hears_is_not_counted_as_relayed() {
    let server = TestServer::start().await;
    let mut ann = server.connect("/ws").await;
    ann.send("hello").await;
    assert_eq!(ann.next_text().await, "HELLO!!!");
    let mut ben = server.connect("/ws").await;
    ben.send("is somebody here").await;
    while ann.next_text().await != "is somebody here" {}
    assert_eq!(value(&server, "echoroom_relay_seconds_count").await, 1.0);
}

#[actix_web::test]
async fn refusals_are_counted_by_reason_also_at_the_door_of_socketio() {
    let server = TestServer::start().await;
    server.get_raw("/ws", "").await;
    server.get_raw("/socket.io/?EIO=3&transport=polling", "").await;
    server.get_raw("/socket.io/?EIO=4&transport=nothing", "").await;
    // A session that is gone is none that is refused.
    server.get_raw("/socket.io/?EIO=4&transport=polling&sid=gone", "").await;
    assert_eq!(value(&server, "echoroom_refusals_total{reason=\"handshake\"}").await, 3.0);
    let foreign = "Origin: http://elsewhere.example\r\n";
    server.get_raw("/socket.io/?EIO=4&transport=polling", foreign).await;
    assert_eq!(value(&server, "echoroom_refusals_total{reason=\"origin\"}").await, 1.0);
}

#[actix_web::test]
async fn they_move_to_a_port_of_their_own() {
    let apart = settings().with(|s| s.operation.metrics_bind = Some(([127, 0, 0, 1], 0).into()));
    let server = TestServer::with(apart).await;
    assert!(server.get_raw("/metrics", "").await.starts_with("HTTP/1.1 404 "));
    let url = format!("http://127.0.0.1:{}/metrics", server.metrics_port.expect("a port of their own"));
    let mut answer = awc::Client::new().get(url).send().await.expect("an answer");
    let text = answer.body().await.expect("a body");
    assert!(text.starts_with(b"# HELP"), "{text:?}");
}

#[actix_web::test]
async fn they_are_not_told_to_clients_of_a_proxy_unless_opened() {
    let server = TestServer::start().await;
    let forwarding = [
        "X-Forwarded-For: 192.0.2.1\r\n",
        "X-Forwarded-Proto: https\r\n",
        "Forwarded: for=192.0.2.1\r\n",
        "Via: 1.1 proxy\r\n",
        "X-Real-IP: 192.0.2.1\r\n",
    ];
    for header in forwarding {
        let refused = server.get_raw("/metrics", header).await;
        assert!(refused.starts_with("HTTP/1.1 403 "), "{header}: {refused}");
        assert!(
            refused.contains("--metrics-bind") && refused.contains("ECHOROOM_PUBLIC_METRICS"),
            "{refused}"
        );
        assert!(!refused.contains("echoroom_sessions"), "{refused}");
    }
    let open = TestServer::with(settings().with(|s| s.operation.public_metrics = Switch::On)).await;
    for header in forwarding {
        assert!(open.get_raw("/metrics", header).await.contains("echoroom_sessions"), "{header}");
    }
}

#[actix_web::test]
async fn they_are_not_told_to_clients_of_a_trusted_proxy_that_says_nothing_of_itself() {
    let trusted_proxy = vec!["127.0.0.0/8".parse().expect("a network")];
    let server = TestServer::with(settings().with(|s| s.admission.trusted_proxy = trusted_proxy)).await;
    for header in ["", "X-Forwarded-For: 192.0.2.1\r\n"] {
        let refused = server.get_raw("/metrics", header).await;
        assert!(refused.starts_with("HTTP/1.1 403 "), "{header}: {refused}");
    }
}

#[actix_web::test]
async fn those_with_a_port_of_their_own_may_be_public_too() {
    let both = settings().with(|s| {
        s.operation.metrics_bind = Some(([127, 0, 0, 1], 0).into());
        s.operation.public_metrics = Switch::On;
    });
    let server = TestServer::with(both).await;
    assert!(server.get_raw("/metrics", "").await.starts_with("HTTP/1.1 200 "));
    assert!(server.metrics_port.is_some());
}
