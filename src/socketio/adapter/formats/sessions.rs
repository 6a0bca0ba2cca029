//! Lost sockets, as `@socket.io/redis-streams-adapter` keeps them: Base64 of msgpack.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use bytestring::ByteString;

use super::{
    Junk, WriteError,
    base64::from_base64,
    document::Document::{self, List, Map, Raw, Text},
    fields::{Names, name, present},
    value::{Body, Value},
};
use crate::socketio::cluster::Session;

/// The key of a session. The prefix of Node is `sio:session:`.
pub(crate) fn key(prefix: &str, pid: &str) -> ByteString {
    format!("{prefix}{pid}").into()
}

/// The value of a key of a session. Node does not look at `since`.
///
/// # Errors
/// The data of the socket cannot be written.
pub(crate) fn write(session: &Session) -> Result<Bytes, WriteError> {
    let data = if session.data.is_empty() { "{}" } else { &session.data };
    let since = session.since.iter().map(|(room, offset)| List(vec![Text(room), Text(offset)])).collect();
    let value = Map(vec![
        ("sid", Text(&session.sid)),
        ("pid", Text(&session.pid)),
        ("rooms", Document::texts(&session.rooms)),
        ("data", Raw(data)),
        ("since", List(since)),
    ]);
    Ok(BASE64_STANDARD.encode(value.to_msgpack()?).into())
}

/// Reads the value of a key of a session. Node writes no `since`.
///
/// # Errors
/// It is not a session.
pub(crate) fn read(value: &[u8]) -> Result<Session, Junk> {
    let value = from_base64(value)?;
    let body = Body::of(&value)?;
    let [sid, pid, rooms, data, since] =
        body.value().fields(["sid", "pid", "rooms", "data", "since"]).ok_or(Junk::Field("sid"))?;
    let (sid, pid) = (name(sid, "sid")?, name(pid, "pid")?);
    let rooms = Names::check(rooms, "rooms")?;
    let since = present(since);
    check_since(since)?;
    Ok(Session {
        sid: sid.to_name(),
        pid: pid.to_name(),
        rooms: rooms.to_names(),
        data: data.map_or_else(|| ByteString::from_static("{}"), Value::to_json),
        since: to_since(since),
    })
}

fn pair(value: Value<'_>) -> Option<(Value<'_>, Value<'_>)> {
    let mut elements = value.elements()?;
    Some((elements.next()?, elements.next()?))
}

/// Checks that each element is a pair of room and offset.
fn check_since(since: Option<Value<'_>>) -> Result<(), Junk> {
    const SINCE: Junk = Junk::Field("since");
    let Some(since) = since else {
        return Ok(());
    };
    for element in since.elements().ok_or(SINCE)? {
        let (room, offset) = pair(element).ok_or(SINCE)?;
        name(Some(room), "since")?;
        name(Some(offset), "since")?;
    }
    Ok(())
}

fn to_since(since: Option<Value<'_>>) -> Vec<(ByteString, ByteString)> {
    let Some(elements) = since.and_then(Value::elements) else {
        return Vec::new();
    };
    let mut pairs = Vec::with_capacity(elements.clone().count());
    pairs.extend(elements.filter_map(pair).map(|(room, offset)| (room.to_name(), offset.to_name())));
    pairs
}
