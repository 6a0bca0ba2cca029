//! A shared part of the server panics. It begins again, and serves the clients that come; if it does so too often,
//! the process must not go on without it: a live process that is deaf is worse than none, for a supervisor starts the
//! next one.

use std::{
    io::Read as _,
    time::{Duration, Instant},
};

use crate::{
    client::Client,
    program::{PATIENCE, Program},
    talker::Talker,
};

/// The exit code of a process whose shared part has panicked too often.
const EXIT_PART_DIED: i32 = 70;

/// Within this time of the panic the process must have ended.
const AT_ONCE: Duration = Duration::from_secs(1);

/// What makes a part take its next step.
type Step = fn(&Program);

/// Each part with what makes it take its next step.
const PARTS: [(&str, Step); 8] = [
    ("chat-server-0", speak),
    ("fan-out-0", speak),
    ("fan-out-1", speak),
    ("socketio-rooms", join_relay),
    ("fan-out-0", join_relay),
    ("fan-out-1", join_relay),
    ("journal-writer", speak),
    ("journal-reader", log_in),
];

/// How long clients wait for what a panic does to them.
const A_MOMENT: Duration = Duration::from_millis(100);

/// Four connections, so that both workers have one, say something in one room; and in others, so that both shards of
/// the chat have one.
fn speak(program: &Program) {
    for room in ["tea", "coffee", "milk", "water", "juice"] {
        open_four(program, &format!("/ws?room={room}"), &["hello"]);
    }
}

/// Four clients of Socket.IO join a room of the relay and emit to it.
fn join_relay(program: &Program) {
    let packets = ["40/relay,", "42/relay,[\"join\",\"tea\"]", "42/relay,[\"stroke\",1]"];
    open_four(program, "/socket.io/?EIO=4&transport=websocket", &packets);
}

/// Four connections that send these texts, and stay until the last one has been answered or has ended.
fn open_four(program: &Program, path: &str, texts: &[&str]) {
    let open = |_| {
        let mut client = Client::connect_from([127, 0, 0, 1].into(), program.address).ok()?;
        client.try_send(crate::client::handshake(program.address, path).as_bytes());
        texts.iter().for_each(|text| _ = client.try_send(&crate::client::frame(0x81, text.as_bytes())));
        Some(client)
    };
    let mut clients: Vec<_> = (0..4).filter_map(open).collect();
    if let Some(last) = clients.last_mut() {
        last.set_read_timeout(A_MOMENT);
        let _ = last.stream.read_to_end(&mut Vec::new());
    }
}

/// Clients log in to a room that has history.
fn log_in(program: &Program) {
    open_four(program, "/chat", &[r#"{"event":"login","data":{"username":"ben","room":"tea"}}"#]);
}

/// Says something that is durable when this returns.
fn say_something_durable(program: &Program) {
    let mut client = Client::websocket(program.address, "/chat");
    client.send_text(r#"{"event":"login","data":{"username":"ann","room":"tea"}}"#);
    client.read_until("loginSuccess");
    client.send_text(r#"{"event":"sendMessage","data":{"msg":"kept"},"ack":1}"#);
    client.read_until(r#""ack":1"#);
}

/// Has a part panic: pokes it until it has.
fn make_panic(program: &Program, part: &str, step: Step) {
    let has_panicked = |line: &&String| line.contains(&format!("{part} was poisoned"));
    let count = || program.log().iter().filter(has_panicked).count();
    let before = count();
    poison(program, part);
    let deadline = Instant::now() + PATIENCE;
    while count() == before {
        assert!(Instant::now() < deadline, "{part} does not panic: {:#?}", program.log());
        step(program);
    }
}

fn poison(program: &Program, part: &str) {
    let answer = Client::post(program.address, &format!("/poison/{part}"));
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
}

#[test]
fn a_process_goes_on_when_a_shared_part_panics() {
    let program = Program::start(&["--relay", "on"]);
    say_something_durable(&program);
    for (number, (part, step)) in PARTS.into_iter().enumerate() {
        make_panic(&program, part, step);
        let mut talker = Talker::login(program.address, &format!("t{number}"));
        let kept = talker.say(&format!("after {number}"));
        let history = talker.history();
        assert!(history.contains(&kept) && history.iter().any(|(_, text)| text == "kept"), "{history:?}");
        let mut plain = Client::websocket(program.address, "/ws?room=other");
        plain.send_text("hello");
        plain.read_until("HELLO!!!");
    }
    let health = Client::get(program.address, "/health");
    assert!(health.starts_with("HTTP/1.1 200 ") && health.contains("\"ok\""), "{health}");
}

#[test]
fn a_process_whose_shared_part_may_not_begin_again_says_so_and_ends_within_a_second() {
    for (part, step) in PARTS {
        let mut program = Program::start(&["--relay", "on", "--max-restarts", "0"]);
        say_something_durable(&program);
        make_panic(&program, part, step);
        let panicked = program.wait_for_log(&format!("{part} was poisoned"));
        let since = Instant::now();
        assert_eq!(program.exit_code(), Some(EXIT_PART_DIED), "{part}: {panicked}");
        assert!(since.elapsed() < AT_ONCE, "{part} took {:?}", since.elapsed());
        program.wait_for_log(&format!("the server cannot go on without {part}"));
    }
}

#[test]
fn a_process_whose_shared_part_panics_too_often_ends_and_says_why() {
    let mut program = Program::start(&["--max-restarts", "2", "--workers", "1"]);
    for _ in 1..=3 {
        make_panic(&program, "chat-server-0", speak);
    }
    assert_eq!(program.exit_code(), Some(EXIT_PART_DIED));
    program.wait_for_log("it has begun again 2 times in 10 seconds, as often as it may (--max-restarts)");
}

#[test]
fn what_was_acked_before_a_shared_part_panicked_is_there_in_the_next_process() {
    for part in ["chat-server-0", "fan-out-0", "journal-writer"] {
        let data = tempfile::tempdir().expect("a folder");
        let start = || {
            let mut command = crate::program::command(&["--workers", "1", "--max-restarts", "0"]);
            command.arg("--data-dir").arg(data.path());
            Program::spawn(command)
        };
        let mut program = start();
        say_something_durable(&program);
        make_panic(&program, part, speak);
        assert_eq!(program.exit_code(), Some(EXIT_PART_DIED), "{part}");
        let next = start();
        let mut client = Client::websocket(next.address, "/chat");
        client.send_text(r#"{"event":"login","data":{"username":"ben","room":"tea"}}"#);
        client.read_until(r#""msg":"kept""#);
    }
}
