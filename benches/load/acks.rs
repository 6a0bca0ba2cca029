//! Durable acks: senders at `/chat`, each in a room of its own, wait for their messages to be in the journal.

use std::{
    error::Error,
    io::{self, Read as _, Write as _},
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};

use crate::{client::shake_hands, server::Server};

/// One turn's figures.
#[derive(Clone, Copy)]
pub struct Acks {
    pub per_second: f64,
    pub cpu_us_each: f64,
}

struct Sender {
    stream: TcpStream,
    input: Vec<u8>,
    said: u64,
    acked: u64,
}

/// `senders` say 32 bytes each, `in_flight` messages at a time, for `duration`.
pub fn run(
    server: &Server,
    senders: usize,
    in_flight: u64,
    duration: Duration,
) -> Result<Acks, Box<dyn Error>> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut all = Vec::new();
    for index in 0..senders {
        let mut stream = shake_hands(server.port, "/chat")?;
        poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
        let mut sender = Sender { stream, input: Vec::new(), said: 0, acked: 0 };
        sender.send(&format!(
            r#"{{"event":"login","data":{{"username":"s{index}","room":"r{index}"}},"ack":0}}"#
        ))?;
        all.push(sender);
    }
    let (mut started, mut cpu_before, mut welcomed, mut acked) =
        (Instant::now(), server.cpu_time()?, 0, 0_u64);
    while welcomed < senders || started.elapsed() < duration {
        poll.poll(&mut events, Some(Duration::from_secs(10)))?;
        if events.is_empty() {
            return Err("no ack came".into());
        }
        for event in &events {
            let sender = &mut all[event.token().0];
            let (logins, acks) = sender.read()?;
            welcomed += logins;
            acked += acks;
            if welcomed == senders && logins > 0 {
                (started, cpu_before, acked) = (Instant::now(), server.cpu_time()?, 0);
                for sender in &mut all {
                    sender.say(in_flight)?;
                }
            } else if welcomed == senders && acks > 0 {
                sender.say(acks)?;
            }
        }
    }
    let (elapsed, cpu) = (started.elapsed(), server.cpu_time()? - cpu_before);
    Ok(Acks {
        per_second: acked as f64 / elapsed.as_secs_f64(),
        cpu_us_each: cpu.as_secs_f64() * 1e6 / acked as f64,
    })
}

impl Sender {
    fn say(&mut self, count: u64) -> io::Result<()> {
        for _ in 0..count {
            self.said += 1;
            let text = format!("{:032}", self.said);
            self.send(&format!(
                r#"{{"event":"sendMessage","data":{{"msg":"{text}"}},"ack":{}}}"#,
                self.said
            ))?;
        }
        Ok(())
    }

    fn send(&mut self, text: &str) -> io::Result<()> {
        let len = u8::try_from(text.len()).ok().filter(|len| *len < 126).expect("short events");
        let mut frame = vec![0x81, 0x80 | len, 0, 0, 0, 0];
        frame.extend(text.as_bytes());
        // A few events always fit the socket: they are answered before more are said.
        self.stream.write_all(&frame)
    }

    /// Reads all that has come: how many logins and how many messages were acked, each in its turn.
    fn read(&mut self) -> Result<(usize, u64), Box<dyn Error>> {
        let mut buffer = [0; 64 * 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err("the server closed a connection".into()),
                Ok(count) => self.input.extend(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        let (mut at, mut logins, mut acks) = (0, 0, 0);
        while let Some((frame, end)) = frame_at(&self.input, at) {
            if frame.starts_with(br#"{"ack":0,"data""#) {
                logins += 1;
            } else if frame.starts_with(br#"{"ack":"#) {
                self.acked += 1;
                let expected = format!(r#"{{"ack":{},"data":{{"offset":{},"#, self.acked, self.acked);
                if !frame.starts_with(expected.as_bytes()) {
                    return Err(format!("expected {expected}, got {}", String::from_utf8_lossy(frame)).into());
                }
                acks += 1;
            }
            at = end;
        }
        self.input.drain(..at);
        Ok((logins, acks))
    }
}

/// The payload of the frame that begins at `at`, and where it ends, if it is there whole.
fn frame_at(input: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let (start, len) = match *input.get(at + 1)? {
        126 => (at + 4, usize::from(u16::from_be_bytes(*input.get(at + 2..)?.first_chunk()?))),
        len => (at + 2, usize::from(len)),
    };
    Some((input.get(start..start + len)?, start + len))
}
