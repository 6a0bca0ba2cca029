//! What a connection holds beside bodies and messages: a long head that does not end, and requests behind one that is
//! still being answered.

use crate::{client::Client, program::Program};

const CLIENTS: usize = 1500;

/// What each of them sends.
const SENT: usize = 100_000;

/// The bound of the program, `--max-memory`.
const BOUND_KIB: u64 = 16 * 1024;

/// What a connection may take beside: its share, and itself.
const SHARE_KIB: u64 = 16;

/// What the allocator may keep, and the like.
const SLACK_KIB: u64 = 40 * 1024;

/// A client that holds bytes.
type Begin = fn(&Program) -> Client;

fn half_a_head(program: &Program) -> Client {
    let mut client = Client::connect(program.address);
    let head = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Long: {}", "x".repeat(SENT));
    client.try_send(head.as_bytes());
    client
}

/// Requests behind a poll that nothing answers.
fn pipelined(program: &Program) -> Client {
    let path = "/socket.io/?EIO=4&transport=polling";
    let open = Client::get(program.address, path);
    let sid = open.split('"').nth(3).expect("a sid");
    let mut client = Client::connect(program.address);
    let next = "GET /limits HTTP/1.1\r\nHost: x\r\n\r\n";
    let many = next.repeat(SENT / next.len());
    client.try_send(format!("GET {path}&sid={sid} HTTP/1.1\r\nHost: x\r\n\r\n{many}").as_bytes());
    client
}

/// A poll whose own head is long.
fn long_head(program: &Program) -> Client {
    let path = "/socket.io/?EIO=4&transport=polling";
    let open = Client::get(program.address, path);
    let sid = open.split('"').nth(3).expect("a sid");
    let mut client = Client::connect(program.address);
    let long = "x".repeat(SENT);
    client.try_send(format!("GET {path}&sid={sid} HTTP/1.1\r\nHost: x\r\nX-Long: {long}\r\n\r\n").as_bytes());
    client
}

#[test]
fn heads_and_requests_that_wait_take_no_more_memory_than_they_may_and_keep_nobody_out() {
    let flags = ["--max-memory", "16m", "--max-payload", "256k", "--handshake-timeout", "60s"];
    let begins: [(&str, Begin); 3] =
        [("half a head", half_a_head), ("pipelined", pipelined), ("a long head", long_head)];
    for (what, begin) in begins {
        let program = Program::start(&flags);
        let mut session = Client::websocket(program.address, "/ws");
        let before = program.resident_kib();
        let held: Vec<_> = (0..CLIENTS).map(|_| begin(&program)).collect();
        // What was sent has been read once a later connection is answered.
        assert!(Client::get(program.address, "/health").starts_with("HTTP/1.1 200 "));
        let after = program.resident_kib();
        let bound = before + BOUND_KIB + CLIENTS as u64 * SHARE_KIB + SLACK_KIB;
        eprintln!("{what}: {before} KiB before, {after} KiB after (bound {bound} KiB)");
        assert!(after <= bound, "{what}: {before} KiB before, {after} KiB after, not {bound}");
        session.send_text("still here");
        session.read_until("STILL HERE!!!");
        drop(held);
    }
}
