use std::future::poll_fn;

use actix_web::rt;

use super::{
    bounds::{MAX_OVERHANG, POLL_AHEAD},
    queue::PIECE_BYTES,
    *,
};
use crate::{
    connection::{Budget, DirectOutlet as _},
    protocol::websocket::frame,
};

const BOUNDS: Bounds = Bounds { waiting: 1 << 20, answer: 1 << 20 };

/// A lease of a budget that does not matter.
fn lease() -> Lease {
    Lease::new(Budget::new(1 << 20))
}

/// An outbound with a wire, and the client's end of it.
async fn wired() -> (Outbound, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let client = std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
    let (stream, _) = listener.accept().expect("connected");
    stream.set_nonblocking(true).expect("nonblocking");
    socket2::SockRef::from(&stream).set_send_buffer_size(16 * 1024).expect("a small buffer");
    let stream = rt::net::TcpStream::from_std(stream).expect("in a runtime");
    let wire = Wire::new(stream).expect("connected");
    wire.open();
    poll_fn(|cx| wire.poll_writable(cx)).await.expect("connected");
    let bytes_out = IntCounter::new("bytes", "bytes").expect("a legal name");
    (Outbound::on_wire(wire, BOUNDS, lease(), bytes_out), client)
}

async fn write_all(outbound: &Outbound) {
    poll_fn(|cx| outbound.poll_write(cx)).await.expect("written");
}

#[actix_web::test]
async fn what_is_delivered_directly_is_written_at_once_and_not_counted() {
    use std::io::Read as _;
    let (outbound, mut client) = wired().await;
    let outlet = outbound.open_outlet();
    assert_eq!(
        outlet.deliver(&[Bytes::from_static(b"one"), Bytes::from_static(b"two")], 6, false),
        Direct::Taken
    );
    assert_eq!((outbound.has_waiting(), outbound.backlog().bytes()), (false, 0));
    let mut came = [0; 6];
    client.read_exact(&mut came).expect("it has come");
    assert_eq!(&came, b"onetwo");
}

#[actix_web::test]
async fn what_is_delivered_directly_overtakes_neither_mail_nor_answers() {
    use std::io::Read as _;
    let (outbound, mut client) = wired().await;
    let outlet = outbound.open_outlet();
    outlet.note_mail();
    assert_eq!(outlet.deliver(&[Bytes::from_static(b"late")], 4, false), Direct::BehindMail);
    outlet.take_mail();
    outbound.answer(|out| out.extend_from_slice(b"answer "));
    assert_eq!(outlet.deliver(&[Bytes::from_static(b"delivery")], 8, false), Direct::Taken);
    assert_eq!(outbound.backlog().bytes(), 8 + PIECE_BYTES, "it waits behind the answer");
    write_all(&outbound).await;
    assert_eq!((outbound.answer_bytes(), outbound.backlog().bytes()), (0, 0));
    let mut came = [0; 15];
    client.read_exact(&mut came).expect("it has come");
    assert_eq!(&came, b"answer delivery");
    outbound.end();
    assert_eq!(outlet.deliver(&[Bytes::from_static(b"behind the end")], 14, false), Direct::Gone);
    assert_eq!((outbound.has_waiting(), outbound.backlog().bytes()), (false, 0));
}

#[actix_web::test]
async fn what_a_full_socket_has_begun_ends_with_its_frame_and_the_counts_hold() {
    use std::io::Read as _;
    for size in [100, 3_000, 70_000] {
        for large_answers in [false, true] {
            let (outbound, mut client) = wired().await;
            let outlet = outbound.open_outlet();
            let mut frame = BytesMut::new();
            frame::write(&mut frame, OpCode::Text, &vec![b'x'; size]);
            let frames = vec![frame.freeze(); 8];
            let bytes: usize = frames.iter().map(Bytes::len).sum();
            let mut cx = Context::from_waker(Waker::noop());
            // Until the socket is full.
            while !outbound.has_waiting() {
                if large_answers {
                    outbound.answer_frame(OpCode::Text, Bytes::from(vec![b'x'; size]));
                    let _ = outbound.poll_write(&mut cx);
                } else {
                    assert_eq!(outlet.deliver(&frames, bytes, false), Direct::Taken);
                }
            }
            outbound.clear();
            assert_eq!((outbound.answer_bytes(), outbound.backlog().bytes()), (0, 0));
            outbound.answer_frame(OpCode::Close, Bytes::new());
            let reader = std::thread::spawn(move || {
                let mut came = Vec::new();
                client.read_to_end(&mut came).expect("an end");
                came
            });
            write_all(&outbound).await;
            assert!(!outbound.has_waiting());
            drop((outbound, outlet));
            let came = reader.join().expect("it has come");
            let frames: Vec<_> = frame::payloads(came.clone().into()).collect();
            let (last, lines) = frames.split_last().expect("frames");
            assert!(last.1.is_empty(), "the close comes last");
            assert!(lines.iter().all(|(_, line)| line.len() == size));
            let whole: usize = frames.iter().map(|(_, line)| line.len() + header_len(line.len())).sum();
            assert_eq!(whole, came.len(), "nothing is between the frames");
        }
    }
}

fn header_len(payload: usize) -> usize {
    match payload {
        0..126 => 2,
        126..65536 => 4,
        _ => 10,
    }
}

#[actix_web::test]
async fn a_client_that_takes_nothing_is_over_its_bound_by_bytes_and_by_the_memory_of_pieces() {
    for (size, most) in [(3, BOUNDS.waiting / PIECE_BYTES + 1), (60_000, BOUNDS.waiting / 60_000 + 1)] {
        let (outbound, _client) = memory(false);
        let outlet = outbound.open_outlet();
        let mut frame = BytesMut::new();
        frame::write(&mut frame, OpCode::Text, &vec![b'x'; size]);
        let frames = [frame.freeze()];
        while !outbound.has_waiting() {
            outlet.deliver(&frames, frames[0].len(), false);
        }
        let count = (0..10_000_000).find(|_| {
            outlet.deliver(&frames, frames[0].len(), false);
            outbound.backlog().is_over()
        });
        assert!(count.is_some_and(|count| count <= most && count >= most / 2), "{count:?} of {size} bytes");
    }
}

/// A burst of many small frames, behind an answer that waits for its turn.
#[actix_web::test]
async fn a_client_is_over_its_bound_only_if_its_socket_takes_nothing() {
    let (wire, mut client) = Wire::in_memory();
    wire.open();
    let bounds = Bounds { waiting: 1000, answer: 1000 };
    let outbound = Outbound::on_wire(wire, bounds, lease(), None);
    let outlet = outbound.open_outlet();
    outbound.answer(|out| out.extend_from_slice(b"\x81\x01a"));
    for _ in 0..100 {
        assert_eq!(outlet.deliver(&[Bytes::from(vec![b'x'; 200])], 200, false), Direct::Taken);
        assert!(!outbound.backlog().is_over());
    }
    let _ = outbound.poll_write(&mut Context::from_waker(Waker::noop()));
    assert_eq!(client.taken().len(), 3 + 100 * 200);
}

#[actix_web::test]
async fn many_frames_that_are_written_in_part_without_memory_for_the_rest_end_the_session() {
    let (wire, mut client) = Wire::in_memory();
    wire.open();
    let outbound = Outbound::on_wire(wire, BOUNDS, Lease::new(Budget::new(1)), None);
    let frames = vec![Bytes::from(vec![b'x'; 20_000]); 60];
    outbound.take_delivery(&frames, 60 * 20_000, false);
    assert!(
        outbound.is_refused() && outbound.taken_bytes() > 20_000,
        "more than one frame was written at once"
    );
    let mut cx = Context::from_waker(Waker::noop());
    let mut came = 0;
    while outbound.has_waiting() {
        came += client.taken().len();
        let _ = outbound.poll_write(&mut cx);
    }
    came += client.taken().len();
    assert_eq!((came, outbound.taken_bytes(), outbound.backlog().bytes()), (60 * 20_000, 60 * 20_000, 0));
}

#[actix_web::test]
async fn what_comes_by_mail_is_delivered_like_what_comes_directly() {
    let (outbound, mut client) = memory(false);
    outbound.backlog().add(3);
    outbound.take_mailed(&[Bytes::from_static(b"\x81\x01a")], false);
    outbound.backlog().add(3);
    outbound.drop_mailed(&[Bytes::from_static(b"\x81\x01b")]);
    outbound.backlog().add(3);
    outbound.take_mailed(&[Bytes::from_static(b"\x81\x01c")], true);
    assert_eq!((client.taken(), outbound.backlog().bytes()), (b"\x81\x01a\x81\x01c".to_vec(), 0));
    outbound.end();
    outbound.backlog().add(3);
    outbound.take_mailed(&[Bytes::from_static(b"\x81\x01d")], false);
    assert_eq!((client.taken(), outbound.backlog().bytes()), (vec![], 0));
}

#[actix_web::test]
async fn a_socket_that_is_blocked_takes_no_volatile_frames() {
    use std::io::Read as _;
    let (outbound, mut client) = wired().await;
    let outlet = outbound.open_outlet();
    let frame = [Bytes::from(vec![b'x'; 100_000])];
    for _ in 0..3 {
        let mut bytes = 1;
        assert_eq!(outlet.deliver(&[Bytes::from_static(b"v")], 1, true), Direct::Taken);
        while !outbound.has_waiting() {
            assert_eq!(outlet.deliver(&frame, 100_000, false), Direct::Taken);
            bytes += 100_000;
        }
        for _ in 0..2 {
            assert_eq!(outlet.deliver(&[Bytes::from_static(b"v")], 1, true), Direct::Skipped);
        }
        let reader = std::thread::spawn(move || {
            client.read_exact(&mut vec![0; bytes]).expect("it has come");
            client
        });
        write_all(&outbound).await;
        client = reader.join().expect("it has come");
    }
    outbound.end();
    assert!(!outbound.is_writable());
}

#[actix_web::test]
async fn binary_messages_are_base64_for_a_client_that_takes_no_binary_frames() {
    for (is_text_only, frames) in [
        (false, &b"\x82\x03abc\x82\x01d\x81\x014\x82\x01e"[..]),
        (true, b"\x81\x05bYWJj\x81\x05bZA==\x81\x014\x81\x05bZQ=="),
    ] {
        let (outbound, mut client) = memory(is_text_only);
        outbound.answer_binary(Bytes::from_static(b"abc"));
        outbound.take_delivery(&[Bytes::from_static(b"\x82\x01d")], 3, false);
        outbound.missed(Bytes::from_static(b"4"), &[Bytes::from_static(b"e")]);
        assert_eq!(take_all(&outbound, &mut client), frames);
    }
}

#[test]
fn a_poll_that_waits_takes_as_much_as_one_answer_holds_and_then_no_more() {
    let outbound = polled(BOUNDS);
    assert!(!outbound.is_writable(), "no poll waits");
    let (poll, _answered) = oneshot::channel();
    assert!(outbound.offer_poll(poll).is_ok());
    for number in 0..16 {
        assert!(outbound.is_writable());
        text(&outbound, &format!("4{number}"));
    }
    assert!(!outbound.is_writable(), "the answer is full");
    outbound.payload(1000);
    assert!(outbound.is_writable(), "it has not been given yet");
    drop(outbound.take_poll());
    assert!(!outbound.is_writable());
    let (_one, second) = (outbound.offer_poll(oneshot::channel().0), oneshot::channel().0);
    assert!(outbound.offer_poll(second).is_err(), "one waits already");
}

#[actix_web::test]
async fn who_waits_for_the_client_to_read_is_woken_when_it_has() {
    let outbound = polled(BOUNDS);
    text(&outbound, &"4".repeat(POLL_AHEAD));
    let drained =
        |outbound: &Outbound| outbound.poll_drained(999, &mut Context::from_waker(Waker::noop())).is_ready();
    assert!(!drained(&outbound), "the header counts");
    outbound.payload(1);
    assert!(drained(&outbound));
    outbound.missed("4".repeat(2 * POLL_AHEAD).into(), &[]);
    assert!(drained(&outbound), "what it missed counts against nothing");

    let (outbound, mut client) = memory(false);
    text(&outbound, &"4".repeat(1000));
    assert!(!drained(&outbound));
    take_all(&outbound, &mut client);
    assert!(drained(&outbound));
}

#[actix_web::test]
async fn reading_stops_at_the_bound_and_for_polls_at_four_times_that_or_one_answer() {
    let bounds = Bounds { waiting: 1000, answer: 6000 };
    let holds = |outbound: Outbound| {
        let mut most = 0;
        while !outbound.holds_reading() {
            text(&outbound, &"4".repeat(98));
            most += 100;
        }
        (most, outbound.is_overrun())
    };
    let on_wire = Outbound::on_wire(Wire::in_memory().0, bounds, lease(), None);
    assert_eq!(holds(on_wire), (1100, false));
    assert_eq!(holds(polled(bounds)), (6100, false));
    assert_eq!(holds(polled(Bounds { answer: 0, ..bounds })), (4100, false));
    let (outbound, _client) = memory(false);
    while !outbound.is_overrun() {
        text(&outbound, &"4".repeat(100_000));
    }
    assert_eq!(outbound.answer_bytes() / (100_000 + 10), (MAX_OVERHANG * BOUNDS.waiting).div_ceil(100_010));
}

#[actix_web::test]
async fn an_upgrade_continues_behind_what_the_probe_has_to_write() {
    for is_text_only in [false, true] {
        let session = polled(BOUNDS);
        text(&session, "4before");
        session.answer_binary(Bytes::from_static(b"abc"));
        session.take_delivery(&[Bytes::from_static(b"\x81\x01d\x82\x01e")], 6, false);
        let (probe, mut client) = memory(is_text_only);
        text(&probe, "3probe");
        let (poll, _answered) = oneshot::channel();
        assert!(session.offer_poll(poll).is_ok());
        assert!(session.upgrade(&probe).is_some() && !session.is_polling() && probe.has_ended());
        text(&session, "4after");
        let binary: &[&[u8]] = match is_text_only {
            false => &[b"\x82\x03abc", b"\x81\x01d", b"\x82\x01e"],
            true => &[b"\x81\x05bYWJj", b"\x81\x01d", b"\x81\x05bZQ=="],
        };
        let expected =
            [&b"\x81\x063probe"[..], b"\x81\x074before", &binary.concat(), b"\x81\x064after"].concat();
        assert_eq!(take_all(&session, &mut client), expected);
        assert_eq!((session.backlog().bytes(), session.answer_bytes(), session.waiting_bytes()), (0, 0, 0));
    }
}

fn text(outbound: &Outbound, text: &str) {
    outbound.answer_frame(OpCode::Text, Bytes::copy_from_slice(text.as_bytes()));
}

fn polled(bounds: Bounds) -> Outbound {
    Outbound::polled(bounds, lease(), Waker::noop().clone(), None)
}

/// A queue on a wire in memory, and its client.
fn memory(is_text_only: bool) -> (Outbound, crate::connection::host::HostEnd) {
    let (wire, client) = Wire::in_memory();
    wire.open();
    let outbound = Outbound::on_wire(wire, BOUNDS, lease(), None);
    if is_text_only {
        outbound.set_text_only();
    }
    (outbound, client)
}

/// The client takes everything.
fn take_all(outbound: &Outbound, client: &mut crate::connection::host::HostEnd) -> Vec<u8> {
    let mut taken = Vec::new();
    loop {
        let _ = outbound.poll_write(&mut Context::from_waker(Waker::noop()));
        let more = client.taken();
        if more.is_empty() {
            return taken;
        }
        taken.extend(more);
    }
}
