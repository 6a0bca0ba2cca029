//! `/lesson/`: what the page's lessons need from the server.

use actix_web::rt;
use echoroom::config::Switch;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::helpers::{RawClient, RawFrame, TestServer, frame, settings, soon, text};

/// The body of an answer, as JSON.
fn body(answer: &str) -> Value {
    let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    serde_json::from_str(body).expect("JSON")
}

async fn next_json(client: &mut RawClient) -> Value {
    let frame = client.read_frame().await;
    assert_eq!(frame.first, 0x81, "a text frame");
    serde_json::from_slice(&frame.payload).expect("JSON")
}

#[actix_web::test]
async fn news_are_the_same_for_who_polls_and_who_is_told() {
    let server = TestServer::start().await;
    let now = body(&server.get_raw("/lesson/news", "").await);
    assert_eq!(now["news"], json!([]), "who knows nothing yet begins now");
    let last = now["last"].as_u64().expect("a number");
    let mut told = server.connect_raw("/lesson/news").await;
    let pushed = soon("news", next_json(&mut told)).await;
    assert_eq!(pushed["number"], last + 1);
    let polled = body(&server.get_raw(&format!("/lesson/news?after={last}"), "").await);
    assert_eq!(polled["news"][0]["at"], pushed["at"]);
    assert_eq!(polled["news"][0]["text"], pushed["text"]);
    let delay = pushed["now"].as_u64().expect("a time") - pushed["at"].as_u64().expect("a time");
    assert!(delay < 1_000, "{delay} ms late");
}

#[actix_web::test]
async fn what_is_no_number_is_refused() {
    let server = TestServer::start().await;
    for after in ["x", "-1", "1.5"] {
        let answer = server.get_raw(&format!("/lesson/news?after={after}"), "").await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
}

#[actix_web::test]
async fn a_connection_breaks_as_it_was_asked_to_when_the_page_says_something() {
    let server = TestServer::start().await;
    for (how, first, bytes) in [
        ("bad-utf8", 0x81, &b"\x05caf\xC3!"[..]),
        ("masked", 0x81, b"\x86\x01\x02\x03\x04lcpodf"),
        ("reserved", 0x83, b"\x00"),
        ("close-4001", 0x88, b"\x0e\x0f\xa1as you asked"),
    ] {
        let mut client = server.connect_raw(&format!("/lesson/break/{how}")).await;
        client.send(&text("now")).await;
        let mut expected = vec![first];
        expected.extend_from_slice(bytes);
        assert_eq!(client.read_exact(expected.len()).await, expected, "{how}");
        // What a browser does: it closes.
        client.send(&frame(0x88, &[])).await;
    }
}

#[actix_web::test]
async fn a_reset_is_one() {
    let server = TestServer::start().await;
    let mut client = server.connect_raw("/lesson/break/reset").await;
    client.send(&text("now")).await;
    let error = soon("the reset", client.stream.read_u8()).await.expect_err("no more bytes");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[actix_web::test]
async fn there_are_no_other_breakages() {
    let server = TestServer::start().await;
    for how in ["everything", "close-1006", "close-99999", "close-"] {
        let answer = server.get_raw(&format!("/lesson/break/{how}"), "").await;
        assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("bad-utf8"), "{answer}");
    }
}

#[actix_web::test]
async fn a_slow_client_is_filled_and_evicted_before_the_eyes_of_the_page() {
    let server =
        TestServer::with(settings().with(|s| s.limits.max_queue_bytes = "1m".parse().expect("a size"))).await;
    let mut page = server.connect_raw("/lesson/slow").await;
    let begun = soon("the beginning", next_json(&mut page)).await;
    assert_eq!((&begun["event"], &begun["data"]["limit"]), (&json!("begun"), &json!(1 << 20)));
    let room = begun["data"]["room"].as_str().expect("a room").to_owned();
    assert!(room.starts_with("lesson-"), "{room}");
    let mut talker = server.connect(&format!("/ws?room={room}")).await;
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let watched = rt::spawn(async move {
        let (mut most, mut taken) = (0, 0);
        loop {
            let told = next_json(&mut page).await;
            // The talker may be gone before the last word.
            let _ = tell.send(());
            if told["event"] != "queue" {
                return (told, most, taken, page);
            }
            most = most.max(told["data"]["waiting"].as_u64().expect("a number"));
            taken = told["data"]["taken"].as_u64().expect("a number");
        }
    });
    // Half of the bound for each look at the queue, so that the page sees it fill.
    while told.recv().await.is_some() {
        for _ in 0..16 {
            talker.send_binary(&[7; 32 * 1024]).await;
            talker.next_binary().await;
        }
    }
    let (ended, most, taken, mut page) = watched.await.expect("told all");
    assert_eq!(ended["data"]["code"], 1013, "{ended}");
    assert!(most > 0 && taken > 0, "{most} waited, {taken} were taken");
    assert_eq!(page.read_frame().await, RawFrame { first: 0x88, payload: Vec::new() });
    drop((page, talker));
    server.until_health_shows(0, 0).await;
}

#[actix_web::test]
async fn a_slow_client_goes_with_its_page() {
    let server = TestServer::start().await;
    let mut page = server.connect_raw("/lesson/slow").await;
    soon("the beginning", next_json(&mut page)).await;
    server.until_health_shows(1, 1).await;
    drop(page);
    server.until_health_shows(0, 0).await;
}

#[actix_web::test]
async fn nobody_comes_in_as_a_slow_client_that_is_not_expected() {
    let server = TestServer::start().await;
    let answer = server.get_raw("/lesson/slow-client/0123456789abcdef", "").await;
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
}

#[actix_web::test]
async fn lessons_are_counted_and_their_places_come_back() {
    let server =
        TestServer::with(settings().with(|s| s.lessons.max_lessons = 1.try_into().expect("not zero"))).await;
    let first = server.connect_raw("/lesson/news").await;
    let refused = server.connect_tcp().await.handshake_with("/lesson/news", "").await;
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after"), "{refused}");
    drop(first);
    soon("a place", async {
        while !server.connect_tcp().await.handshake_with("/lesson/news", "").await.starts_with("HTTP/1.1 101")
        {
        }
    })
    .await;
}

#[actix_web::test]
async fn who_pings_and_takes_no_answer_is_cut() {
    let impatient = settings().with(|s| s.connections.stall_timeout = "500ms".parse().expect("a time"));
    let server = TestServer::with(impatient).await;
    let mut client = server.connect_raw("/lesson/news").await;
    let pings = frame(0x89, &[b'p'; 125]).repeat(100);
    soon("the cut", async { while client.stream.write_all(&pings).await.is_ok() {} }).await;
}

#[actix_web::test]
async fn lessons_may_be_closed() {
    let server = TestServer::with(settings().with(|s| s.lessons.switch = Switch::Off)).await;
    for path in ["/lesson/news", "/lesson/slow", "/lesson/break/reset", "/lesson"] {
        let answer = server.get_raw(path, "").await;
        assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("--lessons off"), "{answer}");
    }
    assert_eq!(body(&server.get_raw("/limits", "").await)["lessons"], false);
}

#[actix_web::test]
async fn a_foreign_page_gets_no_lesson() {
    let server = TestServer::start().await;
    let answer = server
        .connect_tcp()
        .await
        .handshake_with("/lesson/slow", "Origin: http://elsewhere.example\r\n")
        .await;
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
}

#[actix_web::test]
async fn a_server_that_stops_ends_its_lessons() {
    let server = TestServer::start().await;
    let page = server.connect_raw("/lesson/news").await;
    let handle = server.handle();
    let stop = rt::spawn(async move { handle.stop().await });
    page.expect_close(1012).await;
    soon("the stop", stop).await.expect("stopped");
}
