use std::future::poll_fn;

use futures_util::FutureExt as _;

use super::*;
use crate::{
    connection::Budget,
    socketio::carrier::testing::{Client, carrier},
};

const MOST: usize = 1 << 20;

fn intake() -> Intake {
    Intake::new(1, Budget::new(1))
}

fn lease() -> Lease {
    Lease::new(Budget::new(MOST))
}

fn polled() -> Downlink {
    Downlink::new(Transport::Polling(None), intake(), None, MOST, lease())
}

fn carried() -> (Downlink, Carrier, Client) {
    let (carrier, client) = carrier(false);
    let down = Downlink::new(Transport::WebSocket(carrier.clone()), intake(), None, MOST, lease());
    (down, carrier, client)
}

/// Queues frames of a broadcast.
fn deliver(down: &Downlink, frames: &[Bytes]) {
    down.deliver(frames, frames.iter().map(Bytes::len).sum());
}

fn deliveries(down: &Downlink) -> usize {
    down.0.borrow().deliveries
}

/// Frames a text message.
fn framed(text: &str) -> Bytes {
    let mut out = bytes::BytesMut::new();
    frame::write(&mut out, OpCode::Text, text.as_bytes());
    out.freeze()
}

#[test]
fn a_poll_is_answered_with_sixteen_packets_or_so_many_bytes() {
    let down = polled();
    for number in 0..20 {
        down.packet(format!("4{number}"));
    }
    let payload = down.payload(1000).expect("packets");
    assert_eq!(payload.split(engineio::SEPARATOR).count(), 16);
    down.packet("4".repeat(600));
    down.binary(vec![0; 600].into());
    assert_eq!(down.payload(1000).expect("packets").split(engineio::SEPARATOR).count(), 5);
    assert!(down.payload(100).expect("a packet").starts_with('b'), "one at least, however large");
    assert_eq!((down.payload(1000), down.bytes()), (None, 0));
}

#[test]
fn a_poll_that_waits_takes_as_much_as_one_answer_holds_and_then_no_more() {
    let down = polled();
    assert!(!down.is_writable(), "no poll waits");
    let (poll, _answered) = oneshot::channel();
    assert!(down.offer_poll(poll).is_ok());
    for number in 0..16 {
        assert!(down.is_writable());
        down.packet(format!("4{number}"));
    }
    assert!(!down.is_writable(), "the answer is full");
    down.payload(1000);
    assert!(down.is_writable(), "it has not been given yet");
    drop(down.take_poll());
    assert!(!down.is_writable());
    let (_one, second) = (down.offer_poll(oneshot::channel().0), oneshot::channel().0);
    assert!(down.offer_poll(second).is_err(), "one waits already");
}

#[actix_web::test]
async fn what_waits_for_a_websocket_stays_here_but_for_a_little_and_in_order() {
    let (down, carrier, mut client) = carried();
    for _ in 0..100 {
        down.packet("4".repeat(10_000));
    }
    assert!(down.pour(&carrier, PIPE_BYTES));
    assert!(carrier.waiting_bytes() < PIPE_BYTES + 10_010, "{} bytes", carrier.waiting_bytes());
    // A delivery comes after these packets, a ping before them.
    deliver(&down, &[framed("42[\"delivered\"]")]);
    down.ping();
    assert_eq!(carrier.deliveries().bytes, 0);
    assert_eq!(deliveries(&down), framed("42[\"delivered\"]").len());
    let mut out = client.take();
    while down.pour(&carrier, PIPE_BYTES) {
        out.extend(client.take());
    }
    out.extend(client.take());
    let ping = framed("2");
    let at = out.windows(ping.len()).position(|window| window == &ping[..]).expect("the ping");
    assert!(at < 2 * PIPE_BYTES, "the ping came behind {at} bytes");
    assert!(out.ends_with(&framed("42[\"delivered\"]")));
    assert_eq!((down.bytes(), down.answers(), deliveries(&down)), (0, 0, 0));
}

#[test]
fn a_ping_does_not_come_between_an_event_and_its_attachments() {
    let down = polled();
    down.packet("451-[\"x\",{\"_placeholder\":true,\"num\":0}]");
    down.binary(Bytes::from_static(b"abc"));
    down.packet("42[\"y\"]");
    assert_eq!(down.payload(1).as_deref(), Some("451-[\"x\",{\"_placeholder\":true,\"num\":0}]"));
    down.ping();
    assert_eq!(down.payload(100).as_deref(), Some("bYWJj\u{1E}2\u{1E}42[\"y\"]"));
}

#[test]
fn who_waits_for_the_client_to_read_is_woken_when_it_has() {
    let (down, carrier, _client) = carried();
    down.packet("4".repeat(1000));
    down.missed("4".repeat(5000), &[]);
    let mut drained = Box::pin(poll_fn(|cx| down.poll_drained(999, cx)));
    assert_eq!(drained.as_mut().now_or_never(), None);
    assert!(down.pour(&carrier, 1));
    assert_eq!(drained.as_mut().now_or_never(), Some(()), "what it missed counts against nothing");
    assert_eq!((down.answers(), deliveries(&down), down.bytes()), (0, 0, 5000));
    let polled = polled();
    polled.packet("4".repeat(POLL_AHEAD));
    assert_eq!(poll_fn(|cx| polled.poll_drained(999, cx)).now_or_never(), Some(()));
    polled.packet("4");
    assert_eq!(poll_fn(|cx| polled.poll_drained(999, cx)).now_or_never(), None);
}

#[actix_web::test]
async fn binary_messages_are_base64_for_a_websocket_whose_client_wants_that() {
    let down = polled();
    down.binary(Bytes::from_static(b"abc"));
    assert_eq!(down.payload(100).as_deref(), Some("bYWJj"));
    for (wants_base64, frames) in
        [(false, &b"\x82\x03abc\x82\x01d"[..]), (true, b"\x81\x05bYWJj\x81\x05bZA==")]
    {
        let (carrier, mut client) = carrier(wants_base64);
        let down = Downlink::new(Transport::WebSocket(carrier.clone()), intake(), None, MOST, lease());
        down.binary(Bytes::from_static(b"abc"));
        assert!(!down.pour(&carrier, PIPE_BYTES));
        deliver(&down, &[Bytes::from_static(b"\x82\x01d")]);
        assert!(!down.pour(&carrier, PIPE_BYTES));
        assert_eq!(client.take(), frames);
    }
}

#[actix_web::test]
async fn too_much_is_too_many_bytes_or_pieces_for_a_socket_that_takes_none() {
    for frames in [vec![Bytes::from(vec![0; MOST + 1])], vec![framed("42"); MAX_WAITING_PIECES + 1]] {
        let (down, _carrier, mut client) = carried();
        deliver(&down, &frames);
        assert!(!down.has_too_much(), "the session has not had its turn");
        client.set_blocked(true);
        deliver(&down, &[framed("42")]);
        assert!(down.has_too_much());
        client.take();
        assert!(!down.has_too_much());
    }
    let (down, _carrier, _client) = carried();
    deliver(&down, &[vec![0; TURN_BYTES.max(MAX_OVERHANG * MOST)].into()]);
    assert!(!down.has_too_much(), "a room may say this much in one turn");
    deliver(&down, &[framed("42")]);
    assert!(down.has_too_much(), "whose turn it is does not matter any more");
    let polled = polled();
    deliver(&polled, &[framed(&"4".repeat(MOST + 1))]);
    assert!(polled.has_too_much());
}
