//! Connections are counted, in all and for each address; one too many is told so, and the health of the server can be
//! asked for all the same.

use std::num::NonZeroUsize;

use echoroom::config::PerAddress;
use tokio::{io::AsyncReadExt as _, net::TcpSocket};

use crate::helpers::{RawClient, TestServer, settings, soon};

async fn ask(raw: &mut RawClient, path: &str) -> String {
    raw.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await;
    let head = raw.read_head().await;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    raw.read_exact(length.parse().expect("a number")).await;
    head
}

/// The answer on a new connection, whole.
async fn ask_anew(server: &TestServer, path: &str) -> String {
    let mut raw = server.connect_tcp().await;
    raw.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await;
    let mut answer = String::new();
    soon("an answer", raw.stream.read_to_string(&mut answer)).await.expect("UTF-8");
    answer
}

fn assert_refused(answer: &str, setting: &str) {
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("retry-after: ") && answer.contains(setting), "{answer}");
}

async fn assert_the_bound_holds(server: TestServer, bound: usize, setting: &str) {
    let mut open = Vec::new();
    for _ in 0..bound {
        let mut raw = server.connect_tcp().await;
        assert!(ask(&mut raw, "/limits").await.starts_with("HTTP/1.1 200 "));
        open.push(raw);
    }
    assert_refused(&ask_anew(&server, "/limits").await, setting);
    let mut handshake = server.connect_tcp().await;
    handshake.send(handshake.upgrade_request("/ws").as_bytes()).await;
    let mut answer = String::new();
    soon("an answer", handshake.stream.read_to_string(&mut answer)).await.expect("UTF-8");
    assert_refused(&answer, setting);
    for path in ["/health", "/metrics"] {
        let answer = ask_anew(&server, path).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("connection: close\r\n"), "{answer}");
    }
    // Those that are in are not disturbed, and each that leaves gives its place back.
    assert!(ask(&mut open[0], "/limits").await.starts_with("HTTP/1.1 200 "));
    drop(open);
    soon("a place", async { while !ask_anew(&server, "/limits").await.starts_with("HTTP/1.1 200 ") {} })
        .await;
}

#[actix_web::test]
async fn one_connection_too_many_is_told_so_and_health_is_answered() {
    let bounded = settings().with(|s| s.connections.max_connections = NonZeroUsize::new(3));
    assert_the_bound_holds(TestServer::with(bounded).await, 3, "--max-connections").await;
}

#[actix_web::test]
async fn one_connection_too_many_of_an_address_is_told_so_and_health_is_answered() {
    let bounded = settings().with(|s| s.connections.max_connections_per_address = PerAddress::for_all(3));
    assert_the_bound_holds(TestServer::with(bounded).await, 3, "--max-connections-per-address").await;
}

#[actix_web::test]
async fn a_websocket_is_a_connection_as_long_as_it_lasts() {
    let server = TestServer::with(
        settings().with(|s| s.connections.max_connections_per_address = PerAddress::for_all(1)),
    )
    .await;
    let mut session = server.connect("/echo").await;
    assert_refused(&ask_anew(&server, "/limits").await, "--max-connections-per-address");
    session.send("still here").await;
    assert_eq!(session.next_text().await, "still here");
    session.close().await;
    soon("a place", async { while !ask_anew(&server, "/limits").await.starts_with("HTTP/1.1 200 ") {} })
        .await;
}

#[actix_web::test]
async fn another_address_gets_in_where_one_has_all_it_may_have() {
    let server = TestServer::with(
        settings().with(|s| s.connections.max_connections_per_address = PerAddress::for_all(1)),
    )
    .await;
    let _first = server.connect("/ws").await;
    assert_refused(&ask_anew(&server, "/limits").await, "--max-connections-per-address");
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 2], 0).into()).expect("another loopback address");
    let mut stream = soon("a connection", socket.connect(server.address)).await.expect("connected");
    tokio::io::AsyncWriteExt::write_all(
        &mut stream,
        b"GET /limits HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )
    .await
    .expect("sent");
    let mut answer = String::new();
    soon("an answer", stream.read_to_string(&mut answer)).await.expect("UTF-8");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[actix_web::test]
async fn a_trusted_proxy_may_have_all_connections_of_its_clients() {
    let server = TestServer::with(settings().with(|s| {
        s.connections.max_connections_per_address = PerAddress::for_all(1);
        s.admission.trusted_proxy = vec!["127.0.0.1".parse().expect("an address")];
    }))
    .await;
    let _both = [server.connect("/ws").await, server.connect("/ws").await];
    assert!(ask_anew(&server, "/limits").await.starts_with("HTTP/1.1 200 "));
}

#[actix_web::test]
async fn health_is_answered_behind_any_number_of_silent_connections() {
    let server =
        TestServer::with(settings().with(|s| s.connections.max_connections = NonZeroUsize::new(1))).await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(server.connect_tcp().await);
    }
    assert!(ask_anew(&server, "/health").await.starts_with("HTTP/1.1 200 "));
}
