//! A socket that has left keeps nothing: what was waited for ends, and the socket itself is freed.

use echoroom::socketio::{AckError, NotJoined, Server, Socket};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use crate::{
    helpers::{TestServer, soon, text},
    sockets::{Poller, connected, serve},
};

/// Where the test learns what has ended.
type Ends = UnboundedSender<&'static str>;

/// Sends its word when it is dropped.
struct Token(&'static str, Ends);

impl Drop for Token {
    fn drop(&mut self) {
        // The test may be over.
        let _ = self.1.send(self.0);
    }
}

/// Waits for an answer and for a room, in two tasks that own the socket.
fn wait(socket: &Socket, ends: &Ends) {
    let (answer, joining) = (socket.emit_with_ack::<()>("question", &()), socket.join("room"));
    let (by_answer, by_join) = (socket.clone(), socket.clone());
    let (answered, joined) = (Token("answer", ends.clone()), Token("room", ends.clone()));
    actix_web::rt::spawn(async move {
        assert!(matches!(answer.await, Err(AckError::Disconnected)));
        drop((answered, by_answer));
    });
    actix_web::rt::spawn(async move {
        assert_ne!(joining.await, Err(NotJoined::TooManyRooms));
        drop((joined, by_join));
    });
}

/// A server whose sockets wait whenever their client says so, and once more when their client has left.
fn start() -> (TestServer, UnboundedReceiver<&'static str>) {
    let (ends, ended) = mpsc::unbounded_channel();
    let io = Server::builder().build();
    let [by_connect, by_wait, by_out, by_end, by_gone] = [(); 5].map(|()| ends.clone());
    let main = io.namespace("/").connect(async move |socket: Socket| {
        socket.set_local_data(Token("socket", by_connect.clone()));
        // A circle: the socket owns its handlers.
        let owner = socket.clone();
        socket.on("own", async move |_: Socket| drop(owner.clone()));
        let owner = socket.clone();
        socket.on_any_outgoing(move |_, _| drop(owner.clone()));
    });
    let main = main.on("wait", async move |socket: Socket| wait(&socket, &by_wait));
    // In the same turn: neither the client nor the rooms have answered yet.
    let main = main.on("out", async move |socket: Socket| {
        wait(&socket, &by_out);
        socket.disconnect(false);
    });
    let main = main.on("end", async move |socket: Socket| {
        wait(&socket, &by_end);
        socket.disconnect(true);
    });
    main.disconnect(async move |socket: Socket, _| wait(&socket, &by_gone));
    (serve(&io, 1), ended)
}

/// Waits until the tasks have ended, two of the event and two of the handler's last turn, and the socket is freed.
async fn until_gone(ended: &mut UnboundedReceiver<&'static str>) {
    let mut all = Vec::new();
    for number in 0..5 {
        let end = soon(&format!("end {number} after {all:?}"), ended.recv()).await;
        all.push(end.expect("the server lives"));
    }
    assert_eq!(all.pop(), Some("socket"), "it is kept as long as tasks own it");
    all.sort_unstable();
    assert_eq!(all, ["answer", "answer", "room", "room"]);
}

/// How a client leaves. `42["wait"]` is on its way before the last two.
const WAYS: [&[&str]; 4] =
    [&[r#"42["out"]"#], &[r#"42["end"]"#], &[r#"42["wait"]"#, "41"], &[r#"42["wait"]"#, "1"]];

#[actix_web::test]
async fn a_socket_that_has_left_is_freed_with_all_that_waited_for_it_however_it_left() {
    for way in WAYS {
        let (server, mut ended) = start();
        let mut raw = connected(&server).await;
        for packet in way {
            raw.send(&text(packet)).await;
        }
        until_gone(&mut ended).await;
    }
}

#[actix_web::test]
async fn a_socket_that_polls_and_has_left_is_freed_with_all_that_waited_for_it() {
    let (server, mut ended) = start();
    let poller = Poller::connected(&server).await;
    poller.post(r#"42["end"]"#).await;
    until_gone(&mut ended).await;
}
