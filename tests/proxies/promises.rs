//! What must hold behind every proxy.

use crate::proxy::Proxy;

/// A promise as a sentence, and its test.
pub type Promise = (&'static str, fn(&Proxy));

pub const ALL: [Promise; 7] = [
    ("members of a room hear each other", members_hear_each_other),
    ("Socket.IO polls and upgrades to a WebSocket", socketio_polls_and_upgrades),
    ("the log and the bounds know the client's own address", the_clients_address_is_known),
    ("what a client says of its own address is not believed", a_forged_address_is_not_believed),
    ("HEAD /health is answered, and the connection goes on", head_is_answered),
    ("the page and its files are there", the_page_is_there),
    ("a page of another site is refused", other_pages_are_refused),
];

/// What must hold with two servers behind one proxy.
/// The last one stops a server.
pub const SEVERAL: [Promise; 3] = [
    ("sessions poll and upgrade at their own servers", sessions_stay_at_their_servers),
    ("requests of a session of an unknown server are refused", unknown_servers_are_refused),
    (
        "sessions begin at the server that lives as soon as the other one has died",
        sessions_begin_where_one_lives,
    ),
];

fn members_hear_each_other(proxy: &Proxy) {
    let chat = format!("{}/chat", proxy.path);
    let [mut ann, mut ben] =
        ["127.0.0.11", "127.0.0.12"].map(|from| proxy.client(from).into_websocket(&chat));
    ann.say(r#"{"event":"login","data":{"username":"ann","room":"tea"}}"#);
    ann.hear("loginSuccess");
    ben.say(r#"{"event":"login","data":{"username":"ben","room":"tea"}}"#);
    ben.hear("loginSuccess");
    ann.say(r#"{"event":"sendMessage","data":{"msg":"good morning"},"ack":7}"#);
    assert!(ann.hear(r#""ack":7"#).contains("GOOD MORNING!!!"));
    assert!(ben.hear("receiveMessage").contains("good morning"));
    ben.say(r#"{"event":"sendMessage","data":{"msg":"and to you"},"ack":8}"#);
    ann.hear("and to you");
}

fn socketio_polls_and_upgrades(proxy: &Proxy) {
    let polling = format!("{}/socket.io/?EIO=4&transport=polling", proxy.path);
    let mut client = proxy.client("127.0.0.13");
    let open = client.ask("GET", &polling, "");
    assert_eq!(open.status(), 200, "{open:?}");
    let sid = open.body.split('"').nth(3).expect("a sid").to_owned();
    let session = format!("{polling}&sid={sid}");
    assert_eq!(client.ask("POST", &session, "40").body, "ok");
    let connected = client.ask("GET", &session, "");
    assert!(connected.body.starts_with("40{"), "{connected:?}");
    let mut websocket = proxy.client("127.0.0.13").into_websocket(&session.replace("polling", "websocket"));
    websocket.say("2probe");
    websocket.hear("3probe");
    websocket.say("5");
    websocket.say(r#"421["login",{"username":"eve","room":"tea"}]"#);
    websocket.hear("431[");
}

/// Begins sessions until both servers have one, and uses each of them on new connections.
fn sessions_stay_at_their_servers(proxy: &Proxy) {
    let polling = "/socket.io/?EIO=4&transport=polling";
    let mut nodes = std::collections::BTreeSet::new();
    for number in 21..29 {
        let from = format!("127.0.0.{number}");
        let open = proxy.client(&from).ask("GET", polling, "");
        let sid = open.body.split('"').nth(3).expect("a sid").to_owned();
        nodes.insert(sid[..4].to_owned());
        let session = format!("{polling}&sid={sid}");
        assert_eq!(proxy.client(&from).ask("POST", &session, "40").body, "ok", "{sid}");
        let connected = proxy.client(&from).ask("GET", &session, "");
        assert!(connected.body.starts_with("40{"), "{sid}: {connected:?}");
        let upgrade = session.replace("polling", "websocket");
        let mut websocket = proxy.client(&from).into_websocket(&upgrade);
        websocket.say("2probe");
        websocket.hear("3probe");
    }
    assert_eq!(nodes.into_iter().collect::<Vec<_>>(), ["web1", "web2"]);
    for server in proxy.servers() {
        let astray = server.log.lines().into_iter().find(|line| line.contains("--node"));
        assert_eq!(astray, None);
    }
}

fn unknown_servers_are_refused(proxy: &Proxy) {
    let session = "/socket.io/?EIO=4&transport=polling&sid=web3ABCDEFGHIJKLMNOP";
    let answer = proxy.client("127.0.0.30").ask("GET", session, "");
    assert!(answer.status() == 400 && answer.body.contains("Session ID unknown"), "{answer:?}");
}

fn sessions_begin_where_one_lives(proxy: &Proxy) {
    proxy.servers().last().expect("two servers").kill();
    for number in 31..35 {
        let from = format!("127.0.0.{number}");
        let open = proxy.client(&from).ask("GET", "/socket.io/?EIO=4&transport=polling", "");
        assert!(open.status() == 200 && open.body.contains(r#""sid":"web1"#), "{open:?}");
    }
}

fn the_clients_address_is_known(proxy: &Proxy) {
    let echo = format!("{}/echo", proxy.path);
    let sessions = [(); 2].map(|()| proxy.client("127.0.0.14").into_websocket(&echo));
    proxy.server.log.wait_for(&["opened: echo", "from 127.0.0.14"]);
    // Two sessions of an address are what this server takes.
    let refused = proxy.client("127.0.0.14").shake_hands(&echo, "");
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    let _other = proxy.client("127.0.0.15").into_websocket(&echo);
    drop(sessions);
}

fn a_forged_address_is_not_believed(proxy: &Proxy) {
    let mut client = proxy.client("127.0.0.16");
    let forged = "X-Forwarded-For: 203.0.113.9\r\nForwarded: for=203.0.113.9\r\nX-Real-IP: 203.0.113.9\r\n";
    let head = client.shake_hands(&format!("{}/echo", proxy.path), forged);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    proxy.server.log.wait_for(&["opened: echo", "from 127.0.0.16"]);
    assert!(!proxy.server.log.lines().iter().any(|line| line.contains("203.0.113.9")));
}

fn head_is_answered(proxy: &Proxy) {
    let mut client = proxy.client("127.0.0.17");
    for _ in 0..3 {
        let answer = client.ask("HEAD", &format!("{}/health", proxy.path), "");
        assert_eq!(answer.status(), 200, "{answer:?}");
    }
    let health = client.ask("GET", &format!("{}/health", proxy.path), "");
    assert!(health.body.contains(r#""status":"ok""#), "{health:?}");
}

fn the_page_is_there(proxy: &Proxy) {
    let mut client = proxy.client("127.0.0.18");
    let page = client.ask("GET", &format!("{}/", proxy.path), "");
    assert!(page.status() == 200 && page.body.contains("<title>"), "{page:?}");
    let policy = page.header("content-security-policy").expect("a policy");
    let host = format!("chat.example.com:{}", proxy.port);
    assert!(policy.contains(&format!(" wss://{host}")), "it may connect to the host it came from: {policy}");
    for file in ["main.js", "style.css", "limits", "rooms", "socket.io/socket.io.js"] {
        let answer = client.ask("GET", &format!("{}/{file}", proxy.path), "");
        assert_eq!(answer.status(), 200, "{file}");
    }
    if !proxy.path.is_empty() {
        let bare = client.ask("GET", proxy.path, "");
        let to = bare.header("location").unwrap_or_default();
        assert!((301..=308).contains(&bare.status()) && to.ends_with("/app/"), "{bare:?}");
    }
}

fn other_pages_are_refused(proxy: &Proxy) {
    for door in ["chat", "ws", "echo", "socket.io/?EIO=4&transport=websocket"] {
        for origin in ["https://evil.example", "null", "http://localhost:5500"] {
            let mut client = proxy.client("127.0.0.19");
            let head =
                client.shake_hands(&format!("{}/{door}", proxy.path), &format!("Origin: {origin}\r\n"));
            assert!(head.starts_with("HTTP/1.1 403 "), "{origin} at {door}: {head}");
        }
    }
}
