//! Each door answers its clients in its own way.

use super::*;

#[actix_web::test]
async fn a_plain_session_is_answered_in_upper_case_and_its_room_gets_what_it_says() {
    let worker = worker(settings());
    let mut first = Client::at(lobby(), &worker).await;
    let mut second = Client::at(lobby(), &worker).await;
    first.send([text("hello")]);
    assert_eq!(first.text().await, "HELLO!!!");
    assert!(second.text().await.ends_with("hello"));
    second.send([frame_of(OpCode::Binary, b"abc")]);
    assert_eq!(second.next().await, Some((OpCode::Binary, Bytes::from_static(b"abc"))));
    assert_eq!(first.next().await, Some((OpCode::Binary, Bytes::from_static(b"abc"))), "not its own line");
}

#[actix_web::test]
async fn an_echo_session_gets_what_it_sends() {
    let mut client = Client::at(Door::Echo, &worker(settings())).await;
    client.send([text("hello"), frame_of(OpCode::Binary, b"abc")]);
    assert_eq!(client.text().await, "hello");
    assert_eq!(client.next().await, Some((OpCode::Binary, Bytes::from_static(b"abc"))));
}

#[actix_web::test]
async fn a_ping_is_answered_with_its_bytes_behind_the_answers_before_it() {
    for (door, answer) in [(lobby(), "A!!!"), (Door::Echo, "a")] {
        let mut client = Client::at(door, &worker(settings())).await;
        client.send([text("a"), frame_of(OpCode::Ping, b"now"), frame_of(OpCode::Pong, b""), text("a")]);
        assert_eq!(client.text().await, answer);
        assert_eq!(client.next().await, Some((OpCode::Pong, Bytes::from_static(b"now"))));
        assert_eq!(client.text().await, answer, "a pong has no answer");
    }
}
