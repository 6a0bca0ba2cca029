//! A program's own code around the requests of Socket.IO.

use std::sync::{Arc, Mutex};

use actix_web::{
    http::header::{HeaderName, HeaderValue},
    rt::task::yield_now,
};
use echoroom::socketio::{Builder, Hooks, Server};

use crate::{
    embedded::{Embedded, POLLING, WEBSOCKET, open_packet, status},
    sockets::Poller,
};

fn with(hooks: Hooks) -> Builder {
    Server::builder().hooks(hooks)
}

#[actix_web::test]
async fn each_refused_request_is_told_with_its_code_and_what_was_wrong() {
    let told = Arc::<Mutex<Vec<String>>>::default();
    let tell = Arc::clone(&told);
    let hooks = Hooks::default().connection_error(move |error| {
        let path = error.request.url();
        let line = format!("{} {} {} {path}", error.code, error.message, error.context);
        tell.lock().expect("no panic").push(line);
    });
    let hooks = hooks.allow_request(async |request| match request.query("bad") {
        Some(_) => Err("no way".to_owned()),
        None => Ok(()),
    });
    let builder =
        with(hooks).generate_id(|request| request.query("id").unwrap_or_else(|| "one".into()).into_owned());
    let embedded = Embedded::start(builder);
    assert_eq!(status(&embedded.get(POLLING, "").await.0), "200");
    let no_websocket = "/socket.io/?EIO=4&transport=polling&sid=one";
    let foreign = "Origin: https://foreign.example\r\n";
    for (path, headers, is_upgrade, expected) in [
        ("/socket.io/?EIO=4&transport=pigeon", "", false, "400 0 Transport unknown transport"),
        ("/socket.io/?EIO=4&transport=polling&sid=x", "", false, "400 1 Session ID unknown sid"),
        ("/socket.io/?EIO=4&transport=websocket&sid=x", "", true, "400 1 Session ID unknown sid"),
        (WEBSOCKET, "", false, "400 3 Bad request TRANSPORT_HANDSHAKE_ERROR"),
        (no_websocket, "", true, "400 3 Bad request TRANSPORT_MISMATCH"),
        (POLLING, foreign, false, "403 4 Forbidden origin"),
        (WEBSOCKET, foreign, true, "403 4 Forbidden origin"),
        ("/socket.io/?EIO=4&transport=polling&bad=1", "", false, "403 4 Forbidden no way"),
        ("/socket.io/?EIO=4&transport=websocket&bad=1", "", true, "403 4 Forbidden no way"),
        ("/socket.io/?EIO=3&transport=polling", "", false, "400 5 Unsupported protocol version protocol"),
        ("/socket.io/?EIO=4&transport=polling&id=", "", false, "400 3 Bad request ID_GENERATION_ERROR"),
    ] {
        let head = match is_upgrade {
            true => embedded.shake_hands(path, headers).await,
            false => embedded.get(path, headers).await.0,
        };
        let line = told.lock().expect("no panic").pop().unwrap_or_default();
        assert_eq!(format!("{} {line}", status(&head)), format!("{expected} {path}"));
    }
    assert!(told.lock().expect("no panic").is_empty(), "each is told once");
}

#[actix_web::test]
async fn a_program_adds_headers_to_the_first_answer_or_to_all_of_a_session() {
    let header = |name: &'static str| {
        move |headers: &mut actix_web::http::header::HeaderMap, request: &echoroom::socketio::Request| {
            let value = request.query("transport").unwrap_or_default();
            let value = HeaderValue::from_str(&value).expect("a value");
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    let hooks = Hooks::default().initial_headers(header("x-first")).headers(header("x-each"));
    let embedded = Embedded::start(with(hooks));
    let has = |head: &str, name: &str| head.contains(&format!("{name}: "));
    let (head, body) = embedded.get(POLLING, "").await;
    assert!(head.contains("x-first: polling\r\n") && head.contains("x-each: polling\r\n"), "{head}");
    let sid = open_packet(&body)["sid"].as_str().expect("a sid").to_owned();
    assert_eq!(Poller::of(&embedded.server, sid.clone()).post("4hello").await.status, 200);
    for head in [
        embedded.get(&format!("{POLLING}&sid={sid}"), "").await.0,
        embedded.shake_hands(&format!("{WEBSOCKET}&sid={sid}"), "").await,
    ] {
        assert!(has(&head, "x-each") && !has(&head, "x-first"), "{head}");
    }
    let head = embedded.shake_hands(WEBSOCKET, "").await;
    assert!(head.contains("x-first: websocket\r\n") && head.contains("x-each: websocket\r\n"), "{head}");
    let (head, _) = embedded.get("/socket.io/?EIO=4&transport=pigeon", "").await;
    assert!(!has(&head, "x-each") && !has(&head, "x-first"), "a refusal has neither: {head}");
}

#[actix_web::test]
async fn a_program_decides_about_each_session_by_each_transport_and_about_nothing_else() {
    let asked = Arc::<Mutex<usize>>::default();
    let count = Arc::clone(&asked);
    let hooks = Hooks::default().allow_request(async move |request| {
        // The answer comes later.
        yield_now().await;
        *count.lock().expect("no panic") += 1;
        match request.header("authorization") {
            Some("Bearer good") => Ok(()),
            Some(_) => Err("your token has expired".to_owned()),
            None => Err("a token is needed".to_owned()),
        }
    });
    let embedded = Embedded::start(with(hooks));
    for (headers, expected) in [
        ("", Some("a token is needed")),
        ("Authorization: Bearer old\r\n", Some("your token has expired")),
        ("Authorization: Bearer good\r\n", None),
    ] {
        let (head, body) = embedded.get(POLLING, headers).await;
        let upgraded = embedded.shake_hands(WEBSOCKET, headers).await;
        let Some(message) = expected else {
            assert_eq!((status(&head), status(&upgraded)), ("200", "101"));
            let poller =
                Poller::of(&embedded.server, open_packet(&body)["sid"].as_str().expect("a sid").to_owned());
            assert_eq!(poller.post("4hello").await.status, 200, "a session is not asked about again");
            continue;
        };
        assert_eq!((status(&head), status(&upgraded)), ("403", "403"));
        assert_eq!(body, format!(r#"{{"code":4,"message":"{message}"}}"#));
    }
    assert_eq!(*asked.lock().expect("no panic"), 6);
    for path in ["/socket.io/?EIO=4&transport=pigeon", "/socket.io/?EIO=3&transport=polling"] {
        assert_eq!(status(&embedded.get(path, "").await.0), "400");
    }
    assert_eq!(*asked.lock().expect("no panic"), 6, "other checks come first");
}
