//! All members of a room hear the same messages in the same order, each sender's in the order it sent them.

use std::collections::HashMap;

use actix_web::rt;

use crate::helpers::{Client, TestServer, soon};

const SENDERS: usize = 6;
const LISTENERS: usize = 6;
const EACH: usize = 300;

/// Sends all its messages while it reads; gives back what it heard, without the answers to its own.
async fn talk(mut client: Client, name: usize) -> Vec<String> {
    let mut heard = Vec::new();
    let (mut answers, mut sent) = (0, 0);
    while answers < EACH || heard.len() < (SENDERS - 1) * EACH {
        // Eight under way at most, so that neither side fills its buffers.
        while sent < EACH && sent < answers + 8 {
            client.send(&format!("from {name}: {sent}")).await;
            sent += 1;
        }
        let text = client.next_text().await;
        if text.ends_with("!!!") {
            assert_eq!(text, format!("FROM {name}: {answers}!!!"));
            answers += 1;
        } else {
            heard.push(text);
        }
    }
    heard
}

async fn listen(mut client: Client) -> Vec<String> {
    let mut heard = Vec::new();
    while heard.len() < SENDERS * EACH {
        heard.push(client.next_text().await);
    }
    heard
}

#[actix_web::test]
async fn everybody_hears_everything_in_one_order() {
    let server = TestServer::start().await;
    let mut listeners = Vec::new();
    for _ in 0..LISTENERS {
        listeners.push(listen(server.connect("/ws").await));
    }
    let mut clients = Vec::new();
    for _ in 0..SENDERS {
        clients.push(server.connect("/ws").await);
    }
    let senders = clients.into_iter().enumerate().map(|(name, client)| talk(client, name));
    let (heard, senders_heard) = futures_util::future::join(
        futures_util::future::join_all(listeners),
        futures_util::future::join_all(senders),
    )
    .await;

    let order = &heard[0];
    for other in &heard {
        assert_eq!(other, order, "two listeners heard different orders");
    }
    for (name, heard) in senders_heard.iter().enumerate() {
        let mine = format!("from {name}:");
        let others: Vec<_> = order.iter().filter(|line| !line.starts_with(&mine)).cloned().collect();
        assert_eq!(*heard, others, "sender {name} heard another order, or itself");
    }
    let mut next: HashMap<&str, usize> = HashMap::new();
    for line in order {
        let (sender, number) = line.rsplit_once(": ").expect("a line of ours");
        let expected = next.entry(sender).or_default();
        assert_eq!(number.parse(), Ok(*expected), "{sender} is out of order");
        *expected += 1;
    }
}

/// Listens until it has heard `last`, or so many lines.
async fn listen_until(mut client: Client, last: &str, at_most: usize) -> Vec<String> {
    let mut heard = Vec::new();
    while heard.len() < at_most && heard.last().is_none_or(|line| line != last) {
        heard.push(client.next_text().await);
    }
    heard
}

#[actix_web::test]
async fn who_joins_or_leaves_in_mid_storm_hears_one_stretch_of_the_same_order() {
    const LAST: &str = "the end";
    let server = TestServer::start().await;
    let reference = rt::spawn(listen_until(server.connect("/ws").await, LAST, usize::MAX));
    let storm = {
        let mut speakers = Vec::new();
        for name in 0..4 {
            let mut client = server.connect("/ws").await;
            speakers.push(rt::spawn(async move {
                for number in 0..400 {
                    client.send(&format!("from {name}: {number}")).await;
                    // Its own answer, among what the others say.
                    while !client.next_text().await.ends_with("!!!") {}
                }
                client
            }));
        }
        speakers
    };
    let mut passers_by = Vec::new();
    for number in 0..40 {
        let client = server.connect("/ws").await;
        // Every other one leaves again after a while, the others stay to the end.
        let at_most = if number % 2 == 0 { 50 } else { usize::MAX };
        passers_by.push(rt::spawn(listen_until(client, LAST, at_most)));
    }
    let mut speakers = Vec::new();
    for speaker in storm {
        speakers.push(soon("a speaker", speaker).await.expect("it ends"));
    }
    speakers[0].send(LAST).await;

    let order = soon("the reference", reference).await.expect("it ends");
    assert_eq!(order.len(), 4 * 400 + 1);
    for passer_by in passers_by {
        let heard = soon("a passer-by", passer_by).await.expect("it ends");
        let from = order.iter().position(|line| *line == heard[0]).expect("a line of the order");
        assert_eq!(heard, order[from..from + heard.len()], "not one stretch");
        assert!(heard.len() == 50 || heard.last().is_some_and(|line| line == LAST));
    }
}
