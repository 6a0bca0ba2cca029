//! A page of a named origin may send its cookies with requests to Socket.IO, and one that may come because all may cannot.

use echoroom::config::Settings;

use crate::helpers::{TestServer, settings, soon};

const PAGE: &str = "https://page.example";
const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

fn allowing(origins: &[&str]) -> Settings {
    let cors_origin = origins.iter().map(|origin| origin.parse().expect("an origin")).collect();
    settings().with(|s| {
        s.socketio.cors_origin = cors_origin;
        s.events.max_payload = "2k".parse().expect("a size");
    })
}

/// The head of the answer to a request of a page, in lower case.
async fn ask(server: &TestServer, method: &str, path: &str, origin: &str, more: &str) -> String {
    let mut raw = server.connect_tcp().await;
    let origin = if origin.is_empty() { String::new() } else { format!("Origin: {origin}\r\n") };
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{origin}{more}\r\n");
    raw.send(request.as_bytes()).await;
    let mut answer = String::new();
    soon("an answer", tokio::io::AsyncReadExt::read_to_string(&mut raw.stream, &mut answer))
        .await
        .expect("UTF-8");
    format!("{}\r\n", answer.split("\r\n\r\n").next().unwrap_or_default().to_lowercase())
}

fn credentials(head: &str) -> bool {
    head.contains("access-control-allow-credentials: true\r\n")
}

/// Requests that are answered in all the ways there are: method, path, headers, status.
fn requests() -> Vec<(&'static str, String, &'static str, &'static str)> {
    let preflight = "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-token\r\n";
    let large = "Content-Length: 4000\r\nExpect: 100-continue\r\n";
    vec![
        ("GET", POLLING.to_owned(), "", "200"),
        ("GET", POLLING.replace("io/", "io"), "", "200"),
        ("OPTIONS", POLLING.to_owned(), preflight, "204"),
        ("OPTIONS", POLLING.to_owned(), "", "204"),
        ("GET", POLLING.replace("polling", "carrier-pigeon"), "", "400"),
        ("GET", POLLING.replace("EIO=4", "EIO=3"), "", "400"),
        ("GET", format!("{POLLING}&sid=unknown"), "", "400"),
        ("PUT", POLLING.to_owned(), "Content-Length: 0\r\n", "400"),
        ("POST", format!("{POLLING}&sid=unknown"), large, "400"),
        ("GET", "/socket.io/socket.io.js".to_owned(), "", "200"),
        ("GET", "/socket.io/other.js".to_owned(), "", "404"),
        ("POST", "/socket.io/socket.io.js".to_owned(), "Content-Length: 0\r\n", "405"),
    ]
}

#[actix_web::test]
async fn every_answer_lets_a_page_of_a_named_origin_send_its_cookies() {
    let server = TestServer::with(allowing(&["https://other.example", PAGE])).await;
    for (method, path, more, status) in requests() {
        let head = ask(&server, method, &path, PAGE, more).await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{method} {path}: {head}");
        assert!(
            head.contains(&format!("access-control-allow-origin: {PAGE}\r\n")),
            "{method} {path}: {head}"
        );
        assert!(credentials(&head) && head.contains("vary: origin\r\n"), "{method} {path}: {head}");
        for other in ["https://elsewhere.example", "http://page.example", "null", ""] {
            let head = ask(&server, method, &path, other, more).await;
            assert!(!head.contains("access-control-allow"), "{method} {path} of {other:?}: {head}");
            assert!(head.contains("vary: origin\r\n"), "a cache must know: {head}");
        }
    }
}

#[actix_web::test]
async fn a_page_that_comes_because_all_may_never_sends_its_cookies() {
    let server = TestServer::with(allowing(&["*"])).await;
    for (method, path, more, _) in requests() {
        for page in [PAGE, "null"] {
            let head = ask(&server, method, &path, page, more).await;
            assert!(head.contains("access-control-allow-origin: *\r\n"), "{method} {path}: {head}");
            assert!(!head.contains("credentials"), "{method} {path}: {head}");
        }
    }
    // Any site can make a page without an origin.
    let server = TestServer::with(allowing(&["null"])).await;
    let head = ask(&server, "GET", POLLING, "null", "").await;
    assert!(
        head.contains("access-control-allow-origin: null\r\n") && !head.contains("credentials"),
        "{head}"
    );
}

#[actix_web::test]
async fn a_full_server_tells_a_page_of_a_named_origin_so() {
    let server = TestServer::with(
        allowing(&[PAGE]).with(|s| s.admission.max_sessions = 1.try_into().expect("not zero")),
    )
    .await;
    let _session = server.connect("/echo").await;
    let head = ask(&server, "GET", POLLING, PAGE, "").await;
    assert!(head.starts_with("http/1.1 503 ") && credentials(&head), "{head}");
}
