//! An engine of Socket.IO that closes.

use echoroom::socketio::Server;

use crate::{
    embedded::{Embedded, POLLING, WEBSOCKET, status},
    helpers::soon,
    sockets::{Poller, expect_closed, websocket},
};

#[actix_web::test]
async fn an_engine_that_closes_ends_its_sessions_and_refuses_new_ones() {
    let embedded = Embedded::start(Server::builder());
    let (raw, _) = websocket(&embedded.server).await;
    let poller = Poller::open(&embedded.server).await;
    for _ in 0..2 {
        assert!(embedded.told().await.starts_with("opened by"));
    }
    let (poll, ()) = soon("the end", futures_util::future::join(poller.poll(), embedded.io.close())).await;
    assert!(poll.status == 400 || poll.body.ends_with('1'), "the waiting poll: {}", poll.body);
    expect_closed(raw).await;
    for _ in 0..2 {
        assert_eq!(embedded.told().await, "closed: server shutting down");
    }
    assert_eq!(embedded.io.clients_count(), 0);
    let (head, _) = embedded.get(POLLING, "").await;
    assert_eq!((status(&head), status(&embedded.shake_hands(WEBSOCKET, "").await)), ("503", "503"));
    soon("a second end", embedded.io.close()).await;
}
