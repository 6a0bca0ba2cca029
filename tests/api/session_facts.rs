//! What a session of Socket.IO knows of itself: its request, its id, its transport.

use actix_web::rt::task::yield_now;
use echoroom::socketio::{EngineSocket, Server};

use crate::{
    embedded::{Embedded, POLLING, WEBSOCKET, open_packet, status},
    helpers::{soon, text},
    sockets::{Poller, next_text},
};

/// All that a session knows when it begins.
fn facts(socket: &EngineSocket<'_>) -> String {
    let request = socket.request();
    let query = request.query("name").unwrap_or_default();
    format!(
        "{} {} {} {} {} {:?} {:?} {query} {} {} {}",
        socket.id(),
        socket.transport(),
        socket.protocol(),
        request.url(),
        request.path(),
        request.header("X-Token"),
        request.cookie("id"),
        request.address().is_some_and(|address| address.is_loopback()),
        request.is_secure(),
        request.is_cross_domain(),
    )
}

#[actix_web::test]
async fn a_session_knows_the_request_that_began_it_by_each_transport() {
    let embedded = Embedded::telling(Server::builder(), facts);
    let headers = "X-Token: t 1\r\nCookie: a=b; id=secret\r\n";
    let path = format!("{POLLING}&name=%C3%A9");
    let (_, body) = embedded.get(&path, headers).await;
    let sid = open_packet(&body)["sid"].as_str().expect("a sid").to_owned();
    let rest = r#"/socket.io/ Some("t 1") Some("secret") é true false false"#;
    assert_eq!(embedded.told().await, format!("{sid} polling 4 {path} {rest}"));

    let path = format!("{WEBSOCKET}&name=%C3%A9");
    let own = format!("http://{}", embedded.server.address);
    let mut raw = embedded.server.connect_tcp().await;
    let request = raw.upgrade_request(&path);
    let request = request.replace("Upgrade: w", &format!("{headers}Origin: {own}\r\nUpgrade: w"));
    raw.send(request.as_bytes()).await;
    raw.read_head().await;
    let sid = open_packet(&next_text(&mut raw).await)["sid"].as_str().expect("a sid").to_owned();
    let rest = rest.replace("true false false", "true false true");
    assert_eq!(embedded.told().await, format!("{sid} websocket 4 {path} {rest}"));
}

#[actix_web::test]
async fn a_session_is_told_of_its_upgrade_once() {
    let embedded = Embedded::start(Server::builder());
    let poller = Poller::open(&embedded.server).await;
    let mut raw = poller.upgraded().await;
    raw.send(&text("4hello")).await;
    assert_eq!(next_text(&mut raw).await, "4hello");
    assert_eq!(embedded.told().await, "opened by polling");
    assert_eq!(embedded.told().await, "upgraded to websocket");
    assert_eq!(embedded.io.clients_count(), 1, "the session is the one that polled");
    drop(raw);
    assert_eq!(embedded.told().await, "closed: transport close");
}

#[actix_web::test]
async fn a_large_head_is_charged_while_its_session_lives_and_refused_without_memory() {
    let embedded = Embedded::start(Server::builder().max_payload(10_000).memory(100_000));
    let large = format!("X-Large: {}\r\n", "x".repeat(60_000));
    for _ in 0..3 {
        let (_, body) = embedded.get(POLLING, &large).await;
        let sid = open_packet(&body)["sid"].as_str().expect("a sid").to_owned();
        assert!(embedded.io.memory_used() >= 60_000, "{}", embedded.io.memory_used());
        assert_eq!(status(&embedded.get(POLLING, &large).await.0), "503");
        assert_eq!(status(&embedded.shake_hands(WEBSOCKET, &large).await), "503");
        assert_eq!(status(&embedded.get(POLLING, "").await.0), "200", "a usual head is free");
        let poller = Poller::of(&embedded.server, sid);
        assert_eq!(poller.post("1").await.status, 200);
        soon("the memory is given back", async {
            while embedded.io.memory_used() > 0 {
                yield_now().await;
            }
        })
        .await;
    }
}
