//! A program's own namespaces on the program's server, beside the chat.

use actix_web::rt;
use echoroom::{
    app::Application,
    config::Switch,
    socketio::{Ack, Socket},
};

use crate::{
    helpers::{TestServer, settings, text},
    sockets::{Poller, next_text, websocket},
};

#[actix_web::test]
async fn a_namespace_of_ones_own_is_on_the_program_s_server_beside_the_chat() {
    let settings = settings().with(|s| s.socketio.relay = Switch::On);
    let application = Application::build(settings).expect("a server");
    let io = application.socketio().clone();
    io.namespace("/sums").on("sum", async |_: Socket, (a, b): (i64, i64), ack: Ack| ack.send(&(a + b)));
    let (stop, port) = (application.handle(), application.port());
    let running = rt::spawn(application.run());
    let server = TestServer::elsewhere(&format!("http://127.0.0.1:{port}"));
    let (mut raw, _) = websocket(&server).await;
    raw.send(&text("40/sums,")).await;
    assert!(next_text(&mut raw).await.starts_with("40/sums,{"));
    raw.send(&text(r#"42/sums,1["sum",2,3]"#)).await;
    assert_eq!(next_text(&mut raw).await, "43/sums,1[5]");
    io.namespace("/sums").emit("news", &"tea");
    // With an offset: the program's server has connection state recovery.
    assert_eq!(next_text(&mut raw).await, r#"42/sums,["news","tea","1"]"#);
    // The chat and the relay are there as before.
    let poller = Poller::connected(&server).await;
    assert_eq!(poller.post("421[\"ping\",{}]").await.status, 200);
    assert!(poller.poll().await.body.starts_with("431[{\"at\":"));
    raw.send(&text("40/relay,")).await;
    assert!(next_text(&mut raw).await.starts_with("40/relay,{"));
    assert_eq!(io.namespaces(), ["/", "/relay", "/sums"]);
    stop.stop().await;
    running.await.expect("no panic").expect("no error");
}
