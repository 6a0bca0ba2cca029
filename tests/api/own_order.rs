//! The order of all that a program sends to one client: events, acks, questions and the end of its socket.

use std::time::Duration;

use echoroom::socketio::{Ack, Recovery, Server, Socket};

use crate::{
    helpers::{RawClient, TestServer, text},
    sockets::{connected, next_text, serve},
};

/// Rounds of each test: packets that could overtake others do not always.
const ROUNDS: usize = 30;

/// A server whose handlers send several packets each, with recovery or without.
fn server(recovery: Option<Recovery>) -> TestServer {
    let builder = Server::builder().max_idle_packets(None);
    let io = match recovery {
        Some(recovery) => builder.connection_state_recovery(recovery),
        None => builder,
    }
    .build();
    io.namespace("/")
        .on("both", async |socket: Socket, ack: Ack| {
            socket.emit("first", &());
            socket.to("nobody").emit("unheard", &());
            socket.emit("second", &());
            ack.send(&());
        })
        .on("bare", async |_: Socket, ack: Ack| ack.send(&()))
        .on("question", async |socket: Socket| {
            socket.emit("first", &());
            let answer = socket.timeout(Duration::from_secs(15)).emit_with_ack::<u8>("asked", &()).await;
            socket.emit("answer", &answer.expect("an answer"));
        })
        .on("end", async |socket: Socket, ack: Ack| {
            socket.emit("first", &());
            ack.send(&());
            socket.disconnect(false);
            socket.emit("unheard", &());
        });
    serve(&io, 2)
}

/// The packet that a client reads next, without the offset of an event.
async fn next(raw: &mut RawClient) -> String {
    let packet = next_text(raw).await;
    match packet.strip_suffix("\"]").and_then(|packet| packet.rsplit_once(",\"")) {
        Some((event, _)) => format!("{event}]"),
        None => packet,
    }
}

async fn expect(raw: &mut RawClient, packets: &[&str]) {
    for packet in packets {
        assert_eq!(next(raw).await, *packet);
    }
}

/// Sends a packet in each round, and expects the same answers, in which `#` is the number of the round.
async fn each_round(raw: &mut RawClient, sent: &[&str], expected: &[&str]) {
    for round in 0..ROUNDS {
        let of_round = |packet: &&str| packet.replace('#', &round.to_string());
        for packet in sent {
            raw.send(&text(&of_round(packet))).await;
        }
        for packet in expected {
            assert_eq!(next(raw).await, of_round(packet), "in round {round}");
        }
    }
}

#[actix_web::test]
async fn an_ack_comes_behind_the_events_before_it_with_recovery_and_without() {
    for recovery in [None, Some(Recovery::default())] {
        let server = server(recovery);
        let mut raw = connected(&server).await;
        let events = [r#"42["first"]"#, r#"42["second"]"#];
        each_round(&mut raw, &[r##"42#["both"]"##], &[events[0], events[1], "43#[]"]).await;
        // Also an ack of a later event, which has sent nothing itself.
        each_round(&mut raw, &[r#"42["both"]"#, r##"42#["bare"]"##], &[events[0], events[1], "43#[]"]).await;
    }
}

#[actix_web::test]
async fn a_question_comes_behind_the_events_before_it_with_recovery_and_without() {
    for recovery in [None, Some(Recovery::default())] {
        let server = server(recovery);
        let mut raw = connected(&server).await;
        for _ in 0..ROUNDS {
            raw.send(&text(r#"42["question"]"#)).await;
            assert_eq!(next(&mut raw).await, r#"42["first"]"#);
            let question = next(&mut raw).await;
            let id = question.strip_prefix("42").and_then(|rest| rest.strip_suffix(r#"["asked"]"#));
            let id = id.unwrap_or_else(|| panic!("{question}"));
            raw.send(&text(&format!("43{id}[7]"))).await;
            assert_eq!(next(&mut raw).await, r#"42["answer",7]"#);
        }
    }
}

#[actix_web::test]
async fn the_end_of_a_socket_comes_behind_what_was_sent_to_it_and_nothing_comes_behind_it() {
    for recovery in [None, Some(Recovery::default())] {
        let server = server(recovery);
        for _ in 0..ROUNDS {
            let mut raw = connected(&server).await;
            raw.send(&text(r#"420["end"]"#)).await;
            expect(&mut raw, &[r#"42["first"]"#, "430[]", "41"]).await;
            // The session goes on, and its client may join again.
            raw.send(&text("40")).await;
            let again = next_text(&mut raw).await;
            assert!(again.starts_with("40{"), "{again}");
        }
    }
}
