//! Pings, and the end of a client that does not answer them.

use super::*;

const QUICK: Duration = Duration::from_millis(5);

#[actix_web::test]
async fn a_client_that_answers_its_pings_stays_and_one_that_does_not_is_silent() {
    let quick = EngineSettings { ping_interval: QUICK, ping_timeout: Duration::from_secs(600), ..settings() };
    let stage = Stage::polling(quick);
    for _ in 0..3 {
        assert_eq!(stage.poll().await.as_deref(), Some("2"));
        assert!(stage.post("3").await);
    }
    let quick = EngineSettings { ping_interval: QUICK, ping_timeout: QUICK, ..settings() };
    let mut stage = Stage::polling(quick);
    assert_eq!(stage.poll().await.as_deref(), Some("2"));
    assert_eq!(stage.ended.recv().await, Some(Ending::Silent));
    stage.until_forgotten().await;
}

#[actix_web::test]
async fn a_ping_comes_before_what_waits() {
    let quick = EngineSettings { ping_interval: QUICK, ping_timeout: Duration::from_secs(600), ..settings() };
    let (stage, outbound, mut client) = Stage::websocket(quick);
    let handle = stage.handle().await;
    // More than the pair takes.
    let text = "4".repeat(10_000);
    for _ in 0..20 {
        handle.packet(text.clone());
    }
    // The pair takes a part; then the ping comes to the rest.
    let all = outbound.waiting_bytes();
    let mut rest = all;
    while rest == all {
        tokio::task::yield_now().await;
        rest = outbound.waiting_bytes();
    }
    while outbound.waiting_bytes() == rest {
        tokio::task::yield_now().await;
    }
    let mut came: Vec<u8> = Vec::new();
    let ping = b"\x81\x012";
    while !came.windows(ping.len()).any(|window| window == ping) {
        tokio::task::yield_now().await;
        came.extend(client.taken());
    }
    assert!(came.len() < 20 * text.len());
}
