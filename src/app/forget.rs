//! `echoroom forget`: lets all messages of a room go, in the data folder that it is given and nowhere else.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use super::key::{Key, random};
use crate::{domain::RoomName, journal::sqlite};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The largest answer that is read, in bytes.
const MAX_ANSWER: u64 = 4096;

/// The server that uses the folder lets the room go, or this process if none does.
///
/// # Errors
/// There is no such room, or it cannot be forgotten now, in one sentence.
pub fn forget(folder: &Path, room: &str) -> Result<(), String> {
    let room = RoomName::parse(room).map_err(|error| error.to_string())?;
    let Some(key) = Key::of_running(folder) else {
        return sqlite::forget(folder, &room);
    };
    let address = key.address;
    let silent = |error: io::Error| {
        format!("a server uses {}, but at {address} it does not answer: {error}", folder.display())
    };
    // The address may mean another program here than it does to the server, in another container for instance.
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

/// The answer to one request, head and body, without a client library.
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
