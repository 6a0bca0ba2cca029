//! Clients that send half of something and then nothing, or take a connection and say nothing at all. None of them keeps
//! the server from others, and none of them is waited for.

use std::{
    io::Read as _,
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    client::Client,
    program::{self, PATIENCE, Program},
};

/// What a client may send behind an answered request and not end.
const HALVES: [&str; 6] = [
    "",
    "GET / HTTP/1.1\r\n",
    "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n",
    "POST /limits HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf",
    "POST /socket.io/?EIO=4&transport=polling&sid=none HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf",
    "POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\nhalf",
];

/// Whether one of three questions is answered: one that comes in the middle of a burst may be taken for a part of it.
fn is_well(program: &Program) -> bool {
    (0..3).any(|_| Client::get(program.address, "/health").starts_with("HTTP/1.1 200 "))
}

#[test]
fn connections_that_send_half_of_something_are_closed_and_keep_nobody_out() {
    let times = ["--keep-alive", "3s", "--handshake-timeout", "3s", "--body-timeout", "3s"];
    let program = Program::start(&[&["--max-connections", "300"], &times[..]].concat());
    // Some are opened when they are first needed.
    drop(Client::websocket(program.address, "/ws"));
    assert!(is_well(&program));
    let before = program.descriptors();
    let since = Instant::now();
    let mut held: Vec<_> = (0..400)
        .map(|number| {
            let mut client = Client::connect(program.address);
            client.try_send(b"GET /limits HTTP/1.1\r\nHost: x\r\n\r\n");
            client.try_send(HALVES[number % HALVES.len()].as_bytes());
            client
        })
        .collect();
    assert!(is_well(&program));
    program.wait_for_log("--max-connections (ECHOROOM_MAX_CONNECTIONS)");
    for client in &mut held {
        let mut rest = Vec::new();
        // A reset is an end, too.
        let _ = client.stream.read_to_end(&mut rest);
    }
    assert!(since.elapsed().as_secs() < 30, "{:?}", since.elapsed());
    assert!(is_well(&program));
    // The last ones are closed a moment after their clients have seen the end.
    let deadline = Instant::now() + PATIENCE;
    while program.descriptors() > before + 2 {
        assert!(Instant::now() < deadline, "{} descriptors, {before} before", program.descriptors());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn more_connections_than_there_are_descriptors_are_refused_and_health_is_answered() {
    let data = tempfile::tempdir().expect("a folder");
    let program = program::command(&[]);
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 300; exec \"$0\" \"$@\""]).arg(program.get_program());
    command.args(program.get_args()).arg("--data-dir").arg(data.path());
    for (name, _) in program.get_envs() {
        command.env_remove(name);
    }
    let program = Program::spawn(command);
    let held: Vec<_> = (0..600).map(|_| Client::connect(program.address)).collect();
    assert!(is_well(&program));
    program.wait_for_log("--max-connections (ECHOROOM_MAX_CONNECTIONS)");
    drop(held);
    assert!(is_well(&program));
    let _session = Client::websocket(program.address, "/echo");
    let failed = program.log().iter().filter(|line| line.contains("Too many open files")).count();
    assert_eq!(failed, 0, "{:#?}", program.log());
}

#[test]
fn one_address_that_holds_all_its_connections_keeps_no_other_out() {
    let program = Program::start(&["--max-connections-per-address", "50"]);
    let _held: Vec<_> = (0..100).map(|_| Client::connect(program.address)).collect();
    assert!(is_well(&program));
    program.wait_for_log("--max-connections-per-address (ECHOROOM_MAX_CONNECTIONS_PER_ADDRESS)");
    let mut client = Client::connect_from([127, 0, 0, 2].into(), program.address).expect("connected");
    assert!(client.shake_hands("/ws").starts_with("HTTP/1.1 101 "));
}
