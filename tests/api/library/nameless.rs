//! Events that a client would end its connection for are not sent to it.

use echoroom::socketio::{Args, ByteString, Server, Socket};

use super::{EACH, Peer};
use crate::sockets::serve;

/// Events without a name, or with one that only libraries emit.
const BAD: [&str; 6] = ["[]", "[null]", "[{}]", r#"["connect"]"#, r#"["disconnect",1]"#, "{}"];

fn bad() -> impl Iterator<Item = Args> {
    BAD.into_iter().map(|json| Args { json: ByteString::from_static(json), attachments: Vec::new() })
}

#[actix_web::test]
async fn an_event_without_a_name_reaches_no_client_whoever_emits_it() {
    for by in EACH {
        let io = Server::builder().build();
        let namespace = io.namespace("/");
        let everybody = namespace.clone();
        namespace.on("go", async move |socket: Socket| {
            for args in bad() {
                socket.emit_args(args.clone());
                socket.within(socket.id()).emit_args(args.clone());
                everybody.emit_args(args.clone());
                let acks = everybody.to(socket.id()).emit_args_with_ack::<()>(args);
                assert!(acks.all().await.is_err_and(|missing| missing.is_cut_off && missing.acks.is_empty()));
            }
            everybody.emit("end", &());
        });
        let server = serve(&io, 1);
        let mut peer = Peer::connected(&server, by).await;
        peer.send(r#"2["go"]"#).await;
        assert_eq!(peer.next().await, r#"2["end"]"#, "{by:?}");
    }
}
