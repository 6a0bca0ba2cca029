//! No clock decides what a CONNECT of Socket.IO means: only what its client has said before.

use std::time::Duration;

use actix_web::rt;
use echoroom::config::Switch;

use crate::{
    helpers::{RawClient, TestServer, settings, text},
    sockets::{Poller, expect_closed, joined, next_text, websocket},
};

/// Longer than two packets of one client are ever apart by chance.
const A_WHILE: Duration = Duration::from_millis(50);

async fn start() -> TestServer {
    TestServer::with(settings().with(|s| s.socketio.relay = Switch::On)).await
}

async fn say(raw: &mut RawClient, packet: &str) {
    raw.send(&text(packet)).await;
}

#[actix_web::test]
async fn a_second_connect_is_answered_once_however_late_it_comes() {
    let server = start().await;
    for (connect, ping) in [("40", r#"421["ping",{}]"#), ("40/relay,", r#"42/relay,1["x"]"#)] {
        let (mut raw, _) = websocket(&server).await;
        for _ in 0..3 {
            say(&mut raw, connect).await;
            rt::time::sleep(A_WHILE).await;
        }
        assert!(next_text(&mut raw).await.starts_with(&format!("{connect}{{")));
        say(&mut raw, ping).await;
        let answer = next_text(&mut raw).await;
        assert!(
            answer.starts_with(&ping.replacen("42", "43", 1)[..3]) && !answer.contains("sid"),
            "{answer}"
        );
    }
}

#[actix_web::test]
async fn a_second_connect_is_answered_once_by_polling_too() {
    let server = start().await;
    let poller = Poller::open(&server).await;
    for _ in 0..3 {
        assert_eq!(poller.post("40\u{1E}40").await.status, 200);
        rt::time::sleep(A_WHILE).await;
    }
    let answer = poller.poll().await.body;
    assert!(answer.starts_with("40{") && !answer.contains('\u{1E}'), "{answer}");
    poller.post(r#"421["ping",{}]"#).await;
    assert!(poller.poll().await.body.starts_with("431["));
}

#[actix_web::test]
async fn a_connect_of_a_client_that_has_spoken_ends_the_session_as_in_the_reference() {
    let server = start().await;
    let (mut raw, _) = joined(&server, "/relay", "").await;
    say(&mut raw, r#"42/relay,1["x"]"#).await;
    next_text(&mut raw).await;
    say(&mut raw, "40/relay,").await;
    expect_closed(raw).await;
}

#[actix_web::test]
async fn connects_without_end_are_a_flood_though_none_is_answered() {
    let limited = settings().with(|s| {
        s.rates.rate = 1;
        s.rates.rate_burst = 5;
        s.rates.rate_patience = "500ms".parse().expect("a time");
    });
    let server = TestServer::with(limited).await;
    let (mut raw, _) = websocket(&server).await;
    say(&mut raw, "40").await;
    next_text(&mut raw).await;
    let (mut read, mut write) = raw.stream.split();
    let flood = async {
        use tokio::io::AsyncWriteExt as _;
        while write.write_all(&text("40")).await.is_ok() {
            rt::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let end = async {
        use tokio::io::AsyncReadExt as _;
        let mut rest = Vec::new();
        let _ = read.read_to_end(&mut rest).await;
        rest
    };
    let rest = tokio::select! { rest = end => rest, () = flood => Vec::new() };
    assert!(rest.is_empty() || rest.starts_with(&[0x88]), "{rest:?}");
    server.until_health_shows(0, 0).await;
}

/// A client that asks for the place of one that was lost is answered by another thread; what it sends meanwhile waits.
#[actix_web::test]
async fn what_follows_a_connect_at_once_is_taken_whether_it_comes_back_or_begins() {
    let server = start().await;
    for is_back in [true, false] {
        let (first, was) = joined(&server, "/relay", "").await;
        first.reset();
        server.until_health_shows(0, 0).await;
        let pid = if is_back { was["pid"].as_str().expect("a pid") } else { "AAAAAAAAAAAAAAAAAAAA" };
        let connect = format!(r#"40/relay,{{"pid":"{pid}","offset":"0"}}"#);
        let join = r#"42/relay,0["join","a"]"#;
        let poller = Poller::open(&server).await;
        assert_eq!(poller.post(&[&*connect, &connect, join].join("\u{1E}")).await.status, 200);
        let mut heard = poller.poll().await.body;
        while !heard.contains("43/relay,0") {
            heard = format!("{heard}\u{1E}{}", poller.poll().await.body);
        }
        let heard: Vec<_> = heard.split('\u{1E}').collect();
        assert!(heard[0].starts_with("40/relay,") && heard[0].contains(pid) == is_back, "{heard:?}");
        assert_eq!(heard[1..], [r#"43/relay,0[{"room":"a"}]"#]);
        poller.post("1").await;
        server.until_health_shows(0, 0).await;
    }
}

#[actix_web::test]
async fn a_client_may_leave_before_it_knows_whether_it_is_back() {
    let server = start().await;
    let poller = Poller::open(&server).await;
    let burst = [
        r#"40/relay,{"pid":"AAAAAAAAAAAAAAAAAAAA","offset":"0"}"#,
        "41/relay,",
        r#"40/relay,{"pid":"BBBBBBBBBBBBBBBBBBBB","offset":"0"}"#,
        r#"42/relay,0["join","a"]"#,
    ];
    assert_eq!(poller.post(&burst.join("\u{1E}")).await.status, 200);
    let mut heard = poller.poll().await.body;
    while !heard.contains("43/relay,0") {
        heard = format!("{heard}\u{1E}{}", poller.poll().await.body);
    }
    let heard: Vec<_> = heard.split('\u{1E}').collect();
    assert_eq!(heard.len(), 3, "{heard:?}");
    assert_eq!(heard[2], r#"43/relay,0[{"room":"a"}]"#);
}
