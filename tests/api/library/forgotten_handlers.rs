//! What a program keeps with a socket is freed when that has left, or was never connected, although it has the socket.

use std::{future::pending, sync::Arc};

use echoroom::socketio::{Handshake, Refusal, Server, Socket};
use tokio::sync::Semaphore;

use super::{EACH, Peer, Tell, Told};
use crate::sockets::serve;

/// Tells when it is dropped: the data of a socket that nothing refers to any more.
struct Mark(Tell);

impl Drop for Mark {
    fn drop(&mut self) {
        self.0.tell("dropped");
    }
}

/// Has a socket keep itself, as closures of programs often do.
fn keep(socket: &Socket<Mark>) {
    let (of_event, of_any, of_outgoing) = (socket.clone(), socket.clone(), socket.clone());
    socket.on("hello", async move |_: Socket<Mark>, text: String| of_event.emit("hello", &text));
    socket.on_any(async move |_, event| of_any.emit_args(event.args().clone()));
    socket.on_any_outgoing(move |_, _| drop(of_outgoing.clone()));
    socket.set_local_data(socket.clone());
}

fn admitting(tell: &Tell) -> impl AsyncFn(&Handshake) -> Result<Mark, Refusal> + Send + Sync + 'static {
    let tell = tell.clone();
    async move |_| Ok(Mark(tell.clone()))
}

#[actix_web::test]
async fn a_socket_that_was_refused_or_left_during_its_admission_is_freed() {
    for by in EACH {
        let (tell, told) = Told::new();
        let io = Server::builder().build();
        io.namespace("/refused").admit(admitting(&tell)).middleware(async |socket: Socket<Mark>| {
            keep(&socket);
            Err(Refusal::new("no"))
        });
        let of_wait = tell.clone();
        io.namespace("/waiting").admit(admitting(&tell)).middleware(async move |socket: Socket<Mark>| {
            keep(&socket);
            of_wait.tell("waits");
            pending().await
        });
        let server = serve(&io, 2);
        let mut peer = Peer::open(&server, by).await;
        for _ in 0..3 {
            peer.expect("0/refused,", r#"4/refused,{"message":"no"}"#).await;
            told.expect(["dropped"]).await;
        }
        peer.send("0/waiting,").await;
        told.expect(["waits"]).await;
        peer.leave().await;
        told.expect(["dropped"]).await;
    }
}

#[actix_web::test]
async fn what_a_handler_registers_after_its_socket_has_left_is_freed() {
    for by in EACH {
        for is_sequential in [false, true] {
            let (tell, told) = Told::new();
            let gate = Arc::new(Semaphore::new(0));
            let io = Server::builder().build();
            let (of_event, of_gate, of_end) = (tell.clone(), Arc::clone(&gate), tell.clone());
            let namespace = io
                .namespace("/")
                .admit(admitting(&tell))
                .on("slow", async move |socket: Socket<Mark>| {
                    of_event.tell("waits");
                    of_gate.acquire().await.expect("it is never closed").forget();
                    keep(&socket);
                })
                .disconnect(async move |socket: Socket<Mark>, _| {
                    keep(&socket);
                    of_end.tell("left");
                });
            if is_sequential {
                namespace.sequential();
            }
            let server = serve(&io, 2);
            let mut peer = Peer::connected(&server, by).await;
            peer.send(r#"2["slow"]"#).await;
            told.expect(["waits"]).await;
            peer.leave().await;
            if !is_sequential {
                told.expect(["left"]).await;
            }
            gate.add_permits(1);
            if is_sequential {
                told.expect(["left"]).await;
            }
            told.expect(["dropped"]).await;
        }
    }
}
