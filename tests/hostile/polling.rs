//! Handshakes of Socket.IO whose clients never come back, and clients that come back to very much.

use std::{
    io::Read as _,
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{client::Client, program::Program};

const HANDSHAKE: &str = "/socket.io/?EIO=4&transport=polling";
const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";

/// The status of the answer to a handshake.
fn status_of_handshake(server: SocketAddr) -> String {
    Client::get(server, HANDSHAKE).chars().take("HTTP/1.1 200".len()).collect()
}

#[test]
fn places_taken_by_handshakes_that_nobody_comes_back_to_are_free_after_ten_seconds() {
    const PLACES: usize = 5_000;
    let program = Program::start(&["--max-sessions", "5000"]);
    let before = program.resident_kib();
    let mut threads = Vec::new();
    for _ in 0..4 {
        let server = program.address;
        threads.push(std::thread::spawn(move || {
            let mut client = Client::connect(server);
            let request = format!("GET {HANDSHAKE} HTTP/1.1\r\nHost: {server}\r\n\r\n");
            for _ in 0..PLACES / 4 {
                client.send(request.as_bytes());
                assert!(client.read_head().starts_with("HTTP/1.1 200 "));
                let mut body = [0; 118];
                client.stream.read_exact(&mut body).expect("an open packet");
                assert!(
                    body.starts_with(b"0{") && body.ends_with(b"}"),
                    "{}",
                    String::from_utf8_lossy(&body)
                );
            }
        }));
    }
    threads.into_iter().for_each(|thread| thread.join().expect("all handshakes"));
    let taken = Instant::now();
    while status_of_handshake(program.address) != "HTTP/1.1 200" {
        // Ten seconds, and a machine that is busy with other things.
        assert!(taken.elapsed() < Duration::from_secs(30), "{} MiB", program.resident_kib() / 1024);
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(program.resident_kib() < before + 100 * 1024, "{} KiB", program.resident_kib());
}

/// A session that has logged in to a room; what it is told comes behind that.
fn login(server: SocketAddr, data: &Value) -> (Client, Value) {
    let mut client = Client::websocket(server, WEBSOCKET);
    client.read_until("\"sid\"");
    client.send_text("40");
    client.read_until("40{");
    client.send_text(&format!("42{}", json!(["login", data])));
    let welcome = client.read_until("loginSuccess");
    (client, serde_json::from_str::<Value>(&welcome[2..]).expect("JSON")[1].take())
}

#[test]
fn a_client_that_comes_back_to_sixty_megabytes_costs_some_and_gets_all() {
    const MESSAGES: u64 = 1_000;
    const BYTES: usize = 60_000;
    let program = Program::start(&[
        "--rate",
        "0",
        "--history",
        "4000",
        "--history-bytes",
        "400m",
        "--tail-bytes",
        "1m",
        "--ping-timeout",
        "60s",
    ]);
    let (mut ann, welcome) = login(program.address, &json!({"username": "ann", "room": "tea"}));
    let text = "x".repeat(BYTES);
    for number in 1..=MESSAGES {
        ann.send_text(&format!("42{number}{}", json!(["sendMessage", {"msg": text}])));
        if number % 10 == 0 {
            ann.read_until(&format!("43{number}["));
        }
    }
    let back = json!({"username": "ben", "room": "tea", "epoch": welcome["epoch"], "offset": 0});
    let before = program.resident_kib();
    let (mut ben, welcome) = login(program.address, &back);
    assert_eq!(welcome["recovered"], true, "{welcome}");
    // It takes its time, so that whatever is not held back would be in the server now.
    std::thread::sleep(Duration::from_secs(2));
    let grown = program.resident_kib().saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB");
    for offset in 1..=MESSAGES {
        let message = ben.read_until("receiveMessage");
        assert!(message.len() > BYTES && message.contains(&format!("\"offset\":{offset},")), "{offset}");
    }
    ben.send_text("421[\"ping\",{}]");
    ben.read_until("431[");
}
