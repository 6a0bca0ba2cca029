//! HTTP long-polling without a library: one connection always has an open poll; the other posts one payload
//! at a time.

use std::{
    error::Error,
    io::{Read as _, Write as _},
    net::TcpStream as BlockingStream,
};

use mio::{Interest, Registry, Token, net::TcpStream};

use crate::engineio::{PONG, Take, is_ping, read_some};

/// Separates the packets of a payload.
const SEPARATOR: u8 = 0x1e;

/// One polling client.
pub struct Polling {
    port: u16,
    /// Token of the connection for polls. The connection for posts has the next number.
    token: Token,
    /// The request target of the session.
    target: String,
    poll: Http,
    post: Option<Http>,
    is_posting: bool,
    /// Packets for the next post.
    output: Vec<u8>,
}

/// A connection and the received part of a response.
struct Http {
    stream: TcpStream,
    input: Vec<u8>,
}

impl Polling {
    /// Performs the handshake and opens the first poll.
    pub fn open(port: u16, index: usize, registry: &Registry) -> Result<Self, Box<dyn Error>> {
        let mut stream = connect(port)?;
        let target = "/socket.io/?EIO=4&transport=polling";
        write!(stream, "GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n")?;
        let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
        let open = loop {
            let count = stream.read(&mut buffer)?;
            answer.extend(&buffer[..count]);
            if let Some((body, _)) = body_of(&answer)? {
                break String::from_utf8(body.to_vec())?;
            } else if count == 0 {
                return Err("the server closed a connection".into());
            }
        };
        let (_, sid) = open.split_once(r#""sid":""#).ok_or("a session id")?;
        let (sid, _) = sid.split_once('"').ok_or("a whole session id")?;
        let token = Token(2 * index);
        let poll = Http::new(stream, token, registry)?;
        let target = format!("{target}&sid={sid}");
        let mut polling =
            Self { port, token, target, poll, post: None, is_posting: false, output: Vec::new() };
        polling.ask()?;
        Ok(polling)
    }

    pub fn queue(&mut self, packet: &[u8]) {
        if !self.output.is_empty() {
            self.output.push(SEPARATOR);
        }
        self.output.extend(packet);
    }

    pub fn flush(&mut self, registry: &Registry) -> Result<(), Box<dyn Error>> {
        if self.output.is_empty() || self.is_posting {
            return Ok(());
        }
        let post = match &mut self.post {
            Some(post) => post,
            none => none.insert(Http::new(connect(self.port)?, Token(self.token.0 + 1), registry)?),
        };
        let mut request = format!(
            "POST {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: text/plain;charset=UTF-8\r\n\
             Content-Length: {}\r\n\r\n",
            self.target,
            self.port,
            self.output.len()
        )
        .into_bytes();
        request.append(&mut self.output);
        self.is_posting = true;
        Ok(post.stream.write_all(&request)?)
    }

    /// Closes the connection for posts, if no post is running.
    pub fn rest(&mut self) {
        if !self.is_posting {
            self.post = None;
        }
    }

    pub fn read(
        &mut self,
        token: Token,
        registry: &Registry,
        buffer: &mut [u8],
        take: &mut Take<'_>,
    ) -> Result<(), Box<dyn Error>> {
        if token == self.token { self.read_poll(buffer, take) } else { self.read_post(registry, buffer) }
    }

    /// Opens the next poll in one write, so that the server reads it in one piece.
    fn ask(&mut self) -> Result<(), Box<dyn Error>> {
        let request = format!("GET {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", self.target, self.port);
        Ok(self.poll.stream.write_all(request.as_bytes())?)
    }

    fn read_poll(&mut self, buffer: &mut [u8], take: &mut Take<'_>) -> Result<(), Box<dyn Error>> {
        while let Some(count) = read_some(&mut self.poll.stream, buffer)? {
            if count == 0 {
                return Err("the server closed a poll".into());
            }
            self.poll.input.extend(&buffer[..count]);
            let Some((body, end)) = body_of(&self.poll.input)? else {
                continue;
            };
            let mut pings = 0;
            for packet in body.split(|byte| *byte == SEPARATOR) {
                pings += usize::from(is_ping(packet, take)?);
            }
            self.poll.input.drain(..end);
            (0..pings).for_each(|_| self.queue(PONG));
            self.ask()?;
        }
        Ok(())
    }

    fn read_post(&mut self, registry: &Registry, buffer: &mut [u8]) -> Result<(), Box<dyn Error>> {
        // The connection may have been closed since.
        let Some(post) = &mut self.post else {
            return Ok(());
        };
        while let Some(count) = read_some(&mut post.stream, buffer)? {
            if count == 0 && self.is_posting {
                return Err("the server closed a post".into());
            } else if count == 0 {
                // The server closed the connection because it was idle.
                self.post = None;
                break;
            }
            post.input.extend(&buffer[..count]);
            if let Some((body, end)) = body_of(&post.input)? {
                if body != b"ok" {
                    return Err("a post was not taken".into());
                }
                post.input.drain(..end);
                self.is_posting = false;
            }
        }
        self.flush(registry)
    }
}

impl Http {
    fn new(stream: BlockingStream, token: Token, registry: &Registry) -> Result<Self, Box<dyn Error>> {
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        registry.register(&mut stream, token, Interest::READABLE)?;
        Ok(Self { stream, input: Vec::new() })
    }
}

fn connect(port: u16) -> Result<BlockingStream, Box<dyn Error>> {
    let stream = BlockingStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The body of a complete response, and the response's end.
type Answer<'a> = (&'a [u8], usize);

/// The next response; `None` if it is incomplete.
fn body_of(input: &[u8]) -> Result<Option<Answer<'_>>, Box<dyn Error>> {
    let Some(head) = input.windows(4).position(|end| end == b"\r\n\r\n") else {
        return Ok(None);
    };
    let start = head + 4;
    let head = std::str::from_utf8(&input[..head])?;
    if !head.starts_with("HTTP/1.1 200 ") {
        return Err(String::from_utf8_lossy(input).into_owned().into());
    }
    let length = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
    };
    let length = head.lines().find_map(length).ok_or("a content length")??;
    Ok(input.get(start..start + length).map(|body| (body, start + length)))
}
