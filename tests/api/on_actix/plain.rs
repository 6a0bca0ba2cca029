//! Plain sessions, which are answered in upper case and relayed, and echo sessions.

use super::OnActix;
use crate::helpers::{Client, frame, text};

#[actix_web::test]
async fn a_text_comes_back_in_upper_case_and_goes_verbatim_to_the_others() {
    let server = OnActix::start();
    let (mut ann, mut ben) = (server.connect("/").await, server.connect("/ws").await);
    let mut others = [server.connect("/ws?room=lobby").await, server.connect("/").await];
    for round in 0..3 {
        for (said, answer) in [("Straße", "STRASSE!!!"), ("", "!!!"), ("你好 a", "你好 A!!!")] {
            for (speaker, listener) in [(&mut ann, &mut ben)] {
                speaker.send(said).await;
                assert_eq!(speaker.next_text().await, answer, "{round}");
                assert_eq!(listener.next_text().await, said, "{round}");
                listener.send_binary(said.as_bytes()).await;
                assert_eq!(listener.next_binary().await, said.as_bytes(), "{round}");
                assert_eq!(speaker.next_binary().await, said.as_bytes(), "{round}");
            }
            for other in &mut others {
                assert_eq!(other.next_text().await, said, "{round}");
                assert_eq!(other.next_binary().await, said.as_bytes(), "{round}");
            }
        }
    }
    ann.expect_quiet().await;
}

#[actix_web::test]
async fn two_rooms_do_not_hear_each_other() {
    let server = OnActix::start();
    let (mut red, mut red_too) = (server.connect("/ws?room=red").await, server.connect("/?room=red").await);
    let (mut blue, mut lobby) = (server.connect("/ws?room=blue").await, server.connect("/ws").await);
    for number in 0..3 {
        red.send(&format!("red {number}")).await;
        assert_eq!(red.next_text().await, format!("RED {number}!!!"));
        assert_eq!(red_too.next_text().await, format!("red {number}"));
        blue.expect_quiet().await;
        lobby.expect_quiet().await;
    }
}

#[actix_web::test]
async fn texts_and_bytes_of_one_sender_arrive_in_its_order() {
    const ROUNDS: usize = 100;
    let server = OnActix::start();
    let mut listeners = [server.connect_raw("/").await, server.connect_raw("/ws").await];
    let mut speaker = server.connect_raw("/ws").await;
    let said = |number: usize| [format!("a{number}"), format!("b{number}"), format!("c{number}")];
    for number in 0..ROUNDS {
        let [a, b, c] = said(number);
        speaker.send(&[text(&a), frame(0x82, b.as_bytes()), text(&c)].concat()).await;
    }
    for listener in &mut listeners {
        for number in 0..ROUNDS {
            for expected in said(number) {
                let heard = listener.read_frame().await;
                assert_eq!(heard.payload, expected.as_bytes());
                assert_eq!(heard.first, if expected.starts_with('b') { 0x82 } else { 0x81 }, "{expected}");
            }
        }
    }
}

#[actix_web::test]
async fn a_large_text_is_answered_and_relayed_whole() {
    let server = OnActix::start();
    let (mut ann, mut ben) = (server.connect("/ws").await, server.connect("/ws").await);
    let large = "abcdefgh".repeat(8 * 1024);
    for _ in 0..3 {
        ann.send(&large).await;
        assert_eq!(ann.next_text().await, large.to_uppercase() + "!!!");
        assert_eq!(ben.next_text().await, large);
    }
}

#[actix_web::test]
async fn the_last_words_before_a_close_are_heard() {
    let server = OnActix::start();
    let mut ben = server.connect("/ws").await;
    for round in 0..20 {
        let mut raw = server.connect_raw("/ws").await;
        let last = format!("last words {round}");
        raw.send(&[text(&last), frame(0x88, b"\x03\xe8")].concat()).await;
        drop(raw);
        assert_eq!(ben.next_text().await, last);
    }
}

#[actix_web::test]
async fn echo_sends_back_what_it_is_sent_and_lets_no_other_hear_it() {
    async fn expect_echo(client: &mut Client, said: &str) {
        client.send(said).await;
        assert_eq!(client.next_text().await, said);
        client.send_binary(said.as_bytes()).await;
        assert_eq!(client.next_binary().await, said.as_bytes());
    }
    let server = OnActix::start();
    let (mut ann, mut ben) = (server.connect("/echo").await, server.connect("/echo").await);
    let mut plain = server.connect("/ws").await;
    for said in ["Straße", "", &"x".repeat(60_000)] {
        for _ in 0..3 {
            expect_echo(&mut ann, said).await;
        }
        // It hears its own next, and no other's.
        expect_echo(&mut ben, "mine").await;
        plain.expect_quiet().await;
    }
}

#[actix_web::test]
async fn a_ping_between_the_fragments_of_a_message_is_answered_with_its_payload() {
    let server = OnActix::start();
    for (path, answer) in [("/ws", &b"HELLO!!!"[..]), ("/echo", b"hello")] {
        let mut raw = server.connect_raw(path).await;
        for _ in 0..3 {
            raw.send(&[frame(0x01, b"he"), frame(0x89, b"ping"), frame(0x80, b"llo")].concat()).await;
            let pong = raw.read_frame().await;
            assert_eq!((pong.first, &pong.payload[..]), (0x8A, &b"ping"[..]), "{path}");
            assert_eq!(raw.read_frame().await.payload, answer, "{path}");
        }
    }
}
