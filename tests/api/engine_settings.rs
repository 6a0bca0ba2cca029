//! The settings of the Socket.IO engine, as its clients see them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use echoroom::socketio::{Builder, Cookie, Server, Transport};

use crate::{
    embedded::{Embedded, POLLING, WEBSOCKET, open_packet, status},
    helpers::text,
    sockets::{Poller, next_text, websocket},
};

fn start(builder: Builder) -> Embedded {
    Embedded::start(builder)
}

#[actix_web::test]
async fn a_transport_that_is_off_is_unknown() {
    let unknown = r#"{"code":0,"message":"Transport unknown"}"#;
    let only = |transport| Server::builder().transports([transport]);
    let embedded = start(only(Transport::WebSocket));
    let (head, body) = embedded.get(POLLING, "").await;
    assert_eq!((status(&head), body.as_str()), ("400", unknown));
    let (_, open) = websocket(&embedded.server).await;
    assert_eq!(open["upgrades"], serde_json::json!([]));

    let embedded = start(only(Transport::Polling));
    assert_eq!(status(&embedded.shake_hands(WEBSOCKET, "").await), "400");
    let (head, body) = embedded.get(POLLING, "").await;
    assert_eq!((status(&head), &open_packet(&body)["upgrades"]), ("200", &serde_json::json!([])));
    let sid = open_packet(&body)["sid"].as_str().expect("a sid").to_owned();
    assert_eq!(status(&embedded.shake_hands(&format!("{WEBSOCKET}&sid={sid}"), "").await), "400");
}

#[actix_web::test]
async fn without_upgrades_none_is_offered_but_one_that_comes_is_taken() {
    let embedded = start(Server::builder().allow_upgrades(false));
    let (_, body) = embedded.get(POLLING, "").await;
    assert_eq!(open_packet(&body)["upgrades"], serde_json::json!([]));
    let mut raw = Poller::open(&embedded.server).await.upgraded().await;
    raw.send(&text("4hello")).await;
    assert_eq!(next_text(&mut raw).await, "4hello");
}

#[actix_web::test]
async fn the_first_answer_of_a_polling_session_sets_the_cookie_and_no_other_does() {
    let embedded = start(Server::builder().cookie(Cookie::default()));
    for _ in 0..3 {
        let answer = embedded.server.get_raw(POLLING, "").await;
        let sid = open_packet(answer.split("\r\n\r\n").nth(1).expect("a body"))["sid"]
            .as_str()
            .expect("a sid")
            .to_owned();
        let cookie = format!("set-cookie: io={sid}; Path=/; HttpOnly; SameSite=Lax\r\n");
        assert!(answer.contains(&cookie), "{answer}");
        let poller = Poller::of(&embedded.server, sid);
        assert_eq!(poller.post("4hello").await.status, 200);
        let (head, body) = embedded.get(&format!("{POLLING}&sid={}", poller.sid), "").await;
        assert!(body == "4hello" && !head.contains("set-cookie"), "{head}{body}");
    }
    let head = embedded.shake_hands(WEBSOCKET, "").await;
    assert!(status(&head) == "101" && !head.contains("set-cookie"), "{head}");
    let without = start(Server::builder());
    assert!(!without.get(POLLING, "").await.0.contains("set-cookie"));
}

#[actix_web::test]
async fn a_program_s_own_ids_are_those_of_its_sessions() {
    let next = Arc::new(AtomicUsize::new(1));
    let builder = Server::builder().generate_id(move |request| {
        format!("{}-{}", request.query("name").unwrap_or_default(), next.fetch_add(1, Ordering::Relaxed))
    });
    let embedded = start(builder);
    let (_, body) = embedded.get(&format!("{POLLING}&name=tea"), "").await;
    assert_eq!(open_packet(&body)["sid"], "tea-1");
    let poller = Poller::of(&embedded.server, "tea-1".to_owned());
    assert_eq!(poller.post("4hello").await.status, 200);
    assert_eq!(poller.poll().await.body, "4hello");
    let (_, open) = websocket(&embedded.server).await;
    assert_eq!(open["sid"], "-2");
}

#[actix_web::test]
async fn ids_of_sessions_begin_with_the_name_of_the_server_unless_the_program_makes_them() {
    let named = Server::builder().node_name("web1");
    let embedded = start(named.clone());
    let sid = Poller::open(&embedded.server).await.sid;
    assert!(sid.len() == 20 && sid.starts_with("web1"), "{sid}");
    let (_, open) = websocket(&embedded.server).await;
    assert!(open["sid"].as_str().is_some_and(|sid| sid.starts_with("web1")), "{open}");
    let own = start(named.generate_id(|_| "mine".to_owned()));
    assert_eq!(Poller::open(&own.server).await.sid, "mine");
}

#[actix_web::test]
async fn a_session_whose_id_cannot_be_used_does_not_begin() {
    let builder =
        Server::builder().generate_id(|request| request.query("id").unwrap_or_default().into_owned());
    let embedded = start(builder);
    let bad_request = r#"{"code":3,"message":"Bad request"}"#;
    assert_eq!(status(&embedded.get(&format!("{POLLING}&id=one"), "").await.0), "200");
    let long = "x".repeat(65);
    for id in ["one", "", "two%20words", "%C3%A9", &long] {
        let (head, body) = embedded.get(&format!("{POLLING}&id={id}"), "").await;
        assert_eq!((status(&head), body.as_str()), ("400", bad_request), "{id}");
        let head = embedded.shake_hands(&format!("{WEBSOCKET}&id={id}"), "").await;
        assert_eq!(status(&head), "400", "{id}");
    }
    assert_eq!(embedded.io.clients_count(), 1, "nothing is left of the others");
}

#[actix_web::test]
async fn the_initial_packet_comes_behind_the_open_packet_by_each_transport() {
    let embedded = start(Server::builder().initial_packet("faster!"));
    let (_, body) = embedded.get(POLLING, "").await;
    assert_eq!(body.split('\u{1E}').nth(1), Some("4faster!"), "{body}");
    let (mut raw, _) = websocket(&embedded.server).await;
    assert_eq!(next_text(&mut raw).await, "4faster!");
}

#[actix_web::test]
async fn responses_to_polls_are_compressed_from_a_size_on_and_not_if_that_is_off() {
    let threshold = Server::builder().http_compression(Some(100));
    let off = Server::builder().http_compression(None);
    for (settings, size, is_compressed) in [
        (Server::builder(), 1023, false),
        (Server::builder(), 1024, true),
        (threshold.clone(), 99, false),
        (threshold, 100, true),
        (off, 5000, false),
    ] {
        let embedded = start(settings);
        let poller = Poller::open(&embedded.server).await;
        assert_eq!(poller.post(&format!("4{}", "x".repeat(size - 1))).await.status, 200);
        let path = format!("{POLLING}&sid={}", poller.sid);
        let mut raw = embedded.server.connect_tcp().await;
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n");
        raw.send(request.as_bytes()).await;
        let head = raw.read_head().await.to_lowercase();
        assert_eq!(head.contains("content-encoding: gzip"), is_compressed, "{size}: {head}");
    }
}

#[actix_web::test]
async fn the_open_packet_tells_the_pings_and_the_largest_payload() {
    let settings = Server::builder()
        .ping_interval(Duration::from_millis(1234))
        .ping_timeout(Duration::from_millis(567))
        .max_payload(8910);
    let (_, body) = start(settings).get(POLLING, "").await;
    let open = open_packet(&body);
    let told = ["pingInterval", "pingTimeout", "maxPayload"].map(|name| open[name].as_u64());
    assert_eq!(told, [Some(1234), Some(567), Some(8910)]);
}
