//! Admission: who may connect, as what, and what happens meanwhile.

use std::{future::pending, sync::Arc};

use echoroom::socketio::{Ack, Handshake, Namespace, Refusal, Server, Socket};
use serde_json::json;
use tokio::sync::Semaphore;

use super::{By, EACH, Peer, Tell, Told, until};
use crate::{
    helpers::text,
    sockets::{joined, next_text, serve},
};

/// What the admission has found out.
#[derive(Debug)]
struct User {
    name: String,
}

#[actix_web::test]
async fn an_admission_sees_headers_cookies_query_address_and_auth() {
    let io = Server::builder().build();
    let main = io.namespace("/").admit(async |handshake: &Handshake| {
        let auth: serde_json::Value = handshake.auth().map_err(|_| Refusal::new("auth is wrong"))?;
        Ok(User {
            name: format!(
                "{:?} {:?} {:?} {} {}",
                handshake.header("X-Token"),
                handshake.cookie("id"),
                handshake.query("name"),
                handshake.address().is_some_and(|address| address.is_loopback()),
                auth["word"],
            ),
        })
    });
    main.connect(async |socket: Socket<User>| socket.emit("name", &socket.data().name));
    let server = serve(&io, 1);
    let mut raw = server.connect_tcp().await;
    let request = raw.upgrade_request("/socket.io/?EIO=4&transport=websocket&name=T%C3%A9a");
    let headers = "X-Token: one\r\nCookie: id=two\r\nUpgrade: w";
    raw.send(request.replace("Upgrade: w", headers).as_bytes()).await;
    raw.read_head().await;
    next_text(&mut raw).await;
    raw.send(&text(r#"40{"word":"three"}"#)).await;
    assert!(next_text(&mut raw).await.starts_with("40{"));
    let name = r#"Some("one") Some("two") Some("Téa") true "three""#;
    assert_eq!(next_text(&mut raw).await, format!("42{}", json!(["name", name])));
}

/// A server with a namespace whose admission waits at a gate, and admits all but those who say `no`. Its handlers tell
/// what happens.
fn start() -> (Server, Arc<Semaphore>, Told) {
    let ((tell, told), gate) = (Told::new(), Arc::new(Semaphore::new(0)));
    let io = Server::builder().build();
    io.namespace("/").on("ping", async |_: Socket, ack: Ack| ack.send("pong"));
    let (at, tells) = (Arc::clone(&gate), tell.clone());
    let slow = io.namespace("/slow").admit(async move |handshake: &Handshake| {
        tells.tell("asked");
        at.acquire().await.map_err(|_| "closed")?.forget();
        match handshake.auth_json().contains("no") {
            true => Err(Refusal::with_data("go away", json!({"why": [1]}))),
            false => Ok(User { name: handshake.auth_json().to_owned() }),
        }
    });
    let [connected, said, left] = [tell.clone(), tell.clone(), tell];
    slow.connect(async move |_: Socket<User>| connected.tell("connected"))
        .on("say", async move |_: Socket<User>, word: String| said.tell(word))
        .disconnect(async move |_: Socket<User>, reason| left.tell(reason.as_str()));
    (io, gate, told)
}

#[actix_web::test]
async fn an_admission_that_waits_stops_no_other_client_nor_namespace() {
    for by in EACH {
        let (io, gate, told) = start();
        let server = serve(&io, 1);
        let (mut peer, mut other) = (Peer::connected(&server, by).await, Peer::connected(&server, by).await);
        peer.send("0/slow,").await;
        told.expect(["asked"]).await;
        for peer in [&mut peer, &mut other] {
            peer.expect(r#"27["ping"]"#, r#"37["pong"]"#).await;
        }
        gate.add_permits(1);
        assert!(peer.next().await.starts_with(r#"0/slow,{"sid":""#));
        told.expect(["connected"]).await;
    }
}

#[actix_web::test]
async fn packets_that_come_during_an_admission_are_handled_afterwards_in_their_order() {
    for by in EACH {
        let (io, gate, told) = start();
        let server = serve(&io, 2);
        let mut peer = Peer::connected(&server, by).await;
        // The second CONNECT is that of a client that has not read the first reply.
        let packets = [r#"2/slow,["say","one"]"#, "0/slow,", r#"2/slow,["say","two"]"#, "1/slow,"];
        peer.send("0/slow,").await;
        peer.send_all(&packets).await;
        told.expect(["asked"]).await;
        peer.expect(r#"27["ping"]"#, r#"37["pong"]"#).await;
        assert!(told.is_quiet().await);
        gate.add_permits(2);
        assert!(peer.next().await.starts_with(r#"0/slow,{"sid":""#));
        told.expect(["connected", "one", "two", "client namespace disconnect"]).await;
        peer.expect(r#"27["ping"]"#, r#"37["pong"]"#).await;
        assert!(told.is_quiet().await, "it was asked once");
    }
}

#[actix_web::test]
async fn a_refusal_has_its_data_and_what_came_meanwhile_is_dropped() {
    for by in EACH {
        let (io, gate, told) = start();
        let server = serve(&io, 2);
        let mut peer = Peer::connected(&server, by).await;
        for _ in 0..3 {
            peer.send_all(&[r#"0/slow,{"is":"no"}"#, r#"2/slow,["say","one"]"#]).await;
            told.expect(["asked"]).await;
            // Both packets have come.
            peer.expect(r#"27["ping"]"#, r#"37["pong"]"#).await;
            gate.add_permits(1);
            assert_eq!(peer.next().await, r#"4/slow,{"message":"go away","data":{"why":[1]}}"#);
            peer.expect(r#"27["ping"]"#, r#"37["pong"]"#).await;
            assert!(told.is_quiet().await);
        }
        gate.add_permits(1);
        peer.join("/slow,").await;
        told.expect(["asked", "connected"]).await;
    }
}

#[actix_web::test]
async fn each_connect_that_comes_behind_a_refusal_or_a_disconnect_during_an_admission_is_answered() {
    for by in EACH {
        let (io, gate, told) = start();
        let server = serve(&io, 2);
        let mut peer = Peer::connected(&server, by).await;
        let no = r#"0/slow,{"is":"no"}"#;
        peer.send_all(&[no, r#"2/slow,["say","dropped"]"#, "0/slow,", "1/slow,", no]).await;
        peer.expect(r#"27["ping"]"#, r#"37["pong"]"#).await;
        told.expect(["asked"]).await;
        gate.add_permits(3);
        let refused = r#"4/slow,{"message":"go away","data":{"why":[1]}}"#;
        assert_eq!(peer.next().await, refused);
        assert!(peer.next().await.starts_with(r#"0/slow,{"sid":""#));
        told.expect(["asked", "connected", "client namespace disconnect", "asked"]).await;
        assert_eq!(peer.next().await, refused);
        peer.expect(r#"27["ping"]"#, r#"37["pong"]"#).await;
        assert!(told.is_quiet().await);
    }
}

/// Sends its word when it is dropped.
struct Token(Tell);

impl Drop for Token {
    fn drop(&mut self) {
        self.0.tell("dropped");
    }
}

#[actix_web::test]
async fn of_a_client_that_goes_during_its_admission_nothing_is_left() {
    for by in EACH {
        for in_middleware in [false, true] {
            let (tell, told) = Told::new();
            let io = Server::builder().build();
            let wait = async move |tell: Tell| {
                let token = Token(tell.clone());
                tell.tell("asked");
                pending::<()>().await;
                drop(token);
            };
            let namespace = io.namespace("/");
            let tells = tell.clone();
            let namespace: Namespace<()> = match in_middleware {
                true => namespace.middleware(async move |socket: Socket| {
                    socket.set_local_data(Token(tells.clone()));
                    drop(socket.join("tea"));
                    wait(tells.clone()).await;
                    Ok(())
                }),
                false => namespace.admit(async move |_| {
                    wait(tells.clone()).await;
                    Ok(())
                }),
            };
            let (connected, left) = (tell.clone(), tell);
            namespace
                .connect(async move |_: Socket| connected.tell("connected"))
                .disconnect(async move |_: Socket, _| left.tell("left"));
            let server = serve(&io, 1);
            let mut peer = Peer::open(&server, by).await;
            peer.send("0").await;
            told.expect(["asked"]).await;
            assert_eq!(io.clients_count(), 1);
            peer.leave().await;
            told.expect(["dropped"]).await;
            if in_middleware {
                told.expect(["dropped"]).await;
            }
            until("no session", async || io.clients_count() == 0).await;
            assert!(io.fetch_sockets().await.expect("a reply").is_empty() && told.is_quiet().await);
        }
    }
}

#[actix_web::test]
async fn middlewares_run_in_their_order_and_the_first_refusal_counts() {
    for by in EACH {
        let (tell, told) = Told::new();
        let io = Server::builder().build();
        let admitted = io.namespace("/").admit(async |handshake: &Handshake| {
            Ok::<_, Refusal>(User { name: handshake.auth_json().to_owned() })
        });
        let checks = ["one", "two", "three"].into_iter().fold(admitted, |namespace, number| {
            let tell = tell.clone();
            namespace.middleware(async move |socket: Socket<User>| {
                actix_web::rt::task::yield_now().await;
                tell.tell(format!("{number} {}", socket.id().len()));
                match socket.data().name.contains(number) {
                    true => Err(Refusal::new(format!("{number} refuses"))),
                    false => Ok(()),
                }
            })
        });
        checks.connect(async move |_: Socket<User>| tell.tell("connected"));
        let server = serve(&io, 1);
        let mut peer = Peer::open(&server, by).await;
        peer.expect(r#"0{"no":"two"}"#, r#"4{"message":"two refuses"}"#).await;
        told.expect(["one 20", "two 20"]).await;
        peer.join("").await;
        told.expect(["one 20", "two 20", "three 20", "connected"]).await;
    }
}

#[actix_web::test]
async fn what_a_middleware_does_with_its_socket_happens_once_that_is_connected() {
    for by in EACH {
        let io = Server::builder().build();
        let main = io.namespace("/").middleware(async |socket: Socket| {
            socket.join(["tea", "cake"]).await.expect("it is ready at once");
            socket.leave("cake");
            socket.emit("early", &socket.is_connected());
            Ok(())
        });
        main.connect(async |socket: Socket| socket.emit("connected", &socket.is_connected()));
        let server = serve(&io, 2);
        let mut peer = Peer::open(&server, by).await;
        peer.join("").await;
        assert_eq!(peer.next().await, r#"2["early",false]"#);
        assert_eq!(peer.next().await, r#"2["connected",true]"#);
        let rooms = io.namespace("/").rooms().await.expect("a reply");
        assert_eq!(rooms, [("tea".into(), 1)]);
        io.to("tea").emit("news", &());
        assert_eq!(peer.next().await, r#"2["news"]"#);
    }
}

#[actix_web::test]
async fn of_a_client_that_a_middleware_refuses_nothing_is_left() {
    let (tell, told) = Told::new();
    let io = Server::builder().build();
    io.namespace("/").admit(async move |_| Ok::<_, Refusal>(Token(tell.clone()))).middleware(
        async |socket: Socket<Token>| {
            // Circles.
            socket.set_local_data(socket.clone());
            let owner = socket.clone();
            socket.on("say", async move |_: Socket<Token>| drop(owner.clone()));
            Err("go away".into())
        },
    );
    let server = serve(&io, 1);
    let mut peer = Peer::open(&server, By::WebSocket).await;
    for _ in 0..3 {
        peer.expect("0", r#"4{"message":"go away"}"#).await;
        told.expect(["dropped"]).await;
    }
}

#[actix_web::test]
async fn a_middleware_that_disconnects_its_socket_refuses_the_client() {
    for close in [false, true] {
        let io = Server::builder().build();
        io.namespace("/").middleware(async move |socket: Socket| {
            socket.disconnect(close);
            Ok(())
        });
        let server = serve(&io, 1);
        let mut peer = Peer::open(&server, By::WebSocket).await;
        peer.expect("0", r#"4{"message":"Disconnected"}"#).await;
        if close {
            until("no session", async || io.clients_count() == 0).await;
        }
    }
}

#[actix_web::test]
async fn the_data_of_a_socket_is_seen_from_other_threads() {
    let (io, gate, told) = start();
    let server = serve(&io, 2);
    gate.add_permits(1);
    let (_raw, reply) = joined(&server, "/slow", r#"{"a":1}"#).await;
    told.expect(["asked", "connected"]).await;
    let id = reply["sid"].as_str().expect("an id");
    let socket = io.namespace("/slow").socket(id).await.expect("a reply").expect("it is there");
    assert_eq!(socket.data::<User>().expect("a user").name, r#"{"a":1}"#);
    assert!(socket.data::<String>().is_none());
    assert_eq!(socket.handshake().auth_json(), r#"{"a":1}"#);
}
