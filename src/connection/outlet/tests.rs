use actix_web::rt;

use super::*;
use crate::connection::Budget;

/// A lease of a budget that does not matter.
fn lease() -> Lease {
    Lease::new(Budget::new(1 << 20))
}

/// Notes that the socket has taken `bytes` more.
fn take(outbox: &Outbox, bytes: usize) {
    let queue = &mut *outbox.0.borrow_mut();
    queue.flush_tail();
    queue.take_written(bytes);
}

/// Writes everything, and returns the `bytes` bytes that come.
async fn written(outbox: &Outbox, client: &mut std::net::TcpStream, bytes: usize) -> Vec<u8> {
    use std::io::Read as _;
    write_all(outbox).await;
    assert!(!outbox.has_waiting());
    let mut came = vec![0; bytes];
    client.read_exact(&mut came).expect("it has come");
    came
}

#[actix_web::test]
async fn answers_and_deliveries_leave_in_the_order_they_came() {
    let (outbox, mut client) = wired().await;
    outbox.answer_frame(OpCode::Text, Bytes::from_static(b"a"));
    outbox.answer_frame(OpCode::Text, Bytes::from_static(b"b"));
    outbox.waiting().add(1);
    outbox.deliver(&[Bytes::from_static(b"D")]);
    outbox.answer_frame(OpCode::Binary, Bytes::from(vec![7; COPY_BELOW]));
    outbox.answer_frame(OpCode::Text, Bytes::from_static(b"c"));
    let expected =
        [&b"\x81\x01a\x81\x01b"[..], b"D", b"\x82\x7e\x08\x00", &[7; COPY_BELOW], b"\x81\x01c"].concat();
    assert_eq!(written(&outbox, &mut client, expected.len()).await, expected);
}

#[actix_web::test]
async fn a_frame_that_has_begun_is_finished_when_the_rest_is_dropped() {
    let (outbox, mut client) = wired().await;
    outbox.answer_frame(OpCode::Binary, Bytes::from(vec![7; COPY_BELOW]));
    outbox.answer_frame(OpCode::Binary, Bytes::from(vec![8; COPY_BELOW]));
    take(&outbox, 4);
    outbox.clear();
    assert_eq!(outbox.answer_bytes(), 0, "the rest of a frame counts as gone");
    outbox.answer_frame(OpCode::Close, Bytes::new());
    let expected = [&[7; COPY_BELOW][..], b"\x88\x00"].concat();
    assert_eq!(written(&outbox, &mut client, expected.len()).await, expected);
    assert_eq!(outbox.answer_bytes(), 0);
}

#[actix_web::test]
async fn what_has_left_or_was_dropped_is_no_longer_counted() {
    let (outbox, _client) = wired().await;
    outbox.answer_frame(OpCode::Text, Bytes::from_static(b"abc"));
    outbox.answer_frame(OpCode::Text, Bytes::from(vec![b'x'; 5000]));
    outbox.waiting().add(10);
    outbox.deliver(&[Bytes::from_static(b"0123456789")]);
    assert_eq!((outbox.answer_bytes(), outbox.waiting().bytes()), (5 + 5004, 10));
    take(&outbox, 5 + 4);
    assert_eq!(outbox.answer_bytes(), 5000);
    take(&outbox, 5000);
    outbox.clear();
    assert_eq!((outbox.answer_bytes(), outbox.waiting().bytes()), (0, 0));
}

/// An outbox with a wire, and the client's end of it.
async fn wired() -> (Outbox, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let client = std::net::TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
    let (stream, _) = listener.accept().expect("connected");
    stream.set_nonblocking(true).expect("nonblocking");
    socket2::SockRef::from(&stream).set_send_buffer_size(16 * 1024).expect("a small buffer");
    let stream = rt::net::TcpStream::from_std(stream).expect("in a runtime");
    let wire = Wire::new(stream).expect("connected");
    wire.open();
    poll_fn(|cx| wire.poll_writable(cx)).await.expect("connected");
    (Outbox::new(wire, lease(), IntCounter::new("bytes", "bytes").expect("a legal name")), client)
}

async fn write_all(outbox: &Outbox) {
    poll_fn(|cx| outbox.poll_write(cx)).await.expect("written");
}

#[actix_web::test]
async fn what_is_delivered_directly_is_written_at_once_and_not_counted() {
    use std::io::Read as _;
    let (outbox, mut client) = wired().await;
    let outlet = outbox.direct();
    assert_eq!(
        outlet.deliver(&[Bytes::from_static(b"one"), Bytes::from_static(b"two")], 6, false),
        Direct::Taken
    );
    assert_eq!((outbox.has_waiting(), outbox.waiting().bytes()), (false, 0));
    let mut came = [0; 6];
    client.read_exact(&mut came).expect("it has come");
    assert_eq!(&came, b"onetwo");
}

#[actix_web::test]
async fn what_is_delivered_directly_overtakes_neither_mail_nor_answers() {
    use std::io::Read as _;
    let (outbox, mut client) = wired().await;
    let outlet = outbox.direct();
    outlet.note_mail();
    assert_eq!(outlet.deliver(&[Bytes::from_static(b"late")], 4, false), Direct::BehindMail);
    outbox.take_mail();
    outbox.answer(|out| out.extend_from_slice(b"answer "));
    assert_eq!(outlet.deliver(&[Bytes::from_static(b"delivery")], 8, false), Direct::Taken);
    assert_eq!(outbox.waiting().bytes(), 8, "it waits behind the answer");
    write_all(&outbox).await;
    assert_eq!((outbox.answer_bytes(), outbox.waiting().bytes()), (0, 0));
    let mut came = [0; 15];
    client.read_exact(&mut came).expect("it has come");
    assert_eq!(&came, b"answer delivery");
    outbox.end();
    assert_eq!(outlet.deliver(&[Bytes::from_static(b"behind the end")], 14, false), Direct::Gone);
    assert_eq!((outbox.has_waiting(), outbox.waiting().bytes()), (false, 0));
}

#[actix_web::test]
async fn what_a_full_socket_has_begun_ends_with_its_frame_and_the_counts_hold() {
    use std::io::Read as _;
    for size in [100, 3_000, 70_000] {
        for large_answers in [false, true] {
            let (outbox, mut client) = wired().await;
            let outlet = outbox.direct();
            let mut frame = BytesMut::new();
            frame::write(&mut frame, OpCode::Text, &vec![b'x'; size]);
            let frames = vec![frame.freeze(); 8];
            let bytes: usize = frames.iter().map(Bytes::len).sum();
            let mut cx = Context::from_waker(Waker::noop());
            // Until the socket is full.
            while !outbox.has_waiting() {
                if large_answers {
                    outbox.answer_frame(OpCode::Text, Bytes::from(vec![b'x'; size]));
                    let _ = outbox.poll_write(&mut cx);
                } else {
                    assert_eq!(outlet.deliver(&frames, bytes, false), Direct::Taken);
                }
            }
            outbox.clear();
            assert_eq!((outbox.answer_bytes(), outbox.waiting().bytes()), (0, 0));
            outbox.answer_frame(OpCode::Close, Bytes::new());
            let reader = std::thread::spawn(move || {
                let mut came = Vec::new();
                client.read_to_end(&mut came).expect("an end");
                came
            });
            write_all(&outbox).await;
            assert!(!outbox.has_waiting());
            drop((outbox, outlet));
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
async fn a_socket_that_takes_nothing_is_left_with_so_many_pieces_however_small() {
    let (outbox, _client) = wired().await;
    let outlet = outbox.direct();
    let frame = [Bytes::from_static(b"\x81\x01x")];
    let full = (0..10_000_000).find(|_| outlet.deliver(&frame, 3, false) == Direct::Full);
    assert!(full.is_some(), "never full");
    assert_eq!(outbox.waiting().bytes(), 3 * (MAX_WAITING_PIECES + 1));
}

#[actix_web::test]
async fn many_frames_that_are_written_in_part_without_memory_for_the_rest_end_the_session() {
    let (wire, mut client) = Wire::in_memory();
    wire.open();
    let outbox = Outbox::new(wire, Lease::new(Budget::new(1)), None);
    let frames = vec![Bytes::from(vec![b'x'; 20_000]); 60];
    outbox.deliver_now(&frames, 60 * 20_000);
    assert!(outbox.is_refused() && outbox.taken_bytes() > 20_000, "more than one frame was written at once");
    let mut cx = Context::from_waker(Waker::noop());
    let mut came = 0;
    while outbox.has_waiting() {
        came += client.taken().len();
        let _ = outbox.poll_write(&mut cx);
    }
    came += client.taken().len();
    assert_eq!((came, outbox.taken_bytes(), outbox.waiting().bytes()), (60 * 20_000, 60 * 20_000, 0));
}
