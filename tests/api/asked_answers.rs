//! Answers that the server has asked many sockets for are no noise: a client is not sent away for giving them.

use std::time::Duration;

use actix_web::rt;
use echoroom::{
    app::embed::RateLimit,
    socketio::{
        Args, EngineSettings,
        namespaces::{Event, Namespace, Namespaces, Refusal, Socket, SocketHandler},
    },
};

use crate::{
    helpers::{TestServer, text},
    sockets::{connected, expect_closed, next_text, serve},
};

/// Questions to everybody, one after the other.
const QUESTIONS: usize = 20;

/// Asks everybody whenever a client says so, and tells the client when all are answered.
#[derive(Clone, Copy)]
struct Asking;

impl Namespace for Asking {
    fn admit(&self, _: &str) -> Result<Box<dyn SocketHandler>, Refusal> {
        Ok(Box::new(*self))
    }
}

impl SocketHandler for Asking {
    fn event(&mut self, socket: &Socket, _: Event) {
        let socket = socket.clone();
        rt::spawn(async move {
            let mut missing = 0;
            for _ in 0..QUESTIONS {
                let question = Args { json: r#"["question"]"#.into(), attachments: Vec::new() };
                let all = socket.everybody().timeout(Duration::from_secs(20));
                let acks = all.emit_args_with_ack::<u8>(question).all().await;
                missing += acks.err().map_or(0, |error| error.missing.len());
            }
            socket.emit("missing", &missing);
        });
    }
}

/// A server that sends a client away for its fourth packet at once that means nothing.
fn start() -> TestServer {
    let limit = RateLimit { rate: 0.001, burst: 4.0, patience: Duration::ZERO };
    let settings = EngineSettings { rate: Some(limit), ..EngineSettings::default() };
    serve(settings, 1, || Namespaces::default().with("/", Asking)).0
}

#[actix_web::test]
async fn a_client_that_answers_what_all_were_asked_is_not_sent_away_for_its_answers() {
    let server = start();
    let mut raw = connected(&server).await;
    raw.send(&text(r#"42["go"]"#)).await;
    let mut last = String::new();
    for _ in 0..QUESTIONS {
        let question = next_text(&mut raw).await;
        last = question
            .strip_prefix("42")
            .and_then(|rest| rest.strip_suffix(r#"["question"]"#))
            .expect("one")
            .to_owned();
        raw.send(&text(&format!("43{last}[1]"))).await;
    }
    assert_eq!(next_text(&mut raw).await, r#"42["missing",0]"#);
    // One that was not asked, or has answered, makes noise.
    for number in ["4294967295999", &last, "7", "4294967295998"] {
        raw.send(&text(&format!("43{number}[1]"))).await;
    }
    expect_closed(raw).await;
}
