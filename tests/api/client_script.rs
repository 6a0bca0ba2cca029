//! `GET /socket.io/socket.io.js` is our client script, from the program itself.

use crate::helpers::{TestServer, settings};

const PATH: &str = "/socket.io/socket.io.js";
const SCRIPT: &str = include_str!("../../static/socket.io.js");

/// The head of an answer, in lower case, and its body.
async fn get(server: &TestServer, path: &str, headers: &str) -> (String, String) {
    let answer = server.get_raw(path, headers).await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (format!("{}\r\n", head.to_lowercase()), body.to_owned())
}

fn tag(head: &str) -> String {
    let line = head.lines().find_map(|line| line.strip_prefix("etag: "));
    line.expect("an ETag").to_owned()
}

#[actix_web::test]
async fn the_script_is_served_whatever_the_folder_of_the_page_has() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("index.html"), "another page").expect("written");
    let server = TestServer::with(settings().with(|s| s.listen.static_dir = folder.path().into())).await;
    let (head, body) = get(&server, PATH, "").await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    for line in [
        "content-type: application/javascript; charset=utf-8\r\n",
        "cache-control: public, max-age=0\r\n",
        "x-content-type-options: nosniff\r\n",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
    assert!(body == SCRIPT, "the script as it is in the repository");
    assert!(tag(&head).starts_with('"') && tag(&head).len() > 10, "a strong tag: {head}");
    assert_eq!(head.matches("cache-control").count(), 1, "{head}");
}

#[actix_web::test]
async fn head_has_the_same_head_and_no_body() {
    let server = TestServer::start().await;
    let (of_get, _) = get(&server, PATH, "").await;
    let mut raw = server.connect_tcp().await;
    raw.send(format!("HEAD {PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await;
    let head = raw.read_head().await.to_lowercase();
    assert!(head.contains(&format!("content-length: {}\r\n", SCRIPT.len())), "{head}");
    assert_eq!(tag(&head), tag(&of_get));
    raw.expect_end().await;
}

#[actix_web::test]
async fn who_has_the_script_is_told_so() {
    let server = TestServer::start().await;
    let tag = tag(&get(&server, PATH, "").await.0);
    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let (head, body) = get(&server, PATH, &format!("If-None-Match: {known}\r\n")).await;
        assert!(head.starts_with("http/1.1 304 ") && body.is_empty(), "{known}: {head}");
        assert!(head.contains(&format!("etag: {tag}\r\n")), "{head}");
        assert!(head.contains("cache-control: public, max-age=0\r\n"), "{head}");
    }
    for unknown in ["\"other\"", "nonsense", ""] {
        let (head, body) = get(&server, PATH, &format!("If-None-Match: {unknown}\r\n")).await;
        assert!(head.starts_with("http/1.1 200 ") && body == SCRIPT, "{unknown}: {head}");
    }
}

#[actix_web::test]
async fn pages_of_other_origins_may_read_it_if_the_server_says_so() {
    let page = "https://page.example";
    let allowed = settings().with(|s| s.socketio.cors_origin = vec![page.parse().expect("an origin")]);
    let server = TestServer::with(allowed).await;
    for path in [PATH, "/socket.io/other.js"] {
        let (head, _) = get(&server, path, &format!("Origin: {page}\r\n")).await;
        assert!(head.contains(&format!("access-control-allow-origin: {page}\r\n")), "{head}");
        assert!(head.contains("vary: origin\r\n"), "{head}");
        let (head, _) = get(&server, path, "Origin: https://elsewhere.example\r\n").await;
        assert!(!head.contains("access-control"), "{head}");
    }
}

#[actix_web::test]
async fn another_name_is_answered_with_the_one_there_is() {
    let server = TestServer::start().await;
    for name in ["socket.io.min.js", "socket.io.js.map", "socket.io.esm.min.js", "Socket.io.js"] {
        let (head, body) = get(&server, &format!("/socket.io/{name}"), "").await;
        assert!(head.starts_with("http/1.1 404 "), "{name}: {head}");
        assert!(body.contains("one file here, socket.io.js"), "{body}");
    }
}

#[actix_web::test]
async fn the_script_moves_with_the_path_of_socket_io() {
    let server = TestServer::with(settings().with(|s| s.socketio.socketio_path = "/io/".to_owned())).await;
    assert!(get(&server, "/io/socket.io.js", "").await.0.starts_with("http/1.1 200 "));
    assert!(get(&server, PATH, "").await.0.starts_with("http/1.1 404 "));
    let mut raw = server.connect_tcp().await;
    raw.send(b"POST /io/socket.io.js HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await;
    let head = raw.read_head().await;
    assert!(head.starts_with("HTTP/1.1 405 ") && head.to_lowercase().contains("allow: get, head"), "{head}");
}
