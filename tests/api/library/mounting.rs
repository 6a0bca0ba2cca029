//! Servers of Socket.IO in a program's own application.

use std::{cell::Cell, rc::Rc};

use actix_web::{App, HttpResponse, HttpServer, rt, web};
use echoroom::socketio::{Ack, Server, Socket};

use super::{By, EACH, Peer};
use crate::{
    helpers::{RawClient, TestServer, text},
    sockets::{next_text, serve},
};

/// Runs applications on workers.
macro_rules! run {
    ($workers:expr, $app:expr) => {{
        let server = HttpServer::new($app).h1_allow_half_closed(false).workers($workers).disable_signals();
        let server = server.bind(("127.0.0.1", 0)).expect("a port");
        let address = server.addrs()[0];
        rt::spawn(server.run());
        TestServer::elsewhere(&format!("http://{address}"))
    }};
}

/// A server that says its name.
fn named(name: &'static str, path: &str) -> Server {
    let io = Server::builder().path(path).build();
    io.namespace("/").on("name", async move |_: Socket, ack: Ack| ack.send(name));
    io
}

async fn client(server: &TestServer, path: &str) -> RawClient {
    let mut raw = server.connect_raw(&format!("{path}/?EIO=4&transport=websocket")).await;
    next_text(&mut raw).await;
    raw.send(&text("40")).await;
    assert!(next_text(&mut raw).await.starts_with("40{"));
    raw
}

async fn name(raw: &mut RawClient) -> String {
    raw.send(&text(r#"421["name"]"#)).await;
    next_text(raw).await
}

#[actix_web::test]
async fn servers_at_several_paths_and_in_scopes_share_an_application_with_its_own_routes() {
    let (one, two, inner) = (named("one", "/socket.io"), named("two", "two"), named("inner", "/socket.io"));
    let all = [one.clone(), two.clone(), inner.clone()];
    let server = run!(2, move || {
        let [one, two, inner] = &all;
        App::new()
            .configure(one.routes())
            .configure(two.routes())
            .service(
                web::scope("/api").configure(inner.routes()).route("/own", web::get().to(HttpResponse::Ok)),
            )
            .route("/own", web::get().to(HttpResponse::Ok))
    });
    for (path, expected) in [("/socket.io", "one"), ("/two", "two"), ("/api/socket.io", "inner")] {
        let mut raw = client(&server, path).await;
        assert_eq!(name(&mut raw).await, format!(r#"431["{expected}"]"#));
        let answer = server.get_raw(&format!("{path}/?EIO=4&transport=polling"), "").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let script = server.get_raw(&format!("{path}/socket.io.js"), "").await;
        assert!(script.starts_with("HTTP/1.1 200 "), "{path}");
    }
    for path in ["/own", "/api/own"] {
        assert!(server.get_raw(path, "").await.starts_with("HTTP/1.1 200 "));
    }
    assert!(server.get_raw("/other", "").await.starts_with("HTTP/1.1 404 "));
    // Their sessions are apart.
    assert_eq!([&one, &two, &inner].map(Server::clients_count), [1, 1, 1]);
}

async fn news(io: web::Data<Server>, body: String) -> HttpResponse {
    io.to("tea").emit("news", &body);
    HttpResponse::Ok().finish()
}

#[actix_web::test]
async fn a_route_emits_to_the_clients_of_all_workers() {
    let io = Server::builder().build();
    io.namespace("/").connect(async |socket: Socket| {
        socket.join("tea").await.expect("there is room");
        socket.emit("ready", &());
    });
    let data = web::Data::new(io.clone());
    let server = run!(2, move || {
        App::new().app_data(data.clone()).configure(io.routes()).route("/news", web::post().to(news))
    });
    let mut peers = Vec::new();
    for by in [By::WebSocket, By::Polling, By::WebSocket, By::Polling] {
        let mut peer = Peer::connected(&server, by).await;
        assert_eq!(peer.next().await, r#"2["ready"]"#);
        peers.push(peer);
    }
    for number in 0..3 {
        let mut raw = server.connect_tcp().await;
        let request = format!("POST /news HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n{number}");
        raw.send(request.as_bytes()).await;
        assert!(raw.read_head().await.starts_with("HTTP/1.1 200 "));
        for peer in &mut peers {
            assert_eq!(peer.next().await, format!(r#"2["news","{number}"]"#));
        }
    }
}

#[actix_web::test]
async fn the_sockets_of_a_worker_share_its_state() {
    let io = Server::builder().build();
    io.namespace("/").on("count", async |socket: Socket, ack: Ack| {
        let count = socket.state::<Rc<Cell<u32>>>().expect("the worker has one");
        count.set(count.get() + 1);
        ack.send(&(count.get(), socket.state::<String>().is_none()));
    });
    let server = run!(1, move || App::new().configure(io.routes_with(Rc::new(Cell::new(10)))));
    let (mut one, mut two) =
        (Peer::connected(&server, By::WebSocket).await, Peer::connected(&server, By::Polling).await);
    for round in 0..3 {
        one.expect(r#"21["count"]"#, &format!("31[{},true]", 11 + 2 * round)).await;
        two.expect(r#"21["count"]"#, &format!("31[{},true]", 12 + 2 * round)).await;
    }
}

#[actix_web::test]
async fn a_server_without_a_state_has_none() {
    let io = Server::builder().build();
    io.namespace("/")
        .on("state", async |socket: Socket, ack: Ack| ack.send(&socket.state::<u32>().is_some()));
    let server = serve(&io, 1);
    for by in EACH {
        Peer::connected(&server, by).await.expect(r#"21["state"]"#, "31[false]").await;
    }
}
