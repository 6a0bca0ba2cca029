//! Socket.IO on raw HTTP and raw frames: each requirement of Engine.IO 4 and Socket.IO 5.

use std::time::{Duration, Instant};

use actix_web::rt;
use awc::http::Method;
use echoroom::config::Settings;
use serde_json::{Value, json};

use crate::{
    helpers::{TestServer, frame, settings, text},
    sockets::{Poller, connected, expect_closed, next_text, request, websocket},
};

/// How long a request may take to be under way, where nothing else shows that it is.
const ARRIVAL: Duration = Duration::from_millis(500);

/// The heartbeats of the official suites.
fn hasty() -> Settings {
    settings().with(|s| {
        s.heartbeat.ping_interval = "300ms".parse().expect("a time");
        s.heartbeat.ping_timeout = "200ms".parse().expect("a time");
    })
}

#[actix_web::test]
async fn a_handshake_opens_a_session_with_exactly_the_expected_keys() {
    let server = TestServer::with(hasty()).await;
    let (_, on_websocket) = websocket(&server).await;
    let answer = request(&server, Method::GET, "EIO=4&transport=polling", "").await;
    let polling: Value = serde_json::from_str(&answer.body[1..]).expect("JSON");
    for (open, upgrades) in [(polling, json!(["websocket"])), (on_websocket, json!([]))] {
        assert_eq!(open["sid"].as_str().map(str::len), Some(20));
        assert_eq!(
            open,
            json!({"sid": open["sid"], "upgrades": upgrades, "pingInterval": 300, "pingTimeout": 200, "maxPayload": 1_000_000})
        );
    }
}

#[actix_web::test]
async fn bad_requests_are_refused_with_the_codes_of_the_reference_in_its_order() {
    let server = TestServer::start().await;
    for (method, query, code, words) in [
        (Method::GET, "EIO=4", 0, "Transport unknown"),
        (Method::GET, "EIO=4&transport=abc", 0, "Transport unknown"),
        (Method::GET, "EIO=abc&transport=abc&sid=x", 0, "Transport unknown"),
        (Method::GET, "EIO=4&transport=polling&sid=nobody", 1, "Session ID unknown"),
        (Method::POST, "EIO=4&transport=polling&sid=nobody", 1, "Session ID unknown"),
        (Method::POST, "EIO=4&transport=polling", 2, "Bad handshake method"),
        (Method::PUT, "EIO=abc&transport=polling", 2, "Bad handshake method"),
        (Method::GET, "EIO=4&transport=websocket", 3, "Bad request"),
        (Method::GET, "transport=polling", 5, "Unsupported protocol version"),
        (Method::GET, "EIO=3&transport=polling", 5, "Unsupported protocol version"),
    ] {
        let answer = request(&server, method.clone(), query, "").await;
        assert_eq!(answer.status, 400, "{method} {query}");
        let body: Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(body, json!({"code": code, "message": words}), "{method} {query}");
    }
    for query in [
        "transport=websocket",
        "EIO=3&transport=websocket",
        "EIO=4",
        "EIO=4&transport=polling",
        "EIO=4&transport=websocket&sid=x",
    ] {
        let head = server.connect_tcp().await.handshake_with(&format!("/socket.io/?{query}"), "").await;
        assert!(head.starts_with("HTTP/1.1 400 "), "{query}: {head}");
    }
}

#[actix_web::test]
async fn a_page_of_a_foreign_origin_gets_no_session() {
    let server = TestServer::start().await;
    let path = "/socket.io/?EIO=4&transport=websocket";
    let head = server.connect_tcp().await.handshake_with(path, "Origin: https://elsewhere.example\r\n").await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    let answer =
        server.get_raw("/socket.io/?EIO=4&transport=polling", "Origin: https://elsewhere.example\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains(r#""code":4"#), "{answer}");
}

#[actix_web::test]
async fn the_path_is_served_with_and_without_its_slash_and_can_be_moved() {
    let server = TestServer::with(settings().with(|s| s.socketio.socketio_path = "/io".to_owned())).await;
    for path in ["/io", "/io/"] {
        let answer = server.get_raw(&format!("{path}?EIO=4&transport=polling"), "").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    assert!(server.get_raw("/socket.io/?EIO=4&transport=polling", "").await.starts_with("HTTP/1.1 404 "));
}

#[actix_web::test]
async fn packets_of_one_post_are_answered_in_one_poll() {
    let server = TestServer::start().await;
    let poller = Poller::connected(&server).await;
    let post =
        poller.post("421[\"ping\",{}]\u{1E}422[\"typing\",{\"typing\":true}]\u{1E}423[\"jump\"]").await;
    assert_eq!((post.status, &*post.body), (200, "ok"));
    let poll = poller.poll().await;
    let packets: Vec<_> = poll.body.split('\u{1E}').collect();
    assert_eq!(packets.len(), 3, "{}", poll.body);
    assert!(packets[0].starts_with("431[{\"at\":"), "{}", packets[0]);
    assert!(packets[1].starts_with("432[{\"error\":{\"code\":\"not_logged_in\""), "{}", packets[1]);
    assert!(packets[2].starts_with("433[{\"error\":{\"code\":\"unknown_event\""), "{}", packets[2]);
}

#[actix_web::test]
async fn an_answer_to_a_poll_has_sixteen_packets_at_most() {
    let server = TestServer::start().await;
    let poller = Poller::connected(&server).await;
    let many: Vec<String> = (0..20).map(|number| format!("42{number}[\"ping\",{{}}]")).collect();
    poller.post(&many.join("\u{1E}")).await;
    assert_eq!(poller.poll().await.body.split('\u{1E}').count(), 16);
    assert_eq!(poller.poll().await.body.split('\u{1E}').count(), 4);
}

#[actix_web::test]
async fn a_post_that_cannot_be_read_ends_the_session() {
    let server = TestServer::start().await;
    for bad in ["abc", "", "\u{1E}4a", "b***", "7", "2", "4abc", "42[]"] {
        let poller = Poller::connected(&server).await;
        let answer = poller.post(bad).await;
        // What breaks Socket.IO was taken by Engine.IO, and ends the session all the same (see `last_words.rs`).
        assert!(answer.status == 400 || ["2", "4abc", "42[]"].contains(&bad), "{bad:?}: {}", answer.status);
        if ["4abc", "42[]"].contains(&bad) {
            assert_eq!(poller.poll().await.body, "6\u{1E}1");
        }
        assert_eq!(poller.poll().await.status, 400, "{bad:?}");
    }
    let poller = Poller::connected(&server).await;
    let url = format!("http://{}/socket.io/?{}", server.address, poller.query());
    let binary = awc::Client::new().post(url).insert_header(("Content-Type", "application/octet-stream"));
    assert_eq!(binary.send_body("4x").await.expect("an answer").status(), 400);
    assert_eq!(poller.poll().await.status, 400);
}

#[actix_web::test]
async fn a_post_that_is_too_large_is_refused_and_the_session_lives() {
    let server =
        TestServer::with(settings().with(|s| s.events.max_payload = "1k".parse().expect("a size"))).await;
    let poller = Poller::connected(&server).await;
    assert_eq!(poller.post(&"4".repeat(1025)).await.status, 413);
    assert_eq!(poller.post("421[\"ping\",{}]").await.status, 200);
    assert!(poller.poll().await.body.starts_with("431["));
}

#[actix_web::test]
async fn two_polls_at_a_time_end_the_session() {
    let server = TestServer::start().await;
    let poller = Poller::connected(&server).await;
    let second = async {
        rt::time::sleep(ARRIVAL).await;
        poller.poll().await
    };
    let (first, second) = futures_util::future::join(poller.poll(), second).await;
    assert_eq!((first.status, &*first.body), (200, "1"));
    assert_eq!(second.status, 400);
    assert_eq!(poller.poll().await.status, 400);
}

#[actix_web::test]
async fn two_posts_at_a_time_end_the_session() {
    let server = TestServer::start().await;
    let poller = Poller::connected(&server).await;
    let mut slow = server.connect_tcp().await;
    let head =
        format!("POST /socket.io/?{} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n42", poller.query());
    slow.send(head.as_bytes()).await;
    // The first post is under way once its beginning has been read.
    rt::time::sleep(ARRIVAL).await;
    assert_eq!(poller.post("421[\"ping\",{}]").await.status, 400);
    assert_eq!(poller.poll().await.status, 400);
}

#[actix_web::test]
async fn a_poll_that_is_given_up_ends_the_session_at_once() {
    let server = TestServer::start().await;
    let poller = Poller::connected(&server).await;
    let mut polling = server.connect_tcp().await;
    polling.send(format!("GET /socket.io/?{} HTTP/1.1\r\nHost: x\r\n\r\n", poller.query()).as_bytes()).await;
    rt::time::sleep(ARRIVAL).await;
    drop(polling);
    server.until_health_shows(0, 0).await;
    assert_eq!(poller.poll().await.status, 400);
}

#[actix_web::test]
async fn a_client_that_closes_is_released() {
    let server = TestServer::start().await;
    let poller = Poller::connected(&server).await;
    let post = async {
        rt::time::sleep(ARRIVAL).await;
        poller.post("1").await
    };
    let (poll, post) = futures_util::future::join(poller.poll(), post).await;
    assert_eq!((poll.status, &*poll.body, post.status), (200, "6", 200));
    assert_eq!(poller.poll().await.status, 400);
    let mut raw = connected(&server).await;
    raw.send(&text("1")).await;
    expect_closed(raw).await;
    server.until_health_shows(0, 0).await;
}

#[actix_web::test]
async fn a_leave_that_overtakes_a_poll_still_releases_it() {
    let server = TestServer::start().await;
    for _ in 0..20 {
        let poller = Poller::connected(&server).await;
        let (poll, leave) = tokio::join!(poller.poll(), poller.post("1"));
        assert_eq!((leave.status, poll.status, &*poll.body), (200, 200, "6"));
        assert_eq!(poller.poll().await.status, 400);
    }
    server.until_health_shows(0, 0).await;
}

#[actix_web::test]
async fn pings_come_at_their_interval_and_must_be_answered() {
    let server =
        TestServer::with(hasty().with(|s| s.heartbeat.ping_timeout = "10s".parse().expect("a time"))).await;
    let poller = Poller::connected(&server).await;
    let mut raw = connected(&server).await;
    for _ in 0..3 {
        assert_eq!(poller.poll().await.body, "2");
        assert_eq!(poller.post("3").await.status, 200);
        assert_eq!(next_text(&mut raw).await, "2");
        raw.send(&text("3")).await;
    }
}

#[actix_web::test]
async fn who_does_not_answer_a_ping_is_gone_at_one_absolute_deadline() {
    let server = TestServer::with(hasty()).await;
    let poller = Poller::open(&server).await;
    let start = Instant::now();
    let (raw, _) = websocket(&server).await;
    expect_closed(raw).await;
    let elapsed = start.elapsed();
    assert!(elapsed >= Duration::from_millis(400), "{elapsed:?}");
    assert_eq!(poller.poll().await.status, 400);
    server.until_health_shows(0, 0).await;
}

#[actix_web::test]
async fn a_session_upgrades_from_polling_to_a_websocket() {
    let server = TestServer::start().await;
    let poller = Poller::connected(&server).await;
    let mut raw = poller.websocket().await;
    raw.send(&text("2probe")).await;
    assert_eq!(next_text(&mut raw).await, "3probe");
    assert_eq!(poller.poll().await.body, "6", "a poll is released");
    // Posts are taken until the upgrade is done, and what they lead to is kept for the next transport.
    assert_eq!(poller.post("421[\"ping\",{}]").await.status, 200);
    raw.send(&text("5")).await;
    assert!(next_text(&mut raw).await.starts_with("431["));
    raw.send(&text("422[\"ping\",{}]")).await;
    assert!(next_text(&mut raw).await.starts_with("432["));
    let answer = poller.poll().await;
    assert_eq!(answer.status, 400);
    assert!(answer.body.contains(r#""code":3"#), "{}", answer.body);
    expect_closed(poller.websocket().await).await;
    raw.send(&text("423[\"ping\",{}]")).await;
    assert!(next_text(&mut raw).await.starts_with("433["), "the first one still carries the session");
}

#[actix_web::test]
async fn a_poll_that_overtakes_the_upgrade_on_its_way_is_refused_like_one_after_it() {
    let server = TestServer::start().await;
    let mut refused = 0;
    for _ in 0..20 {
        let poller = Poller::connected(&server).await;
        let mut raw = poller.websocket().await;
        let began = Instant::now();
        raw.send(&text("2probe")).await;
        assert_eq!(next_text(&mut raw).await, "3probe");
        // The other connection may be read first.
        let upgrade = text("5");
        let (poll, ()) = tokio::join!(poller.poll(), raw.send(&upgrade));
        // An upgrade that takes the machine so long is not waited for.
        let is_late = began.elapsed() >= Duration::from_millis(100);
        assert!(poll.status == 400 || is_late && poll.status == 200, "{}", poll.status);
        refused += usize::from(poll.status == 400);
    }
    assert!(refused > 0);
}

#[actix_web::test]
async fn a_failed_upgrade_leaves_the_session_polling() {
    let server =
        TestServer::with(settings().with(|s| s.socketio.upgrade_timeout = "200ms".parse().expect("a time")))
            .await;
    let poller = Poller::connected(&server).await;
    let mut nonsense = poller.websocket().await;
    nonsense.send(&text("4hello")).await;
    expect_closed(nonsense).await;
    let mut lost = poller.websocket().await;
    lost.send(&text("2probe")).await;
    assert_eq!(next_text(&mut lost).await, "3probe");
    expect_closed(lost).await;
    poller.post("421[\"ping\",{}]").await;
    assert!(poller.poll().await.body.starts_with("431["));
}

#[actix_web::test]
async fn what_breaks_the_protocol_ends_the_connection() {
    let server = TestServer::start().await;
    for bad in ["4abc", "42[\"x\"]", "41", "44{}", "abc", "", "2", "40[]", "40x"] {
        let (mut raw, _) = websocket(&server).await;
        raw.send(&text(bad)).await;
        expect_closed(raw).await;
    }
    for bad in [
        "4abc",
        "42{}",
        "42[]",
        "42[\"connect\"]",
        "42abc[\"x\"]",
        "421.5[\"x\"]",
        "42-1[\"x\"]",
        "41{}",
        "43{}",
        "450-[\"x\"]",
        "4511-[\"x\"]",
        "42/other,[\"x\"]",
        "41/other,",
    ] {
        let mut raw = connected(&server).await;
        raw.send(&text(bad)).await;
        expect_closed(raw).await;
    }
    let mut raw = connected(&server).await;
    raw.send(&frame(0x82, b"unannounced")).await;
    expect_closed(raw).await;
    let mut raw = connected(&server).await;
    raw.send(&text(r#"451-["x",{"_placeholder":true,"num":0}]"#)).await;
    raw.send(&text("42[\"y\"]")).await;
    expect_closed(raw).await;
    server.until_health_shows(0, 0).await;
}

#[actix_web::test]
async fn what_means_nothing_is_passed_over() {
    let server = TestServer::start().await;
    let mut raw = connected(&server).await;
    for nothing in ["0", "6", "5", "3", "3probe", "42", "43[\"x\"]", "437[\"x\"]"] {
        raw.send(&text(nothing)).await;
    }
    raw.send(&text("420[\"ping\",{}]")).await;
    assert!(next_text(&mut raw).await.starts_with("430["), "an id of 0 is one");
}

#[actix_web::test]
async fn namespaces_that_are_not_there_are_refused_and_the_connection_stays() {
    let server = TestServer::start().await;
    let (mut raw, _) = websocket(&server).await;
    for number in 0..100 {
        raw.send(&text(&format!("40/n{number},"))).await;
        assert_eq!(next_text(&mut raw).await, format!("44/n{number},{{\"message\":\"Invalid namespace\"}}"));
    }
    raw.send(&text("40")).await;
    assert!(next_text(&mut raw).await.starts_with("40{"));
    raw.send(&text("41")).await;
    raw.send(&text("40")).await;
    assert!(next_text(&mut raw).await.starts_with("40{"), "out and in again");
}

#[actix_web::test]
async fn who_joins_nothing_is_sent_away() {
    let server =
        TestServer::with(settings().with(|s| s.login.connect_timeout = "1s".parse().expect("a time"))).await;
    let (raw, _) = websocket(&server).await;
    let mut joined = connected(&server).await;
    expect_closed(raw).await;
    joined.send(&text("421[\"ping\",{}]")).await;
    assert!(next_text(&mut joined).await.starts_with("431["));
}

#[actix_web::test]
async fn a_message_over_the_limit_closes_with_1009() {
    let server =
        TestServer::with(settings().with(|s| s.events.max_payload = "1k".parse().expect("a size"))).await;
    let mut raw = connected(&server).await;
    raw.send(&text(&format!("42[\"{}\"]", "x".repeat(1024)))).await;
    raw.expect_close(1009).await;
}

#[actix_web::test]
async fn sessions_count_among_the_servers_whichever_carries_them() {
    let server =
        TestServer::with(settings().with(|s| s.admission.max_sessions = 2.try_into().expect("not zero")))
            .await;
    let _poller = Poller::connected(&server).await;
    let _raw = connected(&server).await;
    server.until_health_shows(2, 0).await;
    assert_eq!(request(&server, Method::GET, "EIO=4&transport=polling", "").await.status, 503);
}

#[actix_web::test]
async fn pages_of_other_origins_may_poll_if_the_server_says_so() {
    let page = "https://page.example";
    let allowed = settings().with(|s| s.socketio.cors_origin = vec![page.parse().expect("an origin")]);
    let server = TestServer::with(allowed).await;
    let path = "/socket.io/?EIO=4&transport=polling";
    let answer = server.get_raw(path, &format!("Origin: {page}\r\n")).await.to_lowercase();
    assert!(answer.starts_with("http/1.1 200 "), "{answer}");
    assert!(answer.contains(&format!("access-control-allow-origin: {page}\r\n")), "{answer}");
    assert!(answer.contains("vary: origin\r\n"), "{answer}");
    let refused = server.get_raw("/socket.io/?EIO=3&transport=polling", &format!("Origin: {page}\r\n")).await;
    assert!(refused.to_lowercase().contains("access-control-allow-origin"), "a page may read why: {refused}");
    let other = server.get_raw(path, "Origin: https://elsewhere.example\r\n").await;
    assert!(
        other.starts_with("HTTP/1.1 403 ") && !other.to_lowercase().contains("access-control"),
        "{other}"
    );

    let mut raw = server.connect_tcp().await;
    let ask = format!(
        "OPTIONS {path} HTTP/1.1\r\nHost: x\r\nOrigin: {page}\r\nAccess-Control-Request-Method: POST\r\n\
         Access-Control-Request-Headers: x-token\r\n\r\n"
    );
    raw.send(ask.as_bytes()).await;
    let head = raw.read_head().await.to_lowercase();
    assert!(head.starts_with("http/1.1 204 "), "{head}");
    for line in ["access-control-allow-methods: get,post\r\n", "access-control-allow-headers: x-token\r\n"] {
        assert!(head.contains(line), "{head}");
    }
    let websocket = "/socket.io/?EIO=4&transport=websocket";
    let head = server.connect_tcp().await.handshake_with(websocket, &format!("Origin: {page}\r\n")).await;
    assert!(head.starts_with("HTTP/1.1 403 "), "for a WebSocket there is --allow-origin: {head}");
}

#[actix_web::test]
async fn without_the_setting_no_answer_has_a_header_of_cors() {
    let server = TestServer::start().await;
    let answer = server.get_raw("/socket.io/?EIO=4&transport=polling", "Origin: http://x\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "its own pages may: {answer}");
    assert!(!answer.to_lowercase().contains("access-control"), "{answer}");
}

// ----- the hostile set -----

#[actix_web::test]
async fn attachments_that_never_come_end_the_session() {
    let server = TestServer::with(hasty()).await;
    let mut raw = connected(&server).await;
    raw.send(&text(r#"452-["login",{"_placeholder":true,"num":0}]"#)).await;
    raw.send(&frame(0x82, b"one of two")).await;
    loop {
        let frame = raw.read_frame().await;
        match &frame.payload[..] {
            b"2" => raw.send(&text("3")).await,
            _ if frame.first == 0x88 => break,
            other => panic!("{}", String::from_utf8_lossy(other)),
        }
    }
    server.until_health_shows(0, 0).await;
}

#[actix_web::test]
async fn who_knocks_at_a_million_namespaces_is_turned_away_and_then_out() {
    let limited = settings().with(|s| {
        s.rates.rate = 1;
        s.rates.rate_burst = 5;
        s.rates.rate_patience = "500ms".parse().expect("a time");
    });
    let server = TestServer::with(limited).await;
    let mut raw = connected(&server).await;
    let (mut unknown, mut too_many) = (0, 0);
    for number in 0..1_000_000 {
        raw.send(&text(&format!("40/{number}"))).await;
        let answer = raw.read_frame().await;
        if answer.first == 0x88 {
            assert_eq!(&answer.payload[..2], 1008_u16.to_be_bytes());
            break;
        }
        match String::from_utf8(answer.payload).expect("UTF-8") {
            text if text == format!(r#"44/{number},{{"message":"Invalid namespace"}}"#) => unknown += 1,
            text if text == format!(r#"44/{number},{{"message":"Too many packets"}}"#) => too_many += 1,
            text => panic!("{text}"),
        }
    }
    assert!((4..=6).contains(&unknown) && too_many > 0, "{unknown} and {too_many}");
    server.until_health_shows(0, 0).await;
}

#[actix_web::test]
async fn posts_without_a_meaning_are_no_way_to_keep_the_server_busy() {
    let limited = settings().with(|s| {
        s.rates.rate = 1;
        s.rates.rate_burst = 5;
        s.rates.rate_patience = "500ms".parse().expect("a time");
    });
    let server = TestServer::with(limited).await;
    for packet in ["6", "3", "40/x", "43999[]"] {
        let poller = Poller::connected(&server).await;
        while poller.post(packet).await.status == 200 {}
        // It is gone, or waits a while to say why.
        assert!(matches!(poller.poll().await.status, 200 | 400));
    }
}

#[actix_web::test]
async fn payload_bombs_end_their_session_and_nothing_else() {
    let server = TestServer::start().await;
    let deep = "[".repeat(400_000);
    let nested = |open: &str, close: &str| format!("{}{}", open.repeat(300_000), close.repeat(300_000));
    let bombs = [
        "6\u{1E}".repeat(400_000),
        "\u{1E}".repeat(900_000),
        format!(r#"442["x",{deep}"#),
        format!(r#"442["x",{}]"#, nested("[", "]")),
        format!(r#"451-["x",{}]"#, nested("[", "]")),
        format!(r#"440{{"a":{}}}"#, nested("[", "]")),
        format!(r#"442["login",{}1{}]"#, r#"{"a":"#.repeat(100_000), "}".repeat(100_000)),
        format!("442{}", "9".repeat(900_000)),
        format!("45{}-[]", "9".repeat(900_000)),
    ];
    for bomb in bombs {
        let poller = Poller::connected(&server).await;
        poller.post(&bomb).await;
        poller.post("1").await;
        server.until_health_shows(0, 0).await;
    }
    let mut raw = connected(&server).await;
    raw.send(&text(r#"421["ping"]"#)).await;
    assert!(next_text(&mut raw).await.starts_with("431[{"));
}

#[actix_web::test]
async fn a_guessed_sid_is_nobody_and_abandoned_polls_leave_nothing() {
    let server = TestServer::start().await;
    for number in 0..200 {
        let sid = format!("{number:020}");
        let query = format!("EIO=4&transport=polling&sid={sid}");
        assert_eq!(request(&server, Method::GET, &query, "").await.status, 400);
        assert_eq!(request(&server, Method::POST, &query, "40").await.status, 400);
    }
    for _ in 0..50 {
        let poller = Poller::connected(&server).await;
        let mut tcp = server.connect_tcp().await;
        let head = format!("GET /socket.io/?{} HTTP/1.1\r\nHost: x\r\n\r\n", poller.query());
        tcp.send(head.as_bytes()).await;
        // The end comes in the same read as the request, more often than not.
        drop(tcp);
    }
    server.until_health_shows(0, 0).await;
}
