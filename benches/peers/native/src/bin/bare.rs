//! The lower bound: a plain session of Echoroom and its echo on a bare epoll loop, as a careful C programmer
//! would write it. It has no framework and no WebSocket library, and it lacks what a public server needs:
//! limits, UTF-8 checks, timers, fragments, backpressure, a journal.
//!
//! Its cost is mostly the kernel's: one read for each ready socket, frames parsed and unmasked in place, and
//! one write for each session and turn of the loop, whatever the number of lines in the turn.

use std::{
    error::Error,
    io::{self, ErrorKind, IoSlice, Read as _, Write as _},
    mem,
    net::{Ipv4Addr, TcpListener, TcpStream},
    ops::Range,
    os::fd::{AsRawFd as _, RawFd},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use echoroom_bench_peers::start;
use sha1::{Digest as _, Sha1};

const READ_BUFFER: usize = 256 * 1024;
const EVENTS: usize = 1024;
const BACKLOG: i32 = 4096;
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Keeps sums of lengths from overflowing.
const LARGEST_PAYLOAD: u64 = 1 << 30;

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The connection is over: its client left, failed, or sent something unsupported.
struct Gone;

#[derive(Clone, Copy, PartialEq)]
enum Door {
    Handshake,
    Echo,
    Room,
}

struct Connection {
    stream: TcpStream,
    door: Door,
    /// The start of an incomplete frame; no allocation if there is none.
    input: Vec<u8>,
    /// Bytes that the socket did not take, from `sent` on.
    output: Vec<u8>,
    sent: usize,
    /// Index in the room's list.
    seat: usize,
    /// Its lines of this turn and the position of their replies. A socket is read once per turn, so each is
    /// one range of the turn's buffers.
    own: Option<(Range<usize>, Range<usize>)>,
    /// Closed at the end of the turn, so that its descriptor is not reused within the turn.
    gone: bool,
}

/// The frames of one turn of the loop.
struct Turn {
    /// Replies to the current session at the echo door.
    echoes: Vec<u8>,
    /// Lines of all sessions in the room, and the replies to them.
    lines: Vec<u8>,
    answers: Vec<u8>,
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn control(poll: RawFd, operation: i32, fd: RawFd, events: i32) -> io::Result<()> {
    let mut event = libc::epoll_event { events: events as u32, u64: fd as u64 };
    // SAFETY: the kernel copies the event during the call.
    check(unsafe { libc::epoll_ctl(poll, operation, fd, &mut event) }).map(drop)
}

/// Result of a call on a socket; `None` if it would block.
fn done(result: io::Result<usize>) -> Result<Option<usize>, Gone> {
    match result {
        Ok(count) => Ok(Some(count)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        Err(_) => Err(Gone),
    }
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        let (door, input, output) = (Door::Handshake, Vec::new(), Vec::new());
        Self { stream, door, input, output, sent: 0, seat: 0, own: None, gone: false }
    }

    /// Reads once and replies. Lines to the room and replies in the room are appended to `turn`.
    fn read(&mut self, buffer: &mut [u8], turn: &mut Turn, poll: RawFd) -> Result<(), Gone> {
        let count = match done(self.stream.read(buffer))? {
            None => return Ok(()),
            Some(0) => return Err(Gone),
            Some(count) => count,
        };
        let mut kept = mem::take(&mut self.input);
        let whole = kept.is_empty();
        if !whole {
            kept.extend_from_slice(&buffer[..count]);
        }
        let data = if whole { &mut buffer[..count] } else { &mut kept[..] };
        let mut used = 0;
        if self.door == Door::Handshake {
            let Some(length) = data.windows(4).position(|window| window == b"\r\n\r\n") else {
                self.input = if whole { data.to_vec() } else { kept };
                return Ok(());
            };
            let (door, response) = shake_hands(&data[..length]).ok_or(Gone)?;
            self.door = door;
            used = length + 4;
            self.send(&[&response], poll)?;
        }
        let starts = (turn.lines.len(), turn.answers.len());
        let result = answer(self.door, data, &mut used, turn);
        if used < data.len() {
            self.input = if whole {
                data[used..].to_vec()
            } else {
                kept.drain(..used);
                kept
            };
        }
        if starts != (turn.lines.len(), turn.answers.len()) {
            self.own = Some((starts.0..turn.lines.len(), starts.1..turn.answers.len()));
        }
        if !turn.echoes.is_empty() {
            let sent = self.send(&[&turn.echoes], poll);
            turn.echoes.clear();
            sent?;
        }
        result
    }

    /// Writes all pieces in one call and keeps what the socket does not take.
    fn send(&mut self, pieces: &[&[u8]], poll: RawFd) -> Result<(), Gone> {
        let mut written = 0;
        let waiting = !self.output.is_empty();
        if !waiting {
            let mut slices = [IoSlice::new(b""); 3];
            for (slice, piece) in slices.iter_mut().zip(pieces) {
                *slice = IoSlice::new(piece);
            }
            // A plain write is cheaper for a single piece.
            written = match pieces {
                [piece] => done(self.stream.write(piece)),
                _ => done(self.stream.write_vectored(&slices)),
            }?
            .unwrap_or(0);
        }
        for piece in pieces {
            let from = written.min(piece.len());
            written -= from;
            self.output.extend_from_slice(&piece[from..]);
        }
        if !waiting && !self.output.is_empty() {
            self.wait_for(libc::EPOLLIN | libc::EPOLLOUT, poll)?;
        }
        Ok(())
    }

    /// Writes the kept bytes.
    fn flush(&mut self, poll: RawFd) -> Result<(), Gone> {
        self.sent += done(self.stream.write(&self.output[self.sent..]))?.unwrap_or(0);
        if self.sent == self.output.len() {
            (self.output, self.sent) = (Vec::new(), 0);
            self.wait_for(libc::EPOLLIN, poll)?;
        }
        Ok(())
    }

    fn wait_for(&self, events: i32, poll: RawFd) -> Result<(), Gone> {
        control(poll, libc::EPOLL_CTL_MOD, self.stream.as_raw_fd(), events).map_err(|_| Gone)
    }
}

/// The door of a request, and the response that opens it.
fn shake_hands(request: &[u8]) -> Option<(Door, Vec<u8>)> {
    let mut lines = str::from_utf8(request).ok()?.split("\r\n");
    let path = lines.next()?.strip_prefix("GET ")?.split([' ', '?']).next()?;
    let key = lines
        .filter_map(|line| line.split_once(':'))
        .find_map(|(name, value)| name.eq_ignore_ascii_case("sec-websocket-key").then_some(value.trim()))?;
    let accept = STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize());
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: \
         {accept}\r\n\r\n"
    );
    Some((if path == "/echo" { Door::Echo } else { Door::Room }, response.into_bytes()))
}

/// Replies to all complete frames of `data`; lines to the room go to their own buffer.
fn answer(door: Door, data: &mut [u8], used: &mut usize, turn: &mut Turn) -> Result<(), Gone> {
    let replies = if door == Door::Room { &mut turn.answers } else { &mut turn.echoes };
    while let Some((opcode, payload)) = frame(data, used)? {
        match (opcode, door) {
            (TEXT, Door::Room) => {
                encode(TEXT, payload, b"", &mut turn.lines);
                payload.make_ascii_uppercase();
                encode(TEXT, payload, b"!!!", replies);
            }
            (TEXT | BINARY, Door::Echo) => encode(opcode, payload, b"", replies),
            (PING, _) => encode(PONG, payload, b"", replies),
            (CLOSE, _) => {
                encode(CLOSE, payload, b"", replies);
                return Err(Gone);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Opcode and payload of the next complete frame, unmasked in place.
fn frame<'d>(data: &'d mut [u8], used: &mut usize) -> Result<Option<(u8, &'d mut [u8])>, Gone> {
    let data = &mut data[*used..];
    let [first, second, ..] = *data else { return Ok(None) };
    // Only unfragmented messages without extensions, and clients must mask.
    if first & 0xf0 != 0x80 || second & 0x80 == 0 || first & 0x0f == 0 {
        return Err(Gone);
    }
    let (extended, short) = match second & 0x7f {
        126 => (2, 0),
        127 => (8, 0),
        length => (0, length),
    };
    let Some(number) = data.get(2..2 + extended) else { return Ok(None) };
    let length = number.iter().fold(u64::from(short), |length, byte| length << 8 | u64::from(*byte));
    if length > LARGEST_PAYLOAD {
        return Err(Gone);
    }
    let start = 2 + extended + 4;
    let end = start + length as usize;
    if data.len() < end {
        return Ok(None);
    }
    let (header, payload) = data[..end].split_at_mut(start);
    let mask = *header.last_chunk::<4>().ok_or(Gone)?;
    // Unmask whole chunks as numbers, which the compiler vectorizes.
    let (words, rest) = payload.as_chunks_mut::<4>();
    let number = u32::from_ne_bytes(mask);
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ number).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask) {
        *byte ^= key;
    }
    *used += end;
    Ok(Some((first & 0x0f, payload)))
}

/// Appends one server frame.
fn encode(opcode: u8, payload: &[u8], suffix: &[u8], out: &mut Vec<u8>) {
    let length = payload.len() + suffix.len();
    out.push(0x80 | opcode);
    match length {
        0..126 => out.push(length as u8),
        126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
    out.extend_from_slice(suffix);
}

fn main() -> Result<(), Box<dyn Error>> {
    let port = start()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    let listener_fd = listener.as_raw_fd();
    // SAFETY: no memory is passed. A second `listen` only sets the backlog, for which std has no argument.
    check(unsafe { libc::listen(listener_fd, BACKLOG) })?;
    // SAFETY: no memory is passed.
    let poll = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    control(poll, libc::EPOLL_CTL_ADD, listener_fd, libc::EPOLLIN)?;
    println!("listening on http://localhost:{port}");

    // Indexed by file descriptor.
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut room: Vec<usize> = Vec::new();
    let mut gone: Vec<usize> = Vec::new();
    let mut turn = Turn { echoes: Vec::new(), lines: Vec::new(), answers: Vec::new() };
    let mut buffer = vec![0; READ_BUFFER];
    let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS];
    loop {
        // SAFETY: the kernel writes at most `EVENTS` events, the length of the vector.
        let ready = match check(unsafe { libc::epoll_wait(poll, events.as_mut_ptr(), EVENTS as i32, -1) }) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            ready => ready? as usize,
        };
        for event in &events[..ready] {
            let fd = event.u64 as usize;
            if fd == listener_fd as usize {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    let fd = stream.as_raw_fd();
                    control(poll, libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN)?;
                    connections.resize_with(connections.len().max(fd as usize + 1), || None);
                    connections[fd as usize] = Some(Connection::new(stream));
                }
                continue;
            }
            let Some(connection) = connections[fd].as_mut() else { continue };
            let before = connection.door;
            let mut result = Ok(());
            if event.events & libc::EPOLLOUT as u32 != 0 {
                result = connection.flush(poll);
            }
            if result.is_ok() && event.events & !(libc::EPOLLOUT as u32) != 0 {
                result = connection.read(&mut buffer, &mut turn, poll);
            }
            if before == Door::Handshake && connection.door == Door::Room {
                connection.seat = room.len();
                room.push(fd);
            }
            if result.is_err() {
                connection.gone = true;
                gone.push(fd);
            }
        }

        if !turn.lines.is_empty() || !turn.answers.is_empty() {
            for &fd in &room {
                let connection = connections[fd].as_mut().expect("who is in the room is connected");
                let own = connection.own.take();
                let result = match own {
                    // The last reply may be that of a closing handshake, after which nothing may follow.
                    Some((lines, answers)) => {
                        let rest = if connection.gone { &[] } else { &turn.lines[lines.end..] };
                        let pieces = [&turn.lines[..lines.start], &turn.answers[answers], rest];
                        connection.send(&pieces, poll)
                    }
                    None if connection.gone || turn.lines.is_empty() => Ok(()),
                    None => connection.send(&[&turn.lines], poll),
                };
                if result.is_err() && !mem::replace(&mut connection.gone, true) {
                    gone.push(fd);
                }
            }
            turn.lines.clear();
            turn.answers.clear();
        }
        for fd in gone.drain(..) {
            let Some(connection) = connections[fd].take() else { continue };
            if connection.door == Door::Room {
                room.swap_remove(connection.seat);
                let moved = room.get(connection.seat).and_then(|&fd| connections[fd].as_mut());
                if let Some(moved) = moved {
                    moved.seat = connection.seat;
                }
            }
        }
    }
}
