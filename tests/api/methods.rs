//! Wherever GET is answered HEAD is, with the head of that answer; OPTIONS says which methods there are; and a slash at the
//! end of an address changes nothing.

use echoroom::config::Switch;

use crate::helpers::{TestServer, settings};

/// Addresses that are read.
const READ: [&str; 8] = [
    "/health",
    "/metrics",
    "/rooms",
    "/limits",
    "/lesson/news",
    "/",
    "/style.css",
    "/socket.io/socket.io.js",
];

/// The head of an answer, and its body as far as it is text.
async fn ask(server: &TestServer, method: &str, path: &str) -> (String, String) {
    let mut raw = server.connect_tcp().await;
    let end = "Content-Length: 0\r\nConnection: close\r\n\r\n";
    raw.send(format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{end}").as_bytes()).await;
    let answer = raw.read_to_end().await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (format!("{head}\r\n"), body.to_owned())
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[actix_web::test]
async fn head_is_answered_as_get_is_but_without_a_body() {
    let server = TestServer::start().await;
    let missing = "/avatars/0000000000000000000000000000000000000000000000000000000000000000";
    for path in READ.into_iter().chain([missing, "/nothing", "/health/", "/rooms/"]) {
        let (of_get, body) = ask(&server, "GET", path).await;
        let (of_head, nothing) = ask(&server, "HEAD", path).await;
        assert_eq!(of_head.lines().next(), of_get.lines().next(), "{path}");
        assert_eq!(nothing, "", "{path}");
        for name in ["content-type", "cache-control", "etag", "content-security-policy"] {
            assert_eq!(header(&of_head, name), header(&of_get, name), "{path}");
        }
        // Numbers in what is counted may grow in between.
        let length =
            header(&of_head, "content-length").expect("a length").parse::<usize>().expect("a number");
        assert!(length.abs_diff(body.len()) < 20, "{path}: {length} and {}", body.len());
    }
}

#[actix_web::test]
async fn a_connection_goes_on_behind_the_answer_to_head() {
    let server = TestServer::start().await;
    let mut raw = server.connect_tcp().await;
    for path in READ {
        raw.send(format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await;
        let head = raw.read_head().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{path}: {head}");
    }
}

#[actix_web::test]
async fn options_are_told_at_every_address_and_other_methods_are_refused_with_them() {
    let server = TestServer::start().await;
    for path in READ.into_iter().chain(["/avatars/x", "/nothing", "/rooms/"]) {
        let (head, body) = ask(&server, "OPTIONS", path).await;
        assert!(head.starts_with("HTTP/1.1 204 ") && body.is_empty(), "{path}: {head}{body}");
        assert_eq!(header(&head, "allow"), Some("GET, HEAD, OPTIONS"), "{path}: {head}");
        for method in ["POST", "PUT", "DELETE", "PATCH"] {
            let (head, _) = ask(&server, method, path).await;
            assert!(head.starts_with("HTTP/1.1 405 "), "{method} {path}: {head}");
            assert_eq!(header(&head, "allow"), Some("GET, HEAD, OPTIONS"), "{method} {path}: {head}");
        }
    }
    for (path, methods) in [
        ("/ws", "GET, OPTIONS"),
        ("/chat", "GET, OPTIONS"),
        ("/echo/", "GET, OPTIONS"),
        ("/lesson/slow", "GET, OPTIONS"),
        ("/socket.io/", "GET, POST, OPTIONS"),
        ("/admin/forget", "POST, OPTIONS"),
    ] {
        let (head, _) = ask(&server, "OPTIONS", path).await;
        assert!(head.starts_with("HTTP/1.1 204 "), "{path}: {head}");
        assert_eq!(header(&head, "allow"), Some(methods), "{path}: {head}");
    }
}

#[actix_web::test]
async fn what_is_not_there_is_not_there_for_head_either() {
    let closed = settings().with(|s| {
        s.rooms.room_list = Switch::Off;
        s.lessons.switch = Switch::Off;
    });
    let server = TestServer::with(closed).await;
    for path in ["/rooms", "/lesson/news"] {
        let (head, body) = ask(&server, "HEAD", path).await;
        assert!(head.starts_with("HTTP/1.1 404 ") && body.is_empty(), "{path}: {head}");
    }
}

#[actix_web::test]
async fn the_metrics_have_head_at_an_address_of_their_own() {
    let apart = settings().with(|s| s.operation.metrics_bind = Some(([127, 0, 0, 1], 0).into()));
    let server = TestServer::with(apart).await;
    let url = format!("http://127.0.0.1:{}/metrics", server.metrics_port.expect("a port of their own"));
    for url in [url.clone(), format!("{url}/")] {
        assert_eq!(awc::Client::new().head(&url).send().await.expect("an answer").status(), 200, "{url}");
    }
}

#[actix_web::test]
async fn a_door_opens_with_a_slash_behind_its_address_too() {
    let server = TestServer::start().await;
    for path in ["/ws/", "/ws/?room=tea", "/echo/"] {
        let mut client = server.connect(path).await;
        client.send("hello").await;
        assert!(client.next_text().await.eq_ignore_ascii_case("hello") || path.starts_with("/ws"), "{path}");
    }
    let mut chat = server.connect("/chat/").await;
    chat.send(r#"{"event":"login","data":{"username":"ann"},"ack":1}"#).await;
    assert!(chat.next_text().await.contains("ann"));
    for path in ["/lesson/news/", "/lesson/slow/", "/lesson/break/masked/"] {
        let head = server.connect_tcp().await.handshake_with(path, "").await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{path}: {head}");
    }
    for path in ["/health/", "/rooms/", "/limits/", "/metrics/"] {
        assert!(server.get_raw(path, "").await.starts_with("HTTP/1.1 200 "), "{path}");
    }
    assert!(server.get_raw("/chat/nothing", "").await.starts_with("HTTP/1.1 404 "));
}
