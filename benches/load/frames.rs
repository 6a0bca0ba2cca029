//! WebSocket frames without a library, only as far as the load needs them.

use std::{
    error::Error,
    io::{Read as _, Write as _},
    net::TcpStream as BlockingStream,
};

use mio::net::TcpStream;

/// First byte of an unfragmented text frame.
pub const TEXT: u8 = 0x81;

/// Opens a connection and performs the handshake at `path`.
pub fn shake_hands(port: u16, path: &str) -> Result<TcpStream, Box<dyn Error>> {
    let mut all = shake_all_hands(port, path, 1)?;
    Ok(all.remove(0))
}

/// Opens `count` connections whose handshakes at `path` run in parallel.
pub fn shake_all_hands(port: u16, path: &str, count: usize) -> Result<Vec<TcpStream>, Box<dyn Error>> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let mut streams = Vec::new();
    for _ in 0..count {
        let mut stream = BlockingStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.write_all(request.as_bytes())?;
        streams.push(stream);
    }
    streams.into_iter().map(read_head).collect()
}

/// Reads the response to a handshake, and no byte after it.
fn read_head(mut stream: BlockingStream) -> Result<TcpStream, Box<dyn Error>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        // Frames may follow the response; peek, so that they stay in the socket.
        let mut peeked = [0; 1024];
        let count = stream.peek(&mut peeked)?;
        if count == 0 {
            return Err("the server closed a connection that shakes hands".into());
        }
        let end = peeked[..count].windows(4).position(|end| end == b"\r\n\r\n").map_or(count, |at| at + 4);
        stream.read_exact(&mut peeked[..end])?;
        head.extend_from_slice(&peeked[..end]);
    }
    if !head.starts_with(b"HTTP/1.1 101 ") {
        return Err(String::from_utf8_lossy(&head).into_owned().into());
    }
    stream.set_nonblocking(true)?;
    Ok(TcpStream::from_std(stream))
}

/// Appends a text as a client's frame.
pub fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    out.push(TEXT);
    match u16::try_from(text.len()).expect("a text that the load sends") {
        len @ 0..126 => out.push(0x80 | len as u8),
        len => {
            out.push(0x80 | 126);
            out.extend(len.to_be_bytes());
        }
    }
    // A mask of zeros is legal and leaves the payload unchanged.
    out.extend([0; 4]);
    out.extend(text);
}

/// The payload of the server's frame at `at`, and the frame's end; `None` if it is incomplete.
pub fn frame_at(input: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let (start, len) = match *input.get(at + 1)? {
        126 => (at + 4, usize::from(u16::from_be_bytes(*input.get(at + 2..)?.first_chunk()?))),
        len => (at + 2, usize::from(len)),
    };
    Some((input.get(start..start + len)?, start + len))
}
