//! Handlers run in order, as many at a time as wait, and stop no others.

use std::{future::pending, sync::Arc};

use echoroom::socketio::{Ack, Reason, Server, Socket};
use tokio::sync::Semaphore;

use super::{By, EACH, Peer, Tell, Told};
use crate::sockets::serve;

/// Lets handlers go on.
type Gate = Arc<Semaphore>;

async fn pass(gate: &Gate) {
    gate.acquire().await.expect("it is never closed").forget();
}

/// A server whose handlers of `slow` wait at a gate, with the namespaces `/`, `/sequential` and `/other`.
fn start() -> (Server, Gate, Told) {
    let (tell, told) = Told::new();
    let (io, gate) = (Server::builder().build(), Gate::new(Semaphore::new(0)));
    for name in ["/", "/sequential"] {
        let (tell_of, gate) = (tell.clone(), Gate::clone(&gate));
        let namespace = io.namespace(name).on("slow", async move |_: Socket, number: u8| {
            tell_of.tell(format!("start {number}"));
            pass(&gate).await;
            tell_of.tell(format!("end {number}"));
        });
        let tell = tell.clone();
        let namespace = namespace
            .on("endless", async |_: Socket| pending().await)
            .on("ping", async |_: Socket, ack: Ack| ack.send("pong"))
            .disconnect(async move |_, reason: Reason| tell.tell(reason.as_str()));
        if name == "/sequential" {
            namespace.sequential();
        }
    }
    io.namespace("/other").on("mark", async move |_: Socket| tell.tell("mark"));
    (io, gate, told)
}

const THREE: [&str; 4] = [r#"2["slow",1]"#, r#"2["slow",2]"#, r#"2["slow",3]"#, r#"2/other,["mark"]"#];

#[actix_web::test]
async fn handlers_start_in_the_order_of_the_events_and_interleave_while_they_wait() {
    for by in EACH {
        let (io, gate, told) = start();
        let server = serve(&io, 2);
        let mut peer = Peer::connected(&server, by).await;
        peer.join("/other,").await;
        peer.send_all(&THREE).await;
        told.expect(["start 1", "start 2", "start 3", "mark"]).await;
        for end in ["end 1", "end 2", "end 3"] {
            gate.add_permits(1);
            told.expect([end]).await;
        }
    }
}

#[actix_web::test]
async fn handlers_of_a_sequential_namespace_run_one_after_another_and_stop_no_other_namespace() {
    for by in EACH {
        let (io, gate, told) = start();
        let server = serve(&io, 2);
        let mut peer = Peer::open(&server, by).await;
        peer.join("/sequential,").await;
        peer.join("/other,").await;
        let three = THREE.map(|event| event.replace("2[", "2/sequential,["));
        peer.send_all(&three.each_ref().map(String::as_str)).await;
        told.expect(["start 1", "mark"]).await;
        gate.add_permits(1);
        told.expect(["end 1", "start 2"]).await;
        gate.add_permits(2);
        told.expect(["end 2", "start 3", "end 3"]).await;
    }
}

#[actix_web::test]
async fn a_sequential_socket_hears_that_its_client_has_left_behind_its_events() {
    for by in EACH {
        let (io, gate, told) = start();
        let server = serve(&io, 1);
        let mut peer = Peer::open(&server, by).await;
        peer.join("/sequential,").await;
        peer.join("/other,").await;
        let three = [r#"2/sequential,["slow",1]"#, r#"2/sequential,["slow",2]"#, "1/sequential,", THREE[3]];
        peer.send_all(&three).await;
        told.expect(["start 1", "mark"]).await;
        gate.add_permits(2);
        told.expect(["end 1", "start 2", "end 2", "client namespace disconnect"]).await;
    }
}

#[actix_web::test]
async fn a_handler_that_never_ends_stops_neither_its_socket_nor_its_session_nor_others() {
    for by in EACH {
        let (io, _, told) = start();
        let server = serve(&io, 1);
        let (mut peer, mut other) = (Peer::connected(&server, by).await, Peer::connected(&server, by).await);
        peer.join("/other,").await;
        for _ in 0..3 {
            peer.send(r#"2["endless"]"#).await;
            peer.expect(r#"27["ping"]"#, r#"37["pong"]"#).await;
            peer.send(r#"2/other,["mark"]"#).await;
            told.expect(["mark"]).await;
            other.expect(r#"27["ping"]"#, r#"37["pong"]"#).await;
        }
        peer.leave().await;
        told.expect(["transport close"]).await;
    }
}

#[actix_web::test]
async fn a_handler_goes_on_after_its_client_has_left() {
    for by in EACH {
        let (io, gate, told) = start();
        let server = serve(&io, 1);
        let mut peer = Peer::connected(&server, by).await;
        peer.send(r#"2["slow",1]"#).await;
        told.expect(["start 1"]).await;
        peer.leave().await;
        told.expect(["transport close"]).await;
        gate.add_permits(1);
        told.expect(["end 1"]).await;
    }
}

#[actix_web::test]
async fn a_socket_that_disconnects_is_seen_in_its_rooms_first_and_without_them_afterwards() {
    let rooms = |tell: &Tell, when: &str, socket: &Socket| {
        let own = socket.rooms().iter().any(|room| **room == *socket.id());
        tell.tell(format!("{when} {} {own} {}", socket.is_in("tea"), socket.is_connected()));
    };
    for by in EACH {
        let (tell, told) = Told::new();
        let io = Server::builder().build();
        let (of_leaving, of_end) = (tell.clone(), tell);
        io.namespace("/")
            .connect(async |socket: Socket| drop(socket.join("tea")))
            .disconnecting(async move |socket, _| rooms(&of_leaving, "disconnecting", &socket))
            .disconnect(async move |socket, _| rooms(&of_end, "disconnect", &socket));
        let server = serve(&io, 1);
        let mut peer = Peer::connected(&server, by).await;
        peer.send("1").await;
        told.expect(["disconnecting true true true", "disconnect false false false"]).await;
    }
}

#[actix_web::test]
async fn handlers_that_are_registered_later_are_for_clients_that_connect_later() {
    let io = Server::builder().build();
    let server = serve(&io, 2);
    io.namespace("/").on("ping", async |_: Socket, ack: Ack| ack.send("first"));
    let mut early = Peer::connected(&server, By::WebSocket).await;
    early.expect(r#"21["ping"]"#, r#"31["first"]"#).await;
    io.namespace("/").on("late", async |_: Socket, ack: Ack| ack.send("second"));
    let mut late = Peer::connected(&server, By::WebSocket).await;
    late.expect(r#"22["late"]"#, r#"32["second"]"#).await;
    early.send(r#"23["late"]"#).await;
    early.expect(r#"24["ping"]"#, r#"34["first"]"#).await;
}

#[actix_web::test]
async fn handlers_of_one_socket_come_and_go() {
    for by in EACH {
        let (tell, told) = Told::new();
        let io = Server::builder().build();
        io.namespace("/").connect(async move |socket: Socket| {
            let tells = |word: &'static str| {
                let tell = tell.clone();
                async move |_: Socket| tell.tell(word)
            };
            socket.once("say", tells("once"));
            let always = socket.on("say", tells("always"));
            socket.on("off", async move |socket: Socket, ack: Ack| {
                socket.off(always);
                ack.send(&());
            });
            let tell_any = tell.clone();
            socket.on_any(async move |_, event| tell_any.tell(format!("any {}", event.name())));
        });
        let server = serve(&io, 1);
        let mut peer = Peer::connected(&server, by).await;
        peer.send_all(&[r#"2["say"]"#, r#"2["say"]"#]).await;
        told.expect(["any say", "once", "always", "any say", "always"]).await;
        peer.expect(r#"21["off"]"#, "31[]").await;
        peer.send_all(&[r#"2["say"]"#, r#"2["end"]"#]).await;
        told.expect(["any off", "any say", "any end"]).await;
    }
}
