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

/// The query of a new session that polls.
fn polling(program: &Program) -> String {
    let open = Client::get(program.address, "/socket.io/?EIO=4&transport=polling");
    let sid = open.split(r#""sid":""#).nth(1).and_then(|rest| rest.split('"').next()).expect("a sid");
    format!("EIO=4&transport=polling&sid={sid}")
}

/// The beginning of a post with so many bytes.
fn post_head(query: &str, len: usize) -> Vec<u8> {
    format!("POST /socket.io/?{query} HTTP/1.1\r\nHost: x\r\nContent-Length: {len}\r\n\r\n").into_bytes()
}

/// A post to a session that polls and has logged in, of which a part is missing.
fn post(program: &Program, number: usize) -> Client {
    let query = polling(program);
    let mut client = Client::connect(program.address);
    let login = format!(r#"42["login",{{"username":"cleo{number}","room":"crowd{}"}}]"#, number % 100);
    for packet in ["40", &login] {
        client.send(&[post_head(&query, packet.len()), packet.into()].concat());
        let head = client.read_head();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let mut ok = [0; 2];
        std::io::Read::read_exact(&mut client.stream, &mut ok).expect("a body");
    }
    let mut bytes = post_head(&query, ANNOUNCED as usize);
    bytes.resize(bytes.len() + SENT, b'x');
    client.try_send(&bytes);
    client
}

/// A client of Socket.IO that has logged in.
fn socketio(program: &Program, number: usize) -> Client {
    let mut client = Client::websocket(program.address, "/socket.io/?EIO=4&transport=websocket");
    client.send_text("40");
    client.send_text(&format!(r#"42["login",{{"username":"ben{number}","room":"crowd{}"}}]"#, number % 100));
    client.read_until("loginSuccess");
    client
}

fn socketio_message(program: &Program, number: usize) -> Client {
    let mut client = socketio(program, number);
    begin_message(&mut client);
    client
}

/// An event of which the last attachment is missing.
fn attachments(program: &Program, number: usize) -> Client {
    let mut client = socketio(program, number);
    client.try_send(&frame(0x81, br#"4510-["shot",{"_placeholder":true,"num":0}]"#));
    for _ in 0..9 {
        client.try_send(&frame(0x82, &vec![b'x'; SENT / 9]));
    }
    client
}

/// Messages whose echoes are not read.
fn unread_echoes(program: &Program, _: usize) -> Client {
    let mut client = Client::websocket(program.address, "/echo");
    socket2::SockRef::from(&client.stream).set_recv_buffer_size(4096).expect("a small buffer");
    client.set_write_timeout(Duration::from_millis(5));
    let message = frame(0x82, &vec![b'x'; SENT]);
    // Until the server reads no more.
    (0..20).all(|_| client.try_send(&message));
    client
}

/// Requests behind a poll that waits.
fn requests_ahead(program: &Program, _: usize) -> Client {
    let query = polling(program);
    let mut client = Client::connect(program.address);
    let poll = format!("GET /socket.io/?{query} HTTP/1.1\r\nHost: x\r\n\r\n");
    let behind = "GET /limits HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2000);
    client.try_send(format!("{poll}{behind}").as_bytes());
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

/// A megabyte comes and goes, once all that was held has been given back.
fn assert_large_message_is_taken(program: &Program) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut client = Client::websocket(program.address, "/echo");
        client.try_send(&frame(0x82, &vec![b'x'; ANNOUNCED as usize]));
        if client.try_read_frame().is_ok_and(|frame| frame.payload.len() == ANNOUNCED as usize) {
            return;
        }
        assert!(Instant::now() < deadline, "not all was given back");
    }
}

#[test]
fn unfinished_messages_of_thousands_take_no_more_memory_than_they_may_and_keep_nobody_from_talking() {
    let flags = ["--max-memory", "64m", "--max-message-size", "1m", "--rate", "0", "--min-upload-rate", "0"];
    let doors: [(&str, Begin); 9] = [
        ("/ws", plain),
        ("/echo", echo),
        ("/chat", chat),
        ("fragments", fragments),
        ("posts", post),
        ("socket.io", socketio_message),
        ("attachments", attachments),
        ("unread echoes", unread_echoes),
        ("requests ahead", requests_ahead),
    ];
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
        assert_large_message_is_taken(&program);
        assert_bystander_is_served(&program, number);
        // The allocator may keep what was given back, and takes it again.
        let again: Vec<_> = (0..CLIENTS / 4).map(|client| begin(&program, CLIENTS + client)).collect();
        let resident = program.resident_kib();
        assert!(resident <= bound, "{door}: {resident} KiB when it is done again, not {bound}");
        drop(again);
    }
}
