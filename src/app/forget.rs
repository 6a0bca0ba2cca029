//! `echoroom forget`: deletes all messages of a room, in the given data folder only.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use super::key::{Key, random};
use crate::{
    config::{self, Settings},
    domain::RoomName,
    journal::sqlite,
};

/// Timeout for the server to connect and respond.
const PATIENCE: Duration = Duration::from_secs(30);

/// Maximum bytes of a response.
const MAX_ANSWER: u64 = 4096;

/// Asks the server that uses the data folder of these settings to forget the room; without such a server, this process
/// does it, unless the messages are in Redis.
///
/// # Errors
/// One sentence: the room does not exist or cannot be forgotten now.
pub fn forget(settings: &Settings, room: &str) -> Result<(), String> {
    let folder = &settings.journal.data_dir;
    let room = RoomName::parse(room).map_err(|error| error.to_string())?;
    match Key::of_running(folder) {
        Some(key) => ask_to_forget(&key, folder, &room),
        None if settings.nodes.redis.is_some() => Err(format!(
            "{}: a node that runs forgets the messages of a room, but none runs with {}",
            config::Key("redis"),
            folder.display()
        )),
        None => sqlite::forget(folder, &room),
    }
}

fn ask_to_forget(key: &Key, folder: &Path, room: &RoomName) -> Result<(), String> {
    let address = key.address;
    let silent = |error: io::Error| {
        format!("a server uses {}, but at {address} it does not answer: {error}", folder.display())
    };
    // The address may belong to another program here, for instance outside the server's container.
    let number = random().map_err(silent)?;
    let answer = ask(address, "GET", &format!("/admin/proof?number={number}"), "").map_err(silent)?;
    if !answer.split_once("\r\n\r\n").is_some_and(|(_, body)| key.is_proof(&number, body)) {
        return Err(format!("a server uses {}, but not the one at {address}", folder.display()));
    }
    let query =
        url::form_urlencoded::Serializer::new(String::new()).append_pair("room", room.as_str()).finish();
    let bearer = format!("Authorization: Bearer {}\r\n", key.secret);
    let answer = ask(address, "POST", &format!("/admin/forget?{query}"), &bearer).map_err(silent)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, _)) if head.starts_with("HTTP/1.1 204 ") => Ok(()),
        Some((_, body)) if !body.trim().is_empty() => Err(body.trim().trim_end_matches('.').to_owned()),
        _ => Err(format!("the server at {address} does not know this command")),
    }
}

/// Sends one request and returns the response, head and body, without a client library.
fn ask(address: SocketAddr, method: &str, target: &str, header: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "{method} {target} HTTP/1.1\r\nHost: {address}\r\n{header}Content-Length: 0\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER).read_to_string(&mut answer)?;
    Ok(answer)
}
