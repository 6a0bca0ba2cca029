//! A session ends once, with a close frame that says why, and what it had sent before counts.

use super::*;
use crate::broadcast::DismissAll;

/// The number of sessions that the chat server knows.
async fn members(worker: &web::Data<Worker>) -> usize {
    worker.chat.summary().await.expect("it runs").members
}

async fn until_alone(worker: &web::Data<Worker>) {
    while members(worker).await > 0 {
        tokio::task::yield_now().await;
    }
}

#[actix_web::test]
async fn a_client_that_closes_is_told_its_own_code_and_nothing_that_it_sends_behind_it_counts() {
    let worker = worker(settings());
    for door in [lobby(), Door::Echo, Door::Chat] {
        let mut client = Client::at(door, &worker).await;
        client.send([frame_of(OpCode::Close, &1000_u16.to_be_bytes()), text("late"), text("later")]);
        assert_eq!(client.code().await, 1000);
        until_alone(&worker).await;
        assert_eq!(worker.admission.sessions(), 0, "its place is free");
    }
}

#[actix_web::test]
async fn what_a_client_sends_before_it_closes_or_is_lost_reaches_its_room() {
    let worker = worker(settings());
    let mut other = Client::at(lobby(), &worker).await;
    let client = Client::at(lobby(), &worker).await;
    client.send([text("one"), text("two"), frame_of(OpCode::Close, b"")]);
    for said in ["one", "two"] {
        assert!(other.text().await.ends_with(said));
    }
    let Client { bytes, body, .. } = Client::at(lobby(), &worker).await;
    bytes.send(text("three").into()).expect("the session reads");
    drop(bytes);
    assert!(other.text().await.ends_with("three"));
    drop((body, client, other));
    until_alone(&worker).await;
}

#[actix_web::test]
async fn a_client_that_breaks_the_protocol_is_closed_behind_its_answers() {
    for (frame, code) in [
        (vec![0x81, 0x01, b'a'], 1002),
        (vec![0xF1, 0x80, 0, 0, 0, 0], 1002),
        (frame_of(OpCode::Text, &[0xFF]), 1007),
    ] {
        let mut client = Client::at(Door::Echo, &worker(settings())).await;
        client.send([text("a"), frame, text("b")]);
        assert_eq!(client.text().await, "a");
        assert_eq!(client.code().await, code);
    }
}

#[actix_web::test]
async fn a_server_that_stops_dismisses_its_sessions_with_1012() {
    let worker = worker(settings());
    let mut clients = [Client::at(lobby(), &worker).await, Client::at(Door::Chat, &worker).await];
    let (all_told, mut told) = mpsc::channel(1);
    assert!(worker.chat.dismiss_all(DismissAll { all_told }, Duration::from_secs(60)).await);
    assert_eq!(told.recv().await, None);
    let mut late = Client::at(lobby(), &worker).await;
    for client in &mut clients {
        assert_eq!(client.code().await, 1012);
    }
    assert_eq!(late.code().await, 1012, "one that comes now, too");
}

#[actix_web::test]
async fn a_client_that_does_not_log_in_in_time_is_closed_at_the_door_of_the_chat_only() {
    let settings = settings().with(|s| s.login.connect_timeout = "10ms".parse().expect("a time"));
    let worker = worker(settings);
    let mut plain = Client::at(lobby(), &worker).await;
    let mut chat = Client::at(Door::Chat, &worker).await;
    assert_eq!(chat.close().await, (1008, "no login".to_owned()));
    plain.send([text("a")]);
    assert_eq!(plain.text().await, "A!!!");
}

#[actix_web::test]
async fn a_nickname_is_held_for_a_client_that_was_lost_and_free_after_one_that_left() {
    let worker = worker(settings());
    for (is_lost, answer) in [(false, "loginSuccess"), (true, "loginError")] {
        let mut ann = Client::at(Door::Chat, &worker).await;
        let login = || text(&json!({"event": "login", "data": {"username": "ann"}}).to_string());
        ann.send([login()]);
        assert_eq!(ann.event().await["event"], "loginSuccess");
        if !is_lost {
            ann.send([frame_of(OpCode::Close, b"")]);
        }
        drop(ann);
        until_alone(&worker).await;
        let mut other = Client::at(Door::Chat, &worker).await;
        other.send([login()]);
        assert_eq!(other.event().await["event"], answer);
        other.send([frame_of(OpCode::Close, b"")]);
        drop(other);
        until_alone(&worker).await;
    }
}
