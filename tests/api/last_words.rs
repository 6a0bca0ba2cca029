//! A session of Socket.IO that the server ends says so: what was queued before comes first, over polling by the next
//! polls, and then the news that it is over. Its place is free at once.

use std::num::NonZeroUsize;

use actix_web::rt;
use awc::http::Method;

use crate::{
    helpers::{TestServer, frame, settings, text},
    sockets::{Answer, Poller, connected, expect_closed, next_text, request, websocket},
};

/// The packets of the next answers to polls, up to the end of the session.
async fn rest(poller: &Poller<'_>) -> Vec<Vec<String>> {
    let mut answers = Vec::new();
    loop {
        let Answer { status, body } = poller.poll().await;
        if status != 200 {
            assert_eq!(status, 400);
            return answers;
        }
        answers.push(body.split('\u{1E}').map(str::to_owned).collect());
    }
}

#[actix_web::test]
async fn who_breaks_the_protocol_while_polling_gets_what_was_queued_and_then_the_news() {
    let server = TestServer::start().await;
    // In one post, or in one after the other.
    for posts in [
        &["40\u{1E}4abc"][..],
        &["40", "4abc"],
        &["40", "42{}"],
        &["40", "42/other,[\"x\"]"],
        &["40", "450-[\"x\"]"],
        &["40", "bAQID"],
        &["40", r#"451-["x",{"_placeholder":true,"num":0}]"#, "42[\"y\"]"],
    ] {
        let poller = Poller::open(&server).await;
        for post in posts {
            assert_eq!(poller.post(post).await.status, 200, "{posts:?}");
        }
        let rest = rest(&poller).await;
        assert_eq!(rest.len(), 2, "{posts:?}: {rest:?}");
        assert!(rest[0].len() == 1 && rest[0][0].starts_with("40{"), "{posts:?}: {rest:?}");
        assert_eq!(rest[1], ["6", "1"], "{posts:?}");
    }
    // Before it has joined anything nothing is queued.
    for post in ["42[\"x\"]", "41", "43[]", "4abc"] {
        let poller = Poller::open(&server).await;
        assert_eq!(poller.post(post).await.status, 200);
        assert_eq!(rest(&poller).await, [["6", "1"]], "{post}");
    }
}

#[actix_web::test]
async fn nothing_behind_what_breaks_the_protocol_is_taken() {
    let server = TestServer::start().await;
    let poller = Poller::open(&server).await;
    poller.post("40\u{1E}421[\"ping\",{}]\u{1E}4abc\u{1E}422[\"ping\",{}]").await;
    let rest = rest(&poller).await;
    assert_eq!(rest.len(), 2, "{rest:?}");
    assert!(rest[0].len() == 2 && rest[0][1].starts_with("431["), "{rest:?}");
    assert_eq!(poller.post("42[\"ping\",{}]").await.status, 400);
}

#[actix_web::test]
async fn much_that_was_queued_comes_by_many_polls() {
    let server = TestServer::start().await;
    let poller = Poller::connected(&server).await;
    let many: Vec<String> = (0..40).map(|number| format!("42{number}[\"ping\",{{}}]")).collect();
    poller.post(&format!("{}\u{1E}4abc", many.join("\u{1E}"))).await;
    let rest = rest(&poller).await;
    assert_eq!(rest.iter().map(Vec::len).collect::<Vec<_>>(), [16, 16, 8, 2]);
    assert_eq!(rest[3], ["6", "1"]);
}

#[actix_web::test]
async fn a_poll_that_waits_hears_at_once_that_the_session_is_over() {
    let server = TestServer::start().await;
    let poller = Poller::connected(&server).await;
    let (poll, post) = tokio::join!(poller.poll(), poller.post("4abc"));
    assert_eq!(post.status, 200);
    // The post may have been first.
    assert!(["1", "6\u{1E}1"].contains(&&*poll.body), "{}", poll.body);
    assert_eq!(poller.poll().await.status, 400);
}

#[actix_web::test]
async fn over_a_websocket_what_was_queued_comes_before_the_close_too() {
    let server = TestServer::start().await;
    let (mut raw, _) = websocket(&server).await;
    let burst = ["40", "421[\"ping\",{}]", "4abc", "422[\"ping\",{}]"];
    raw.send(&burst.iter().flat_map(|packet| text(packet)).collect::<Vec<_>>()).await;
    assert!(next_text(&mut raw).await.starts_with("40{"));
    assert!(next_text(&mut raw).await.starts_with("431["));
    assert_eq!(raw.read_frame().await.first, 0x88);
}

#[actix_web::test]
async fn a_flood_and_a_client_that_joins_nothing_hear_of_their_end() {
    let limited = settings().with(|s| {
        s.rates.rate = 1;
        s.rates.rate_burst = 5;
        s.rates.rate_patience = "200ms".parse().expect("a time");
        s.login.connect_timeout = "3s".parse().expect("a time");
    });
    let server = TestServer::with(limited).await;
    let flooding = Poller::connected(&server).await;
    while flooding.post("6").await.status == 200 {}
    assert_eq!(rest(&flooding).await, [["6", "1"]]);
    let idle = Poller::open(&server).await;
    assert_eq!(idle.poll().await.body, "1");
    let (raw, _) = websocket(&server).await;
    raw.expect_close(1008).await;
}

#[actix_web::test]
async fn a_ping_without_an_answer_does_not_swallow_the_last_word() {
    let hasty = settings().with(|s| {
        s.heartbeat.ping_interval = "300ms".parse().expect("a time");
        s.heartbeat.ping_timeout = "1500ms".parse().expect("a time");
    });
    let server = TestServer::with(hasty).await;
    let poller = Poller::connected(&server).await;
    assert_eq!(poller.poll().await.body, "2");
    poller.post("4abc").await;
    // Beyond the time for the answer to the ping: nothing else shows that it is over.
    rt::time::sleep(std::time::Duration::from_millis(1800)).await;
    assert_eq!(rest(&poller).await, [["6", "1"]]);
}

#[actix_web::test]
async fn the_first_ending_counts_and_a_request_that_is_given_up_is_none() {
    let server = TestServer::start().await;
    let poller = Poller::connected(&server).await;
    poller.post("4abc").await;
    // A post that breaks off, and one that cannot be read.
    let mut broken = server.connect_tcp().await;
    let head =
        format!("POST /socket.io/?{} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n42", poller.query());
    broken.send(head.as_bytes()).await;
    drop(broken);
    assert_eq!(poller.post("abc").await.status, 400);
    assert_eq!(rest(&poller).await, [["6", "1"]]);
}

#[actix_web::test]
async fn the_place_of_a_session_is_free_when_it_ends_and_not_when_its_client_has_heard_of_it() {
    let one = settings().with(|s| s.admission.max_sessions = NonZeroUsize::MIN);
    let server = TestServer::with(one).await;
    let mut ended = Vec::new();
    for _ in 0..3 {
        let poller = Poller::connected(&server).await;
        assert_eq!(request(&server, Method::GET, "EIO=4&transport=polling", "").await.status, 503);
        poller.post("4abc").await;
        ended.push(poller);
        server.until_health_shows(0, 0).await;
    }
    let raw = connected(&server).await;
    for poller in &ended {
        assert_eq!(rest(poller).await, [["6", "1"]]);
    }
    drop(raw);
}

#[actix_web::test]
async fn no_more_ended_sessions_are_kept_for_their_clients_than_the_setting_says() {
    let few = settings().with(|s| s.socketio.max_ended_sessions = 2);
    let server = TestServer::with(few).await;
    let mut ended = Vec::new();
    for _ in 0..4 {
        let poller = Poller::connected(&server).await;
        poller.post("4abc").await;
        ended.push(poller);
    }
    for (number, poller) in ended.iter().enumerate() {
        assert_eq!(rest(poller).await.len(), usize::from(number >= 2), "number {number}");
    }
    let none = TestServer::with(settings().with(|s| s.socketio.max_ended_sessions = 0)).await;
    let poller = Poller::connected(&none).await;
    poller.post("4abc").await;
    assert_eq!(poller.poll().await.status, 400);
}

#[actix_web::test]
async fn a_client_that_polls_and_does_not_come_back_is_soon_gone() {
    let hasty = settings().with(|s| {
        s.socketio.polling_open_timeout = "2s".parse().expect("a time");
        s.admission.max_sessions = 8.try_into().expect("not zero");
    });
    let server = TestServer::with(hasty).await;
    // One that comes back in time stays, whatever it comes back with.
    let polling = Poller::connected(&server).await;
    let upgraded = Poller::open(&server).await;
    let mut raw = upgraded.websocket().await;
    raw.send(&text("2probe")).await;
    assert_eq!(next_text(&mut raw).await, "3probe");
    for _ in 0..6 {
        Poller::open(&server).await;
    }
    assert_eq!(request(&server, Method::GET, "EIO=4&transport=polling", "").await.status, 503);
    server.until_health_shows(2, 0).await;
    assert_eq!(polling.post("421[\"ping\",{}]").await.status, 200);
    assert!(polling.poll().await.body.starts_with("431["));
    raw.send(&text("5")).await;
    raw.send(&text("40")).await;
    assert!(next_text(&mut raw).await.starts_with("40{"));
    raw.send(&frame(0x88, b"")).await;
    expect_closed(raw).await;
}
