//! The example that the page's lesson shows answers as the server does.

use std::fs;

use actix_web::{App, web};
use awc::ws::{Frame, Message};
use futures_util::{SinkExt as _, StreamExt as _};

use crate::helpers::TestServer;

#[path = "../../examples/upper_case.rs"]
#[allow(dead_code, reason = "its main function is not called")]
mod example;

#[actix_web::test]
async fn the_example_that_a_lesson_shows_answers_as_the_server_does() {
    let example = actix_test::start(|| App::new().route("/", web::get().to(example::open)));
    let server = TestServer::start().await;
    for text in ["hello", "", "straße 你好"] {
        let mut answers = Vec::new();
        for url in [example.url("/"), format!("http://{}/ws", server.address)] {
            let (_, mut client) = awc::Client::new().ws(url).connect().await.expect("a session");
            client.send(Message::Text(text.into())).await.expect("sent");
            match client.next().await {
                Some(Ok(Frame::Text(answer))) => answers.push(answer),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(answers[0], answers[1], "{text:?}");
    }
}

#[test]
fn a_lesson_shows_the_example_line_by_line() {
    let root = env!("CARGO_MANIFEST_DIR");
    let read = |path: &str| fs::read_to_string(format!("{root}/{path}")).expect("a file");
    let (example, shown) = (read("examples/upper_case.rs"), read("static/lessons/server-code.js"));
    let (_, program) = example.split_once("\nuse actix::").expect("a program");
    let shown = shown.split_once("export const ACTOR").expect("the actor").1;
    let mut lines = shown.lines().filter_map(|line| {
        let text =
            line.trim_start().trim_start_matches("{ lines: [").trim_end_matches("] },").trim_end_matches(',');
        let quote = text.chars().next().filter(|first| matches!(first, '\'' | '"'))?;
        let is_step = text.starts_with("step:");
        (!is_step).then(|| text.trim_matches(quote).replace("\\\"", "\"").replace("\\'", "'"))
    });
    for line in format!("use actix::{program}").lines() {
        assert_eq!(lines.next().as_deref(), Some(line));
    }
    assert_eq!(lines.next(), None);
}
