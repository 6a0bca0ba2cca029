//! A shared part of the server panics. The process must not go on without it: a live process that is deaf is worse than
//! none, for a supervisor starts the next one.

use std::time::{Duration, Instant};

use crate::{client::Client, program::Program};

/// The exit code of a process whose shared part has panicked.
const EXIT_PART_DIED: i32 = 70;

/// Within this time of the panic the process must have ended.
const AT_ONCE: Duration = Duration::from_secs(1);

/// What makes a part take its next step.
type Step = fn(&Program);

/// Each part with what makes it take its next step.
const PARTS: [(&str, Step); 8] = [
    ("chat-server", speak),
    ("fan-out-0", speak),
    ("fan-out-1", speak),
    ("socketio-rooms", join_relay),
    ("fan-out-0", join_relay),
    ("fan-out-1", join_relay),
    ("journal-writer", speak),
    ("journal-reader", log_in),
];

/// Four connections, so that both workers have one, say something in one room.
fn speak(program: &Program) {
    for _ in 0..4 {
        if let Ok(mut client) = Client::connect_from([127, 0, 0, 1].into(), program.address) {
            client.try_send(crate::client::handshake(program.address, "/ws?room=tea").as_bytes());
            client.try_send(&crate::client::frame(0x81, b"hello"));
            // The connection ends with the process.
            let _ = client.try_read_frame();
        }
    }
}

/// Four clients of Socket.IO join a room of the relay and emit to it.
fn join_relay(program: &Program) {
    for _ in 0..4 {
        if let Ok(mut client) = Client::connect_from([127, 0, 0, 1].into(), program.address) {
            let path = "/socket.io/?EIO=4&transport=websocket";
            client.try_send(crate::client::handshake(program.address, path).as_bytes());
            for packet in ["40/relay,", "42/relay,[\"join\",\"tea\"]", "42/relay,[\"stroke\",1]"] {
                client.try_send(&crate::client::frame(0x81, packet.as_bytes()));
            }
            let _ = client.try_read_frame();
        }
    }
}

/// Logs in to a room that has history.
fn log_in(program: &Program) {
    let mut client = Client::websocket(program.address, "/chat");
    client.try_send(&crate::client::frame(
        0x81,
        br#"{"event":"login","data":{"username":"ben","room":"tea"}}"#,
    ));
    let _ = client.try_read_frame();
}

/// Says something that is durable when this returns.
fn say_something_durable(program: &Program) {
    let mut client = Client::websocket(program.address, "/chat");
    client.send_text(r#"{"event":"login","data":{"username":"ann","room":"tea"}}"#);
    client.read_until("loginSuccess");
    client.send_text(r#"{"event":"sendMessage","data":{"msg":"kept"},"ack":1}"#);
    client.read_until(r#""ack":1"#);
}

#[test]
fn a_process_whose_shared_part_panics_says_so_and_ends_within_a_second() {
    for (part, step) in PARTS {
        let mut program = Program::start(&["--relay", "on"]);
        say_something_durable(&program);
        // Rooms that have been idle are read from the file.
        let answer = Client::post(program.address, &format!("/poison/{part}"));
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
        step(&program);
        let panicked = program.wait_for_log(&format!("{part} was poisoned"));
        let since = Instant::now();
        assert_eq!(program.exit_code(), Some(EXIT_PART_DIED), "{part}: {panicked}");
        assert!(since.elapsed() < AT_ONCE, "{part} took {:?}", since.elapsed());
        program.wait_for_log(&format!("the server cannot go on without {part}"));
    }
}

#[test]
fn what_was_acked_before_a_shared_part_panicked_is_there_in_the_next_process() {
    for part in ["chat-server", "fan-out-0", "journal-writer"] {
        let data = tempfile::tempdir().expect("a folder");
        let start = || {
            let mut command = crate::program::command(&["--workers", "1"]);
            command.arg("--data-dir").arg(data.path());
            Program::spawn(command)
        };
        let mut program = start();
        say_something_durable(&program);
        Client::post(program.address, &format!("/poison/{part}"));
        speak(&program);
        assert_eq!(program.exit_code(), Some(EXIT_PART_DIED), "{part}");
        let next = start();
        let mut client = Client::websocket(next.address, "/chat");
        client.send_text(r#"{"event":"login","data":{"username":"ben","room":"tea"}}"#);
        client.read_until(r#""msg":"kept""#);
    }
}
