//! What a middleware does with its socket holds for the recovered socket, too, if recovered clients are asked again.

use actix_web::rt;
use echoroom::socketio::{Recovery, Server, Socket};
use serde_json::Value;

use super::{By, Peer, Told, until};
use crate::sockets::serve;

#[actix_web::test]
async fn what_a_middleware_has_begun_goes_on_with_a_client_that_is_recovered() {
    let (tell, told) = Told::new();
    let io = Server::builder()
        .connection_state_recovery(Recovery { skip_middlewares: false, ..Recovery::default() })
        .build();
    let of_connect = tell.clone();
    io.namespace("/")
        .middleware(async move |socket: Socket| {
            let tell = tell.clone();
            socket.set_local_data("kept".to_owned());
            let (joining, answer) = (socket.join("tea"), socket.emit_with_ack::<u8>("early", &()));
            rt::spawn(async move {
                tell.tell(format!("joined {:?}", joining.await));
                tell.tell(format!("answer {:?}", answer.await.ok()));
            });
            socket.on("hello", async |socket: Socket, text: String| socket.emit("hello", &text));
            Ok(())
        })
        .connect(async move |socket: Socket| {
            let kept = socket.local_data::<String>();
            of_connect.tell(format!(
                "{} {}",
                socket.is_recovered(),
                kept.is_some_and(|kept| *kept == "kept")
            ));
        });
    let server = serve(&io, 1);
    let mut connect = String::from("0");
    for is_recovered in [false, true, true] {
        let mut peer = Peer::open(&server, By::WebSocket).await;
        peer.send(&connect).await;
        let reply = peer.next().await;
        let reply: Value = serde_json::from_str(&reply[1..]).expect("a reply to CONNECT");
        let early = peer.next().await;
        let id: String = early.trim_start_matches('2').chars().take_while(char::is_ascii_digit).collect();
        assert_eq!(early, format!(r#"2{id}["early"]"#));
        // The order of a handler and of another task is not promised.
        let mut both = [told.next().await, told.next().await];
        both.sort_unstable();
        let mut expected = [format!("{is_recovered} true"), "joined Ok(())".to_owned()];
        expected.sort_unstable();
        assert_eq!(both, expected);
        peer.send(&format!("3{id}[7]")).await;
        told.expect(["answer Some(7)"]).await;
        peer.send(r#"2["hello","a"]"#).await;
        let hello = peer.next().await;
        let hello: Value = serde_json::from_str(&hello[1..]).expect("an event");
        assert_eq!(hello[1], "a");
        connect = format!(r#"0{{"pid":{},"offset":{}}}"#, reply["pid"], hello[2]);
        peer.leave().await;
        until("the client is lost", async || io.clients_count() == 0).await;
    }
}
