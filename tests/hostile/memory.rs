//! Many clients begin large messages and never end them.

use std::time::{Duration, Instant};

use crate::{
    client::{Client, frame, frame_head},
    program::{PATIENCE, Program},
};

const CLIENTS: usize = 2_000;

/// What a client announces, and what it sends of it.
const ANNOUNCED: u64 = 1_000_000;
const SENT: usize = 200_000;

/// The bound of the program, `--max-memory`.
const BOUND_KIB: u64 = 64 * 1024;

/// What a session may take beside: its share, buffers, an idle session.
const SHARE_KIB: u64 = 24;

/// What the allocator may keep, a worker's buffers, and the like.
const SLACK_KIB: u64 = 48 * 1024;

/// A client that has begun a message at one door.
type Begin = fn(&Program, usize) -> Client;

fn begin_message(client: &mut Client) {
    let mut bytes = frame_head(0x82, ANNOUNCED);
    bytes.resize(bytes.len() + SENT, b'x');
    // A client that is refused finds out while it sends, or does not.
    client.try_send(&bytes);
}

fn plain(program: &Program, _: usize) -> Client {
    let mut client = Client::websocket(program.address, "/ws?room=crowd");
    begin_message(&mut client);
    client
}

fn echo(program: &Program, _: usize) -> Client {
    let mut client = Client::websocket(program.address, "/echo");
    begin_message(&mut client);
    client
}

fn chat(program: &Program, number: usize) -> Client {
    let mut client = Client::websocket(program.address, "/chat");
    client.send_text(&format!(
        r#"{{"event":"login","data":{{"username":"ann{number}","room":"crowd{}"}}}}"#,
        number % 100
    ));
    client.read_until("loginSuccess");
    begin_message(&mut client);
    client
}

/// A fragment, and another one, of a message that has no end.
fn fragments(program: &Program, _: usize) -> Client {
    let mut client = Client::websocket(program.address, "/echo");
    client.try_send(&frame(0x02, &vec![b'x'; SENT / 2]));
    client.try_send(&frame(0x00, &vec![b'x'; SENT / 2]));
    client
}

/// A post to a session that polls, of which a part is missing.
fn post(program: &Program, _: usize) -> Client {
    let mut client = Client::connect(program.address);
    let open = Client::get(program.address, "/socket.io/?EIO=4&transport=polling");
    let sid =
        open.split(r#""sid":""#).nth(1).and_then(|rest| rest.split('"').next()).expect("a sid").to_owned();
    let head = format!(
        "POST /socket.io/?EIO=4&transport=polling&sid={sid} HTTP/1.1\r\nHost: x\r\nContent-Length: {ANNOUNCED}\r\n\r\n"
    );
    let mut bytes = head.into_bytes();
    bytes.resize(bytes.len() + SENT, b'x');
    client.try_send(&bytes);
    client
}

fn assert_bystander_is_served(program: &Program, number: usize) {
    let mut bystander = Client::websocket(program.address, "/chat");
    bystander
        .send_text(&format!(r#"{{"event":"login","data":{{"username":"bystander{number}","room":"tea"}}}}"#));
    bystander.read_until("loginSuccess");
    bystander.send_text(r#"{"event":"sendMessage","data":{"msg":"hello"},"ack":1}"#);
    bystander.read_until(r#""ack":1"#);
    bystander.send_text(r#"{"event":"logout","data":{},"ack":2}"#);
    bystander.read_until(r#""ack":2"#);
    let mut plain = Client::websocket(program.address, "/ws?room=tea");
    plain.send_text("hello");
    plain.read_until("HELLO!!!");
}

fn until_resident_is_below(program: &Program, most: u64) {
    let deadline = Instant::now() + PATIENCE;
    while program.resident_kib() > most {
        assert!(Instant::now() < deadline, "{} KiB are resident, not {most}", program.resident_kib());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn unfinished_messages_of_thousands_take_no_more_memory_than_they_may_and_keep_nobody_from_talking() {
    let flags = ["--max-memory", "64m", "--max-message-size", "1m", "--rate", "0", "--min-upload-rate", "0"];
    let doors: [(&str, Begin); 5] =
        [("/ws", plain), ("/echo", echo), ("/chat", chat), ("fragments", fragments), ("posts", post)];
    for (number, (door, begin)) in doors.into_iter().enumerate() {
        let program = Program::start(&flags);
        assert_bystander_is_served(&program, number);
        let before = program.resident_kib();
        let mut clients = Vec::new();
        let mut most = 0;
        for client in 0..CLIENTS {
            clients.push(begin(&program, client));
            if client % 100 == 0 {
                most = most.max(program.resident_kib());
            }
            if client % 500 == 0 {
                assert_bystander_is_served(&program, number);
            }
        }
        most = most.max(program.resident_kib());
        let bound = before + BOUND_KIB + CLIENTS as u64 * SHARE_KIB + SLACK_KIB;
        eprintln!("{door}: {before} KiB before, {most} KiB at most (bound {bound} KiB)");
        assert!(most <= bound, "{door}: {before} KiB before, {most} KiB at most, not {bound}");
        assert!(most >= before + BOUND_KIB / 4, "{door}: {most} KiB: the attack has not begun");
        assert_bystander_is_served(&program, number);
        program.wait_for_log("--max-memory");
        drop(clients);
        until_resident_is_below(&program, before + SLACK_KIB);
        assert_bystander_is_served(&program, number);
    }
}
