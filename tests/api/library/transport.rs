//! The transport of a session, and what a socket keeps.

use std::rc::Rc;

use echoroom::socketio::{Ack, Server, Socket, Transport};

use super::{By, EACH, Peer, Told};
use crate::{
    helpers::text,
    sockets::{Poller, next_text, serve},
};

#[actix_web::test]
async fn a_socket_knows_its_transport_and_is_told_once_of_an_upgrade() {
    let (tell, told) = Told::new();
    let io = Server::builder().build();
    for name in ["/", "/news"] {
        let tell = tell.clone();
        io.namespace(name)
            .upgrade(async move |socket: Socket, transport: Transport| {
                tell.tell(format!("{} {transport} {}", socket.namespace(), socket.transport()));
            })
            .on("transport", async |socket: Socket, ack: Ack| {
                ack.send(&(socket.transport().name(), socket.is_connected()));
            });
    }
    let server = serve(&io, 2);
    let poller = Poller::connected(&server).await;
    poller.post(r#"421["transport"]"#).await;
    assert_eq!(poller.poll().await.body, r#"431["polling",true]"#);
    poller.post("40/news,").await;
    assert!(poller.poll().await.body.starts_with("40/news,"));
    let mut raw = poller.upgraded().await;
    let mut both = [told.next().await, told.next().await];
    both.sort();
    assert_eq!(both, ["/ websocket websocket", "/news websocket websocket"]);
    raw.send(&text(r#"422["transport"]"#)).await;
    assert_eq!(next_text(&mut raw).await, r#"432["websocket",true]"#);
    assert!(told.is_quiet().await);
    let mut peer = Peer::connected(&server, By::WebSocket).await;
    peer.expect(r#"21["transport"]"#, r#"31["websocket",true]"#).await;
    assert!(told.is_quiet().await, "a session that began on a WebSocket has no upgrade");
}

#[actix_web::test]
async fn a_socket_is_connected_until_either_side_ends_that() {
    for by in EACH {
        for packet in ["1", r#"2["out"]"#, r#"2["end"]"#] {
            let (tell, told) = Told::new();
            let io = Server::builder().build();
            let [out, end] = [tell.clone(), tell.clone()];
            io.namespace("/")
                .on("out", async move |socket: Socket| {
                    socket.disconnect(false);
                    out.tell(socket.is_connected().to_string());
                    // Nothing goes to it any more.
                    socket.emit("late", &());
                })
                .on("end", async move |socket: Socket| {
                    socket.disconnect(true);
                    end.tell(socket.is_connected().to_string());
                })
                .disconnect(async move |socket: Socket, _| tell.tell(socket.is_connected().to_string()));
            let server = serve(&io, 1);
            let mut peer = Peer::connected(&server, by).await;
            peer.send(packet).await;
            told.expect(["false"]).await;
            if packet != "1" {
                told.expect(["false"]).await;
                assert_eq!(peer.next().await, "1");
            }
        }
    }
}

#[actix_web::test]
async fn each_socket_keeps_values_of_its_own_on_its_thread() {
    let io = Server::builder().build();
    io.namespace("/").on("count", async |socket: Socket, ack: Ack| {
        let count = socket.local_data::<u32>().map_or(0, |count: Rc<u32>| *count) + 1;
        socket.set_local_data(count);
        let is_other = socket.local_data::<String>().is_some();
        ack.send(&(count, is_other));
    });
    let server = serve(&io, 2);
    let (mut one, mut two) =
        (Peer::connected(&server, By::WebSocket).await, Peer::connected(&server, By::Polling).await);
    for count in 1..4 {
        for peer in [&mut one, &mut two] {
            peer.expect(r#"21["count"]"#, &format!("31[{count},false]")).await;
        }
    }
}
