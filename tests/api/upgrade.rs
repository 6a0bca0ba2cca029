//! A connection after its upgrade, which the server has taken over from its HTTP library.

use std::io::Read as _;

use tokio::io::AsyncReadExt as _;

use crate::helpers::{RawClient, RawFrame, TestServer, frame, settings, soon, text};

/// Cuts server frames that came one behind the other.
fn frames(mut bytes: &[u8]) -> Vec<RawFrame> {
    let mut frames = Vec::new();
    while let [first, len, rest @ ..] = bytes {
        let (len, rest) = match len {
            126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            127 => (u64::from_be_bytes(*rest.first_chunk().expect("a length")) as usize, &rest[8..]),
            len => (usize::from(*len), rest),
        };
        assert!(rest.len() >= len, "a frame {first:#x} of {len} bytes is cut off after {}", rest.len());
        frames.push(RawFrame { first: *first, payload: rest[..len].to_vec() });
        bytes = &rest[len..];
    }
    assert!(bytes.is_empty());
    frames
}

async fn read_to_end(mut raw: RawClient) -> Vec<u8> {
    let mut bytes = Vec::new();
    soon("the end of the connection", raw.stream.read_to_end(&mut bytes)).await.expect("a clean end");
    bytes
}

#[actix_web::test]
async fn who_has_the_answer_to_its_handshake_hears_what_is_said_next() {
    let server = TestServer::start().await;
    let mut ann = server.connect("/ws").await;
    for round in 0..200 {
        let mut ben = server.connect("/ws").await;
        ann.send(&round.to_string()).await;
        assert_eq!(ben.next_text().await, round.to_string());
        assert_eq!(ann.next_text().await, format!("{round}!!!"));
    }
}

#[actix_web::test]
async fn what_comes_in_one_piece_with_the_handshake_is_read() {
    let server = TestServer::start().await;
    let mut raw = server.connect_tcp().await;
    // Behind an ordinary request, too, and with a frame that is not whole.
    let words = text("at once");
    let (begun, rest) = words.split_at(9);
    let request = format!("GET /limits HTTP/1.1\r\nHost: x\r\n\r\n{}", raw.upgrade_request("/echo"));
    raw.send(&[request.as_bytes(), &text("first"), begun].concat()).await;
    let head = raw.read_head().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    raw.read_exact(length.parse().expect("a number")).await;
    let head = raw.read_head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(raw.read_frame().await.payload, b"first");
    raw.send(rest).await;
    assert_eq!(raw.read_frame().await.payload, b"at once");
}

#[actix_web::test]
async fn what_is_no_door_answers_an_upgrade_with_what_it_is_and_closes() {
    let server = TestServer::start().await;
    let file = std::fs::read(settings().listen.static_dir.join("style.css")).expect("a file");
    for (path, encoding) in [("/style.css", ""), ("/style.css", "Accept-Encoding: gzip\r\n")] {
        let mut raw = server.connect_tcp().await;
        let request = raw.upgrade_request(path).replace("Upgrade: w", &format!("{encoding}Upgrade: w"));
        raw.send(request.as_bytes()).await;
        let head = raw.read_head().await;
        assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("connection: close\r\n"), "{head}");
        let body = read_to_end(raw).await;
        if encoding.is_empty() {
            assert_eq!(body, file);
        } else {
            assert!(!head.contains("transfer-encoding"), "its end is that of the connection: {head}");
            assert_eq!(unzip(&body), file);
        }
    }
    // And one that is asked for its head only has no body.
    let mut raw = server.connect_tcp().await;
    raw.send(raw.upgrade_request("/style.css").replace("GET", "HEAD").as_bytes()).await;
    let head = raw.read_head().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(read_to_end(raw).await, b"");
}

fn unzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).expect("gzip");
    out
}

#[actix_web::test]
async fn an_evicted_client_that_reads_again_finds_whole_frames_and_the_reason() {
    let small = settings().with(|s| s.limits.max_queue_bytes = "50k".parse().expect("a size"));
    let server = TestServer::with(small).await;
    let mut ann = server.connect("/ws").await;
    for round in 0..8 {
        let jammed = server.connect_raw("/ws").await;
        server.until_health_shows(2, 1).await;
        // Of many lengths, so that a write ends anywhere in a frame.
        let mut said = 0;
        while server.health().await["sessions"] == 2 {
            for _ in 0..20 {
                said += 1;
                let line = format!("{said} {}", "x".repeat((said * 7919 + round * 104_729) % 60_000));
                ann.send(&line).await;
                ann.next_text().await;
            }
            // It leaves when its last word is with the kernel; until then it is still counted.
            if said > 400 {
                break;
            }
        }
        let frames = frames(&read_to_end(jammed).await);
        let (last, lines) = frames.split_last().expect("frames");
        assert_eq!((last.first, &last.payload[2..]), (0x88, &b"slow consumer"[..]));
        for (index, line) in lines.iter().enumerate() {
            assert_eq!(line.first, 0x81);
            assert!(line.payload.starts_with(format!("{} ", index + 1).as_bytes()), "line {index}");
        }
        server.until_health_shows(1, 1).await;
    }
}

#[actix_web::test]
async fn a_close_that_is_answered_ends_what_is_written() {
    let server = TestServer::start().await;
    let mut ann = server.connect("/ws").await;
    for _ in 0..50 {
        let mut raw = server.connect_raw("/ws").await;
        raw.send(&frame(0x88, &[0x03, 0xE8])).await;
        for number in 0..20 {
            ann.send(&number.to_string()).await;
        }
        let frames = frames(&read_to_end(raw).await);
        assert_eq!(frames.last().map(|frame| frame.first), Some(0x88), "{frames:?}");
        for number in 0..20 {
            assert_eq!(ann.next_text().await, format!("{number}!!!"));
        }
    }
}
