//! Answers that the server has asked many sockets for are no noise: a client is not sent away for giving them.

use std::{sync::Arc, time::Duration};

use actix_web::{App, HttpServer, rt};
use echoroom::{
    chat::Budget,
    protocol::socketio::Args,
    routes::socketio::{self, Door},
    session::{
        rate::RateLimit,
        socketio::{
            Engine, EngineSettings,
            namespaces::{Event, Namespace, Namespaces, Refusal, Socket, SocketHandler},
        },
    },
};

use crate::{
    helpers::{TestServer, text},
    sockets::{connected, expect_closed, next_text},
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
                missing += socket.everybody().emit_with_ack(question, Duration::from_secs(20)).await.missing;
            }
            socket.emit("missing", &missing);
        });
    }
}

/// A server that sends a client away for its fourth packet at once that means nothing.
async fn start() -> TestServer {
    let limit = RateLimit { rate: 0.001, burst: 4.0, patience: Duration::ZERO };
    let settings = EngineSettings { rate: Some(limit), ..EngineSettings::default() };
    let engine = Engine::new(settings, Arc::default(), Budget::new(64 << 20), Arc::default());
    let server = HttpServer::new(move || {
        let namespaces = Namespaces::default().with("/", Asking);
        let door = Door::new(Arc::clone(&engine), namespaces.carried(&engine));
        App::new().configure(|cfg| socketio::configure(cfg, "/socket.io", door))
    });
    let server = server.h1_allow_half_closed(false).workers(1).disable_signals();
    let server = server.bind(("127.0.0.1", 0)).expect("a port");
    let address = server.addrs()[0];
    rt::spawn(server.run());
    TestServer::elsewhere(&format!("http://{address}"))
}

#[actix_web::test]
async fn a_client_that_answers_what_all_were_asked_is_not_sent_away_for_its_answers() {
    let server = start().await;
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
