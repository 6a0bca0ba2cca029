//! One client asks for all the sessions there are. It gets its share, and all others get in.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr},
};

use crate::{client::Client, program::Program};

/// What one client asks for.
const HANDSHAKES: usize = 100_000;

/// Over so many connections.
const CONNECTIONS: usize = 4;

/// What one address may have.
const SHARE: u64 = 1000;

const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

/// Sends one client's part of the handshakes in one go, and reads what it is answered.
fn flood(server: SocketAddr, source: IpAddr, headers: &str) {
    let mut client = Client::connect_from(source, server).expect("connected");
    let mut reading = client.stream.try_clone().expect("a handle");
    let reader = std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while reading.read(&mut buffer).is_ok_and(|read| read > 0) {}
    });
    let request = format!("GET {POLLING} HTTP/1.1\r\nHost: {server}\r\n{headers}\r\n");
    let many = request.repeat(1000);
    for _ in 0..HANDSHAKES / CONNECTIONS / 1000 {
        if client.stream.write_all(many.as_bytes()).is_err() {
            break;
        }
    }
    client
        .try_send(format!("GET /limits HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n").as_bytes());
    reader.join().expect("all is read");
}

fn flood_from(program: &Program, source: [u8; 4], headers: &str) {
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| flood(program.address, source.into(), headers));
        }
    });
}

/// The sessions that the server counts.
fn sessions(program: &Program) -> u64 {
    let health = Client::get(program.address, "/health");
    let (_, rest) = health.split_once("\"sessions\":").expect("a count");
    rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).expect("a number")
}

/// A client from elsewhere gets in at every kind of door.
fn assert_gets_in(program: &Program, source: [u8; 4], headers: &str) {
    let server = program.address;
    for door in ["/ws", "/chat", "/echo", "/socket.io/?EIO=4&transport=websocket"] {
        let mut client = Client::connect_from(source.into(), server).expect("connected");
        let request = crate::client::handshake(server, door);
        client.send(request.replace("Upgrade: w", &format!("{headers}Upgrade: w")).as_bytes());
        let head = client.read_head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{door}: {head}");
    }
    let mut client = Client::connect_from(source.into(), server).expect("connected");
    client.send(format!("GET {POLLING} HTTP/1.1\r\nHost: {server}\r\n{headers}\r\n").as_bytes());
    let head = client.read_head();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
}

#[test]
fn a_flood_of_handshakes_from_one_address_leaves_room_for_all_others() {
    let program = Program::start(&["--max-sessions-per-address", "1000", "--handshake-rate", "50"]);
    flood_from(&program, [127, 0, 0, 1], "");
    let taken = sessions(&program);
    assert!(taken <= SHARE, "{taken} sessions");
    assert_gets_in(&program, [127, 0, 0, 2], "");
    program.wait_for_log("--handshake-rate (ECHOROOM_HANDSHAKE_RATE)");
    assert!(program.resident_kib() < 200 * 1024, "{} KiB", program.resident_kib());
}

#[test]
fn behind_a_trusted_proxy_the_defaults_leave_room_for_all_other_clients() {
    let program = Program::start(&["--trusted-proxy", "127.0.0.1"]);
    flood_from(&program, [127, 0, 0, 1], "X-Forwarded-For: 203.0.113.7\r\n");
    let taken = sessions(&program);
    assert!(taken <= SHARE, "{taken} sessions");
    assert_gets_in(&program, [127, 0, 0, 1], "X-Forwarded-For: 198.51.100.7\r\n");
    // Within one network of 64 bits there is one client, with 2^64 addresses.
    for number in 0..3000_u32 {
        let mut client = Client::connect(program.address);
        let from = format!("X-Forwarded-For: 2001:db8:0:1::{number:x}\r\n");
        client
            .send(format!("GET {POLLING} HTTP/1.1\r\nHost: x\r\n{from}Connection: close\r\n\r\n").as_bytes());
        client.read_to_end();
    }
    let taken = sessions(&program);
    assert!(taken <= 2 * SHARE + 10, "{taken} sessions");
    assert_gets_in(&program, [127, 0, 0, 1], "X-Forwarded-For: 2001:db8:0:2::1\r\n");
}

#[test]
fn a_proxy_that_is_not_named_is_logged() {
    let program = Program::start(&[]);
    for _ in 0..100 {
        let mut client = Client::connect(program.address);
        let from = "X-Forwarded-For: 203.0.113.7\r\n";
        client
            .send(format!("GET {POLLING} HTTP/1.1\r\nHost: x\r\n{from}Connection: close\r\n\r\n").as_bytes());
        client.read_to_end();
    }
    program.wait_for_log("--trusted-proxy (ECHOROOM_TRUSTED_PROXY): 127.0.0.1 sends X-Forwarded-For");
    let lines = program.log().iter().filter(|line| line.contains("--trusted-proxy")).count();
    assert_eq!(lines, 1);
}
