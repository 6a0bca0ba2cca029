use std::future::poll_fn;

use futures_util::{FutureExt as _, StreamExt as _};

use super::*;
use crate::connection::{Budget, pipe::PipeBody, socket::Connection};

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

fn piped() -> (Downlink, Arc<Pipe>, PipeBody) {
    piped_to(Arc::default())
}

fn piped_to(socket: Arc<Connection>) -> (Downlink, Arc<Pipe>, PipeBody) {
    let pipe = Arc::new(Pipe::to(socket, false, Budget::new(1 << 20)));
    let down = Downlink::new(Transport::WebSocket(Arc::clone(&pipe)), intake(), None, MOST, lease());
    (down, Arc::clone(&pipe), PipeBody(pipe))
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

/// Takes the bytes that the body yields without waiting.
fn taken(body: &mut PipeBody) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(Some(piece)) = body.next().now_or_never() {
        out.extend(piece.expect("frames"));
    }
    out
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
    let (down, pipe, mut body) = piped();
    for _ in 0..100 {
        down.packet("4".repeat(10_000));
    }
    assert!(down.pour(&pipe, PIPE_BYTES));
    assert!(pipe.waiting_bytes() < PIPE_BYTES + 10_010, "{} bytes", pipe.waiting_bytes());
    // A delivery comes after these packets, a ping before them.
    down.deliver(&[framed("42[\"delivered\"]")]);
    down.ping();
    assert_eq!(pipe.waiting_deliveries().bytes, 0);
    assert_eq!(deliveries(&down), framed("42[\"delivered\"]").len());
    let mut out = taken(&mut body);
    while down.pour(&pipe, PIPE_BYTES) {
        out.extend(taken(&mut body));
    }
    out.extend(taken(&mut body));
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
    let (down, pipe, _body) = piped();
    down.packet("4".repeat(1000));
    down.missed("4".repeat(5000), &[]);
    let mut drained = Box::pin(poll_fn(|cx| down.poll_drained(999, cx)));
    assert_eq!(drained.as_mut().now_or_never(), None);
    assert!(down.pour(&pipe, 1));
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
        let pipe = Arc::new(Pipe::to(Arc::default(), wants_base64, Budget::new(1 << 20)));
        let down = Downlink::new(Transport::WebSocket(Arc::clone(&pipe)), intake(), None, MOST, lease());
        down.binary(Bytes::from_static(b"abc"));
        assert!(!down.pour(&pipe, PIPE_BYTES));
        down.deliver(&[Bytes::from_static(b"\x82\x01d")]);
        assert!(!down.pour(&pipe, PIPE_BYTES));
        assert_eq!(taken(&mut PipeBody(pipe)), frames);
    }
}

#[actix_web::test]
async fn too_much_is_too_many_bytes_or_pieces_for_a_socket_that_takes_none() {
    for frames in [vec![Bytes::from(vec![0; MOST + 1])], vec![framed("42"); MAX_WAITING_PIECES + 1]] {
        let socket = Arc::<Connection>::default();
        let (down, _pipe, mut body) = piped_to(Arc::clone(&socket));
        down.deliver(&frames);
        assert!(!down.has_too_much(), "the connection has not had its turn");
        // The connection writes some of it, then the socket is full.
        down.deliver(&frames);
        body.next().now_or_never();
        socket.set_blocked(true);
        down.deliver(&[framed("42")]);
        assert!(down.has_too_much());
        taken(&mut body);
        assert!(!down.has_too_much());
    }
    let (down, _pipe, mut body) = piped();
    assert!(taken(&mut body).is_empty());
    down.deliver(&[vec![0; TURN_BYTES.max(MAX_OVERHANG * MOST)].into()]);
    assert!(!down.has_too_much(), "a room may say this much in one turn");
    down.deliver(&[framed("42")]);
    assert!(down.has_too_much(), "whose turn it is does not matter any more");
    let polled = polled();
    polled.deliver(&[framed(&"4".repeat(MOST + 1))]);
    assert!(polled.has_too_much());
}
