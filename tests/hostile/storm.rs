//! Clients of all kinds at once, most of which misbehave, for as long as `HOSTILE_STORM_SECONDS` says. A bystander is
//! served all the time, and afterwards everything they took has been given back.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    client::{Client, frame, frame_head, handshake},
    program::Program,
};

/// Without the variable the storm is short: it is a test among others.
const DEFAULT_SECONDS: u64 = 10;

/// Clients at a time.
const CLIENTS: u64 = 24;

/// How long a bystander may wait for an ack. Generous: the machine is busy with the storm itself.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// After the storm the server has this long to come to rest.
const REST: Duration = Duration::from_secs(60);

/// The storm before the one that is measured: code is loaded, rooms are made, the database's pages are in its cache.
const WARM_UP: Duration = Duration::from_secs(10);

/// The storm before a long one, which is compared with it: it fills what is bounded by settings.
const LONG_WARM_UP: Duration = Duration::from_secs(60);

/// Memory above that of a fresh server which a warm one may keep, in KiB: recent history, the database's cache, and what
/// the allocator keeps for what comes next.
const SPARE_KIB: u64 = 48 * 1024;

/// Numbers that look random and are the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn bytes(&mut self, len: u64) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

/// One client comes, does what chance has it do, and goes one way or another.
fn misbehave(server: SocketAddr, random: &mut Random) -> std::io::Result<()> {
    let mut client = Client::connect_from([127, 0, 0, 1].into(), server)?;
    client.set_read_timeout(Duration::from_millis(200));
    match random.below(8) {
        0 => plain(&mut client, server, random),
        1 | 2 => chat(&mut client, server, random),
        3 => socketio(&mut client, server, random),
        4 => polling(&mut client, server, random),
        5 => garbage(&mut client, server, random),
        6 => unfinished(&mut client, server, random),
        _ => lesson(&mut client, server, random),
    }
    match random.below(3) {
        0 => client.reset(),
        1 => drop(client.try_send(&frame(0x88, &1000_u16.to_be_bytes()))),
        _ => {}
    }
    Ok(())
}

fn open(client: &mut Client, server: SocketAddr, path: &str) {
    client.try_send(handshake(server, path).as_bytes());
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match std::io::Read::read(&mut client.stream, &mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
}

fn send_text(client: &mut Client, text: &str) {
    client.try_send(&frame(0x81, text.as_bytes()));
}

/// Reads some of what comes, or nothing.
fn read_some(client: &mut Client, random: &mut Random) {
    for _ in 0..random.below(20) {
        if client.try_read_frame().is_err() {
            return;
        }
    }
}

fn plain(client: &mut Client, server: SocketAddr, random: &mut Random) {
    open(client, server, &format!("/ws?room=storm-{}", random.below(40)));
    for _ in 0..random.below(40) {
        let len = random.below(4000);
        match random.below(3) {
            0 => drop(client.try_send(&frame(0x82, &random.bytes(len)))),
            _ => send_text(client, &"x".repeat(len as usize)),
        }
    }
    read_some(client, random);
}

fn chat(client: &mut Client, server: SocketAddr, random: &mut Random) {
    open(client, server, "/chat");
    let (name, room) = (random.below(500), random.below(40));
    send_text(
        client,
        &format!(r#"{{"event":"login","data":{{"username":"p{name}","room":"storm-{room}"}},"ack":1}}"#),
    );
    for number in 0..random.below(40) {
        let room = random.below(40);
        let request = match random.below(7) {
            0 => format!(r#"{{"event":"joinRoom","data":{{"room":"storm-{room}"}},"ack":2}}"#),
            1 => r#"{"event":"typing","data":{"typing":true}}"#.to_owned(),
            2 => r#"{"event":"history","data":{"limit":200},"ack":3}"#.to_owned(),
            3 => format!(r#"{{"event":"sendPrivate","data":{{"to":"p{number}","msg":"psst"}},"ack":4}}"#),
            4 => r#"{"event":"sendImage","data":{"img":"data:image/png;base64,AAAA"},"ack":5}"#.to_owned(),
            5 => "{\"event\":".to_owned(),
            _ => format!(
                r#"{{"event":"sendMessage","data":{{"msg":"{}","id":"{number}"}},"ack":6}}"#,
                "y".repeat(random.below(3000) as usize)
            ),
        };
        send_text(client, &request);
    }
    read_some(client, random);
}

fn socketio(client: &mut Client, server: SocketAddr, random: &mut Random) {
    open(client, server, "/socket.io/?EIO=4&transport=websocket");
    let room = random.below(20);
    for packet in ["40", "40/relay,", &format!("42/relay,0[\"join\",\"storm-{room}\"]")] {
        send_text(client, packet);
    }
    for number in 0..random.below(30) {
        match random.below(5) {
            0 => {
                send_text(client, r#"451-/relay,["picture",{"_placeholder":true,"num":0}]"#);
                let len = random.below(20_000);
                client.try_send(&frame(0x82, &random.bytes(len)));
            }
            1 => send_text(client, r#"452-/relay,["never",{"_placeholder":true,"num":0}]"#),
            2 => send_text(client, &format!(r#"42{number}["login",{{"username":"s{number}"}}]"#)),
            3 => send_text(client, "41/relay,"),
            _ => send_text(client, &format!(r#"42/relay,["stroke",{number}]"#)),
        }
    }
    read_some(client, random);
}

fn polling(client: &mut Client, server: SocketAddr, random: &mut Random) {
    let path = "/socket.io/?EIO=4&transport=polling";
    client.try_send(format!("GET {path} HTTP/1.1\r\nHost: {server}\r\n\r\n").as_bytes());
    let mut answer = vec![0; 4096];
    let Ok(read) = std::io::Read::read(&mut client.stream, &mut answer) else { return };
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    let Some(sid) = answer.split_once(r#""sid":""#).and_then(|(_, rest)| rest.split('"').next()) else {
        return;
    };
    for _ in 0..random.below(6) {
        let body = ["40", "42[\"login\",{}]", "4abc", "2"][random.below(4) as usize];
        let announced = body.len() as u64 + random.below(2) * 1000;
        client.try_send(
            format!(
                "POST {path}&sid={sid} HTTP/1.1\r\nHost: {server}\r\nContent-Length: {announced}\r\n\r\n{body}"
            )
            .as_bytes(),
        );
    }
    client.try_send(format!("GET {path}&sid={sid} HTTP/1.1\r\nHost: {server}\r\n\r\n").as_bytes());
    read_some(client, random);
}

fn garbage(client: &mut Client, server: SocketAddr, random: &mut Random) {
    if random.below(2) == 0 {
        let door = ["/", "/ws", "/chat", "/echo", "/socket.io/?EIO=4&transport=websocket"];
        open(client, server, door[random.below(5) as usize]);
    }
    let len = random.below(20_000);
    client.try_send(&random.bytes(len));
    read_some(client, random);
}

fn unfinished(client: &mut Client, server: SocketAddr, random: &mut Random) {
    let door = ["/ws", "/chat", "/echo", "/socket.io/?EIO=4&transport=websocket"];
    open(client, server, door[random.below(4) as usize]);
    client.try_send(&frame_head(0x81, 60_000));
    client.try_send(&vec![b'z'; random.below(60_000) as usize]);
    thread::sleep(Duration::from_millis(random.below(100)));
}

fn lesson(client: &mut Client, server: SocketAddr, random: &mut Random) {
    match random.below(3) {
        0 => open(client, server, "/lesson/push"),
        1 => open(client, server, "/lesson/break/reset"),
        _ => drop(client.try_send(b"GET /lesson/news HTTP/1.1\r\nHost: localhost\r\n")),
    }
    read_some(client, random);
}

/// Says something every now and then and waits for its ack; gives back its longest wait.
fn stand_by(server: SocketAddr, is_over: &AtomicBool) -> Duration {
    let mut longest = Duration::ZERO;
    let mut client = Client::websocket(server, "/chat");
    client.send_text(r#"{"event":"login","data":{"username":"bystander","room":"quiet"}}"#);
    client.read_until("loginSuccess");
    for number in 0_u64.. {
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        let asked = Instant::now();
        client.send_text(&format!(
            r#"{{"event":"sendMessage","data":{{"msg":"still here","id":"{number}"}},"ack":{number}}}"#
        ));
        let answer = client.read_until(&format!(r#""ack":{number},"#));
        assert!(answer.contains(r#""offset""#), "{answer}");
        longest = longest.max(asked.elapsed());
        thread::sleep(Duration::from_millis(200));
    }
    longest
}

fn sessions(server: SocketAddr) -> Option<u64> {
    let answer = Client::get(server, "/health");
    let body = answer.split_once("\r\n\r\n")?.1.to_owned();
    serde_json::from_str::<serde_json::Value>(&body).ok()?["sessions"].as_u64()
}

/// How a storm was.
struct Storm {
    clients: u64,
    /// The bystander's longest wait for an ack.
    longest: Duration,
}

/// Lets the clients do what they like for `length`, beside a bystander.
fn storm(server: SocketAddr, length: Duration) -> Storm {
    let is_over = Arc::new(AtomicBool::new(false));
    let come = Arc::new(AtomicU64::new(0));
    let bystander = {
        let is_over = Arc::clone(&is_over);
        thread::spawn(move || stand_by(server, &is_over))
    };
    let clients: Vec<_> = (0..CLIENTS)
        .map(|seed| {
            let (is_over, come) = (Arc::clone(&is_over), Arc::clone(&come));
            thread::spawn(move || {
                let mut random = Random(seed);
                while !is_over.load(Ordering::Relaxed) {
                    // A connection that is refused or cut is one of the answers to expect.
                    let _ = misbehave(server, &mut random);
                    come.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    thread::sleep(length);
    is_over.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().expect("a client"));
    let longest = bystander.join().expect("the bystander");
    Storm { clients: come.load(Ordering::Relaxed), longest }
}

/// Waits until the server holds no session and no descriptor more than before, and then until its memory is within the
/// bound, or for the whole time of rest. Its memory, in KiB.
fn come_to_rest(program: &Program, descriptors: usize, bound_kib: Option<u64>) -> u64 {
    let rest = Instant::now();
    while sessions(program.address) != Some(0) || program.descriptors() > descriptors + 8 {
        assert!(
            rest.elapsed() < REST,
            "{:?} sessions, {} descriptors",
            sessions(program.address),
            program.descriptors()
        );
        thread::sleep(Duration::from_millis(100));
    }
    eprintln!("no session left after {:?}", rest.elapsed());
    while rest.elapsed() < REST && bound_kib.is_none_or(|bound| program.resident_kib() > bound) {
        thread::sleep(Duration::from_millis(100));
    }
    program.resident_kib()
}

#[test]
fn after_a_storm_of_misbehaving_clients_the_server_is_what_it_was() {
    let seconds: Option<u64> = std::env::var("HOSTILE_STORM_SECONDS").ok().and_then(|text| text.parse().ok());
    let length = Duration::from_secs(seconds.unwrap_or(DEFAULT_SECONDS));
    let program = Program::start(&[
        "--relay",
        "on",
        "--ping-interval",
        "5s",
        "--ping-timeout",
        "5s",
        "--name-hold",
        "5s",
        "--recovery-window",
        "5s",
        // So many that the storm before fills them.
        "--remembered-ids",
        "16",
        "--max-remembered-ids",
        "10000",
    ]);
    let server = program.address;
    // Both threads of the journal have opened their files when a room with history has been read.
    let mut first = Client::websocket(server, "/ws?room=quiet");
    first.send_text("hello");
    first.read_until("HELLO");
    drop(first);
    drop(Client::get(server, "/health"));
    let (fresh, descriptors) = (program.resident_kib(), program.descriptors());
    // A short storm says little of memory: what both leave behind depends on chance.
    let most = fresh + SPARE_KIB;
    let (warm_up, bound_of_short) =
        if seconds.is_some() { (LONG_WARM_UP, None) } else { (WARM_UP, Some(most)) };
    storm(server, warm_up);
    let warm = come_to_rest(&program, descriptors, bound_of_short);
    let Storm { clients, longest } = storm(server, length);
    let after = come_to_rest(&program, descriptors, bound_of_short);
    eprintln!(
        "{clients} clients in {length:?}; the bystander waited {longest:?} at most; \
         {fresh} KiB fresh, {warm} after {warm_up:?} of it, {after} in the end"
    );
    let bound = if seconds.is_some() { warm + warm / 5 } else { most };
    assert!(after <= bound, "{after} KiB, of {bound}");
    assert!(longest < LONGEST_WAIT, "the bystander waited {longest:?}");
    assert!(!program.log().iter().any(|line| line.contains("panicked")), "{:#?}", program.log());
}
