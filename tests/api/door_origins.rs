//! Which pages may use Socket.IO in a program of one's own, by which transport.

use std::time::Duration;

use actix_web::{App, HttpResponse, test, web};
use echoroom::socketio::{Cors, EngineSocket, Message, Origins, Server};

use crate::embedded::{Embedded, POLLING, WEBSOCKET, status};

const PAGE: &str = "https://page.example";
const OTHER: &str = "https://other.example";

fn list(origins: &[&str]) -> Origins {
    Origins::list(origins).expect("origins")
}

fn start(origins: Origins, cors: Cors) -> Embedded {
    Embedded::start(Server::builder().origins(origins).cors(cors))
}

/// The line of a header, in lower case.
fn value<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// What a page may do: begin by polling, read the answer, begin on a WebSocket.
async fn rights(embedded: &Embedded, origin: &str) -> (bool, bool, bool) {
    let header = format!("Origin: {origin}\r\n");
    let (polled, _) = embedded.get(POLLING, &header).await;
    let upgraded = embedded.shake_hands(WEBSOCKET, &header).await;
    let allowed = value(&polled, "access-control-allow-origin");
    let may_read = allowed.is_some_and(|allowed| allowed == "*" || allowed == origin);
    (status(&polled) == "200", may_read, status(&upgraded) == "101")
}

#[actix_web::test]
async fn origins_open_both_transports_and_cors_opens_and_shows_polling_alone() {
    let named = || Origins::function(|origin, request| origin == PAGE && request.path() == "/socket.io/");
    let none = Cors::default;
    // What the page, another page, and a page without an origin may do, as `rights` has it.
    let (no, begin, poll, all) =
        ((false, false, false), (true, false, true), (true, true, false), (true, true, true));
    for (what, origins, cors, rights_of) in [
        ("nothing set", Origins::Same, none(), [no, no, no]),
        ("an origin", list(&[PAGE]), none(), [begin, no, no]),
        ("all", Origins::Any, none(), [begin, begin, begin]),
        ("null", list(&["null"]), none(), [no, no, begin]),
        ("a function", named(), none(), [begin, no, no]),
        ("cors", Origins::Same, Cors::of(list(&[PAGE])), [poll, no, no]),
        ("cors for all", Origins::Same, Cors::of(Origins::Any), [poll, poll, poll]),
        ("cors by a function", Origins::Same, Cors::of(named()), [poll, no, no]),
        ("both", list(&[PAGE]), Cors::of(list(&[PAGE])), [all, no, no]),
        ("both for all", Origins::Any, Cors::of(Origins::Any), [all, all, all]),
        ("each its own", list(&[PAGE]), Cors::of(list(&[OTHER])), [begin, poll, no]),
    ] {
        let embedded = start(origins, cors);
        for (origin, expected) in [PAGE, OTHER, "null"].into_iter().zip(rights_of) {
            assert_eq!(rights(&embedded, origin).await, expected, "{what}: {origin}");
        }
        let own = format!("http://{}", embedded.server.address);
        // The requests are for the host x.
        let (head, _) = embedded.get(POLLING, "Origin: http://x\r\n").await;
        assert_eq!(status(&head), "200", "{what}: its own page");
        assert_eq!(
            status(&embedded.shake_hands(WEBSOCKET, &format!("Origin: {own}\r\n")).await),
            "101",
            "{what}"
        );
        assert_eq!(status(&embedded.get(POLLING, "").await.0), "200", "{what}: a client without an origin");
    }
}

#[actix_web::test]
async fn credentials_are_for_named_pages_and_only_if_they_are_on() {
    for (origins, credentials, expected) in [
        (list(&[PAGE]), true, Some("true")),
        (list(&[PAGE]), false, None),
        (Origins::Any, true, None),
        (Origins::function(|_, _| true), true, Some("true")),
    ] {
        let embedded = start(Origins::Same, Cors { credentials, ..Cors::of(origins) });
        let (head, _) = embedded.get(POLLING, &format!("Origin: {PAGE}\r\n")).await;
        assert_eq!(value(&head, "access-control-allow-credentials"), expected, "{head}");
    }
}

#[actix_web::test]
async fn a_preflight_is_answered_with_what_is_set() {
    let cors = Cors {
        methods: vec!["GET".to_owned(), "PUT".to_owned()],
        allowed_headers: Some(vec!["x-one".to_owned(), "x-two".to_owned()]),
        exposed_headers: vec!["x-seen".to_owned()],
        max_age: Some(Duration::from_secs(600)),
        ..Cors::of(list(&[PAGE]))
    };
    let embedded = start(Origins::Same, cors);
    let ask = async |origin: &str| {
        let mut raw = embedded.server.connect_tcp().await;
        let lines = format!("Origin: {origin}\r\nAccess-Control-Request-Method: POST\r\n");
        raw.send(format!("OPTIONS {POLLING} HTTP/1.1\r\nHost: x\r\n{lines}\r\n").as_bytes()).await;
        raw.read_head().await.to_lowercase()
    };
    let head = ask(PAGE).await;
    for (name, expected) in [
        ("access-control-allow-methods", Some("get,put")),
        ("access-control-allow-headers", Some("x-one,x-two")),
        ("access-control-expose-headers", Some("x-seen")),
        ("access-control-max-age", Some("600")),
        ("access-control-allow-credentials", None),
        ("vary", Some("origin")),
    ] {
        assert_eq!(value(&head, name), expected, "{head}");
    }
    assert_eq!(value(&ask(OTHER).await, "access-control-allow-methods"), None);
}

#[actix_web::test]
async fn the_client_s_script_is_served_unless_that_is_off() {
    for (serve_client, expected) in [(true, "200"), (false, "404")] {
        let embedded = Embedded::start(Server::builder().serve_client(serve_client));
        let (head, body) = embedded.get("/socket.io/socket.io.js", "").await;
        assert_eq!((status(&head), body.contains("function")), (expected, expected == "200"));
    }
}

#[actix_web::test]
async fn a_door_in_a_scope_or_at_the_root_leaves_other_addresses_alone() {
    let status_at = async |root: &'static str, path: &str| {
        let silent = |_: &EngineSocket<'_>, _: Message| {};
        let io = Server::builder().path("/").build_engine(silent).expect("settings");
        let news = || web::resource("/news").to(HttpResponse::Ok);
        let app = match root {
            "" => App::new().configure(io.routes()).service(news()),
            scope => App::new().service(web::scope(scope).configure(io.routes()).service(news())),
        };
        let app = test::init_service(app).await;
        let request = test::TestRequest::with_uri(&format!("{root}{path}")).to_request();
        test::call_service(&app, request).await.status().as_u16()
    };
    for path in ["/?EIO=4&transport=polling", "/socket.io.js", "/news"] {
        assert_eq!(status_at("", path).await, 200, "{path}");
    }
    for path in ["?EIO=4&transport=polling", "/?EIO=4&transport=polling", "/socket.io.js"] {
        assert_eq!(status_at("/live", path).await, 200, "/live{path}");
    }
}
