//! A client of `/relay` that is refused a room is where it was.

use echoroom::config::Switch;

use crate::{
    helpers::{RawClient, TestServer, settings, text},
    sockets::{joined, next_text},
};

async fn say(raw: &mut RawClient, packet: &str) {
    raw.send(&text(&format!("42/relay,{packet}"))).await;
}

/// The answer to a request with the number 7.
async fn ask(raw: &mut RawClient, packet: &str) -> String {
    say(raw, &format!("7{packet}")).await;
    loop {
        if let Some(answer) = next_text(raw).await.strip_prefix("43/relay,7") {
            return answer.to_owned();
        }
    }
}

#[actix_web::test]
async fn a_client_that_is_refused_a_room_hears_and_speaks_in_the_one_where_it_was() {
    let settings = settings().with(|s| {
        s.socketio.relay = Switch::On;
        s.rooms.max_rooms = 2.try_into().expect("two");
    });
    let server = TestServer::with(settings).await;
    let mut clients = Vec::new();
    for room in ["a", "a", "b"] {
        let (mut raw, _) = joined(&server, "/relay", r#"{"recovery":false}"#).await;
        assert_eq!(
            ask(&mut raw, &format!(r#"["join","{room}"]"#)).await,
            format!(r#"[{{"room":"{room}"}}]"#)
        );
        clients.push(raw);
    }
    let [ann, ben, eve] = &mut clients[..] else { panic!("three") };
    for round in 0..3 {
        // Two at once, neither of which she gets.
        say(ann, r#"["join","d"]"#).await;
        let answer = ask(ann, r#"["join","c"]"#).await;
        assert!(answer.contains("too_many_rooms"), "{answer}");
        assert_eq!(ask(ann, r#"["hello"]"#).await, "[{}]");
        assert_eq!(next_text(ben).await, r#"42/relay,["hello"]"#, "{round}");
        say(ben, r#"["back"]"#).await;
        assert_eq!(next_text(ann).await, r#"42/relay,["back"]"#, "{round}");
    }
    // The only one in its room takes its place along.
    assert_eq!(ask(eve, r#"["join","c"]"#).await, r#"[{"room":"c"}]"#);
    assert!(ask(ann, r#"["join","d"]"#).await.contains("too_many_rooms"));
    // Two at once, of which the second one is there.
    say(ann, r#"["join","d"]"#).await;
    assert_eq!(ask(ann, r#"["join","c"]"#).await, r#"[{"room":"c"}]"#);
    say(eve, r#"["hello"]"#).await;
    loop {
        if next_text(ann).await == r#"42/relay,["hello"]"# {
            break;
        }
    }
    say(ben, r#"["alone"]"#).await;
    assert_eq!(ask(ben, r#"["leave"]"#).await, "[{}]");
    assert_eq!(ask(ann, r#"["again"]"#).await, "[{}]");
}
