//! What a client can make the server hold for its events is bounded.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::rt::time::timeout;
use echoroom::socketio::{Ack, Refusal, Server, Socket};
use tokio::{io::AsyncWriteExt as _, sync::Semaphore};

use super::{By, EACH, Peer, Told, until};
use crate::{
    helpers::{RawClient, soon, text},
    sockets::{connected, serve},
};

/// Bytes that may be unhandled.
const BOUND: usize = 65_536;

/// Writes events until the server reads no more, and returns how many it took at most.
async fn fill(raw: &mut RawClient, event: &str, most: usize) -> usize {
    let burst = text(event).repeat(64);
    for sent in (0..most).step_by(64) {
        // The buffers of the connection are full: its reader has stopped.
        if timeout(Duration::from_millis(500), raw.stream.write_all(&burst)).await.is_err() {
            return sent + 64;
        }
    }
    panic!("the server takes all")
}

#[actix_web::test]
async fn reading_stops_while_handlers_of_large_events_wait_and_goes_on_afterwards() {
    for has_middleware in [false, true] {
        expect_backpressure(has_middleware).await;
    }
}

async fn expect_backpressure(has_middleware: bool) {
    let io = Server::builder().max_unhandled_bytes(BOUND).build();
    let (gate, begun) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (at, count) = (Arc::clone(&gate), Arc::clone(&begun));
    if has_middleware {
        io.namespace("/").event_middleware(async |_: Socket, _| Ok(()));
    }
    io.namespace("/").on("slow", async move |_: Socket, _: String| {
        count.fetch_add(1, Ordering::SeqCst);
        at.acquire().await.expect("it is not closed").forget();
    });
    let server = serve(&io, 1);
    let mut raw = connected(&server).await;
    let large = format!(r#"42["slow","{}"]"#, "x".repeat(10_000));
    let sent = fill(&mut raw, &large, 6400).await;
    let before = begun.load(Ordering::SeqCst);
    assert!((1..=BOUND / 10_000 + 1).contains(&before), "{before} handlers of {sent}");
    // Another client is served meanwhile.
    drop(connected(&server).await);
    gate.add_permits(100_000);
    until("more handlers", async || begun.load(Ordering::SeqCst) > before).await;
}

#[actix_web::test]
async fn handlers_of_small_events_that_never_end_are_bounded() {
    for is_sequential in [false, true] {
        let brief = Duration::from_millis(50);
        let io =
            Server::builder().max_unhandled_bytes(BOUND).ping_interval(brief).ping_timeout(brief).build();
        let begun = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&begun);
        let namespace = io.namespace("/").on("s", async move |_: Socket| {
            count.fetch_add(1, Ordering::SeqCst);
            pending().await
        });
        if is_sequential {
            namespace.sequential();
        }
        let server = serve(&io, 1);
        let mut raw = connected(&server).await;
        fill(&mut raw, r#"42["s"]"#, 10_000_000).await;
        let begun = begun.load(Ordering::SeqCst);
        let most = if is_sequential { 1 } else { BOUND / 1024 + 1 };
        assert!((1..=most).contains(&begun), "{begun} handlers");
        drop(raw);
        // The session is not held by them.
        until("no session", async || io.clients_count() == 0).await;
    }
}

#[actix_web::test]
async fn packets_that_wait_for_an_admission_are_bounded() {
    let io = Server::builder().max_unhandled_bytes(BOUND).build();
    io.namespace("/").admit(async |_| {
        pending::<()>().await;
        Ok::<_, Refusal>(())
    });
    let server = serve(&io, 1);
    let (mut raw, _) = crate::sockets::websocket(&server).await;
    raw.send(&text("40")).await;
    fill(&mut raw, r#"42["s"]"#, 10_000_000).await;
}

#[actix_web::test]
async fn a_handler_gets_the_answer_of_its_own_client_while_others_wait_within_the_bound() {
    for by in EACH {
        let (tell, told) = Told::new();
        let io = Server::builder().max_unhandled_bytes(BOUND).build();
        io.namespace("/")
            .on("endless", async |_: Socket| pending().await)
            .on("ask", async move |socket: Socket| {
                let answer = socket.emit_with_ack::<u8>("q", &()).await;
                tell.tell(format!("{:?}", answer.ok()));
            })
            .on("ping", async |_: Socket, ack: Ack| ack.send(&()));
        let server = serve(&io, 1);
        let mut peer = Peer::connected(&server, by).await;
        peer.send_all(&[r#"2["endless"]"#; 20]).await;
        peer.expect(r#"2["ask"]"#, r#"20["q"]"#).await;
        peer.send("30[1]").await;
        told.expect(["Some(1)"]).await;
        peer.expect(r#"21["ping"]"#, "31[]").await;
    }
}

#[actix_web::test]
async fn rooms_are_bounded_and_a_handler_learns_of_it() {
    let (tell, told) = Told::new();
    let io = Server::builder().max_rooms(3).build();
    io.namespace("/").on("join", async move |socket: Socket, room: String| {
        tell.tell(format!("{:?}", soon("a reply", socket.join(&room)).await));
    });
    let server = serve(&io, 2);
    let mut peer = Peer::connected(&server, By::WebSocket).await;
    for (room, outcome) in
        [("a", "Ok(())"), ("b", "Ok(())"), ("c", "Ok(())"), ("d", "Err(TooManyRooms)"), ("a", "Ok(())")]
    {
        peer.send(&format!(r#"2["join","{room}"]"#)).await;
        told.expect([outcome]).await;
    }
}
