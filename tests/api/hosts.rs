//! A page whose name is made to mean this server's address (DNS rebinding) gets no answer: the server answers for names
//! that can be registered only if `--host` allows them.

use std::sync::Arc;

use actix_web::App;
use echoroom::{
    app::{Node, embed},
    config::Settings,
};
use tokio::io::AsyncReadExt as _;

use crate::{
    helpers::{TestServer, settings, soon},
    program::{echoroom, start},
};

/// Every kind of address: the page, its files, what is not there, JSON, doors to sessions, lessons, both ways to Socket.IO.
const ADDRESSES: [&str; 15] = [
    "/",
    "/main.js",
    "/nothing",
    "/ws",
    "/ws?room=tea",
    "/echo",
    "/chat",
    "/health",
    "/metrics",
    "/rooms",
    "/limits",
    "/lesson/news",
    "/lesson/break/refused",
    "/socket.io/?EIO=4&transport=polling",
    "/socket.io/socket.io.js",
];

const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// The answer to a request, as far as it has come when the head is there.
async fn answer(server: &TestServer, request: &str) -> String {
    let mut raw = server.connect_tcp().await;
    raw.send(request.as_bytes()).await;
    raw.read_head().await
}

async fn whole_answer(server: &TestServer, request: &str) -> String {
    let mut raw = server.connect_tcp().await;
    raw.send(request.as_bytes()).await;
    let mut answer = String::new();
    soon("an answer", raw.stream.read_to_string(&mut answer)).await.expect("UTF-8");
    answer
}

async fn status(server: &TestServer, target: &str, headers: &str) -> String {
    let head = answer(server, &format!("GET {target} HTTP/1.1\r\n{headers}\r\n")).await;
    head[9..12].to_owned()
}

fn setting(hosts: &[&str]) -> Settings {
    settings().with(|s| s.origins.host = hosts.iter().map(|host| host.parse().expect("a host")).collect())
}

#[actix_web::test]
async fn a_name_that_anybody_could_register_gets_421_at_every_address() {
    let server = TestServer::start().await;
    for address in ADDRESSES {
        let host = "Host: evil.example:3000\r\nOrigin: http://evil.example:3000\r\n";
        assert_eq!(status(&server, address, host).await, "421", "{address}");
        assert_eq!(status(&server, address, &format!("{host}{UPGRADE}")).await, "421", "{address}");
        let post = format!("POST {address} HTTP/1.1\r\n{host}Content-Length: 1\r\n\r\n4");
        assert!(answer(&server, &post).await.starts_with("HTTP/1.1 421 "), "POST {address}");
    }
    let to_websocket = "/socket.io/?EIO=4&transport=websocket";
    assert_eq!(
        status(&server, to_websocket, &format!("Host: evil.example\r\n{UPGRADE}")).await,
        "421",
        "{to_websocket}"
    );
    let request = "GET /health HTTP/1.1\r\nHost: Evil.Example\r\nConnection: close\r\n\r\n";
    let sentence = whole_answer(&server, request).await;
    for word in
        ["\"evil.example\"", "--host", "ECHOROOM_HOST", "x-content-type-options: nosniff", "text/plain"]
    {
        assert!(sentence.contains(word), "{word}: {sentence}");
    }
    server.until_health_shows(0, 0).await;
}

#[actix_web::test]
async fn what_a_name_is_written_like_makes_no_difference() {
    let server = TestServer::start().await;
    for host in [
        "EVIL.example",
        "evil.example.",
        "evil.example:80",
        "evil.example.:",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "local.example:1",
    ] {
        assert_eq!(status(&server, "/health", &format!("Host: {host}\r\n")).await, "421", "{host}");
    }
    for host in [
        "localhost",
        "LOCALHOST:3000",
        "localhost.",
        "tea.localhost:1",
        "127.0.0.1",
        "192.0.2.7:3000",
        "[::1]:3000",
        "[2001:db8::1]",
        "raspberrypi:80",
        "my_service",
        "Printer.Local",
        "nas.lan.",
        "nas.home.arpa",
        "db.internal:8080",
    ] {
        assert_eq!(status(&server, "/health", &format!("Host: {host}\r\n")).await, "200", "{host}");
        assert_eq!(status(&server, "/ws", &format!("Host: {host}\r\n{UPGRADE}")).await, "101", "{host}");
    }
}

#[actix_web::test]
async fn the_host_of_a_target_goes_before_the_header() {
    let server = TestServer::start().await;
    for target in
        ["http://evil.example/health", "http://evil.example:3000/health", "http://EVIL.example/health"]
    {
        assert_eq!(status(&server, target, "Host: localhost\r\n").await, "421", "{target}");
    }
    let upgrade = format!("Host: localhost\r\n{UPGRADE}");
    assert_eq!(status(&server, "http://evil.example/ws", &upgrade).await, "421");
    assert_eq!(status(&server, "http://localhost:3000/health", "Host: localhost\r\n").await, "200");
}

#[actix_web::test]
async fn a_request_has_one_host_and_only_one_of_http_1_0_may_have_none() {
    let server = TestServer::start().await;
    for headers in [
        "",
        "Host: localhost\r\nHost: localhost\r\n",
        "Host: localhost\r\nHost: evil.example\r\n",
        "Host: evil.example\r\nHost: localhost\r\n",
        "Host: a b\r\n",
        "Host: localhost:x\r\n",
        "Host: u@localhost\r\n",
        "Host: localhost, evil.example\r\n",
        "Host: ::1\r\n",
        "Host: \r\n",
    ] {
        assert_eq!(status(&server, "/health", headers).await, "400", "{headers:?}");
        assert_eq!(status(&server, "/ws", &format!("{headers}{UPGRADE}")).await, "400", "{headers:?}");
    }
    let old = answer(&server, "GET /health HTTP/1.0\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 200 ") || old.starts_with("HTTP/1.1 200 "), "{old}");
    let old = answer(&server, "GET /health HTTP/1.0\r\nHost: evil.example\r\n\r\n").await;
    assert!(old.contains(" 421 "), "{old}");
}

#[actix_web::test]
async fn the_setting_allows_a_name_or_all() {
    let server = TestServer::with(setting(&["chat.example", "Other.Example."])).await;
    for (host, expected) in [
        ("chat.example:3000", "200"),
        ("CHAT.example.", "200"),
        ("other.example", "200"),
        ("a.chat.example", "421"),
    ] {
        assert_eq!(status(&server, "/health", &format!("Host: {host}\r\n")).await, expected, "{host}");
    }
    let all = TestServer::with(setting(&["*"])).await;
    assert_eq!(status(&all, "/health", "Host: evil.example\r\n").await, "200");
    assert_eq!(status(&all, "/health", "Host: a b\r\n").await, "400");
}

#[actix_web::test]
async fn requests_of_a_trusted_proxy_pass() {
    let behind =
        settings().with(|s| s.admission.trusted_proxy = vec!["127.0.0.1".parse().expect("a network")]);
    let server = TestServer::with(behind).await;
    let forwarded = "Host: chat.example\r\nX-Forwarded-For: 192.0.2.1\r\n";
    assert_eq!(status(&server, "/health", forwarded).await, "200");
    assert_eq!(status(&server, "/ws", &format!("{forwarded}{UPGRADE}")).await, "101");
    let elsewhere =
        settings().with(|s| s.admission.trusted_proxy = vec!["192.0.2.9".parse().expect("a network")]);
    let server = TestServer::with(elsewhere).await;
    assert_eq!(status(&server, "/health", forwarded).await, "421", "whoever says so");
}

#[actix_web::test]
async fn the_address_of_the_metrics_is_guarded_too() {
    let apart = settings().with(|s| s.operation.metrics_bind = Some(([127, 0, 0, 1], 0).into()));
    let server = TestServer::with(apart).await;
    let url = format!("http://127.0.0.1:{}/metrics", server.metrics_port.expect("a port of their own"));
    let rebound = awc::Client::new().get(&url).insert_header(("Host", "evil.example")).send().await;
    assert_eq!(rebound.expect("an answer").status(), 421);
    assert_eq!(awc::Client::new().get(&url).send().await.expect("an answer").status(), 200);
}

/// The same routes in an embedder's application, which decides about its hosts.
#[actix_web::test]
async fn a_program_that_embeds_the_routes_decides_about_its_hosts() {
    let node = Arc::new(Node::new(settings()).expect("a journal"));
    let server = actix_test::start(move || {
        let node = Arc::clone(&node);
        App::new().configure(move |cfg| embed::configure(cfg, node.start_worker()))
    });
    let answer = awc::Client::new().get(server.url("/health")).insert_header(("Host", "chat.example"));
    assert_eq!(answer.send().await.expect("an answer").status(), 200);
}

#[actix_web::test]
async fn the_first_refusal_of_a_name_is_logged_with_the_setting_and_later_ones_are_not() {
    let (running, link) = start(echoroom().args(["--bind", "127.0.0.1", "--port", "0"]));
    let server = TestServer::elsewhere(&link);
    for _ in 0..3 {
        for host in ["evil.example", "Worse.Example:3000"] {
            assert_eq!(status(&server, "/rooms", &format!("Host: {host}\r\n")).await, "421", "{host}");
        }
    }
    running.wait_for_log("--host worse.example (ECHOROOM_HOST)").await;
    let told = running.log().iter().filter(|line| line.contains("--host")).count();
    assert_eq!(told, 2, "{:#?}", running.log());
}

#[test]
fn what_is_no_name_is_refused_at_the_start() {
    for host in ["", "https://chat.example", "chat.example:3000", "*.example", "a b", "a,,b"] {
        let output = echoroom().args(["--host", host]).output().expect("run");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{host:?}");
        assert!(stderr.contains("--host") && stderr.contains("ECHOROOM_HOST"), "{stderr}");
    }
}
