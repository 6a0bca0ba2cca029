//! The server works below a path that a proxy leaves where it is, and below one that a program gives its routes.

use std::sync::Arc;

use actix_web::{App, web};
use echoroom::{
    app::{Node, embed},
    config::Settings,
};

use crate::{
    helpers::{TestServer, settings},
    program::echoroom,
};

fn below(path: &str) -> Settings {
    settings().with(|s| s.listen.path_prefix = path.to_owned())
}

#[actix_web::test]
async fn every_address_is_below_the_path_and_where_it_was() {
    let server = TestServer::with(below("/team/app")).await;
    for before in ["/team/app", ""] {
        for path in ["/", "/?room=tea", "/main.js", "/health", "/rooms", "/limits", "/lesson/news"] {
            let answer = server.get_raw(&format!("{before}{path}"), "").await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{before}{path}: {answer}");
        }
        let polling = server.get_raw(&format!("{before}/socket.io/?EIO=4&transport=polling"), "").await;
        assert!(polling.contains(r#"0{"sid":""#), "{polling}");
        let script = server.get_raw(&format!("{before}/socket.io/socket.io.js"), "").await;
        assert!(script.starts_with("HTTP/1.1 200 "), "{script}");
        for door in ["/", "/ws", "/ws?room=tea", "/ws/"] {
            let mut client = server.connect(&format!("{before}{door}")).await;
            client.send("hello").await;
            assert_eq!(client.next_text().await, "HELLO!!!", "{before}{door}");
        }
    }
    let mut tutorial = server.connect("/team/app").await;
    tutorial.expect_quiet().await;
    for path in ["/team", "/team/apple/health", "/team/app/team/app/health"] {
        assert!(server.get_raw(path, "").await.starts_with("HTTP/1.1 404 "), "{path}");
    }
}

#[actix_web::test]
async fn the_path_alone_leads_to_the_page() {
    let server = TestServer::with(below("/app/")).await;
    let answer = server.get_raw("/app?room=tea", "").await;
    assert!(
        answer.starts_with("HTTP/1.1 308 ") && answer.contains("location: /app/?room=tea\r\n"),
        "{answer}"
    );
}

#[test]
fn a_path_that_cannot_be_is_refused_at_the_start() {
    for (path, words) in [
        ("app", "slash"),
        ("/a b", "character"),
        ("/ws", "taken"),
        ("/lesson/app", "taken"),
        ("//", "segment"),
        ("/app/..", "segment"),
    ] {
        let output = echoroom().args(["--port", "0", "--path-prefix", path]).output().expect("run");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{path}: {stderr}");
        for part in ["--path-prefix", "ECHOROOM_PATH_PREFIX", words] {
            assert!(stderr.contains(part), "{path}: {part} in {stderr}");
        }
    }
    let both = ["--port", "0", "--path-prefix", "/app", "--socketio-path", "/app/socket.io"];
    let output = echoroom().args(both).output().expect("run");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("--path-prefix") && stderr.contains("--socketio-path"), "{stderr}");
}

#[actix_web::test]
async fn a_program_may_have_the_routes_below_a_path_of_its_own() {
    let node = Arc::new(Node::new(settings()).expect("a journal"));
    let server = actix_test::start(move || {
        let node = Arc::clone(&node);
        let scope = web::scope("/app").configure(move |cfg| embed::configure(cfg, node.start_worker()));
        App::new().service(scope)
    });
    let client = awc::Client::new();
    for path in
        ["/app/", "/app/main.js", "/app/health", "/app/rooms", "/app/limits", "/app/socket.io/socket.io.js"]
    {
        assert_eq!(client.get(server.url(path)).send().await.expect("an answer").status(), 200, "{path}");
    }
    for path in ["/app/", "/app/ws", "/app/chat", "/app/echo", "/app/socket.io/?EIO=4&transport=websocket"] {
        let (response, _framed) = client.ws(server.url(path)).connect().await.expect(path);
        assert_eq!(response.status(), 101, "{path}");
    }
}
