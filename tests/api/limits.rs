//! Every limit holds, says so, and leaves the others alone. (Sizes of messages: `frames.rs`, `compression.rs`.)

use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::{Duration, Instant},
};

use echoroom::config::{PerAddress, Switch};

use crate::{
    doors::DOORS,
    helpers::{TestServer, frame, settings, text},
};

fn one() -> NonZeroUsize {
    NonZeroUsize::MIN
}

async fn assert_full(server: &TestServer, path: &str, headers: &str, setting: &str) {
    let mut raw = server.connect_tcp().await;
    let request = raw.upgrade_request(path).replace("Upgrade: w", &format!("{headers}Upgrade: w"));
    raw.send(request.as_bytes()).await;
    let mut answer = String::new();
    let read = tokio::io::AsyncReadExt::read_to_string(&mut raw.stream, &mut answer);
    crate::helpers::soon("a refusal", read).await.expect("UTF-8");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("retry-after: ") && answer.contains(setting), "{answer}");
}

#[actix_web::test]
async fn one_session_too_many_is_told_to_come_back() {
    let server = TestServer::with(settings().with(|s| s.admission.max_sessions = one())).await;
    let mut first = server.connect("/echo").await;
    assert_full(&server, "/ws", "", "--max-sessions").await;
    first.send("still here").await;
    assert_eq!(first.next_text().await, "still here");
    first.close().await;
    server.until_health_shows(0, 0).await;
    server.connect("/ws").await.expect_quiet().await;
}

#[actix_web::test]
async fn one_session_too_many_is_refused_at_every_door_whatever_door_has_the_place() {
    let server = TestServer::with(settings().with(|s| {
        s.admission.max_sessions = one();
        s.socketio.relay = Switch::On;
    }))
    .await;
    let paths = ["/", "/ws", "/echo", "/chat", "/socket.io/?EIO=4&transport=websocket"];
    for door in DOORS {
        let raw = door.open(&server).await;
        for path in paths {
            let answer = server.connect_tcp().await.handshake_with(path, "").await;
            assert!(
                answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: "),
                "{door:?} {path}"
            );
        }
        let answer = server.get_raw("/socket.io/?EIO=4&transport=polling", "").await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: "), "{door:?} {answer}");
        drop(raw);
        server.until_health_shows(0, 0).await;
    }
}

#[actix_web::test]
async fn one_session_too_many_from_an_address_is_told_to_come_back() {
    let server =
        TestServer::with(settings().with(|s| s.admission.max_sessions_per_address = PerAddress::for_all(1)))
            .await;
    let _first = server.connect("/ws").await;
    assert_full(&server, "/ws", "", "--max-sessions-per-address").await;
    // Nobody is believed to come from elsewhere.
    assert_full(&server, "/ws", "X-Forwarded-For: 192.0.2.1\r\n", "--max-sessions-per-address").await;
}

#[actix_web::test]
async fn behind_a_trusted_proxy_the_address_is_the_clients() {
    let trusting = settings().with(|s| {
        s.admission.max_sessions_per_address = PerAddress::for_all(1);
        s.admission.trusted_proxy = vec!["127.0.0.1".parse().expect("an address")];
    });
    let server = TestServer::with(trusting).await;
    let handshake = |from: &'static str| {
        let server = &server;
        async move {
            let mut raw = server.connect_tcp().await;
            let line = format!("X-Forwarded-For: {from}\r\nUpgrade: w");
            raw.send(raw.upgrade_request("/ws").replace("Upgrade: w", &line).as_bytes()).await;
            (raw.read_head().await, raw)
        }
    };
    let (one, _keep_one) = handshake("192.0.2.1").await;
    let (two, _keep_two) = handshake("192.0.2.2").await;
    let (again, _) = handshake("192.0.2.1").await;
    assert!(one.starts_with("HTTP/1.1 101 ") && two.starts_with("HTTP/1.1 101 "), "{one}{two}");
    assert!(again.starts_with("HTTP/1.1 503 "), "{again}");
}

#[actix_web::test]
async fn an_address_that_asks_too_often_is_told_so_at_every_door_whatever_it_was_answered() {
    let doors = [
        "/",
        "/ws",
        "/echo",
        "/chat",
        "/ws?room=",
        "/lesson/news",
        "/lesson/slow",
        "/lesson/break/reset",
        "/socket.io/?EIO=4&transport=websocket",
        "/socket.io/?EIO=4&transport=websocket&sid=unknown",
    ];
    for door in doors {
        let server = TestServer::with(settings().with(|s| {
            s.admission.handshake_rate = PerAddress::for_all(1);
            s.admission.handshake_burst = NonZeroU32::new(3).expect("not zero");
        }))
        .await;
        // Three of a page that is refused, and one that would not be.
        for _ in 0..3 {
            let foreign = "Origin: http://evil.example\r\n";
            let answer = server.connect_tcp().await.handshake_with(door, foreign).await;
            assert!(answer.starts_with("HTTP/1.1 4") && !answer.contains("429"), "{door}: {answer}");
        }
        let answer = server.connect_tcp().await.handshake_with(door, "").await;
        assert!(answer.starts_with("HTTP/1.1 429 ") && answer.contains("retry-after: "), "{door}: {answer}");
        // By polling, too.
        let answer = server.get_raw("/socket.io/?EIO=4&transport=polling", "").await;
        assert!(answer.starts_with("HTTP/1.1 429 ") && answer.contains("--handshake-rate"), "{answer}");
        // Pages and health are no handshakes.
        let answer = server.get_raw("/health", "").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

#[actix_web::test]
async fn one_lesson_too_many_from_an_address_is_told_to_come_back() {
    let server =
        TestServer::with(settings().with(|s| s.lessons.max_lessons_per_address = PerAddress::for_all(1)))
            .await;
    let _first = server.connect_raw("/lesson/news").await;
    assert_full(&server, "/lesson/slow", "", "--max-lessons-per-address").await;
}

#[actix_web::test]
async fn one_room_too_many_is_told_to_come_back() {
    let server = TestServer::with(settings().with(|s| s.rooms.max_rooms = one())).await;
    let mut ann = server.connect("/ws?room=a").await;
    assert_full(&server, "/ws?room=b", "", "--max-rooms").await;
    let mut ben = server.connect("/ws?room=a").await;
    ben.send_binary(b"hi").await;
    assert_eq!(ann.next_binary().await, b"hi");
    let _echo = server.connect("/echo").await;
    drop((ann, ben));
    server.until_health_shows(1, 0).await;
    server.connect("/ws?room=b").await.expect_quiet().await;
}

#[actix_web::test]
async fn a_fast_sender_is_read_more_slowly_and_loses_nothing() {
    let server = TestServer::with(settings().with(|s| {
        s.rates.rate = 50;
        s.rates.rate_burst = 10;
    }))
    .await;
    let mut raw = server.connect_raw("/ws").await;
    let start = Instant::now();
    let burst: Vec<u8> = (0..30).flat_map(|number| text(&number.to_string())).collect();
    raw.send(&burst).await;
    for number in 0..30 {
        assert_eq!(raw.read_frame().await.payload, format!("{number}!!!").into_bytes());
    }
    // Ten at once, and twenty more at fifty a second.
    assert!(start.elapsed() >= Duration::from_millis(350), "took only {:?}", start.elapsed());
}

#[actix_web::test]
async fn a_flood_of_messages_or_pings_ends_with_1008() {
    let impatient = settings().with(|s| {
        s.rates.rate = 20;
        s.rates.rate_burst = 5;
        s.rates.rate_patience = "300ms".parse().expect("a time");
    });
    let server = TestServer::with(impatient).await;
    for flood in [text("x"), frame(0x89, b"x")] {
        let mut raw = server.connect_raw("/echo").await;
        raw.send(&flood.repeat(1000)).await;
        loop {
            let frame = raw.read_frame().await;
            if frame.first == 0x88 {
                assert_eq!(frame.payload[..2], 1008_u16.to_be_bytes());
                break;
            }
        }
        raw.expect_end().await;
    }
    server.until_health_shows(0, 0).await;
}

#[actix_web::test]
async fn a_connection_that_never_asks_is_closed() {
    let hasty = settings().with(|s| s.connections.handshake_timeout = "600ms".parse().expect("a time"));
    let server = TestServer::with(hasty).await;
    let silent = server.connect_tcp().await;
    let mut slow = server.connect_tcp().await;
    slow.send(b"GET /ws HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;
    for mut raw in [silent, slow] {
        let mut rest = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(&mut raw.stream, &mut rest);
        crate::helpers::soon("the end of an idle connection", read).await.expect("a clean end");
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&rest));
    }
}
