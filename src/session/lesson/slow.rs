//! A client that does not read, made by the server on request, so that a page can fill its backlog and watch
//! its eviction. It is a TCP connection of the server to itself, with a plain session in a room of its own.

use std::{io, net::SocketAddr, time::Duration};

use actix_web::rt;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Serialize;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

use super::{Appointment, ClientKind, Expected, Lessons, Line, Outbound, Watch, tell};
use crate::domain::{LESSON_ROOM_START, RoomName};

/// How often the client reads, and the page is told its state.
const STEP: Duration = Duration::from_millis(200);

/// Bytes that the client reads in a step: so few that its backlog keeps growing.
const SIP: usize = 512;

/// Bytes that it reads in a step once the server has given it up.
const GULP: usize = 1 << 20;

/// Size of the client's receive buffer in bytes, near the least that a kernel allows.
const RECEIVE_BUFFER: u32 = 4096;

/// The maximum duration of the lesson.
const LONGEST: Duration = Duration::from_secs(60);

/// Messages to the page.
#[derive(Debug, Serialize)]
#[serde(tag = "event", content = "data", rename_all = "lowercase")]
enum Told<'a> {
    /// The client is in this room; its backlog is bounded by `limit`, in bytes.
    Begun { room: &'a str, limit: usize },
    /// Bytes of its backlog in the server, and bytes that it has read so far.
    Queue { waiting: usize, taken: u64 },
    /// Its session has ended; without a code if the connection was cut.
    Ended { code: Option<u16>, reason: String },
    /// The client could not be made.
    Failed { reason: String },
}

/// Makes the client, and tells the page its backlog and how it ended.
pub(crate) async fn show(lessons: &Lessons, server: SocketAddr, limit: usize, mut line: Line) {
    let outbound = line.outbound.clone();
    let lesson = async {
        if let Err(error) = watch(lessons, server, limit, &outbound).await {
            tell(&outbound, &Told::Failed { reason: error.to_string() });
        }
    };
    // Messages of the page mean nothing here; they are read to notice when the page leaves.
    let leave = async { while line.next().await.is_some() {} };
    tokio::select! {
        _ = rt::time::timeout(LONGEST, lesson) => {}
        () = leave => {}
    }
}

async fn watch(lessons: &Lessons, server: SocketAddr, limit: usize, outbound: &Outbound) -> io::Result<()> {
    let watch = Watch::default();
    let mut room = RoomName::default();
    let appointment = Appointment::make(lessons, ClientKind::Slow, |name| {
        room = RoomName::parse(&format!("{LESSON_ROOM_START}{}", &name[..8])).map_err(io::Error::other)?;
        Ok(Expected { room: room.clone(), watch: watch.clone() })
    })?;
    let mut client = connect(server, &appointment.name).await?;
    tell(outbound, &Told::Begun { room: room.as_str(), limit });
    let (mut waiting, mut taken) = (0, 0);
    while watch.ending().is_none() {
        let before = std::mem::replace(&mut waiting, watch.waiting_bytes().unwrap_or_default());
        // The backlog is over the bound and does not grow: the server has given the client up. The client
        // must read on to learn that.
        let is_given_up = waiting > limit && waiting == before;
        taken += read(&client, if is_given_up { GULP } else { SIP }).await;
        tell(outbound, &Told::Queue { waiting, taken });
    }
    if let Some(ending) = watch.ending() {
        let told = match ending.close_reason() {
            Some(row) => Told::Ended { code: Some(row.code), reason: row.reason.to_owned() },
            None => Told::Ended { code: None, reason: ending.to_string() },
        };
        tell(outbound, &told);
    }
    // The connection may be gone already.
    let _ = client.shutdown().await;
    Ok(())
}

/// Reads up to `most` bytes in one step, and returns how many. 0 if the connection was cut; then its end will
/// be known soon.
async fn read(client: &TcpStream, most: usize) -> u64 {
    let end = rt::time::Instant::now() + STEP;
    let mut buffer = [0; 16 * 1024];
    let mut read = 0;
    while read < most
        && matches!(rt::time::timeout(end - rt::time::Instant::now(), client.readable()).await, Ok(Ok(())))
    {
        let part = buffer.len().min(most - read);
        match client.try_read(&mut buffer[..part]) {
            Ok(0) => break,
            Ok(bytes) => read += bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
    rt::time::sleep_until(end).await;
    read as u64
}

/// Connects, and reads the answer to the handshake, but nothing after it.
async fn connect(server: SocketAddr, name: &str) -> io::Result<TcpStream> {
    let socket = if server.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    let mut client = socket.connect(server).await?;
    let key = BASE64_STANDARD.encode([7; 16]);
    let request = format!(
        "GET /lesson/slow-client/{name} HTTP/1.1\r\nHost: {server}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    );
    client.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > 4096 {
            return Err(io::Error::other("the answer to the handshake has no end"));
        }
        head.push(client.read_u8().await?);
    }
    let is_in = head.starts_with(b"HTTP/1.1 101");
    if is_in { Ok(client) } else { Err(io::Error::other(String::from_utf8_lossy(&head).trim().to_owned())) }
}
