//! Events that ask for an answer: of one client, and of many.

use std::{sync::Arc, time::Duration};

use echoroom::socketio::{AckError, Answer, Bytes, Server, Socket};
use tokio::sync::Semaphore;

use super::{By, EACH, Peer, Tell, Told};
use crate::{helpers::soon, sockets::serve};

fn kind<T: std::fmt::Debug>(answer: Result<T, AckError>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(AckError::Timeout) => "timeout".to_owned(),
        Err(AckError::Disconnected) => "disconnected".to_owned(),
        Err(AckError::TooMany) => "too many".to_owned(),
        Err(AckError::BadAnswer(_)) => "bad answer".to_owned(),
        Err(AckError::NotSent(_)) => "not sent".to_owned(),
    }
}

/// A server that asks its client whenever that says so, and tells the test what came of it.
fn start() -> (Server, Told) {
    let (tell, told) = Told::new();
    let io = Server::builder().max_pending_acks(2).build();
    let main = io.namespace("/");
    let [one, two, brief, twice, bytes, reserved] = [(); 6].map(|()| tell.clone());
    let main = main
        .on("one", async move |socket: Socket| one.tell(kind(socket.emit_with_ack::<u8>("q", &1).await)))
        .on("two", async move |socket: Socket| {
            two.tell(kind(socket.emit_with_ack::<(u8, Option<String>)>("q", &(1, 2)).await));
        })
        .on("brief", async move |socket: Socket| {
            let asking = socket.timeout(Duration::from_millis(30));
            brief.tell(kind(asking.emit_with_ack::<u8>("q", &()).await));
        })
        .on("dropped", async |socket: Socket| drop(socket.emit_with_ack::<u8>("q", &1)))
        .on("bytes", async move |socket: Socket| {
            let answer: Answer<Bytes> = socket.emit_with_ack("q", &Bytes::from_static(b"in"));
            bytes.tell(kind(answer.await));
        });
    main.on("twice", async move |socket: Socket| {
        let waiting: Vec<_> = (0..3).map(|_| socket.emit_with_ack::<u8>("q", &1)).collect();
        for answer in waiting {
            twice.tell(kind(answer.await));
        }
    })
    .on("reserved", async move |socket: Socket| {
        reserved.tell(kind(socket.emit_with_ack::<u8>("disconnect", &()).await));
    })
    .disconnect(async move |socket: Socket, _| {
        tell.tell(format!("left, {}", kind(socket.emit_with_ack::<u8>("q", &1).await)));
    });
    (io, told)
}

#[actix_web::test]
async fn the_answer_of_a_client_is_a_value_or_the_reason_why_there_is_none() {
    for by in EACH {
        let (io, told) = start();
        let server = serve(&io, 2);
        let mut peer = Peer::connected(&server, by).await;
        peer.expect(r#"2["one"]"#, r#"20["q",1]"#).await;
        peer.send("30[7,8]").await;
        told.expect(["7"]).await;
        peer.expect(r#"2["two"]"#, r#"21["q",1,2]"#).await;
        peer.send("31[7]").await;
        told.expect(["(7, None)"]).await;
        peer.expect(r#"2["one"]"#, r#"22["q",1]"#).await;
        peer.send(r#"32["word"]"#).await;
        told.expect(["bad answer"]).await;
        peer.expect(r#"2["brief"]"#, r#"23["q"]"#).await;
        told.expect(["timeout"]).await;
        // Too late, and for an answer that is not waited for: passed over.
        peer.send("33[1]").await;
        peer.expect(r#"2["dropped"]"#, r#"24["q",1]"#).await;
        peer.send("34[1]").await;
        peer.expect(r#"2["bytes"]"#, r#"51-5["q",{"_placeholder":true,"num":0}]"#).await;
        assert_eq!(peer.next_binary().await, b"in");
        peer.send(r#"61-5[{"_placeholder":true,"num":0}]"#).await;
        peer.send_binary(b"out").await;
        told.expect([r#"b"out""#]).await;
        peer.send(r#"2["reserved"]"#).await;
        told.expect(["not sent"]).await;
        peer.expect(r#"2["one"]"#, r#"26["q",1]"#).await;
        peer.leave().await;
        let mut ends = [told.next().await, told.next().await];
        ends.sort();
        assert_eq!(ends, ["disconnected", "left, disconnected"]);
    }
}

#[actix_web::test]
async fn no_more_answers_are_waited_for_than_the_bound_allows() {
    for by in EACH {
        let (io, told) = start();
        let server = serve(&io, 2);
        let mut peer = Peer::connected(&server, by).await;
        for round in 0..3 {
            let first = 2 * round;
            peer.expect(r#"2["twice"]"#, &format!(r#"2{first}["q",1]"#)).await;
            assert_eq!(peer.next().await, format!(r#"2{}["q",1]"#, first + 1));
            peer.send_all(&[&format!("3{}[2]", first + 1), &format!("3{first}[1]")]).await;
            told.expect(["1", "2", "too many"]).await;
        }
    }
}

/// Asks all sockets of a room, and tells what has come.
async fn ask(io: &Server, tell: &Tell) {
    let acks = io.to("tea").timeout(Duration::from_secs(10)).emit_with_ack::<u8>("q", &());
    match acks.all().await {
        Ok(acks) => acks.iter().for_each(|(sid, ack)| tell.tell(format!("{sid} {ack}"))),
        Err(error) => {
            error.acks.iter().for_each(|(sid, ack)| tell.tell(format!("{sid} {ack}")));
            let missing = error.missing.into_iter();
            missing.for_each(|(sid, error)| tell.tell(format!("{sid} {}", kind::<u8>(Err(error)))));
        }
    }
}

#[actix_web::test]
async fn the_answers_of_many_have_the_ids_of_their_sockets_by_each_transport() {
    let (tell, told) = Told::new();
    let io = Server::builder().build();
    let gate = Arc::new(Semaphore::new(0));
    let at = Arc::clone(&gate);
    io.namespace("/").connect(async move |socket: Socket| {
        socket.join("tea").await.expect("there is room");
        socket.emit("id", socket.id());
        at.add_permits(1);
    });
    let server = serve(&io, 2);
    let mut peers = Vec::new();
    for by in [By::WebSocket, By::Polling, By::WebSocket, By::Polling] {
        let mut peer = Peer::connected(&server, by).await;
        let id = peer.next().await;
        peers.push((peer, id[r#"2["id",""#.len()..].trim_end_matches(r#""]"#).to_owned()));
    }
    soon("all are in", gate.acquire_many(4)).await.expect("it is not closed").forget();
    let asking = async { ask(&io, &tell).await };
    let answering = async {
        for (number, (peer, _)) in peers.iter_mut().enumerate() {
            let question = peer.next().await;
            let id = question.strip_prefix('2').and_then(|rest| rest.strip_suffix(r#"["q"]"#)).expect("it");
            match number {
                0 | 1 => peer.send(&format!("3{id}[{number}]")).await,
                2 => peer.send(&format!(r#"3{id}["x"]"#)).await,
                _ => peer.send("1").await,
            }
        }
    };
    soon("all answers", futures_util::future::join(asking, answering)).await;
    let mut expected: Vec<_> = ["0", "1", "bad answer", "disconnected"]
        .iter()
        .zip(&peers)
        .map(|(answer, (_, id))| format!("{id} {answer}"))
        .collect();
    expected.sort();
    let mut came = Vec::new();
    for _ in 0..4 {
        came.push(told.next().await);
    }
    came.sort();
    assert_eq!(came, expected);
}
