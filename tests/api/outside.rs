//! What a program does to sockets from outside of their handlers: it looks them up, moves them between rooms, asks them
//! and disconnects them.

use std::{thread, time::Duration};

use echoroom::socketio::{AckError, Emitter, Event, Namespace, Reason, Server, Socket};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, UnboundedReceiver};

use crate::{
    helpers::{RawClient, TestServer, soon, text},
    sockets::{Poller, expect_closed, next_text, serve, websocket},
};

struct Stage {
    server: TestServer,
    io: Server,
    ends: UnboundedReceiver<Reason>,
}

/// Does what a client asks for, and tells it its rooms afterwards.
async fn obey(all: &Namespace, socket: Socket, event: Event) {
    // In one turn: what is asked first happens first, from any thread.
    match event.name() {
        "rooms" => {}
        "put-in-and-leave" => {
            all.sockets_join("red");
            socket.leave("red");
        }
        "take-out-and-join" => {
            all.sockets_leave(["red", "blue"]);
            // The reply below comes behind that of this request.
            drop(socket.join("red"));
        }
        other => panic!("{other}"),
    }
    // The reply comes behind all that the socket was told before.
    socket.join("asked").await.expect("there is room");
    socket.leave("asked");
    socket.emit("rooms", &socket.rooms());
}

impl Stage {
    /// A server on two workers. Its handler tells the test how sockets left.
    fn new() -> Self {
        let (ended, ends) = mpsc::unbounded_channel();
        let io = Server::builder().build();
        let all = io.namespace("/");
        let main = io.namespace("/").on_any(async move |socket, event| obey(&all, socket, event).await);
        // The test may be over.
        main.disconnect(async move |_, reason| _ = ended.send(reason));
        Self { server: serve(&io, 2), io, ends }
    }

    /// Selects all sockets.
    fn all(&self) -> Emitter {
        self.io.local()
    }

    /// A client, and the id of its socket.
    async fn client(&self) -> (RawClient, String) {
        let (mut raw, _) = websocket(&self.server).await;
        raw.send(&text("40")).await;
        let reply = next_text(&mut raw).await;
        let reply: Value = serde_json::from_str(reply.strip_prefix("40").expect("connected")).expect("JSON");
        (raw, reply["sid"].as_str().expect("an id").to_owned())
    }

    async fn end(&mut self) -> Reason {
        soon("the end of a socket", self.ends.recv()).await.expect("the handler tells")
    }

    /// The ids of the sockets that are found, sorted.
    async fn found(&self, emitter: Emitter) -> Vec<String> {
        let sockets = soon("sockets", emitter.fetch_sockets()).await.expect("a reply");
        let mut ids: Vec<_> = sockets.iter().map(|socket| socket.id().to_owned()).collect();
        ids.sort();
        ids
    }
}

/// The rooms of a socket as its handler knows them after an event, without the room of its id.
async fn rooms(raw: &mut RawClient, event: &str) -> Value {
    raw.send(&text(&format!("42{}", json!([event])))).await;
    let told: Value = serde_json::from_str(&next_text(raw).await[2..]).expect("JSON");
    let rooms = told[1].as_array().expect("rooms").iter();
    let (own, others): (Vec<_>, Vec<_>) =
        rooms.cloned().partition(|room| room.as_str().is_some_and(|room| room.len() == 20));
    assert_eq!(own.len(), 1, "its id is a room");
    Value::Array(others)
}

#[actix_web::test]
async fn sockets_are_looked_up_and_moved_between_rooms_from_any_thread() {
    let stage = Stage::new();
    let ((mut first, first_id), (mut second, second_id)) = (stage.client().await, stage.client().await);
    let all = stage.all();
    let mut ids = [first_id.clone(), second_id.clone()];
    ids.sort();
    assert_eq!(stage.found(all.clone()).await, ids);
    let other_thread = thread::spawn(move || {
        let to = |room| all.clone().to(room);
        all.sockets_join(["red", "blue"]);
        to("red").except(&second_id).sockets_leave("blue");
        to("red").emit("red", &1);
        to("blue").emit("blue", &2);
        all.emit("end", &());
    });
    other_thread.join().expect("it does not panic");
    let mut heard = Vec::new();
    for (raw, events) in [(&mut first, 2), (&mut second, 3)] {
        for _ in 0..events {
            heard.push(next_text(raw).await);
        }
    }
    let [red, blue, end] = [r#"42["red",1]"#, r#"42["blue",2]"#, r#"42["end"]"#];
    assert_eq!(heard, [red, end, red, blue, end]);
    assert_eq!(rooms(&mut first, "rooms").await, json!(["red"]));
    assert_eq!(rooms(&mut second, "rooms").await, json!(["blue", "red"]));
    assert_eq!(stage.found(stage.all().to("red").except("blue")).await, [first_id]);
    let rooms = soon("rooms", stage.all().rooms()).await.expect("a reply");
    assert_eq!(rooms, [("blue".into(), 1), ("red".into(), 2)]);
}

#[actix_web::test]
async fn a_socket_knows_its_rooms_when_its_handler_and_others_move_it_at_one_time() {
    let stage = Stage::new();
    let (mut raw, _) = stage.client().await;
    for _ in 0..3 {
        assert_eq!(rooms(&mut raw, "put-in-and-leave").await, json!([]));
        assert_eq!(stage.found(stage.all().to("red")).await.len(), 0);
        assert_eq!(rooms(&mut raw, "take-out-and-join").await, json!(["red"]));
        assert_eq!(stage.found(stage.all().to("red")).await.len(), 1);
    }
}

#[actix_web::test]
async fn a_socket_that_was_looked_up_is_acted_on_by_its_id() {
    let mut stage = Stage::new();
    let ((mut first, id), (mut second, _)) = (stage.client().await, stage.client().await);
    let found = soon("a socket", stage.all().fetch_socket(&id)).await;
    let socket = found.expect("a reply").expect("it is there");
    socket.join(["red", "blue"]);
    socket.leave("blue");
    socket.emit("to you", &1);
    socket.emitter().volatile().emit("to you", &2);
    stage.all().sockets_join("all");
    socket.to("all").emit("to others", &3);
    socket.disconnect(false);
    stage.all().emit("to all", &4);
    for event in [r#"42["to you",1]"#, r#"42["to you",2]"#, "41"] {
        assert_eq!(next_text(&mut first).await, event);
    }
    for event in [r#"42["to others",3]"#, r#"42["to all",4]"#] {
        assert_eq!(next_text(&mut second).await, event);
    }
    assert_eq!(socket.rooms(), [id.as_str()], "as it was");
    assert_eq!(stage.end().await, "server namespace disconnect");
    assert!(soon("none", stage.all().fetch_socket(&id)).await.is_ok_and(|socket| socket.is_none()));
    // Nothing happens to a socket that is gone.
    socket.emit("to you", &5);
    socket.disconnect(true);
    assert_eq!(rooms(&mut second, "rooms").await, json!(["all"]));
}

#[actix_web::test]
async fn sockets_that_are_disconnected_from_outside_hear_what_came_before_by_each_transport() {
    for close in [false, true] {
        let mut stage = Stage::new();
        let (mut raw, _) = stage.client().await;
        let poller = Poller::connected(&stage.server).await;
        stage.all().emit("bye", &());
        stage.all().disconnect_sockets(close);
        stage.all().emit("too late", &());
        assert_eq!(next_text(&mut raw).await, r#"42["bye"]"#);
        assert_eq!(next_text(&mut raw).await, "41");
        let mut polled = poller.poll().await.body;
        while !polled.contains("41") {
            polled.push('\u{1E}');
            polled.push_str(&poller.poll().await.body);
        }
        assert!(polled.starts_with("42[\"bye\"]\u{1E}41"), "{polled}");
        for _ in 0..2 {
            stage.end().await;
        }
        assert!(stage.found(stage.all()).await.is_empty());
        if close {
            expect_closed(raw).await;
        } else {
            // The connection may join a namespace again.
            raw.send(&text("40")).await;
            assert!(next_text(&mut raw).await.starts_with(r#"40{"sid":""#));
        }
    }
}

#[actix_web::test]
async fn acks_of_many_come_one_by_one_with_the_id_of_their_socket() {
    let stage = Stage::new();
    let [mut first, mut second, mut third] =
        [stage.client().await, stage.client().await, stage.client().await];
    let mut acks = stage.all().emit_with_ack::<u8>("question", &1);
    let mut ids = Vec::new();
    for (raw, _) in [&mut first, &mut second, &mut third] {
        let question = next_text(raw).await;
        let id = question.strip_prefix("42").and_then(|rest| rest.strip_suffix(r#"["question",1]"#));
        ids.push(id.expect("a question").to_owned());
    }
    second.0.send(&text(&format!("43{}[2]", ids[1]))).await;
    let (sid, ack) = soon("an ack", acks.next()).await.expect("an ack");
    assert_eq!((&*sid, ack.ok()), (second.1.as_str(), Some(2)));
    // The others are not waited for.
    first.0.send(&text("41")).await;
    let (sid, ack) = soon("an ack", acks.next()).await.expect("it is known that it left");
    assert!(sid == first.1 && matches!(ack, Err(AckError::Disconnected)), "{ack:?}");
    third.0.send(&text(&format!(r#"43{}["x"]"#, ids[2]))).await;
    let (sid, ack) = soon("an ack", acks.next()).await.expect("an ack");
    assert!(sid == third.1 && matches!(ack, Err(AckError::BadAnswer(_))), "{ack:?}");
    assert!(soon("the end", acks.next()).await.is_none());
    // One that does not answer is missing after the time.
    let acks = stage.all().timeout(Duration::from_millis(50)).emit_with_ack::<u8>("question", &1);
    let error = soon("the end", acks.all()).await.expect_err("none has answered");
    assert_eq!((error.acks.len(), error.missing.len(), error.is_cut_off), (0, 2, false));
}
