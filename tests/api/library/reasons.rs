//! The disconnect handler runs once, and learns why.

use std::time::Duration;

use echoroom::socketio::{Builder, Reason, Server, Socket};

use super::{By, EACH, Peer, Told, until};
use crate::{helpers::soon, sockets::serve};

/// How a session or a socket ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    ClientDisconnects,
    ClientCloses,
    ClientIsSilent,
    BadPacket,
    UnknownNamespace,
    HandlerDisconnects,
    HandlerCloses,
    AllAreDisconnected,
    AllAreClosed,
    ServerCloses,
}

const WAYS: [(Way, &str); 10] = [
    (Way::ClientDisconnects, "client namespace disconnect"),
    (Way::ClientCloses, "transport close"),
    (Way::ClientIsSilent, "ping timeout"),
    (Way::BadPacket, "parse error"),
    (Way::UnknownNamespace, "parse error"),
    (Way::HandlerDisconnects, "server namespace disconnect"),
    (Way::HandlerCloses, "server namespace disconnect"),
    (Way::AllAreDisconnected, "server namespace disconnect"),
    (Way::AllAreClosed, "server namespace disconnect"),
    (Way::ServerCloses, "server shutting down"),
];

fn builder(way: Way) -> Builder {
    let builder = Server::builder();
    match way {
        Way::ClientIsSilent => {
            // Long enough for the client to connect on a busy machine.
            builder.ping_interval(Duration::from_millis(300)).ping_timeout(Duration::from_millis(300))
        }
        _ => builder,
    }
}

/// A client that polls learns of the end by its next polls; until then its session is kept.
async fn hear_the_end(peer: &mut Peer<'_>) {
    if let Peer::Polling(poller, _) = peer {
        loop {
            let answer = poller.poll().await;
            if answer.status != 200 || answer.body.ends_with('1') {
                return;
            }
        }
    }
}

/// Ends a client in a way. Returns its connection, if the client has not closed it.
async fn end<'a>(io: &Server, mut peer: Peer<'a>, way: Way) -> Option<Peer<'a>> {
    match way {
        Way::ClientDisconnects => peer.send("1").await,
        Way::ClientCloses => {
            peer.leave().await;
            return None;
        }
        Way::ClientIsSilent => {}
        Way::BadPacket => peer.send("2{}").await,
        Way::UnknownNamespace => peer.send(r#"2/unknown,["x"]"#).await,
        Way::HandlerDisconnects => peer.send(r#"2["out"]"#).await,
        Way::HandlerCloses => peer.send(r#"2["end"]"#).await,
        Way::AllAreDisconnected => io.disconnect_sockets(false),
        Way::AllAreClosed => io.disconnect_sockets(true),
        Way::ServerCloses => {
            soon("the end", futures_util::future::join(io.close(), hear_the_end(&mut peer))).await;
        }
    }
    Some(peer)
}

fn start(way: Way) -> (Server, Told) {
    let (tell, told) = Told::new();
    let io = builder(way).build();
    io.namespace("/")
        .on("out", async |socket: Socket| socket.disconnect(false))
        .on("end", async |socket: Socket| socket.disconnect(true))
        .disconnect(async move |_, reason: Reason| tell.tell(reason.as_str()));
    (io, told)
}

#[actix_web::test]
async fn the_disconnect_handler_runs_once_with_the_reason_by_each_transport() {
    for (way, reason) in WAYS {
        for by in EACH {
            let (io, told) = start(way);
            let server = serve(&io, 2);
            let peer = Peer::connected(&server, by).await;
            let mut peer = end(&io, peer, way).await;
            assert_eq!(told.next().await, reason, "{way:?} {by:?}");
            let stays =
                matches!(way, Way::ClientDisconnects | Way::HandlerDisconnects | Way::AllAreDisconnected);
            if !stays {
                if let Some(peer) = &mut peer {
                    hear_the_end(peer).await;
                }
                until(&format!("no session: {way:?} {by:?}"), async || io.clients_count() == 0).await;
            }
            assert!(told.is_quiet().await, "{way:?} {by:?}: it runs once");
            until("no socket", async || io.fetch_sockets().await.is_ok_and(|all| all.is_empty())).await;
        }
    }
}

#[actix_web::test]
async fn a_session_that_the_server_closes_disconnects_the_sockets_of_all_its_namespaces() {
    for by in EACH {
        let (io, told) = start(Way::HandlerCloses);
        let (tell, told_of_news) = Told::new();
        io.namespace("/news").disconnect(async move |_, reason: Reason| tell.tell(reason.as_str()));
        let server = serve(&io, 1);
        let mut peer = Peer::connected(&server, by).await;
        peer.join("/news,").await;
        peer.send(r#"2["end"]"#).await;
        told.expect(["server namespace disconnect"]).await;
        told_of_news.expect(["server namespace disconnect"]).await;
        let mut packets = [peer.next().await, peer.next().await];
        packets.sort();
        assert_eq!(packets, ["1", "1/news,"]);
    }
}

#[actix_web::test]
async fn only_a_client_that_was_lost_is_a_loss() {
    for (way, is_loss) in
        [(Way::ClientIsSilent, true), (Way::ClientCloses, true), (Way::HandlerCloses, false)]
    {
        let (tell, told) = Told::new();
        let (io, _) = start(way);
        io.namespace("/").disconnect(async move |_, reason: Reason| tell.tell(reason.is_loss().to_string()));
        let server = serve(&io, 1);
        let peer = Peer::connected(&server, By::WebSocket).await;
        let _peer = end(&io, peer, way).await;
        assert_eq!(told.next().await, is_loss.to_string(), "{way:?}");
    }
}
