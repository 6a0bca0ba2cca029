//! JSON may hold half of a surrogate pair. It is answered and relayed like any other JSON, wherever it stands.

use echoroom::config::{Settings, Switch};
use serde_json::{Value, json};

use crate::{
    helpers::{RawClient, TestServer, frame, settings, text},
    people::Person,
    sockets::{Poller, connected, joined, next_text, websocket},
};

/// Requests with half a pair somewhere, as they stand behind `"event":` and `"data":`, and what they are answered.
const REQUESTS: [(&str, &str, &str); 6] = [
    (r#""\ud83d""#, "{}", "unknown_event"),
    (r#""\udc00ping""#, r#"{"a":"\ud83d"}"#, "unknown_event"),
    (r#""sendMessage""#, r#"{"msg":"half a \ud83d"}"#, "bad_field"),
    (r#""sendMessage""#, r#"{"msg":"x","id":"\udc00"}"#, "bad_field"),
    (r#""typing""#, r#"{"typing":true,"\ud83d":1}"#, "bad_field"),
    (r#""login""#, r#""\ud83d""#, "bad_field"),
];

fn open() -> Settings {
    settings().with(|s| s.socketio.relay = Switch::On)
}

async fn say(raw: &mut RawClient, packet: &str) {
    raw.send(&text(packet)).await;
}

#[actix_web::test]
async fn each_ack_gets_exactly_one_answer_whatever_the_json_at_chat() {
    let server = TestServer::start().await;
    let mut ann = Person::settled(&server, "Ann").await;
    for (event, data, code) in REQUESTS {
        ann.send_text(&format!(r#"{{"event":{event},"data":{data},"ack":3}}"#)).await;
        let answer = ann.next().await;
        assert_eq!(
            (&answer["ack"], &answer["error"]["code"]),
            (&json!(3), &json!(code)),
            "{event} {data}: {answer}"
        );
    }
    // Where it is not looked at it is no fault, and other faults are answered by their number, too.
    for (message, error) in [
        (r#"{"event":"ping","data":{"x":"\ud83d"},"\udc00":"\udc00","ack":3}"#, Value::Null),
        (r#"{"event":5,"data":{},"ack":3}"#, json!("bad_field")),
        (r#"{"event":["ping"],"ack":3}"#, json!("bad_field")),
        (r#"{"data":{},"ack":3}"#, json!("bad_field")),
        (r#"{"event":"jump","ack":3.0}"#, json!("unknown_event")),
    ] {
        ann.send_text(message).await;
        let answer = ann.next().await;
        assert_eq!((&answer["ack"], &answer["error"]["code"]), (&json!(3), &error), "{message}: {answer}");
    }
    ann.expect_none("error").await;
}

#[actix_web::test]
async fn each_ack_gets_exactly_one_answer_whatever_the_json_over_socketio() {
    let server = TestServer::start().await;
    let mut raw = connected(&server).await;
    let poller = Poller::connected(&server).await;
    let mut numbers = 1..;
    for (event, data, code) in REQUESTS {
        for attachment in [false, true] {
            let number = numbers.next().expect("endless");
            let kind = if attachment { "451-" } else { "42" };
            let packet = format!(r#"{kind}{number}[{event},{data},"\ud83d"]"#);
            say(&mut raw, &packet).await;
            if attachment {
                raw.send(&frame(0x82, b"x")).await;
            }
            // No login came before.
            let code =
                if event.contains("sendMessage") && !data.contains("\\u") { "not_logged_in" } else { code };
            let expected = format!(r#"43{number}[{{"error":{{"code":"{code}""#);
            let answer = next_text(&mut raw).await;
            assert!(answer.starts_with(&expected), "{packet}: {answer}");
            let post = if attachment { format!("{packet}\u{1E}beA==") } else { packet };
            assert_eq!(poller.post(&post).await.status, 200);
            let answer = poller.poll().await.body;
            assert!(answer.starts_with(&expected) && !answer.contains('\u{1E}'), "{post}: {answer}");
        }
    }
    // A number that cannot be borne is said to be none, and nothing is done.
    say(&mut raw, &format!(r#"42{}["ping",{{}}]"#, "9".repeat(30))).await;
    let answer = next_text(&mut raw).await;
    assert!(answer.starts_with(r#"42["error",{"code":"bad_field","msg":"ack: "#), "{answer}");
}

#[actix_web::test]
async fn names_and_arguments_are_relayed_as_they_came() {
    let server = TestServer::with(open().with(|s| s.connections.compression = Switch::Off)).await;
    let poller = Poller::open(&server).await;
    let (mut ann, _) = joined(&server, "/relay", r#"{"\ud83d":"\udc00"}"#).await;
    let (mut ben, _) = joined(&server, "/relay", "").await;
    for raw in [&mut ann, &mut ben] {
        say(raw, r#"42/relay,0["join","a"]"#).await;
        assert!(next_text(raw).await.starts_with("43/relay,0"));
    }
    poller.post("40/relay,\u{1E}42/relay,0[\"join\",\"a\"]").await;
    let mut polled = String::new();
    while !polled.contains("43/relay,0") {
        polled = poller.poll().await.body;
    }
    for (number, elements) in [
        r#""\ud83d""#,
        r#""\uDC00x","\ud83d",{"\ud83d":["\udfff"]},7"#,
        r#""\ud83d\ude00","😀""#,
        r#""x",{"_placeholder":true,"num":9}"#,
    ]
    .into_iter()
    .enumerate()
    {
        say(&mut ann, &format!("42/relay,{number}[{elements}]")).await;
        assert_eq!(next_text(&mut ann).await, format!("43/relay,{number}[{{}}]"));
        let heard = next_text(&mut ben).await;
        assert!(heard.starts_with(&format!("42/relay,[{elements},\"")), "{heard}");
        let heard = poller.poll().await.body;
        assert!(heard.starts_with(&format!("42/relay,[{elements},\"")), "{heard}");
    }
    let elements = r#""\ud83d","\udc00",{"\ud83d":{"_placeholder":true,"num":0}}"#;
    assert_eq!(poller.post(&format!("451-/relay,9[{elements}]\u{1E}bAQI=")).await.status, 200);
    assert_eq!(poller.poll().await.body, "43/relay,9[{}]");
    let heard = next_text(&mut ben).await;
    assert!(heard.starts_with(&format!("451-/relay,[{elements},\"")), "{heard}");
    assert_eq!(ben.read_frame().await.payload, [1, 2]);
    // What is no name of a room is said to be none.
    say(&mut ben, r#"42/relay,5["join","\ud83d"]"#).await;
    let answer = next_text(&mut ben).await;
    assert!(answer.starts_with(r#"43/relay,5[{"error":{"code":"bad_"#), "{answer}");
}

#[actix_web::test]
async fn what_a_client_brings_to_connect_may_hold_half_a_pair() {
    let server = TestServer::with(open()).await;
    let (raw, was) = joined(&server, "/relay", "").await;
    raw.reset();
    server.until_health_shows(0, 0).await;
    let pid = was["pid"].as_str().expect("a pid");
    let (mut raw, _) = websocket(&server).await;
    say(&mut raw, &format!(r#"40/relay,{{"\ud83d":"\udc00","pid":"{pid}","offset":"0"}}"#)).await;
    let answer = next_text(&mut raw).await;
    assert!(answer.starts_with("40/relay,") && answer.contains(pid), "{answer}");
    say(&mut raw, r#"40{"name":"\ud83d"}"#).await;
    assert!(next_text(&mut raw).await.starts_with("40{"));
}
