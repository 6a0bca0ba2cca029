//! Clients that come to a node in the middle of a storm, and late.

use std::net::SocketAddr;

use serde_json::json;

use crate::{
    chatter::Manner,
    cluster::{Cluster, EVERYSEC},
    judge::History,
    node::Node,
    recording::identity,
    runs::{Run, runs},
    storm::{Storm, history},
    visitor::Visitor,
};

/// Logins at a node in one run.
const JOINS: usize = 200;

/// Messages that each of them hears after those that were said before it came.
const LIVE: u64 = 3;

/// A picture of one pixel.
const PIXEL: &str = "data:image/png;base64,\
iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// Comes, hears what was said and some of what is said, and goes.
fn visit(node: SocketAddr, number: usize) -> History {
    // Now and then with all that was ever said.
    let data = json!({"username": format!("visitor {number}"), "room": "tea"});
    let mut visitor = Visitor::login_with(node, &data);
    let until = visitor.welcome["offset"].as_u64().expect("an offset") + LIVE;
    let mut heard = History::new();
    while heard.last().is_none_or(|last| last.0 < until) {
        heard.push(identity(&visitor.hear("receiveMessage", |_| true)).expect("a message"));
    }
    heard
}

/// The storm is at one node, the visitors come to another one. No other client is there, so that it loads the room for each.
fn each_visitor_hears_one_stretch(storm_at: SocketAddr, node: SocketAddr, run: &mut Run) {
    let storm = Storm::begin(&[storm_at], 4, &Manner::default(), &mut run.rng);
    storm.wait_for_acks(60);
    let visits: Vec<_> = (0..JOINS).map(|number| visit(node, number)).collect();
    let verdict = storm.end(&[storm_at, node]);
    run.print(&verdict);
    verdict.assert_whole();
    let kept = history(node, "tea", 0);
    for (number, heard) in visits.iter().enumerate() {
        let first = usize::try_from(heard[0].0).expect("small") - 1;
        assert_eq!(*heard, kept[first..first + heard.len()], "visitor {number} hears one stretch");
        assert!(heard.len() > usize::try_from(LIVE).expect("small"), "with what was said before");
    }
}

#[test]
fn clients_that_come_in_the_middle_of_a_storm_hear_one_stretch_of_it() {
    runs("joins at one node", |run| {
        let node = Node::alone(&[]);
        each_visitor_hears_one_stretch(node.address(), node.address(), run);
    });
}

#[test]
fn clients_that_come_in_the_middle_of_a_storm_to_a_node_without_the_room_hear_one_stretch_of_it() {
    runs("joins at another node", |run| {
        let cluster = Cluster::start(2, &EVERYSEC);
        let nodes = cluster.addresses();
        each_visitor_hears_one_stretch(nodes[0], nodes[1], run);
    });
}

/// Says texts, a picture and a text that is longer than what Redis publishes, at `nodes[0]`; a client of `nodes[1]` hears
/// them, and one that comes late.
fn a_late_client_gets_all_kinds(nodes: [SocketAddr; 2]) {
    let mut ann = Visitor::login(nodes[0], "ann", "tea");
    let mut ben = Visitor::login(nodes[1], "ben", "tea");
    let long = "long ".repeat(30_000) + "end";
    let mut said = vec!["one".to_owned(), "two".to_owned(), PIXEL.to_owned(), long, "last".to_owned()];
    for text in &said {
        match text.as_str() {
            PIXEL => ann.ask("sendImage", &json!({"img": text, "id": "picture"})),
            _ => ann.ask("sendMessage", &json!({"msg": text})),
        };
    }
    said.iter_mut().for_each(|text| *text = text.trim_end_matches('.').to_owned());
    let said: History = (1..).zip(said).collect();
    let mut late = Visitor::login(nodes[1], "late", "tea");
    for visitor in [&mut ben, &mut late] {
        let heard: History = said
            .iter()
            .map(|(_, text)| {
                let event = if text == PIXEL { "receiveImage" } else { "receiveMessage" };
                identity(&visitor.hear(event, |_| true)).expect("a message")
            })
            .collect();
        assert!(heard == said, "heard in order, at {:?}", heard.iter().map(|one| one.0).collect::<Vec<_>>());
    }
    assert!(late.history() == said && ann.history() == said, "all is kept");
}

/// Of the largest message of all.
const LONG: [&str; 2] = ["--max-message-size", "200k"];

#[test]
fn a_late_client_gets_texts_pictures_and_long_texts() {
    let node = Node::alone(&LONG);
    a_late_client_gets_all_kinds([node.address(); 2]);
}

#[test]
fn a_late_client_of_another_node_gets_texts_pictures_and_long_texts() {
    let cluster = Cluster::with(2, &EVERYSEC, &LONG);
    a_late_client_gets_all_kinds([cluster.nodes[0].address(), cluster.nodes[1].address()]);
}
