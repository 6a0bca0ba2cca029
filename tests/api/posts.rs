//! A post over polling may have any number of packets, and whatever ends a session that polls, what was queued before comes
//! first.

use crate::{
    helpers::{TestServer, settings},
    sockets::Poller,
};

const SEPARATOR: &str = "\u{1E}";

/// The packets that come until the session is over, and whether its end is told.
async fn rest(poller: &Poller<'_>) -> (Vec<String>, bool) {
    let mut packets = Vec::new();
    loop {
        let answer = poller.poll().await;
        if answer.status != 200 {
            assert_eq!(answer.status, 400);
            return (packets, false);
        }
        packets.extend(answer.body.split(SEPARATOR).map(str::to_owned));
        if packets.ends_with(&["6".to_owned(), "1".to_owned()]) {
            packets.truncate(packets.len() - 2);
            assert_eq!(poller.poll().await.status, 400);
            return (packets, true);
        }
    }
}

/// Polls until so many answers have come.
async fn take(poller: &Poller<'_>, count: usize) -> Vec<String> {
    let mut packets = Vec::new();
    while packets.len() < count {
        let answer = poller.poll().await;
        assert_eq!(answer.status, 200, "after {} packets", packets.len());
        let answers = answer.body.split(SEPARATOR).filter(|packet| packet.starts_with("43"));
        packets.extend(answers.map(str::to_owned));
    }
    packets
}

#[actix_web::test]
async fn all_packets_of_a_post_are_taken_however_many_they_are() {
    let server = TestServer::start().await;
    for count in [1, 127, 128, 129, 1023, 1024, 1025, 1100, 5000] {
        let poller = Poller::connected(&server).await;
        // Only one that is known may send much.
        poller.post(&format!("420[\"login\",{{\"username\":\"ann {count}\"}}]")).await;
        take(&poller, 1).await;
        let packets: Vec<_> = (0..count).map(|number| format!("42{number}[\"ping\",{{}}]")).collect();
        let body = packets.join(SEPARATOR);
        let (posted, taken) = tokio::join!(poller.post(&body), take(&poller, count));
        assert_eq!(posted.status, 200, "{count}");
        for (number, packet) in taken.iter().enumerate() {
            assert!(packet.starts_with(&format!("43{number}[")), "{count}: {packet}");
        }
        // It lives on.
        assert_eq!(poller.post("427[\"ping\",{}]").await.status, 200);
        assert!(take(&poller, 1).await[0].starts_with("437["));
    }
}

#[actix_web::test]
async fn what_was_queued_comes_first_whatever_ends_a_session_that_polls() {
    let server = TestServer::start().await;
    for bad in ["9", "", "2", "2probe", "b!!!", "4abc", "é", "42[\"ping\"]\u{1E}", "\u{1E}"] {
        // In the post with what is sound, or in the next one.
        for is_one_post in [true, false] {
            let poller = Poller::connected(&server).await;
            let sound = "421[\"ping\",{}]";
            if is_one_post {
                poller.post(&format!("{sound}{SEPARATOR}{bad}")).await;
            } else {
                assert_eq!(poller.post(sound).await.status, 200);
                poller.post(bad).await;
            }
            let (packets, is_told) = rest(&poller).await;
            assert!(packets.first().is_some_and(|packet| packet.starts_with("431[")), "{bad:?}: {packets:?}");
            assert!(is_told, "{bad:?}: {packets:?}");
            assert_eq!(poller.post("3").await.status, 400, "{bad:?}");
        }
    }
}

/// A post with this head and body, and no more; its answer is not waited for.
async fn post_raw(server: &TestServer, poller: &Poller<'_>, headers: &str, body: &[u8]) -> String {
    let mut raw = server.connect_tcp().await;
    let head = format!("POST /socket.io/?{} HTTP/1.1\r\nHost: x\r\n{headers}\r\n", poller.query());
    raw.send(&[head.as_bytes(), body].concat()).await;
    raw.read_head().await
}

#[actix_web::test]
async fn a_post_that_cannot_be_read_takes_nothing_of_what_was_queued() {
    let hasty = settings().with(|s| s.connections.body_timeout = "500ms".parse().expect("a time"));
    let server = TestServer::with(hasty).await;
    for (headers, body) in [
        ("Content-Type: application/octet-stream\r\nContent-Length: 1\r\n", &b"3"[..]),
        ("Content-Length: 2\r\n", b"4\xFF"),
        ("Content-Length: 0\r\n", b""),
        ("Content-Length: 50\r\n", b"4"),
    ] {
        let poller = Poller::connected(&server).await;
        assert_eq!(poller.post("421[\"ping\",{}]").await.status, 200);
        let answer = post_raw(&server, &poller, headers, body).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{headers:?}: {answer}");
        let (packets, is_told) = rest(&poller).await;
        assert!(packets.len() == 1 && packets[0].starts_with("431["), "{headers:?}: {packets:?}");
        assert!(is_told, "{headers:?}");
    }
}

#[actix_web::test]
async fn with_nothing_queued_a_client_that_breaks_engine_io_is_refused_at_once() {
    let server = TestServer::start().await;
    for bad in ["9", "", "2", "b!!!"] {
        let poller = Poller::connected(&server).await;
        poller.post(bad).await;
        assert_eq!(poller.poll().await.status, 400, "{bad:?}");
    }
}
