//! Connection state recovery, as a program sees it.

use std::sync::atomic::{AtomicUsize, Ordering};

use echoroom::socketio::{Ack, Handshake, Recovery, Refusal, Server, Socket};
use serde_json::{Value, json};

use super::{Told, until};
use crate::{
    helpers::{RawClient, TestServer, text},
    sockets::{joined, next_text, serve, websocket},
};

/// A client that counts its visits in its data, and is greeted with it.
struct Visit(usize);

fn start(skip_middlewares: bool) -> (Server, Told) {
    let (tell, told) = Told::new();
    let io = Server::builder()
        .connection_state_recovery(Recovery { skip_middlewares, ..Recovery::default() })
        .build();
    let visits = AtomicUsize::new(0);
    let admitted = io.namespace("/n").admit(async move |handshake: &Handshake| {
        let visit = visits.fetch_add(1, Ordering::Relaxed) + 1;
        match handshake.auth_json().contains("refuse") {
            true => Err(Refusal::new("no more")),
            false => Ok(Visit(visit)),
        }
    });
    let asked = tell.clone();
    admitted
        .middleware(async move |socket: Socket<Visit>| {
            asked.tell("asked");
            socket.set_local_data("kept");
            socket.on("own", async |socket: Socket<Visit>, ack: Ack| {
                ack.send(&socket.local_data::<&str>().map(|data| *data));
            });
            Ok(())
        })
        .connect(async |socket: Socket<Visit>| {
            drop(socket.join("tea"));
            socket.unrecorded().emit("visit", &(socket.is_recovered(), socket.data().0));
        })
        .on("rooms", async |socket: Socket<Visit>, ack: Ack| ack.send(&socket.rooms().len()))
        .disconnect(async move |_: Socket<Visit>, reason| tell.tell(reason.as_str()));
    (io, told)
}

/// What a client hears when it connects: whether it was recovered, and its visit.
async fn visit(raw: &mut RawClient) -> (Value, Value) {
    let event = next_text(raw).await;
    let event: Value = serde_json::from_str(event.strip_prefix("42/n,").expect("an event")).expect("JSON");
    (event[1].clone(), event[2].clone())
}

/// A client comes back on a new connection, which may be on another worker.
async fn back(server: &TestServer, was: &Value, more: &str) -> RawClient {
    let (mut raw, _) = websocket(server).await;
    let auth = json!({"pid": was["pid"], "offset": "0", "more": more});
    raw.send(&text(&format!("40/n,{auth}"))).await;
    raw
}

#[actix_web::test]
async fn a_recovered_client_has_its_data_and_rooms_on_any_worker_and_is_not_asked_again() {
    let (io, told) = start(true);
    let server = serve(&io, 2);
    let (mut raw, was) = joined(&server, "/n", "{}").await;
    assert_eq!(visit(&mut raw).await, (json!(false), json!(1)));
    told.expect(["asked"]).await;
    // On two workers, some of these come to the other one.
    for _ in 0..4 {
        raw.reset();
        told.expect(["transport close"]).await;
        raw = back(&server, &was, "refuse").await;
        let reply = next_text(&mut raw).await;
        assert!(reply.contains(was["sid"].as_str().expect("an id")), "{reply}");
        assert_eq!(visit(&mut raw).await, (json!(true), json!(1)));
        raw.send(&text(r#"42/n,7["rooms"]"#)).await;
        assert_eq!(next_text(&mut raw).await, "43/n,7[2]");
    }
    assert!(told.is_quiet().await);
}

#[actix_web::test]
async fn a_lost_client_keeps_its_dynamic_namespace_and_gets_what_was_emitted_to_all_of_them() {
    let (tell, told) = Told::new();
    let io = Server::builder().connection_state_recovery(Recovery::default()).build();
    let orgs = io.dynamic("/n*").disconnect(async move |_: Socket, reason| tell.tell(reason.as_str()));
    let server = serve(&io, 2);
    let (mut raw, was) = joined(&server, "/n1", "{}").await;
    orgs.emit("first", &1);
    assert_eq!(next_text(&mut raw).await, r#"42/n1,["first",1,"1"]"#);
    for offset in 1..4 {
        raw.reset();
        told.expect(["transport close"]).await;
        assert_eq!(io.namespaces(), ["/n1"]);
        orgs.emit("missed", &2);
        (raw, _) = websocket(&server).await;
        let auth = json!({"pid": was["pid"], "offset": offset.to_string()});
        raw.send(&text(&format!("40/n1,{auth}"))).await;
        assert_eq!(next_text(&mut raw).await, format!(r#"42/n1,["missed",2,"{}"]"#, offset + 1));
        assert!(next_text(&mut raw).await.contains(was["pid"].as_str().expect("a pid")));
    }
    raw.send(&text("41/n1,")).await;
    told.expect(["client namespace disconnect"]).await;
    until("no namespace", async || io.namespaces().is_empty()).await;
}

#[actix_web::test]
async fn a_recovered_client_is_asked_again_if_the_program_says_so() {
    let (io, told) = start(false);
    let server = serve(&io, 2);
    let (mut raw, was) = joined(&server, "/n", "{}").await;
    assert_eq!(visit(&mut raw).await, (json!(false), json!(1)));
    told.expect(["asked"]).await;
    raw.reset();
    told.expect(["transport close"]).await;
    let mut refused = back(&server, &was, "refuse").await;
    assert_eq!(next_text(&mut refused).await, r#"44/n,{"message":"no more"}"#);
    let mut raw = back(&server, &was, "").await;
    let reply = next_text(&mut raw).await;
    assert!(reply.contains(was["sid"].as_str().expect("an id")), "{reply}");
    assert_eq!(visit(&mut raw).await, (json!(true), json!(3)), "the new admission's data counts");
    let sockets = io.namespace("/n").fetch_sockets().await.expect("a reply");
    let seen: Vec<_> = sockets.iter().map(|socket| socket.data::<Visit>().map(|visit| visit.0)).collect();
    assert_eq!(seen, [Some(3)], "also for others");
    raw.send(&text(r#"42/n,7["own"]"#)).await;
    assert_eq!(next_text(&mut raw).await, r#"43/n,7["kept"]"#, "and what its middlewares did");
    told.expect(["asked"]).await;
}

#[actix_web::test]
async fn a_client_that_cannot_be_recovered_is_asked_as_a_new_one() {
    for skip_middlewares in [true, false] {
        let (io, told) = start(skip_middlewares);
        let server = serve(&io, 2);
        let mut raw = back(&server, &json!({"pid": "unknown"}), "").await;
        assert!(next_text(&mut raw).await.starts_with("40/n,{"));
        assert_eq!(visit(&mut raw).await, (json!(false), json!(1)));
        told.expect(["asked"]).await;
        let mut raw = back(&server, &json!({"pid": "unknown"}), "refuse").await;
        assert_eq!(next_text(&mut raw).await, r#"44/n,{"message":"no more"}"#);
    }
}
