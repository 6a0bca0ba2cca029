//! `GET /` is the demo page, with its files and nothing else.

use std::time::Duration;

use actix_web::rt;
use echoroom::{config::Switch, testing::close};
use serde_json::{Value, json};

use crate::helpers::{TestServer, settings, soon};

async fn get(server: &TestServer, path: &str) -> (u16, String, String) {
    let url = format!("http://{}{path}", server.address);
    let mut response = awc::Client::new().get(url).no_decompress().send().await.expect("an answer");
    let head = format!("{:?}", response.headers());
    let body = response.body().await.expect("a body");
    (response.status().as_u16(), head, String::from_utf8_lossy(&body).into_owned())
}

#[actix_web::test]
async fn the_page_and_its_files_are_served() {
    let server = TestServer::start().await;
    let (status, head, page) = get(&server, "/").await;
    assert_eq!(status, 200);
    assert!(head.contains("text/html"), "{head}");
    assert!(head.contains("default-src 'none'"), "a content security policy: {head}");
    assert!(page.contains("<title>"), "{page}");
    let (status, head, _) = get(&server, "/main.js").await;
    assert_eq!(status, 200);
    assert!(head.contains("javascript"), "{head}");
    assert_eq!(get(&server, "/?room=red").await.0, 200, "the room in the page's address");
}

#[test]
fn the_page_knows_every_close_code_of_the_server() {
    let source = std::fs::read_to_string(settings().listen.static_dir.join("protocol.js"))
        .expect("the page's protocol");
    for row in close::ALL {
        let start = format!("[{}, {{", row.code);
        let line = source.lines().find(|line| line.trim_start().starts_with(&start));
        let line = line.unwrap_or_else(|| panic!("{} is not in the page's table", row.code));
        assert!(line.contains(&format!("reconnect: {}", row.reconnect)), "{line}");
    }
}

#[actix_web::test]
async fn nothing_outside_the_folder_is_served() {
    let server = TestServer::start().await;
    for path in ["/nothing.js", "/../Cargo.toml", "/..%2fCargo.toml", "/%2e%2e/Cargo.toml"] {
        let (status, _, body) = get(&server, path).await;
        assert!(status == 404 || status == 400, "{path}: {status}");
        assert!(!body.contains("[package]"), "{path}");
    }
}

#[actix_web::test]
async fn files_are_compressed_for_who_asks_and_known_again_by_their_tag() {
    let server = TestServer::start().await;
    let plain = server.get_raw("/style.css", "").await;
    let tag = plain.lines().find_map(|line| line.strip_prefix("etag: ")).expect("a tag").to_owned();
    assert!(!plain.contains("content-encoding"), "{plain}");
    let known = server.get_raw("/style.css", &format!("If-None-Match: {tag}\r\n")).await;
    assert!(known.starts_with("HTTP/1.1 304"), "{known}");
    let url = format!("http://{}/style.css", server.address);
    let request = awc::Client::new().get(url).insert_header(("Accept-Encoding", "gzip")).no_decompress();
    let mut packed = request.send().await.expect("an answer");
    assert_eq!(packed.headers().get("content-encoding").map(|value| value.as_bytes()), Some(&b"gzip"[..]));
    assert!(packed.body().await.expect("a body").len() * 2 < plain.len());
}

#[actix_web::test]
async fn a_page_is_told_the_limits_of_this_server() {
    let server =
        TestServer::with(settings().with(|s| s.events.max_image_side = 77.try_into().expect("not zero")))
            .await;
    let (status, _, limits) = get(&server, "/limits").await;
    let limits: Value = serde_json::from_str(&limits).expect("JSON");
    assert_eq!(
        (status, &limits["max_image_side"], &limits["max_message_size"]),
        (200, &json!(77), &json!(65_536))
    );
    assert_eq!(
        (&limits["lessons"], &limits["relay"], &limits["room_list"]),
        (&json!(true), &json!(false), &json!(true))
    );
    assert_eq!(
        (&limits["ping_interval_ms"], &limits["ping_timeout_ms"], &limits["private_images"]),
        (&json!(25_000), &json!(20_000), &json!(true))
    );
}

#[actix_web::test]
async fn rooms_with_somebody_in_them_are_listed() {
    let server = TestServer::start().await;
    let rooms = async || -> Value { serde_json::from_str(&get(&server, "/rooms").await.2).expect("JSON") };
    assert_eq!(rooms().await, json!({"rooms": [], "more": 0}));
    let _ann = server.connect("/ws?room=tea").await;
    let _ben = server.connect("/ws?room=tea").await;
    let _eve = server.connect("/ws?room=lesson-1").await;
    let listed = json!({"rooms": [{"room": "tea", "sessions": 2, "members": 0}], "more": 0});
    // The list may be a second old.
    soon("the list", async {
        while rooms().await != listed {
            rt::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[actix_web::test]
async fn rooms_are_not_listed_if_that_is_off() {
    let server = TestServer::with(settings().with(|s| s.rooms.room_list = Switch::Off)).await;
    let (status, _, body) = get(&server, "/rooms").await;
    assert_eq!(status, 404);
    assert!(body.contains("--room-list off"), "{body}");
}

#[actix_web::test]
async fn the_page_may_connect_to_the_host_it_came_from_and_to_no_other() {
    let chat = "chat.example".parse().expect("a host");
    let server = TestServer::with(settings().with(|s| {
        s.origins.host = vec![chat];
        s.lessons.switch = Switch::Off;
    }))
    .await;
    for (host, sources) in [
        ("chat.example", "'self' ws://chat.example wss://chat.example;"),
        ("Chat.Example:8443", "'self' ws://chat.example:8443 wss://chat.example:8443;"),
        ("127.0.0.1:3000", "'self' ws://127.0.0.1:3000 wss://127.0.0.1:3000;"),
        ("[::1]:3000", "'self';"),
    ] {
        let mut raw = server.connect_tcp().await;
        raw.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).await;
        let head = raw.read_head().await;
        assert!(head.contains(&format!("connect-src {sources}")), "{host}: {head}");
    }
    // The lessons show an address where nothing listens.
    let server = TestServer::start().await;
    let (_, head, _) = get(&server, "/").await;
    assert!(head.contains("ws://127.0.0.1:* ") && !head.contains("ws: "), "{head}");
}

/// What a browser makes of an answer is what the answer says, not what the answer looks like.
#[actix_web::test]
async fn every_answer_says_what_it_is() {
    let server = TestServer::start().await;
    let requests = [
        ("GET /", ""),
        ("GET /main.js", ""),
        ("GET /nothing", ""),
        ("GET /<script>alert(1)</script>", ""),
        ("GET /lesson/break/<script>alert(1)</script>", ""),
        ("GET /lesson/break/%3Cscript%3E", ""),
        ("GET /lesson/slow-client/<b>", ""),
        ("GET /lesson/slow", ""),
        ("GET /lesson/nothing", ""),
        ("GET /lesson/news?after=<b>", ""),
        ("GET /lesson/news", ""),
        ("GET /ws?room=<b>", ""),
        ("GET /ws", ""),
        ("GET /chat", ""),
        ("POST /echo", "Content-Length: 0\r\n"),
        ("POST /admin/forget?room=<b>", "Content-Length: 0\r\n"),
        ("POST /admin/forget", "Content-Length: 0\r\n"),
        ("GET /health", ""),
        ("POST /health", "Content-Length: 0\r\n"),
        ("GET /rooms", ""),
        ("GET /limits", ""),
        ("GET /metrics", ""),
        ("GET /metrics", "Via: 1.1 a\r\n"),
        ("GET /health", "Host: evil.example\r\n"),
        ("GET /socket.io/socket.io.js", ""),
        ("GET /socket.io/<b>", ""),
        ("GET /socket.io/?EIO=4&transport=polling", ""),
        ("GET /socket.io/?EIO=4&transport=<b>", ""),
        ("GET /socket.io/?EIO=4&transport=polling&sid=<b>", ""),
        ("PUT /socket.io/", "Content-Length: 0\r\n"),
    ];
    for (line, headers) in requests {
        let host = if headers.contains("Host") { "" } else { "Host: x\r\n" };
        let mut raw = server.connect_tcp().await;
        let request = format!("{line} HTTP/1.1\r\n{host}Connection: close\r\n{headers}\r\n");
        raw.send(request.as_bytes()).await;
        let answer = raw.read_to_end().await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains("x-content-type-options: nosniff"), "{line}: {head}");
        assert!(body.is_empty() || head.contains("content-type: "), "{line}: {answer}");
        let is_html = head.contains("content-type: text/html");
        assert!(!is_html || !body.contains("<b>") && !body.contains("<script>alert"), "{line}: {answer}");
    }
}
