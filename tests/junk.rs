//! Bodies of any bytes, as anything on the channels of Redis may publish them: nothing panics, and the memory that reading one
//! body takes is bounded by its size.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use bytes::Bytes;
use echoroom::testing::socketio::{Reading, samples};

/// Bodies of each of the random tests. Together they have more than a million.
const BODIES: usize = 260_000;

/// Bytes that a refused body may take beside its own size.
const SMALL: usize = 2048;

/// Times its size that a body may take which is read: each of its rooms and attachments has a place of its own.
const FACTOR: usize = 64;

// ----- what is allocated -----

/// Counts the bytes that a thread has allocated, and their peak.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    let live = LIVE.get() + bytes;
    LIVE.set(live);
    PEAK.set(PEAK.get().max(live));
}

#[allow(unsafe_code, reason = "only an allocator sees what is allocated; it passes every call on as it is")]
// SAFETY: the system's allocator keeps the promises. Counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    // `realloc` is the default: both blocks are there while one is copied, and both are counted.
}

/// Reads a body, and returns whether it was accepted, and the peak of the bytes that this took.
fn measured(reading: Reading, body: &Bytes) -> (bool, usize) {
    // The first clone moves the counter of the owners to the heap, where it stays.
    drop(body.clone());
    let before = LIVE.get();
    PEAK.set(before);
    let is_accepted = reading.accepts(body);
    let peak = PEAK.get() - before;
    assert_eq!(LIVE.get(), before, "all is given back");
    (is_accepted, usize::try_from(peak).unwrap_or_default())
}

/// Checks one body, and returns whether it was accepted.
fn check(reading: Reading, body: &Bytes) -> bool {
    let (is_accepted, peak) = measured(reading, body);
    let allowed = if is_accepted { FACTOR * body.len() } else { body.len() } + SMALL;
    let beginning = &body[..body.len().min(200)];
    assert!(
        peak <= allowed,
        "{reading:?} took {peak} bytes for {} (accepted: {is_accepted}): {beginning:02x?}",
        body.len()
    );
    is_accepted
}

// ----- what is read -----

/// Numbers by a seed (xorshift).
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn byte(&mut self) -> u8 {
        (self.next() >> 24) as u8
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// Reads bodies of one kind by all seeds of a test, and returns how many were accepted.
fn run(seed: u64, mut make: impl FnMut(&mut Rng, &[(Reading, Bytes)]) -> (Reading, Vec<u8>)) -> usize {
    let samples = samples();
    let mut rng = Rng(seed);
    let mut accepted = 0;
    for _ in 0..BODIES {
        let (reading, body) = make(&mut rng, &samples);
        accepted += usize::from(check(reading, &Bytes::from(body)));
    }
    accepted
}

#[test]
fn samples_are_read() {
    let samples = samples();
    assert!(samples.len() > 40);
    for (reading, body) in samples {
        assert!(check(reading, &body), "{reading:?}: {body:?}");
    }
}

#[test]
fn random_bytes_do_no_harm() {
    let accepted = run(1, |rng, _| {
        let len = rng.below(48);
        let mut body: Vec<_> = (0..len).map(|_| rng.byte()).collect();
        // Half of them begin as messages do.
        if len > 0 && rng.below(2) == 0 {
            body[0] = *rng.pick(&[b'{', 0x93, 0x83, 0x84, 0x85, 0xdc, 0xdf]);
        }
        (*rng.pick(&Reading::ALL), body)
    });
    assert!(accepted < BODIES / 100);
}

#[test]
fn truncated_and_mutated_messages_do_no_harm() {
    let accepted = run(2, |rng, samples| {
        let (reading, body) = rng.pick(samples);
        let mut body = body.to_vec();
        for _ in 0..rng.below(4) {
            let at = rng.below(body.len());
            body[at] = rng.byte();
        }
        if rng.below(3) == 0 {
            body.truncate(rng.below(body.len() + 1));
        }
        // What is read as something else is junk too.
        let reading = if rng.below(8) == 0 { *rng.pick(&Reading::ALL) } else { *reading };
        (reading, body)
    });
    assert!((BODIES / 20..BODIES).contains(&accepted), "{accepted}");
}

#[test]
fn spliced_messages_do_no_harm() {
    let accepted = run(3, |rng, samples| {
        let ((reading, one), (_, other)) = (rng.pick(samples), rng.pick(samples));
        let mut body = one[..rng.below(one.len() + 1)].to_vec();
        let from = rng.below(other.len() + 1);
        body.extend_from_slice(&other[from..]);
        if rng.below(2) == 0 {
            let at = rng.below(body.len() + 1);
            let removed = at..(at + rng.below(9)).min(body.len());
            let put: Vec<_> = (0..rng.below(9)).map(|_| rng.byte()).collect();
            body.splice(removed, put);
        }
        (*reading, body)
    });
    assert!(accepted < BODIES);
}

#[test]
fn declared_lengths_and_deep_nesting_do_no_harm() {
    let heads: [&[u8]; 12] = [
        &[0xdd, 0xff, 0xff, 0xff, 0xff],
        &[0xdf, 0xff, 0xff, 0xff, 0xff],
        &[0xdb, 0xff, 0xff, 0xff, 0xff],
        &[0xc6, 0xff, 0xff, 0xff, 0xff],
        &[0xc9, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0xdd, 0x00, 0x10, 0x00, 0x00],
        &[0xdc, 0xff, 0xff],
        &[0xde, 0xff, 0xff],
        &[0xc5, 0x01, 0x00],
        &[0xd9, 0xff],
        &[0x9f],
        &[0x8f],
    ];
    let accepted = run(4, |rng, samples| {
        let (reading, body) = rng.pick(samples);
        let mut body = body.to_vec();
        let at = rng.below(body.len() + 1);
        if rng.below(4) > 0 {
            body.splice(at..at, rng.pick(&heads).iter().copied());
        } else {
            let nested = *rng.pick(&[0x91, 0x81, b'[', b'{']);
            let depth = rng.below(400);
            body.splice(at..at, std::iter::repeat_n(nested, depth));
        }
        (*reading, body)
    });
    assert!(accepted < BODIES / 2, "{accepted}");
}

// ----- large bodies -----

const LARGE: usize = 10_000_000;

/// A broadcast in msgpack whose second argument is this value.
fn broadcast(value: &[u8]) -> Bytes {
    let head = b"\x93\xa1u\x82\xa4type\x02\xa4data\x92\xa1e";
    [head, value, b"\x83\xa5rooms\x90\xa6except\x90\xa5flags\x80"].concat().into()
}

/// The head of a list, a text or bytes with a length of four bytes.
fn head(first: u8, len: usize) -> Vec<u8> {
    [&[first][..], &(len as u32).to_be_bytes()].concat()
}

#[test]
fn large_bodies_that_are_messages_take_a_multiple_of_their_size() {
    let of = |first: u8, part: &[u8], count: usize| [head(first, count), part.repeat(count)].concat();
    let text = of(0xdb, b"x", LARGE);
    let controls = of(0xdb, b"\x01", LARGE / 4);
    let invalid = of(0xdb, b"\xff", LARGE / 4);
    let bytes = of(0xc6, b"\0", LARGE);
    let attachments = of(0xdd, b"\xc4\x00", LARGE / 20);
    let numbers = of(0xdd, b"\x00", LARGE / 10);
    for (body, factor) in
        [(text, 2), (controls, 20), (invalid, 10), (bytes, 1), (attachments, FACTOR), (numbers, 8)]
    {
        let body = broadcast(&body);
        let (is_accepted, peak) = measured(Reading::Broadcast, &body);
        assert!(is_accepted && peak <= factor * body.len() + SMALL, "{peak} bytes for {}", body.len());
    }
    let rooms =
        [b"\x93\xa1u\x82\xa4type\x02\xa4data\x91\xa1e\x81\xa5rooms".to_vec(), of(0xdd, b"\x00", LARGE / 20)];
    assert!(check(Reading::Broadcast, &rooms.concat().into()));
    let sockets = [b"\x82\xa9requestId\xa1r\xa7sockets".to_vec(), of(0xdd, b"\x81\xa2id\x00", LARGE / 50)];
    assert!(check(Reading::Response, &sockets.concat().into()));
    let event = format!(r#"{{"type":6,"data":["e","{}"]}}"#, "x".repeat(LARGE));
    assert!(check(Reading::Request, &event.into()));
}

#[test]
fn large_bodies_that_are_junk_take_no_more_than_their_size() {
    let repeated =
        |first: &[u8], part: &[u8]| Bytes::from([first, &part.repeat(LARGE / part.len())].concat());
    let bodies = [
        repeated(b"", b"\x91"),
        repeated(b"{", b"["),
        repeated(b"{\"a\":", b"{\"a\":"),
        repeated(b"{\"", b"\\u0061"),
        repeated(b"", b"A"),
        repeated(b"\x93", b"\xc4\x00"),
        repeated(b"\xdd\xff\xff\xff\xff", b"\x00"),
        repeated(b"\xdb\xff\xff\xff\xff", b"\xff"),
        broadcast(&[head(0xdb, LARGE), b"x".repeat(LARGE / 2)].concat()),
    ];
    for body in bodies {
        for reading in Reading::ALL {
            assert!(!check(reading, &body), "{reading:?}: {:02x?}", &body[..8]);
        }
    }
}
