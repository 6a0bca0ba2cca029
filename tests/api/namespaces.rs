//! Namespaces of a program of one's own: rooms, events for many, acks of many.

use std::{cell::Cell, time::Duration};

use actix_web::rt;
use bytestring::ByteString;
use echoroom::socketio::{
    Args, Emitter, Event, Handshake, MissingAcks, Namespace, Recovery, Refusal, Server, Socket,
};
use serde_json::{Value, json};

use crate::{
    helpers::{RawClient, TestServer, text},
    sockets::{Poller, connected, joined, next_text, serve, websocket},
};

fn args(value: &Value) -> Args {
    Args { json: value.to_string().into(), attachments: Vec::new() }
}

fn names(value: &Value) -> Vec<ByteString> {
    let names = value.as_array().cloned().unwrap_or_default();
    names.iter().filter_map(Value::as_str).map(ByteString::from).collect()
}

async fn admit(handshake: &Handshake) -> Result<(), Refusal> {
    match handshake.auth_json().contains("forbidden") {
        true => Err(Refusal::with_data("go away", json!({"why": "forbidden"}))),
        false => Ok(()),
    }
}

async fn greet(socket: Socket) {
    if socket.is_recovered() {
        let sid = ByteString::from(socket.id());
        let rooms: Vec<_> = socket.rooms().into_iter().filter(|room| *room != sid).collect();
        socket.unrecorded().emit("again", &json!({"rooms": rooms}));
    }
}

/// Does what its client asks for.
async fn obey(all: &Namespace, socket: Socket, event: Event) {
    let asked: Value = serde_json::from_str(&event.args().json).expect("JSON");
    let many = || all.to(names(&asked[1])).except(names(&asked[2]));
    match event.name() {
        "join" => drop(socket.join(names(&asked[1]))),
        "leave" => socket.leave(names(&asked[1])),
        "sid" => socket.emit("sid", socket.id()),
        "say" => many().emit_args(args(&json!(["said", asked[3]]))),
        "volatile" => many().volatile().emit_args(args(&json!(["volatile"]))),
        "volatile-to-me" => (0..3).for_each(|number| socket.volatile().emit("me", &number)),
        "volatile-to-all" => (0..3).for_each(|number| many().volatile().emit("all", &number)),
        "volatile-text" => many().volatile().emit("status", "busy"),
        "volatile-own" => socket.volatile().emit("status", "busy"),
        "once-text" => socket.unrecorded().emit("status", "connected"),
        "once" => socket.unrecorded().emit("status", &1),
        "others" => socket.broadcast().emit("said", &asked[1]),
        "out" => socket.disconnect(false),
        "end" => socket.disconnect(true),
        "ask" => ask(many(), &socket).await,
        "ask-me" => {
            let (answer,) = socket.emit_with_ack::<(String,)>("question", &()).await.expect("an answer");
            socket.emit("answer", &answer);
        }
        other => panic!("{other}"),
    }
    event.ack().send("done");
}

/// Asks many, and tells a socket the answers and how many are missing.
async fn ask(many: Emitter, socket: &Socket) {
    let acks = many.timeout(Duration::from_millis(300)).emit_with_ack("question", &());
    let (acks, missing) = match acks.all().await {
        Ok(acks) => (acks, 0),
        Err(MissingAcks { acks, missing, .. }) => (acks, missing.len()),
    };
    let mut acks: Vec<Value> = acks.into_iter().map(|(_, ack)| ack).collect();
    acks.sort_by_key(Value::to_string);
    socket.emit("answers", &(json!([acks, missing]),));
}

/// A server of the obedient namespaces `/` and `/recovering`, on two workers.
fn start() -> (TestServer, Server) {
    let io = Server::builder().connection_state_recovery(Recovery::default()).build();
    for name in ["/", "/recovering"] {
        let all = io.namespace(name);
        let namespace = io.namespace(name).admit(admit).connect(greet);
        let namespace = namespace.on_any(async move |socket, event| obey(&all, socket, event).await);
        if name == "/" {
            namespace.without_recovery();
        }
    }
    (serve(&io, 2), io)
}

async fn say(raw: &mut RawClient, event: &Value) {
    raw.send(&text(&format!("42{event}"))).await;
}

/// Asks for something that is answered, and waits for the answer.
async fn done(raw: &mut RawClient, event: &Value) {
    raw.send(&text(&format!("427{event}"))).await;
    assert_eq!(next_text(raw).await, r#"437["done"]"#);
}

/// Clients of `/`, each in some rooms, and their ids.
async fn clients<const N: usize>(server: &TestServer, rooms: [&[&str]; N]) -> ([RawClient; N], Vec<String>) {
    let (mut clients, mut sids) = (Vec::new(), Vec::new());
    for rooms in rooms {
        let mut raw = connected(server).await;
        say(&mut raw, &json!(["sid"])).await;
        let sid: Value = serde_json::from_str(&next_text(&mut raw).await[2..]).expect("JSON");
        sids.push(sid[1].as_str().expect("an id").to_owned());
        done(&mut raw, &json!(["join", rooms])).await;
        clients.push(raw);
    }
    // What each has entered by now is before what anybody emits next.
    let clients: [RawClient; N] = clients.try_into().unwrap_or_else(|_| unreachable!("as many as rooms"));
    (clients, sids)
}

/// What a client has heard up to `mark`, which everybody is told.
async fn heard(raw: &mut RawClient, mark: &str) -> Vec<Value> {
    let mut heard = Vec::new();
    loop {
        let event: Value = serde_json::from_str(&next_text(raw).await[2..]).expect("JSON");
        if event[1] == mark {
            return heard;
        }
        heard.push(event[1].clone());
    }
}

#[actix_web::test]
async fn events_reach_those_in_any_of_the_rooms_once_and_none_of_the_excepted() {
    let (server, _) = start();
    let (mut clients, sids) =
        clients(&server, [&[], &["red"], &["blue"], &["red", "blue"], &["red", "green"]]).await;
    for (to, except, number) in [
        (json!(["red"]), json!([]), 1),
        (json!(["red", "blue"]), json!([]), 2),
        (json!(["red", "blue"]), json!(["green"]), 3),
        (json!([]), json!(["blue"]), 4),
        (json!([]), json!(["blue", sids[0]]), 5),
        (json!([sids[0], "green"]), json!([]), 6),
        (json!(["nobody"]), json!([]), 7),
        (json!(["red"]), json!([sids[1], "nobody"]), 8),
        (json!([]), json!([sids[4]]), 9),
    ] {
        say(&mut clients[0], &json!(["say", to, except, number])).await;
    }
    say(&mut clients[0], &json!(["say", [], [], "mark"])).await;
    let expected = [
        json!([4, 6, 9]),
        json!([1, 2, 3, 4, 5, 9]),
        json!([2, 3, 9]),
        json!([1, 2, 3, 8, 9]),
        json!([1, 2, 4, 5, 6, 8]),
    ];
    for (raw, expected) in clients.iter_mut().zip(expected) {
        assert_eq!(json!(heard(raw, "mark").await), expected);
    }
}

#[actix_web::test]
async fn who_has_left_a_room_hears_no_more_of_it_and_a_broadcast_spares_its_sender() {
    let (server, io) = start();
    let (mut clients, _) = clients(&server, [&["red"], &["red"]]).await;
    done(&mut clients[1], &json!(["leave", ["red", "blue"]])).await;
    say(&mut clients[0], &json!(["say", ["red"], [], 1])).await;
    assert_eq!(next_text(&mut clients[0]).await, r#"42["said",1]"#);
    say(&mut clients[0], &json!(["others", 2])).await;
    assert_eq!(next_text(&mut clients[1]).await, r#"42["said",2]"#);
    // From the server itself, which is nobody's client.
    io.namespace("/").to("red").emit("said", &3);
    io.namespace("/").emit("said", &"mark");
    assert_eq!(heard(&mut clients[0], "mark").await, [3]);
    assert_eq!(heard(&mut clients[1], "mark").await, [0; 0]);
}

#[actix_web::test]
async fn all_that_is_emitted_in_a_namespace_is_one_order_for_all_its_rooms() {
    let (server, _) = start();
    let (mut clients, _) = clients(&server, [&["a", "b"], &["b", "a"], &["a"]]).await;
    let mut burst = Vec::new();
    for number in 0..500 {
        let room = if number % 3 == 0 { "a" } else { "b" };
        burst.extend(text(&format!("42{}", json!(["say", [room], [], number]))));
    }
    burst.extend(text(&format!("42{}", json!(["say", [], [], "mark"]))));
    clients[0].send(&burst).await;
    let all: Vec<_> = (0..500).collect();
    assert_eq!(heard(&mut clients[0], "mark").await, all);
    assert_eq!(heard(&mut clients[1], "mark").await, all);
    let some: Vec<_> = (0..500).step_by(3).collect();
    assert_eq!(heard(&mut clients[2], "mark").await, some);
}

#[actix_web::test]
async fn volatile_events_are_for_those_who_take_them_at_once() {
    let (server, _) = start();
    let (mut clients, _) = clients(&server, [&[]]).await;
    let poller = Poller::connected(&server).await;
    say(&mut clients[0], &json!(["volatile", [], []])).await;
    assert_eq!(next_text(&mut clients[0]).await, r#"42["volatile"]"#);
    say(&mut clients[0], &json!(["say", [], [], "kept"])).await;
    assert_eq!(next_text(&mut clients[0]).await, r#"42["said","kept"]"#);
    // It had no poll open, so it has done without the first.
    assert_eq!(poller.poll().await.body, r#"42["said","kept"]"#);
}

#[actix_web::test]
async fn volatile_events_three_in_a_row_reach_a_client_that_reads_however_large_what_is_before_them() {
    let (server, _) = start();
    let (mut clients, _) = clients(&server, [&["red"], &["red"]]).await;
    for round in 0..3 {
        // From the socket itself, from a room, and to everybody; behind something large, too.
        say(&mut clients[0], &json!(["volatile-to-me"])).await;
        for number in 0..3 {
            assert_eq!(next_text(&mut clients[0]).await, format!(r#"42["me",{number}]"#), "round {round}");
        }
        for to in [json!(["red"]), json!([])] {
            let large = "x".repeat(100_000);
            let burst = [json!(["say", to, [], large]), json!(["volatile-to-all", to, []])];
            let burst = burst.iter().flat_map(|event| text(&format!("42{event}"))).collect::<Vec<_>>();
            clients[0].send(&burst).await;
            for raw in &mut clients {
                assert_eq!(next_text(raw).await.len(), 100_000 + r#"42["said",""]"#.len());
                for number in 0..3 {
                    assert_eq!(next_text(raw).await, format!(r#"42["all",{number}]"#), "round {round}");
                }
            }
        }
    }
}

#[actix_web::test]
async fn volatile_events_three_in_a_row_go_into_one_answer_to_a_poll_that_waits() {
    let (server, _) = start();
    let poller = Poller::connected(&server).await;
    for (event, name) in [("volatile-to-me", "me"), ("volatile-to-all", "all")] {
        let three: Vec<_> = (0..3).map(|number| format!(r#"42["{name}",{number}]"#)).collect();
        let mut whole = 0;
        for _ in 0..50 {
            let is_answered = Cell::new(false);
            let poll = async {
                let answer = poller.poll().await.body;
                is_answered.set(true);
                answer
            };
            // The poll may not be there yet, and then they are dropped.
            let keep_posting = async {
                while !is_answered.get() {
                    poller.post(&format!(r#"42["{event}"]"#)).await;
                    rt::time::sleep(Duration::from_millis(20)).await;
                }
            };
            let (answer, ()) = tokio::join!(poll, keep_posting);
            let told: Vec<_> = answer.split('\u{1E}').map(str::to_owned).collect();
            // A poll may come between two of them, and what is said to all may reach its worker in two turns.
            assert!(three.windows(told.len()).any(|run| run == told), "{answer}");
            whole += usize::from(told.len() == 3);
            if whole == 3 {
                break;
            }
        }
        assert_eq!(whole, 3, "{event}");
    }
}

#[actix_web::test]
async fn many_are_asked_and_their_answers_come_together() {
    let (server, _) = start();
    let (mut clients, _) = clients(&server, [&[], &["red"], &["red"], &["red"]]).await;
    say(&mut clients[0], &json!(["ask", ["nobody"], []])).await;
    assert_eq!(next_text(&mut clients[0]).await, r#"42["answers",[[],0]]"#);
    say(&mut clients[0], &json!(["ask", ["red"], []])).await;
    for (number, raw) in clients[1..].iter_mut().enumerate() {
        let question = next_text(raw).await;
        let id =
            question.strip_prefix("42").and_then(|rest| rest.strip_suffix(r#"["question"]"#)).expect("it");
        // The last does not answer.
        if number < 2 {
            raw.send(&text(&format!("43{id}[{number}]"))).await;
            raw.send(&text(&format!("43{id}[9]"))).await;
        }
    }
    assert_eq!(next_text(&mut clients[0]).await, r#"42["answers",[[0,1],1]]"#);
}

#[actix_web::test]
async fn a_socket_is_asked_by_its_own_numbers() {
    let (server, _) = start();
    let mut raw = connected(&server).await;
    for id in ["0", "1"] {
        say(&mut raw, &json!(["ask-me"])).await;
        assert_eq!(next_text(&mut raw).await, format!(r#"42{id}["question"]"#));
        raw.send(&text(&format!(r#"43{id}["yes"]"#))).await;
        assert_eq!(next_text(&mut raw).await, r#"42["answer","yes"]"#);
    }
    // The same again, and answers to nothing, are passed over.
    for packet in [r#"430["yes"]"#, r#"4399["yes"]"#, r#"434294967296["yes"]"#, r#"4399999999999999999999[]"#]
    {
        raw.send(&text(packet)).await;
    }
    say(&mut raw, &json!(["say", [], [], "on"])).await;
    assert_eq!(next_text(&mut raw).await, r#"42["said","on"]"#);
}

#[actix_web::test]
async fn a_refusal_says_why_and_a_server_puts_out_one_socket_or_all() {
    let (server, _) = start();
    let (mut raw, _) = websocket(&server).await;
    raw.send(&text(r#"40{"is":"forbidden"}"#)).await;
    assert_eq!(next_text(&mut raw).await, r#"44{"message":"go away","data":{"why":"forbidden"}}"#);
    raw.send(&text("40")).await;
    assert!(next_text(&mut raw).await.starts_with("40{"));
    raw.send(&text("40/recovering,")).await;
    assert!(next_text(&mut raw).await.starts_with("40/recovering,{"));
    say(&mut raw, &json!(["out"])).await;
    assert_eq!(next_text(&mut raw).await, "41");
    raw.send(&text(r#"42/recovering,["end"]"#)).await;
    assert_eq!(next_text(&mut raw).await, "41/recovering,");
    assert_eq!(raw.read_frame().await.first, 0x88);
}

#[actix_web::test]
async fn a_client_that_polls_hears_at_its_next_poll_that_the_server_has_ended_it() {
    let (server, _) = start();
    let poller = Poller::connected(&server).await;
    assert_eq!(poller.post(r#"42["end"]"#).await.status, 200);
    assert_eq!(poller.poll().await.body, "41\u{1E}1");
    assert_eq!(poller.poll().await.status, 400);
}

#[actix_web::test]
async fn a_socket_that_is_recovered_is_in_its_rooms_again() {
    let (server, _) = start();
    let (mut raw, was) = joined(&server, "/recovering", "").await;
    for event in [json!(["join", ["b", "a"]]), json!(["sid"])] {
        raw.send(&text(&format!("42/recovering,{event}"))).await;
    }
    // An event of its own has its offset too.
    assert_eq!(next_text(&mut raw).await, format!(r#"42/recovering,["sid",{},"1"]"#, was["sid"]));
    let (mut other, _) = joined(&server, "/recovering", "").await;
    raw.reset();
    let auth = json!({"pid": was["pid"], "offset": "1"});
    other.send(&text(&format!("42/recovering,{}", json!(["say", ["a", "b"], [], 2])))).await;
    let (mut raw, _) = websocket(&server).await;
    raw.send(&text(&format!("40/recovering,{auth}"))).await;
    let mut heard = Vec::new();
    while heard.last().is_none_or(|last: &String| !last.contains("again")) {
        heard.push(next_text(&mut raw).await);
    }
    assert!(heard.contains(&r#"42/recovering,["said",2,"2"]"#.to_owned()), "{heard:?}");
    let again = r#"42/recovering,["again",{"rooms":["a","b"]}]"#;
    assert_eq!(heard.last().map(String::as_str), Some(again));
}

/// A client of the reference takes the last argument of an event for its offset if that is a text.
#[actix_web::test]
async fn who_comes_back_by_the_last_text_it_heard_gets_what_it_missed() {
    let (server, io) = start();
    for event in ["volatile-text", "volatile-own", "once-text", "once"] {
        let (mut raw, was) = joined(&server, "/recovering", "").await;
        let said = |number: u64| io.namespace("/recovering").emit("said", &number);
        let mut offset = None;
        for number in 0..3 {
            said(number);
            let heard = next_text(&mut raw).await;
            let heard: Value =
                serde_json::from_str(heard.trim_start_matches("42/recovering,")).expect("JSON");
            assert_eq!(heard[1], number);
            raw.send(&text(&format!("42/recovering,{}", json!([event, [], []])))).await;
            let status = next_text(&mut raw).await;
            let status: Value =
                serde_json::from_str(status.trim_start_matches("42/recovering,")).expect("JSON");
            assert_eq!(status[0], "status");
            let last = [heard, status]
                .iter()
                .filter_map(|args| args.as_array()?.last()?.as_str())
                .next_back()
                .map(str::to_owned);
            offset = last.or(offset);
        }
        raw.reset();
        said(7);
        let (mut raw, _) = websocket(&server).await;
        let auth = json!({"pid": was["pid"], "offset": offset});
        raw.send(&text(&format!("40/recovering,{auth}"))).await;
        let missed = next_text(&mut raw).await;
        assert!(missed.starts_with(r#"42/recovering,["said",7,""#), "{event}: {missed}");
        let is = next_text(&mut raw).await;
        assert!(is.contains(was["pid"].as_str().expect("a pid")), "{event}: {is}");
    }
}
