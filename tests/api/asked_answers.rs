//! Answers that the server has asked many sockets for are no noise: they cost a client nothing of what it may send.

use std::time::Duration;

use echoroom::socketio::{Server, Socket};

use crate::{
    helpers::{RawClient, TestServer, text},
    sockets::{connected, next_text, serve},
};

/// Questions to all sockets, one after another.
const QUESTIONS: usize = 20;

/// A server that takes four packets at once that mean nothing. It asks all sockets whenever a client says so, and tells
/// the client how many answers are missing.
fn start() -> TestServer {
    let io = Server::builder().max_idle_packets(Some((0.001, 4.0))).build();
    io.namespace("/other");
    let all = io.namespace("/");
    let main = io.namespace("/").on("go", async move |socket: Socket| {
        let mut missing = 0;
        for _ in 0..QUESTIONS {
            let acks = all.timeout(Duration::from_secs(20)).emit_with_ack::<u8>("question", &());
            missing += acks.all().await.err().map_or(0, |error| error.missing.len());
        }
        socket.emit("missing", &missing);
    });
    main.on("settle", async |socket: Socket| {
        // The room server replies behind all that it was told before.
        socket.join("any").await.expect("there is room");
        socket.emit("settled", &());
    });
    serve(&io, 1)
}

/// Whether one more packet without a meaning is taken: a CONNECT is one.
async fn takes_more(raw: &mut RawClient) -> bool {
    raw.send(&text("40/other,")).await;
    match &*next_text(raw).await {
        r#"44/other,{"message":"Too many packets"}"# => false,
        reply if reply.starts_with(r#"40/other,{"sid":"#) => true,
        other => panic!("{other}"),
    }
}

#[actix_web::test]
async fn a_client_that_answers_what_all_were_asked_is_charged_for_no_answer() {
    let server = start();
    let mut raw = connected(&server).await;
    raw.send(&text(r#"42["go"]"#)).await;
    for _ in 0..QUESTIONS {
        let question = next_text(&mut raw).await;
        let id = question.strip_prefix("42").and_then(|rest| rest.strip_suffix(r#"["question"]"#));
        raw.send(&text(&format!("43{}[1]", id.expect("a question")))).await;
    }
    assert_eq!(next_text(&mut raw).await, r#"42["missing",0]"#);
    assert!(takes_more(&mut raw).await);
}

#[actix_web::test]
async fn a_client_that_answers_what_it_was_not_asked_is_charged_for_it() {
    let server = start();
    let mut raw = connected(&server).await;
    for number in ["4294967295999", "7", "4294967295998"] {
        raw.send(&text(&format!("43{number}[1]"))).await;
    }
    raw.send(&text(r#"42["settle"]"#)).await;
    assert_eq!(next_text(&mut raw).await, r#"42["settled"]"#);
    assert!(!takes_more(&mut raw).await);
}
