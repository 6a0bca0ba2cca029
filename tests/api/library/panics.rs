//! A panic in a program's code ends the socket that it was called for, and no other.

use actix_web::rt::task::yield_now;
use echoroom::socketio::{Ack, Namespace, Refusal, Server, Socket};

use super::{EACH, Peer, Told};
use crate::sockets::serve;

/// Namespaces that panic when their client says `boom`, or before it can.
fn panicking(io: &Server) {
    io.namespace("/at-once").on("boom", async |_: Socket| panic!("at once"));
    io.namespace("/later").on("boom", async |_: Socket| {
        yield_now().await;
        panic!("later");
    });
    io.namespace("/in-order").sequential().on("boom", async |_: Socket| {
        yield_now().await;
        panic!("in order");
    });
    io.namespace("/any").on_any(async |_: Socket, _| panic!("any"));
    io.namespace("/filter")
        .event_middleware(async |_: Socket, _| -> Result<(), Refusal> { panic!("filter") });
    io.namespace("/hook")
        .on("boom", async |_: Socket, _: (u8,)| {})
        .on_error(|_: &Socket, _| panic!("error hook"));
    io.namespace("/outgoing")
        .on("boom", async |socket: Socket| socket.emit("hello", &()))
        .on_any_outgoing(|_: &Socket, _| panic!("outgoing"));
    io.namespace("/own").connect(async |socket: Socket| {
        socket.on("boom", async |_: Socket| panic!("own"));
    });
    io.namespace("/connect").connect(async |_: Socket| panic!("connect"));
    io.namespace("/disconnecting").disconnecting(async |_: Socket, _| panic!("disconnecting"));
    io.namespace("/disconnect").disconnect(async |_: Socket, _| panic!("disconnect"));
    io.namespace("/admission").admit(async |_| -> Result<(), Refusal> { panic!("admission") });
    let late: Namespace<()> = io.namespace("/late-admission").admit(async |_| {
        yield_now().await;
        panic!("late admission")
    });
    drop(late);
    io.namespace("/middleware").middleware(async |_: Socket| panic!("middleware"));
    io.dynamic_if(|_, _| panic!("predicate"));
    io.on_new_namespace(|_| panic!("new namespace"));
    io.dynamic("/child-*").on("ping", async |_: Socket, ack: Ack| ack.send("pong"));
}

fn start() -> Server {
    let io = Server::builder().build();
    io.namespace("/").on("ping", async |_: Socket, ack: Ack| ack.send("pong"));
    panicking(&io);
    io
}

async fn expect_alive(peers: &mut [&mut Peer<'_>]) {
    for peer in peers {
        peer.expect(r#"27["ping"]"#, r#"37["pong"]"#).await;
    }
}

#[actix_web::test]
async fn a_handler_that_panics_ends_its_socket_and_no_other() {
    for by in EACH {
        let io = start();
        let server = serve(&io, 1);
        let (mut peer, mut other) = (Peer::connected(&server, by).await, Peer::connected(&server, by).await);
        for name in
            ["/at-once", "/later", "/in-order", "/any", "/filter", "/hook", "/outgoing", "/own", "/connect"]
        {
            peer.join(&format!("{name},")).await;
            if name != "/connect" {
                peer.send(&format!(r#"2{name},["boom"]"#)).await;
            }
            assert_eq!(peer.next().await, format!("1{name},"));
            expect_alive(&mut [&mut peer, &mut other]).await;
        }
    }
}

#[actix_web::test]
async fn events_that_wait_behind_a_panic_or_a_disconnect_in_a_sequential_namespace_are_dropped() {
    for by in EACH {
        for event in ["boom", "out"] {
            let (tell, told) = Told::new();
            let io = Server::builder().build();
            let left = tell.clone();
            io.namespace("/")
                .sequential()
                .on("boom", async |_: Socket| {
                    yield_now().await;
                    panic!("in order");
                })
                .on("out", async |socket: Socket| {
                    yield_now().await;
                    socket.disconnect(false);
                })
                .on("say", async move |_: Socket, word: String| tell.tell(word))
                .disconnect(async move |_: Socket, reason| left.tell(reason.as_str()));
            let server = serve(&io, 1);
            let mut peer = Peer::connected(&server, by).await;
            let boom = format!(r#"2["{event}"]"#);
            peer.send_all(&[r#"2["say","one"]"#, &boom, r#"2["say","two"]"#]).await;
            told.expect(["one", "server namespace disconnect"]).await;
            assert_eq!(peer.next().await, "1");
            peer.join("").await;
            assert!(told.is_quiet().await);
        }
    }
}

#[actix_web::test]
async fn a_panic_over_a_socket_that_leaves_harms_no_other() {
    for by in EACH {
        let io = start();
        let server = serve(&io, 1);
        let (mut peer, mut other) = (Peer::connected(&server, by).await, Peer::connected(&server, by).await);
        for name in ["/disconnecting", "/disconnect"] {
            // It may come again.
            for _ in 0..2 {
                peer.join(&format!("{name},")).await;
                peer.send(&format!("1{name},")).await;
                expect_alive(&mut [&mut peer, &mut other]).await;
            }
        }
    }
}

#[actix_web::test]
async fn a_panic_during_admission_refuses_the_client_and_harms_no_other() {
    for by in EACH {
        let io = start();
        let server = serve(&io, 1);
        let (mut peer, mut other) = (Peer::connected(&server, by).await, Peer::connected(&server, by).await);
        for (name, message) in [
            ("/admission", "Internal error"),
            ("/late-admission", "Internal error"),
            ("/middleware", "Internal error"),
            ("/unknown", "Invalid namespace"),
        ] {
            peer.send(&format!("0{name},")).await;
            assert_eq!(peer.next().await, format!(r#"4{name},{{"message":"{message}"}}"#));
            expect_alive(&mut [&mut peer, &mut other]).await;
        }
        peer.join("/child-1,").await;
        peer.expect(r#"2/child-1,7["ping"]"#, r#"3/child-1,7["pong"]"#).await;
    }
}
