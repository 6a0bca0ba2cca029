//! Listeners are told of events to their clients.

use echoroom::socketio::{Server, Socket};

use super::{EACH, Peer};
use crate::sockets::serve;

#[actix_web::test]
async fn a_listener_of_outgoing_events_may_emit_to_the_client() {
    for by in EACH {
        let io = Server::builder().build();
        io.namespace("/").on_any_outgoing(|socket: &Socket, _| socket.emit("echo", &1)).on(
            "go",
            async |socket: Socket| {
                let me = socket.clone();
                socket.on_any_outgoing(move |_, _| me.emit("again", &2));
                socket.emit("event", &());
            },
        );
        let server = serve(&io, 1);
        let mut peer = Peer::connected(&server, by).await;
        peer.send(r#"2["go"]"#).await;
        for event in [r#"2["echo",1]"#, r#"2["again",2]"#, r#"2["event"]"#] {
            assert_eq!(peer.next().await, event);
        }
    }
}
