//! WebSocket frames by hand, as little of them as the load needs.

use std::{
    error::Error,
    io::{Read as _, Write as _},
    net::TcpStream as BlockingStream,
};

use mio::net::TcpStream;

/// A connection that has shaken hands at `path`.
pub fn shake_hands(port: u16, path: &str) -> Result<TcpStream, Box<dyn Error>> {
    let mut stream = BlockingStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    if !head.starts_with(b"HTTP/1.1 101 ") {
        return Err(String::from_utf8_lossy(&head).into_owned().into());
    }
    stream.set_nonblocking(true)?;
    Ok(TcpStream::from_std(stream))
}

/// Appends a short text as a client's frame.
pub fn push_text(out: &mut Vec<u8>, text: &[u8]) {
    let len = u8::try_from(text.len()).ok().filter(|len| *len < 126).expect("a short text");
    // A mask of zeros is legal, and leaves the bytes as they are.
    out.extend([0x81, 0x80 | len, 0, 0, 0, 0]);
    out.extend(text);
}

/// The payload of the server's frame that begins at `at`, and where it ends, if it is there whole.
pub fn frame_at(input: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let (start, len) = match *input.get(at + 1)? {
        126 => (at + 4, usize::from(u16::from_be_bytes(*input.get(at + 2..)?.first_chunk()?))),
        len => (at + 2, usize::from(len)),
    };
    Some((input.get(start..start + len)?, start + len))
}
