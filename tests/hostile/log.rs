//! What clients can make the server write to its log.

use std::io::{Read as _, Write as _};

use crate::{client::Client, program::Program};

/// What a client may write into something that is logged.
const LONG: usize = 100_000;

fn log_bytes(program: &Program) -> usize {
    program.log().iter().map(|line| line.len() + 1).sum()
}

/// Sends a request on a connection of its own; the answer as far as it comes.
fn ask(program: &Program, request: &str) -> String {
    let mut client = Client::connect(program.address);
    // The server may have answered and closed before all is sent.
    let _ = client.stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = client.stream.take(1 << 20).read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn what_a_client_writes_is_cut_in_the_log_and_in_answers() {
    let program = Program::start(&[]);
    let before = log_bytes(&program);
    let long = "x".repeat(LONG);
    let server = program.address;
    let doors = ["/ws", "/echo", "/chat", "/lesson/news", "/socket.io/?EIO=4&transport=websocket"];
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let host = format!("Host: {server}\r\n");
    for round in 0..40 {
        for door in doors {
            for request in [
                format!("GET {door} HTTP/1.1\r\n{host}{upgrade}Origin: http://{long}{round}\r\n\r\n"),
                format!("GET {door} HTTP/1.1\r\nHost: {long}{round}\r\n{upgrade}\r\n"),
                format!(
                    "GET {door} HTTP/1.1\r\n{host}X-Forwarded-For: {long}{round}\r\nConnection: close\r\n\r\n"
                ),
                format!("GET {door}?room={long}{round} HTTP/1.1\r\n{host}{upgrade}\r\n"),
                format!("GET /{long}{round} HTTP/1.1\r\n{host}{upgrade}\r\n"),
                format!("GET /lesson/break/{long} HTTP/1.1\r\n{host}{upgrade}\r\n"),
                format!("{} {door} HTTP/1.1\r\n{host}{upgrade}\r\n", "X".repeat(LONG)),
            ] {
                let answer = ask(&program, &request);
                assert!(answer.len() < 2000, "{} bytes: {:.300}", answer.len(), answer);
            }
        }
    }
    program.wait_for_log("--allow-origin");
    let written = log_bytes(&program) - before;
    assert!(written < 64 * 1024, "{written} bytes: {:#.1000?}", program.log());
    let longest = program.log().iter().map(String::len).max().unwrap_or_default();
    assert!(longest < 600, "{longest} bytes in a line");
}

#[test]
fn requests_that_cannot_be_read_are_not_a_line_each() {
    let program = Program::start(&[]);
    let before = log_bytes(&program);
    for round in 0..500 {
        let answer = ask(&program, &format!("nonsense {round}\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        ask(&program, "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n\u{1}\u{2}\u{3}");
        ask(&program, "GET /health HTTP/1.1\r\nHost: x\r\n\r\nmore nonsense\r\n\r\n");
    }
    let written = log_bytes(&program) - before;
    assert!(written < 16 * 1024, "{written} bytes: {:#?}", program.log());
}

#[test]
fn sessions_that_come_and_go_are_counted_when_they_are_too_many_for_a_line_each() {
    let program = Program::start(&[]);
    let before = log_bytes(&program);
    let request = "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1000);
    for _ in 0..10 {
        let close = "GET /limits HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        ask(&program, &format!("{request}{close}"));
    }
    let written = log_bytes(&program) - before;
    assert!(written < 256 * 1024, "{written} bytes for 10,000 sessions");
}
