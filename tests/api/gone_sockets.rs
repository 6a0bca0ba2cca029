//! A socket that has left keeps nothing: what it waited for is forgotten with it.

use echoroom::socketio::{
    Args, EngineSettings,
    namespaces::{Event, Namespace, Namespaces, Refusal, Socket, SocketHandler},
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    helpers::{TestServer, soon, text},
    sockets::{Poller, connected, serve},
};

/// Waits for an answer and for a room whenever its client says so, and once more when its client has left. Each callback
/// owns a clone of the socket, and the half of a channel by which the test learns that the callback is gone.
#[derive(Clone)]
struct Waiting {
    callbacks: mpsc::UnboundedSender<oneshot::Receiver<()>>,
}

impl Waiting {
    fn wait(&self, socket: &Socket) {
        let (asked, asked_gone) = oneshot::channel::<()>();
        let (entering, entering_gone) = oneshot::channel::<()>();
        let (by_ask, by_enter) = (socket.clone(), socket.clone());
        let question = Args { json: r#"["question"]"#.into(), attachments: Vec::new() };
        socket.emit_with_ack(&question, move |_| drop((by_ask, asked)));
        socket.join_and("room", move |_, _| drop((by_enter, entering)));
        for gone in [asked_gone, entering_gone] {
            self.callbacks.send(gone).expect("the test listens");
        }
    }
}

impl Namespace for Waiting {
    fn admit(&self, _: &str) -> Result<Box<dyn SocketHandler>, Refusal> {
        Ok(Box::new(self.clone()))
    }
}

impl SocketHandler for Waiting {
    fn event(&mut self, socket: &Socket, event: Event) {
        self.wait(socket);
        match &*event.name {
            "wait" => {}
            // In the same turn: neither the client nor the rooms have answered yet.
            "out" => socket.disconnect(false),
            "end" => socket.disconnect(true),
            other => panic!("{other}"),
        }
    }

    fn disconnected(&mut self, socket: &Socket, _: &str) {
        self.wait(socket);
    }
}

fn start() -> (TestServer, mpsc::UnboundedReceiver<oneshot::Receiver<()>>) {
    let (callbacks, receiver) = mpsc::unbounded_channel();
    let waiting = Waiting { callbacks };
    let namespaces = move || Namespaces::default().with("/", waiting.clone());
    (serve(EngineSettings::default(), 1, namespaces).0, receiver)
}

/// Waits until the callbacks are gone: two of the event, two of the handler's last turn.
async fn until_gone(callbacks: &mut mpsc::UnboundedReceiver<oneshot::Receiver<()>>) {
    for number in 0..4 {
        let gone = soon("a callback", callbacks.recv()).await.expect("one is made");
        // Nothing is ever sent: it ends when the callback does.
        let _ = soon(&format!("the end of callback {number}"), gone).await;
    }
}

/// How a client leaves. `42["wait"]` is on its way before the last two: their handler has waited when they are gone.
const WAYS: [&[&str]; 4] =
    [&[r#"42["out"]"#], &[r#"42["end"]"#], &[r#"42["wait"]"#, "41"], &[r#"42["wait"]"#, "1"]];

#[actix_web::test]
async fn callbacks_of_a_socket_that_has_left_are_dropped_however_it_left() {
    for way in WAYS {
        let (server, mut callbacks) = start();
        let mut raw = connected(&server).await;
        for packet in way {
            raw.send(&text(packet)).await;
        }
        until_gone(&mut callbacks).await;
    }
}

#[actix_web::test]
async fn callbacks_of_a_socket_that_polls_are_dropped_when_it_leaves() {
    let (server, mut callbacks) = start();
    let poller = Poller::connected(&server).await;
    poller.post(r#"42["end"]"#).await;
    until_gone(&mut callbacks).await;
}
