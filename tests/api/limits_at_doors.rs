//! Each limit, at each door that it applies to: the sizes, the rates, the queues, the times.

use std::time::{Duration, Instant};

use actix_web::rt;
use echoroom::config::{Period, Settings, Switch};
use serde_json::{Value, json};

use crate::{
    chatters::{CHAT_DOORS, CHAT_WEBSOCKETS, ChatDoor, Chatter},
    helpers::{RawClient, RawFrame, TestServer, frame, settings, text},
    sockets::{Poller, connected, next_text, websocket},
};

/// A way to come by a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Plain,
    Echo,
    Chat,
    SocketIo,
    Upgraded,
    Relay,
    Lesson,
}

use Door::{Chat, Echo, Lesson, Plain, Relay, SocketIo, Upgraded};

const DOORS: [Door; 7] = [Plain, Echo, Chat, SocketIo, Upgraded, Relay, Lesson];

impl Door {
    async fn open(self, server: &TestServer) -> RawClient {
        match self {
            Plain => server.connect_raw("/ws").await,
            Echo => server.connect_raw("/echo").await,
            Chat => server.connect_raw("/chat").await,
            Lesson => server.connect_raw("/lesson/break/reserved").await,
            SocketIo => connected(server).await,
            Upgraded => Poller::connected(server).await.upgraded().await,
            Relay => {
                let (mut raw, _) = websocket(server).await;
                raw.send(&text("40/relay,")).await;
                assert!(next_text(&mut raw).await.starts_with("40/relay,{"));
                raw.send(&text(r#"42/relay,0["join","a"]"#)).await;
                assert!(next_text(&mut raw).await.starts_with("43/relay,0["));
                raw
            }
        }
    }

    /// Something that the door answers, at least so long.
    fn question(self, number: usize, len: usize) -> String {
        let filler = "x".repeat(len);
        match self {
            Plain | Echo | Lesson => format!("{number}{filler}"),
            Chat => json!({"event": "ping", "data": {"x": filler}, "ack": number}).to_string(),
            SocketIo | Upgraded => format!("42{number}{}", json!(["ping", {"x": filler}])),
            Relay => format!("42/relay,{number}{}", json!(["x", filler])),
        }
    }

    /// How the answer to a question begins.
    fn answer(self, number: usize) -> String {
        match self {
            Plain | Echo | Lesson => number.to_string(),
            Chat => format!(r#"{{"ack":{number},"#),
            SocketIo | Upgraded => format!("43{number}["),
            Relay => format!("43/relay,{number}["),
        }
    }
}

fn time(text: &str) -> Period {
    text.parse().expect("a time")
}

fn open() -> Settings {
    settings().with(|s| s.socketio.relay = Switch::On)
}

/// For clients that do not read for a while, on a machine that may be slow: nothing but the bound on what waits ends them.
fn jammed(max_queue_bytes: &str) -> Settings {
    open().with(|s| {
        s.limits.max_queue_bytes = max_queue_bytes.parse().expect("a size");
        s.connections.stall_timeout = time("10m");
        s.heartbeat.ping_interval = time("10m");
    })
}

/// The next frame that is neither a message nor a heartbeat.
async fn next_close(raw: &mut RawClient) -> Option<u16> {
    loop {
        let RawFrame { first, payload } = raw.read_frame().await;
        if first == 0x88 {
            return payload.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
        }
    }
}

/// A message in pieces of one byte and what is left of it.
fn in_frames(message: &str, count: usize) -> Vec<u8> {
    let bytes = message.as_bytes();
    let mut out = Vec::new();
    for at in 0..count {
        let (is_first, is_last) = (at == 0, at + 1 == count);
        let first = u8::from(is_first) | if is_last { 0x80 } else { 0 };
        out.extend(frame(first, if is_last { &bytes[at..] } else { &bytes[at..=at] }));
    }
    out
}

#[actix_web::test]
async fn max_fragments_holds_at_every_door() {
    let server = TestServer::with(open().with(|s| s.limits.max_fragments = 2.try_into().expect("two"))).await;
    for door in DOORS {
        let mut raw = door.open(&server).await;
        if door != Lesson {
            raw.send(&in_frames(&door.question(1, 5), 2)).await;
            assert!(next_text(&mut raw).await.starts_with(&door.answer(1)), "{door:?}");
        }
        raw.send(&in_frames(&door.question(2, 5), 3)).await;
        assert_eq!(next_close(&mut raw).await, Some(1009), "{door:?}");
    }
    let mut tried = Poller::connected(&server).await.websocket().await;
    tried.send(&in_frames("2probe", 3)).await;
    assert_eq!(next_close(&mut tried).await, Some(1009), "a WebSocket that is tried");
}

#[actix_web::test]
async fn max_message_size_holds_at_every_door() {
    let server =
        TestServer::with(open().with(|s| s.limits.max_message_size = "100".parse().expect("a size"))).await;
    for door in [Plain, Echo, Lesson] {
        let mut raw = door.open(&server).await;
        raw.send(&text(&"x".repeat(101))).await;
        assert_eq!(next_close(&mut raw).await, Some(1009), "{door:?}");
    }
    for door in CHAT_DOORS {
        let mut ann = Chatter::settled(&server, door, "Ann").await;
        let answer = ann.ask("sendMessage", &json!({"msg": "x".repeat(101)})).await;
        assert_eq!(answer["error"]["code"], "too_large", "{door:?}");
        assert!(
            ann.ask("sendMessage", &json!({"msg": "x".repeat(100)})).await["error"].is_null(),
            "{door:?}"
        );
        ann.ask("logout", &json!({})).await;
    }
    // A lesson takes little, whatever the others do.
    let server = TestServer::with(open()).await;
    let mut raw = Lesson.open(&server).await;
    raw.send(&text(&"x".repeat(1025))).await;
    assert_eq!(next_close(&mut raw).await, Some(1009));
}

#[actix_web::test]
async fn max_payload_holds_at_every_door() {
    let server =
        TestServer::with(open().with(|s| s.events.max_payload = "2k".parse().expect("a size"))).await;
    for door in [Chat, SocketIo, Upgraded, Relay] {
        let mut raw = door.open(&server).await;
        raw.send(&text(&door.question(1, 1500))).await;
        assert!(next_text(&mut raw).await.starts_with(&door.answer(1)), "{door:?}");
        raw.send(&text(&door.question(2, 2048))).await;
        assert_eq!(next_close(&mut raw).await, Some(1009), "{door:?}");
    }
    let mut raw = Relay.open(&server).await;
    raw.send(&text(r#"451-/relay,["x",{"_placeholder":true,"num":0}]"#)).await;
    raw.send(&frame(0x82, &[0; 2049])).await;
    assert_eq!(next_close(&mut raw).await, Some(1009), "an attachment");
    let poller = Poller::connected(&server).await;
    assert_eq!(poller.post(&SocketIo.question(1, 2048)).await.status, 413);
    assert_eq!(poller.post(&SocketIo.question(2, 1500)).await.status, 200, "and the session lives");
    assert!(poller.poll().await.body.starts_with(&SocketIo.answer(2)));
}

#[actix_web::test]
async fn max_attachments_holds_at_every_door_of_socketio() {
    let server =
        TestServer::with(open().with(|s| s.socketio.max_attachments = 1.try_into().expect("one"))).await;
    let event = |namespace: &str, count: usize| {
        let holes: Vec<_> = (0..count).map(|num| json!({"_placeholder": true, "num": num})).collect();
        format!("45{count}-{namespace}1{}", json!(["sendMessage", holes]))
    };
    for (door, namespace) in [(SocketIo, ""), (Upgraded, ""), (Relay, "/relay,")] {
        for attachment in [text("bAQID"), frame(0x82, &[1, 2, 3])] {
            let mut raw = door.open(&server).await;
            raw.send(&text(&event(namespace, 1))).await;
            raw.send(&attachment).await;
            assert!(next_text(&mut raw).await.starts_with(&format!("43{namespace}1[")), "{door:?}");
            raw.send(&text(&event(namespace, 2))).await;
            assert_eq!(next_close(&mut raw).await, None, "{door:?}");
        }
    }
    for namespace in ["", "/relay,"] {
        let poller = Poller::connected(&server).await;
        poller.post(&format!("40{namespace}")).await;
        let poller = if namespace.is_empty() { Poller::connected(&server).await } else { poller };
        if !namespace.is_empty() {
            poller.poll().await;
        }
        poller.post(&format!("{}\u{1E}bAQID", event(namespace, 1))).await;
        assert!(poller.poll().await.body.starts_with(&format!("43{namespace}1[")), "{namespace}");
        poller.post(&event(namespace, 2)).await;
        assert_eq!(poller.poll().await.body, "6\u{1E}1", "{namespace}");
    }
}

/// Little may be sent at once, and nearly nothing later.
fn slow(patience: &str) -> Settings {
    open().with(|s| {
        s.rates.rate = 1;
        s.rates.rate_burst = 10;
        s.rates.rate_patience = time(patience);
    })
}

#[actix_web::test]
async fn rate_and_burst_hold_at_every_door() {
    let server = TestServer::with(slow("1h")).await;
    // More than the burst, which is not refused here but read later.
    for door in [Plain, Echo] {
        let (mut raw, start) = (door.open(&server).await, Instant::now());
        raw.send(&(0..12).flat_map(|number| text(&door.question(number, 0))).collect::<Vec<_>>()).await;
        for number in 0..12 {
            assert!(next_text(&mut raw).await.starts_with(&door.answer(number)), "{door:?}");
        }
        assert!(start.elapsed() >= Duration::from_millis(1900), "{door:?}: {:?}", start.elapsed());
    }
    let is_refused = |answer: &str| answer.contains("rate_limited") && answer.contains("retry_after_ms");
    for door in [Chat, SocketIo, Upgraded, Relay] {
        let mut raw = door.open(&server).await;
        raw.send(&(0..20).flat_map(|number| text(&door.question(number, 0))).collect::<Vec<_>>()).await;
        let mut refused = 0;
        for number in 0..20 {
            let answer = next_text(&mut raw).await;
            assert!(answer.starts_with(&door.answer(number)), "{door:?}: {answer}");
            refused += usize::from(is_refused(&answer));
        }
        assert!((5..=11).contains(&refused), "{door:?}: {refused} of 20");
    }
    let poller = Poller::connected(&server).await;
    let many: Vec<_> = (0..16).map(|number| SocketIo.question(number, 0)).collect();
    poller.post(&many.join("\u{1E}")).await;
    let answers = poller.poll().await.body;
    let refused = answers.split('\u{1E}').filter(|answer| is_refused(answer)).count();
    assert!((3..=6).contains(&refused), "{answers}");
}

#[actix_web::test]
async fn a_flood_ends_with_1008_at_every_door() {
    let server = TestServer::with(slow("300ms")).await;
    for door in DOORS {
        for flood in [text(&door.question(1, 0)), frame(0x89, b"ping"), frame(0x8A, b"pong")] {
            // A lesson takes the first message for its cue.
            if door == Lesson && flood[0] == 0x81 {
                continue;
            }
            let raw = door.open(&server).await;
            let (mut read, mut write) = raw.stream.into_split();
            let sender = rt::spawn(async move {
                use tokio::io::AsyncWriteExt as _;
                // It ends when the server has closed.
                while write.write_all(&flood).await.is_ok() {
                    rt::time::sleep(Duration::from_millis(5)).await;
                }
            });
            let mut rest = Vec::new();
            // It may be a reset: the client has sent more than is read.
            let _ =
                crate::helpers::soon("the end", tokio::io::AsyncReadExt::read_to_end(&mut read, &mut rest))
                    .await;
            let close = b"\x88\x13\x03\xF0too many messages";
            assert!(rest.windows(close.len()).any(|window| window == close), "{door:?}");
            sender.await.expect("it has ended");
        }
    }
    let poller = Poller::connected(&server).await;
    while poller.post(&SocketIo.question(1, 0)).await.status == 200 {}
    let mut last = poller.poll().await;
    while last.status == 200 && last.body != "6\u{1E}1" {
        last = poller.poll().await;
    }
    assert_eq!(last.body, "6\u{1E}1");
}

#[actix_web::test]
async fn who_does_not_take_what_its_room_says_is_sent_away_at_every_door() {
    let server = TestServer::with(jammed("64k")).await;
    let mut ann = Chatter::settled(&server, ChatDoor::Plain, "Ann").await;
    for door in CHAT_DOORS {
        let room = format!("{door:?}");
        ann.ask("joinRoom", &json!({"room": room})).await;
        let mut reader = Chatter::login(&server, door, json!({"username": "Reader", "room": room})).await;
        reader.next_named("userList").await;
        reader.hold(256 * 1024);
        let mut said = 0;
        while !ann.has_heard("delUser") {
            ann.ask("sendMessage", &json!({"msg": "x".repeat(50_000)})).await;
            said += 1;
            assert!(said < 1000, "{door:?}: it is never sent away");
        }
        ann.next_named("delUser").await;
        let expected = if door == ChatDoor::Polling { None } else { Some(1013) };
        assert_eq!(reader.until_the_end().await, expected, "{door:?}");
    }
    let mut ann = Relay.open(&server).await;
    let mut reader = Relay.open(&server).await;
    socket2::SockRef::from(&reader.stream).set_recv_buffer_size(256 * 1024).expect("a buffer");
    for number in 0..200 {
        ann.send(&text(&Relay.question(number, 50_000))).await;
        assert!(next_text(&mut ann).await.starts_with(&Relay.answer(number)));
    }
    assert_eq!(next_close(&mut reader).await, Some(1013), "at the relay");
}

#[actix_web::test]
async fn who_reads_is_not_sent_away_for_more_than_the_bound_in_one_go_at_any_door() {
    let server = TestServer::with(jammed("1k")).await;
    let mut ann = Chatter::settled(&server, ChatDoor::Plain, "Ann").await;
    for door in CHAT_WEBSOCKETS {
        let mut reader = Chatter::settled(&server, door, &format!("{door:?}")).await;
        for number in 0..20 {
            ann.send("sendMessage", &json!({"msg": format!("{number} {}", "x".repeat(20_000))})).await;
            if number % 5 == 4 {
                for _ in 0..5 {
                    reader.next_named("receiveMessage").await;
                    ann.next_named("receiveMessage").await;
                }
            }
        }
    }
}

#[actix_web::test]
async fn who_has_many_small_messages_waiting_within_the_bound_gets_them_all_at_every_door() {
    const MANY: usize = 1_200;
    let server = TestServer::with(jammed("64m")).await;
    let mut ann = Chatter::settled(&server, ChatDoor::Plain, "Ann").await;
    for door in CHAT_WEBSOCKETS {
        let room = format!("{door:?}");
        ann.ask("joinRoom", &json!({"room": room})).await;
        let mut reader = Chatter::login(&server, door, json!({"username": "Reader", "room": room})).await;
        reader.next_named("userList").await;
        reader.hold(256 * 1024);
        // More than the kernel holds, and then many small ones.
        for _ in 0..120 {
            ann.ask("sendMessage", &json!({"msg": "x".repeat(50_000)})).await;
        }
        for number in 0..MANY {
            ann.ask("sendMessage", &json!({"msg": number.to_string()})).await;
        }
        for _ in 0..120 {
            reader.next_named("receiveMessage").await;
        }
        for number in 0..MANY {
            let message = reader.next_named("receiveMessage").await;
            assert_eq!(message["msg"], json!(number.to_string()), "{door:?} {message:.200}");
        }
    }
}

#[actix_web::test]
async fn who_does_not_take_its_answers_is_read_more_slowly_and_loses_none_at_every_door() {
    const PAGES: usize = 60;
    let server = TestServer::with(jammed("64k")).await;
    let mut ann = Chatter::settled(&server, ChatDoor::Plain, "Ann").await;
    for _ in 0..6 {
        ann.ask("sendMessage", &json!({"msg": "x".repeat(50_000)})).await;
    }
    // Answers of far more than the kernel holds, and far more than eight times the bound.
    for door in CHAT_WEBSOCKETS {
        let mut reader = Chatter::settled(&server, door, &format!("{door:?}")).await;
        reader.hold(256 * 1024);
        let mut acks = Vec::new();
        for _ in 0..PAGES {
            acks.push(reader.request("history", &json!({"limit": 5})).await);
        }
        // Whatever can be answered before anything is read has been.
        rt::time::sleep(Duration::from_secs(1)).await;
        for ack in acks {
            let page = reader.answer_to(ack).await;
            assert_eq!(page["data"]["messages"].as_array().map(Vec::len), Some(5), "{door:?} {page:.100}");
        }
    }
    for door in [Plain, Echo] {
        let mut raw = door.open(&server).await;
        let said: Vec<u8> = (0..PAGES).flat_map(|number| text(&door.question(number, 50_000))).collect();
        let (read, mut write) = tokio::io::split(raw.stream);
        let writer = rt::spawn(async move {
            tokio::io::AsyncWriteExt::write_all(&mut write, &said).await.expect("sent");
            write
        });
        // Whatever can be sent before anything is read has been sent.
        rt::time::sleep(Duration::from_millis(300)).await;
        raw = RawClient::rejoin(read, writer.await.unwrap_or_else(|_| unreachable!("it only writes")));
        for number in 0..PAGES {
            assert!(next_text(&mut raw).await.starts_with(&door.answer(number)), "{door:?}");
        }
    }
}

#[actix_web::test]
async fn over_polling_a_post_waits_until_its_client_has_taken_what_it_asked_for_before() {
    let tight = open().with(|s| s.limits.max_queue_bytes = "1k".parse().expect("a size"));
    let server = TestServer::with(tight).await;
    let mut ann = Chatter::settled(&server, ChatDoor::Plain, "Ann").await;
    ann.ask("sendMessage", &json!({"msg": "x".repeat(5_000)})).await;
    for takes_it in [true, false] {
        let poller = Poller::connected(&server).await;
        poller
            .post(&format!("42{}", json!(["login", {"username": format!("{takes_it}"), "room": "tea"}])))
            .await;
        while !poller.poll().await.body.contains("userList") {}
        let is_posted = std::cell::Cell::new(false);
        let post = async {
            // The first is read from the journal, and the second finds its answer waiting.
            poller.post("421[\"history\",{\"limit\":1}]").await;
            let status = poller.post("422[\"ping\",{}]").await.status;
            is_posted.set(true);
            status
        };
        let then = async {
            // Long enough for the answer to be there.
            rt::time::sleep(Duration::from_secs(1)).await;
            if takes_it {
                while !is_posted.get() {
                    assert_eq!(poller.poll().await.status, 200);
                }
            } else {
                // One post too many, which ends the session, or one that comes late.
                poller.post("3").await;
            }
        };
        let (status, ()) = tokio::join!(post, then);
        assert!(!takes_it || status == 200, "{status}");
    }
}

#[actix_web::test]
async fn who_pings_and_takes_no_pong_is_read_no_more_at_every_door() {
    use tokio::io::AsyncWriteExt as _;
    const MOST: usize = 16 << 20;
    let server = &TestServer::with(jammed("64k")).await;
    let pings = &frame(0x89, &[b'p'; 125]).repeat(1000);
    let pinging = [Plain, Echo, Chat, SocketIo, Upgraded, Relay].map(|door| async move {
        let mut raw = door.open(server).await;
        socket2::SockRef::from(&raw.stream).set_recv_buffer_size(128 * 1024).expect("a buffer");
        let mut sent = 0;
        // A write that waits for so long waits for ever: nothing is read until the pongs are.
        while rt::time::timeout(Duration::from_secs(3), raw.stream.write_all(pings)).await.is_ok() {
            sent += pings.len();
            assert!(sent < MOST, "{door:?}: it reads on");
        }
    });
    futures_util::future::join_all(pinging).await;
}

#[actix_web::test]
async fn max_intake_bytes_slows_a_client_down_and_loses_nothing_at_every_door() {
    // Room for one message only: the gate shuts and opens again all the time.
    let tight = open().with(|s| s.limits.max_intake_bytes = "1".parse().expect("a size"));
    let server = TestServer::with(tight).await;
    for door in [Plain, Echo, Chat, SocketIo, Upgraded, Relay] {
        let mut raw = door.open(&server).await;
        raw.send(&(1..100).flat_map(|number| text(&door.question(number, 0))).collect::<Vec<_>>()).await;
        for number in 1..100 {
            assert!(next_text(&mut raw).await.starts_with(&door.answer(number)), "{door:?}");
        }
    }
    for door in CHAT_DOORS {
        let mut ann = Chatter::settled(&server, door, "Ann").await;
        let mut acks = Vec::new();
        for number in 0..100 {
            acks.push(ann.request("sendMessage", &json!({"msg": number.to_string()})).await);
        }
        let mut last = 0;
        for ack in acks {
            let offset = ann.answer_to(ack).await["data"]["offset"].as_u64().expect("an offset");
            assert!(offset > last, "{door:?}");
            last = offset;
        }
        ann.ask("logout", &json!({})).await;
    }
}

#[actix_web::test]
async fn connect_timeout_holds_at_every_door() {
    let server = TestServer::with(open().with(|s| s.login.connect_timeout = time("1500ms"))).await;
    let polling = Poller::open(&server).await;
    let upgraded = Poller::open(&server).await;
    let mut silent = vec![("/chat", server.connect_raw("/chat").await), ("new", websocket(&server).await.0)];
    silent.push(("upgraded", upgraded.upgraded().await));
    assert_eq!(polling.poll().await.body, "1");
    for (door, mut raw) in silent {
        assert_eq!(next_close(&mut raw).await, Some(1008), "{door}");
    }
}

#[actix_web::test]
async fn pings_come_and_must_be_answered_at_every_door() {
    let hasty = open().with(|s| {
        s.heartbeat.ping_interval = time("200ms");
        s.heartbeat.ping_timeout = time("1500ms");
    });
    let server = &TestServer::with(hasty).await;
    let on_websockets = DOORS.map(|door| async move {
        let is_socketio = matches!(door, SocketIo | Upgraded | Relay);
        let mut raw = door.open(server).await;
        for _ in 0..3 {
            let ping = raw.read_frame().await;
            if is_socketio {
                assert_eq!((ping.first, &ping.payload[..]), (0x81, &b"2"[..]), "{door:?}");
                raw.send(&text("3")).await;
            } else {
                assert_eq!(ping.first, 0x89, "{door:?}");
                raw.send(&frame(0x8A, &ping.payload)).await;
            }
        }
        assert_eq!(next_close(&mut raw).await, Some(1001), "{door:?}");
    });
    let by_polling = async {
        let poller = Poller::connected(server).await;
        for _ in 0..3 {
            assert_eq!(poller.poll().await.body, "2");
            poller.post("3").await;
        }
        assert_eq!(poller.poll().await.body, "2");
        let last = poller.poll().await;
        assert!(last.status == 400 || last.body == "1", "{} {}", last.status, last.body);
    };
    tokio::join!(futures_util::future::join_all(on_websockets), by_polling);
}

#[actix_web::test]
async fn clients_of_socketio_are_told_the_settings_that_concern_them() {
    let server = TestServer::with(open().with(|s| {
        s.heartbeat.ping_interval = time("2147483637ms");
        s.heartbeat.ping_timeout = time("10ms");
        s.events.max_payload = "5k".parse().expect("a size");
    }))
    .await;
    let (_, on_websocket) = websocket(&server).await;
    let polled = server.get_raw("/socket.io/?EIO=4&transport=polling", "").await;
    let polled: Value = serde_json::from_str(&polled[polled.find('{').expect("JSON")..]).expect("JSON");
    for open in [on_websocket, polled] {
        assert_eq!(open["pingInterval"], 2_147_483_637_u64);
        assert_eq!((&open["pingTimeout"], &open["maxPayload"]), (&json!(10), &json!(5120)));
    }
}
