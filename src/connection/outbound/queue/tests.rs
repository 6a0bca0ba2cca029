use super::*;

fn queue() -> Queue {
    Queue::new(Backlog::new(usize::MAX))
}

fn frame(opcode: OpCode, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    frame::write(&mut out, opcode, payload);
    out.freeze()
}

fn text(queue: &mut Queue, text: &[u8]) {
    queue.push_frame(Kind::Answer, OpCode::Text, Bytes::copy_from_slice(text));
}

/// Takes what waits as a socket would, `step` bytes at a time.
fn taken(queue: &mut Queue, step: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while !queue.is_empty() {
        let bytes = match queue.unwritten() {
            Unwritten::One(bytes) => bytes.to_vec(),
            Unwritten::Many(slices) => slices.iter().flat_map(|slice| slice.to_vec()).collect(),
        };
        let written = step.min(bytes.len());
        out.extend(&bytes[..written]);
        queue.advance(written);
    }
    assert_eq!((queue.bytes(), queue.answers(), queue.memory(), queue.backlog().bytes()), (0, 0, 0, 0));
    out
}

#[test]
fn answers_and_deliveries_leave_in_the_order_they_came() {
    for step in [1, 7, 1 << 20] {
        let mut queue = queue();
        text(&mut queue, b"a");
        text(&mut queue, b"b");
        queue.push_delivery(&[Bytes::from_static(b"\x81\x01D")], false);
        queue.push_frame(Kind::Answer, OpCode::Binary, Bytes::from(vec![7; COPY_BELOW]));
        queue.push_missed(OpCode::Text, Bytes::from_static(b"m"));
        text(&mut queue, b"c");
        let expected =
            [&b"\x81\x01a\x81\x01b\x81\x01D\x82\x7e\x08\x00"[..], &[7; COPY_BELOW], b"\x81\x01m\x81\x01c"];
        assert_eq!(taken(&mut queue, step), expected.concat());
    }
}

#[test]
fn each_kind_is_counted_until_it_is_written() {
    let mut queue = queue();
    text(&mut queue, b"abc");
    text(&mut queue, &vec![b'x'; 5000]);
    queue.push_delivery(&[frame(OpCode::Text, b"12345678")], false);
    queue.push_missed(OpCode::Text, Bytes::from_static(b"m"));
    assert_eq!((queue.answers(), queue.bytes()), (5 + 5004, 5 + 5004 + 10 + 3));
    assert_eq!(queue.backlog().bytes(), 10 + PIECE_BYTES);
    assert_eq!(queue.advance(5 + 4 + 1000), 5 + 4 + 1000);
    assert_eq!((queue.answers(), queue.bytes()), (4000, 4000 + 10 + 3));
    assert_eq!(queue.advance(4000 + 4), 4000);
    assert_eq!((queue.answers(), queue.backlog().bytes()), (0, 6 + PIECE_BYTES));
    queue.drop_all();
    assert_eq!((queue.bytes(), queue.memory(), queue.backlog().bytes()), (0, 0, 0));
}

#[test]
fn a_frame_that_has_begun_is_finished_when_the_rest_is_dropped() {
    let large = vec![7; COPY_BELOW];
    let whole = [&b"\x82\x7e\x08\x00"[..], &large].concat();
    for written in 0..whole.len() + 3 {
        let mut queue = queue();
        queue.push_frame(Kind::Answer, OpCode::Binary, large.clone().into());
        text(&mut queue, b"a");
        queue.push_delivery(&[frame(OpCode::Text, b"b")], false);
        queue.advance(written);
        queue.clear();
        assert_eq!((queue.answers(), queue.backlog().bytes()), (0, 0), "the rest of a frame counts as gone");
        // Twice: the rest of a frame is kept again.
        queue.clear();
        text(&mut queue, b"z");
        let rest: &[u8] = match written {
            0 => b"",
            written if written <= whole.len() => &whole[written..],
            written => &b"\x81\x01a"[written - whole.len()..],
        };
        assert_eq!(taken(&mut queue, 100), [rest, b"\x81\x01z"].concat(), "{written} bytes were written");
    }
}

#[test]
fn what_goes_first_goes_behind_the_frame_that_has_begun() {
    let deliveries = [
        frame(OpCode::Text, b"one"),
        [frame(OpCode::Text, b"two"), frame(OpCode::Text, b"three")].concat().into(),
    ];
    let all =
        [&b"\x81\x02ab"[..], &deliveries.concat(), b"\x81\x7e\x08\x00", &[b'x'; COPY_BELOW], b"\x81\x01c"]
            .concat();
    let ends = [4, 9, 14, 21, 21 + 4 + COPY_BELOW, all.len()];
    for written in 0..all.len() {
        let mut queue = queue();
        text(&mut queue, b"ab");
        queue.push_delivery(&deliveries, false);
        text(&mut queue, &[b'x'; COPY_BELOW]);
        text(&mut queue, b"c");
        queue.advance(written);
        queue.push_first(OpCode::Text, b"2");
        let at = if written == 0 { 0 } else { *ends.iter().find(|end| **end >= written).expect("an end") };
        let expected = [&all[written..at], b"\x81\x012", &all[at..]].concat();
        assert_eq!(taken(&mut queue, 50), expected, "{written} bytes were written");
    }
}

#[test]
fn what_goes_first_does_not_go_between_an_event_and_its_attachments() {
    for attachment in [frame(OpCode::Binary, b"abc"), frame(OpCode::Text, b"bYWJj")] {
        let mut queue = queue();
        let event = frame(OpCode::Text, b"452-[\"x\"]");
        let frames: Bytes =
            [event.clone(), attachment.clone(), attachment.clone(), frame(OpCode::Text, b"42")]
                .concat()
                .into();
        queue.push_delivery(std::slice::from_ref(&frames), false);
        queue.advance(event.len());
        queue.push_first(OpCode::Text, b"2");
        let at = event.len() + 2 * attachment.len();
        assert_eq!(taken(&mut queue, 100), [&frames[event.len()..at], b"\x81\x012", &frames[at..]].concat());
    }
}

#[test]
fn a_poll_takes_sixteen_packets_or_so_many_bytes_of_all_kinds() {
    let mut queue = queue();
    for number in 0..20 {
        text(&mut queue, format!("4{number}").as_bytes());
    }
    assert!(!queue.has_fewer_frames_than(20) && queue.has_fewer_frames_than(21));
    let payload = queue.take_packets(16, 1000).expect("packets");
    assert_eq!(payload.split(engineio::SEPARATOR).count(), 16);
    text(&mut queue, &[b'4'; 600]);
    queue.push_delivery(
        &[[frame(OpCode::Binary, &[0; 600]), frame(OpCode::Text, b"4d")].concat().into()],
        false,
    );
    queue.push_missed(OpCode::Text, vec![b'4'; COPY_BELOW].into());
    assert_eq!(queue.take_packets(16, 1000).expect("packets").split(engineio::SEPARATOR).count(), 5);
    assert!(queue.take_packets(16, 100).expect("a packet").starts_with('b'), "one at least, however large");
    assert_eq!(queue.take_packets(16, 100).as_deref(), Some("4d"));
    assert_eq!(queue.take_packets(16, 1).map(|payload| payload.len()), Some(COPY_BELOW));
    assert_eq!(queue.take_packets(16, 1000), None);
    assert_eq!((queue.bytes(), queue.answers(), queue.memory(), queue.backlog().bytes()), (0, 0, 0, 0));
}

#[test]
fn a_ping_overtakes_what_a_polling_client_has_not_taken() {
    let mut queue = queue();
    text(&mut queue, b"451-[\"x\",{\"_placeholder\":true,\"num\":0}]");
    queue.push_frame(Kind::Answer, OpCode::Binary, Bytes::from_static(b"abc"));
    text(&mut queue, b"42[\"y\"]");
    assert_eq!(queue.take_packets(16, 1).as_deref(), Some("451-[\"x\",{\"_placeholder\":true,\"num\":0}]"));
    queue.push_first(OpCode::Text, b"2");
    assert_eq!(queue.take_packets(16, 100).as_deref(), Some("bYWJj\u{1E}2\u{1E}42[\"y\"]"));
}

#[test]
fn many_small_frames_are_few_pieces_and_all_of_them_leave() {
    let mut queue = queue();
    for _ in 0..100_000 {
        queue.push_missed(OpCode::Text, Bytes::from_static(b"0123456789"));
    }
    assert_eq!((queue.bytes(), queue.answers()), (1_200_000, 0));
    assert!(queue.memory() < 1_200_000 + 20 * PIECE_BYTES);
    assert_eq!(taken(&mut queue, 100_000).len(), 1_200_000);
}

#[test]
fn behind_what_a_client_missed_may_wait_as_many_bytes_of_its_rooms() {
    let mut queue = queue();
    for _ in 0..10 {
        queue.push_missed(OpCode::Text, vec![b'm'; 1000].into());
    }
    let live = frame(OpCode::Text, &[b'x'; 1000]);
    let speak = |queue: &mut Queue| queue.push_delivery(std::slice::from_ref(&live), false);
    for _ in 0..10 {
        speak(&mut queue);
    }
    assert_eq!(queue.backlog().bytes(), 0);
    // A client that reads on is never behind.
    for _ in 0..100 {
        queue.advance(live.len());
        speak(&mut queue);
    }
    assert_eq!(queue.backlog().bytes(), 0);
    speak(&mut queue);
    assert_eq!(queue.backlog().bytes(), live.len() + PIECE_BYTES, "it has stopped");
    queue.advance(queue.bytes());
    speak(&mut queue);
    assert_eq!(queue.backlog().bytes(), live.len() + PIECE_BYTES, "it has read all that it missed");
}

#[test]
fn what_a_client_missed_is_charged_to_it_only_where_it_is_copied() {
    let mut queue = queue();
    queue.push_missed(OpCode::Text, vec![b'm'; 1_000_000].into());
    queue.push_missed(OpCode::Text, Bytes::from_static(b"small"));
    assert!(queue.memory() < 1000 && queue.bytes() > 1_000_000);
}

/// A queue of which a poll has taken sixteen of twenty small packets, which were one piece.
fn taken_in_part() -> Queue {
    let mut queue = queue();
    for number in 0..20 {
        text(&mut queue, format!("4{number}").as_bytes());
    }
    assert!(queue.take_packets(16, 1000).is_some_and(|payload| payload.ends_with("415")));
    queue
}

#[test]
fn a_ping_behind_a_poll_that_took_a_part_comes_first_and_the_rest_behind_it() {
    let mut queue = taken_in_part();
    queue.push_first(OpCode::Text, b"2");
    assert_eq!(queue.take_packets(16, 1000).as_deref(), Some("2\u{1E}416\u{1E}417\u{1E}418\u{1E}419"));
    assert_eq!(taken(&mut queue, 100), b"");
}

#[test]
fn an_upgrade_behind_a_poll_that_took_a_part_sends_the_rest_once() {
    let rest = b"\x81\x03416\x81\x03417\x81\x03418\x81\x03419";
    for has_probe in [false, true] {
        for is_text_only in [false, true] {
            for has_ping in [false, true] {
                let mut queue = taken_in_part();
                let mut former = self::queue();
                if has_ping {
                    queue.push_first(OpCode::Text, b"2");
                }
                if has_probe {
                    text(&mut former, b"3probe");
                }
                if is_text_only {
                    queue.make_text_only();
                }
                queue.go_behind(former);
                let probe: &[u8] = if has_probe { b"\x81\x063probe" } else { b"" };
                let ping: &[u8] = if has_ping { b"\x81\x012" } else { b"" };
                assert_eq!(taken(&mut queue, 7), [probe, ping, rest].concat());
            }
        }
    }
}

#[test]
fn a_client_that_reads_nothing_gains_no_room_by_coming_back_again_and_again() {
    let mut queue = queue();
    queue.push_missed(OpCode::Text, vec![b'm'; 1000].into());
    let live = frame(OpCode::Text, &[b'x'; 100]);
    for _ in 0..100 {
        queue.push_missed(OpCode::Text, Bytes::from_static(b"m"));
        for _ in 0..10 {
            queue.push_delivery(std::slice::from_ref(&live), false);
        }
    }
    let room: usize = 2 * (1004 + 100 * 3);
    let uncounted = room.div_ceil(live.len());
    assert!(queue.backlog().bytes() >= (1000 - uncounted) * (live.len() + PIECE_BYTES));
}
