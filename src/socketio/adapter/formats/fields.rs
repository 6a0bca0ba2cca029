//! The parts of messages, read and written. What reads a part checks it first, and copies nothing until the whole body is
//! known to be good.

use bytestring::ByteString;

use super::{Junk, document::Document, value::Value};
use crate::{
    protocol::socketio::{Args, is_reserved},
    socketio::cluster::{Flags, Opts, SocketShown, Target},
};

/// The field, if it is there and not null.
pub(super) fn present(value: Option<Value<'_>>) -> Option<Value<'_>> {
    value.filter(|value| !value.is_null())
}

/// A field that must be a text or a number.
pub(super) fn name<'a>(value: Option<Value<'a>>, field: &'static str) -> Result<Value<'a>, Junk> {
    value.filter(|value| value.is_any_text() || value.is_number()).ok_or(Junk::Field(field))
}

/// A field that is a text or a number, if it is there.
pub(super) fn optional_name<'a>(
    value: Option<Value<'a>>,
    field: &'static str,
) -> Result<Option<Value<'a>>, Junk> {
    present(value).map(|value| name(Some(value), field)).transpose()
}

/// Texts, or numbers, which stand for their digits. JavaScript takes `undefined` as the name of a room, too, and programs
/// use it unawares: null, true and false stand for their words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names<'a>(Option<Value<'a>>);

impl<'a> Names<'a> {
    /// Checks a list; a missing list is empty.
    pub(super) fn check(value: Option<Value<'a>>, field: &'static str) -> Result<Self, Junk> {
        let Some(list) = present(value) else {
            return Ok(Self(None));
        };
        for element in list.elements().ok_or(Junk::Field(field))? {
            if element.word().is_none() {
                name(Some(element), field)?;
            }
        }
        Ok(Self(Some(list)))
    }

    pub(super) fn to_names(self) -> Vec<ByteString> {
        let Some(elements) = self.0.and_then(Value::elements) else {
            return Vec::new();
        };
        let mut names = Vec::with_capacity(elements.clone().count());
        names.extend(elements.map(Value::to_name));
        names
    }
}

/// The options of an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadOpts<'a> {
    rooms: Names<'a>,
    except: Names<'a>,
    flags: Flags,
}

impl<'a> ReadOpts<'a> {
    /// Checks options. Each of their parts may be missing.
    pub(super) fn check(value: Option<Value<'a>>) -> Result<Self, Junk> {
        const OPTS: Junk = Junk::Field("opts");
        let [rooms, except, flags] = value.ok_or(OPTS)?.fields(["rooms", "except", "flags"]).ok_or(OPTS)?;
        Ok(Self {
            rooms: Names::check(rooms, "rooms")?,
            except: Names::check(except, "except")?,
            flags: present(flags).map_or(Ok(Flags::default()), read_flags)?,
        })
    }

    pub(super) fn to_opts(self) -> Opts {
        let target = Target { to: self.rooms.to_names(), except: self.except.to_names() };
        Opts { target, flags: self.flags }
    }
}

fn read_flags(value: Value<'_>) -> Result<Flags, Junk> {
    let names = ["volatile", "compress", "timeout", "expectSingleResponse"];
    let [volatile, compress, timeout, single] = value.fields(names).ok_or(Junk::Field("flags"))?;
    let is = |value: Option<Value<'_>>| value.and_then(Value::bool);
    Ok(Flags {
        volatile: is(volatile).unwrap_or(false),
        compress: is(compress).unwrap_or(true),
        timeout: timeout.and_then(Value::count),
        expect_single_response: is(single).unwrap_or(false),
    })
}

/// The list of an event: a name that may be sent, and arguments.
pub(super) fn event<'a>(value: Option<Value<'a>>, field: &'static str) -> Result<Value<'a>, Junk> {
    let event = value.ok_or(Junk::Field(field))?;
    let first = event.elements().ok_or(Junk::Field(field))?.next().ok_or(Junk::BadName)?;
    let is_good = first.is_number() || first.is_any_text() && !is_reserved(|name| first.is_text(name));
    if is_good { Ok(event) } else { Err(Junk::BadName) }
}

/// The event, and the namespace, of a packet.
pub(super) fn packet<'a>(value: Option<Value<'a>>) -> Result<(Value<'a>, Option<Value<'a>>), Junk> {
    /// An event, and one with attachments, which old servers tell apart.
    const EVENT: u64 = 2;
    const BINARY_EVENT: u64 = 5;
    const PACKET: Junk = Junk::Field("packet");
    let [kind, data, namespace] = value.ok_or(PACKET)?.fields(["type", "data", "nsp"]).ok_or(PACKET)?;
    if !matches!(kind.and_then(Value::count), Some(EVENT | BINARY_EVENT)) {
        return Err(Junk::Field("type"));
    }
    Ok((event(data, "data")?, optional_name(namespace, "nsp")?))
}

/// A number of sockets.
pub(super) fn client_count(value: Option<Value<'_>>) -> Result<usize, Junk> {
    const COUNT: Junk = Junk::Field("clientCount");
    value.and_then(Value::count).and_then(|count| usize::try_from(count).ok()).ok_or(COUNT)
}

/// What was answered, as the only argument; null if it is missing.
pub(super) fn to_answer(value: Option<Value<'_>>) -> Args {
    let null = || Args { json: "[null]".into(), attachments: Vec::new() };
    value.map_or_else(null, Value::to_one_argument)
}

/// The sockets of a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sockets<'a>(Value<'a>);

impl<'a> Sockets<'a> {
    /// Checks a list of sockets.
    pub(super) fn check(value: Option<Value<'a>>) -> Result<Self, Junk> {
        const SOCKETS: Junk = Junk::Field("sockets");
        let list = value.ok_or(SOCKETS)?;
        for socket in list.elements().ok_or(SOCKETS)? {
            ReadSocket::check(socket)?;
        }
        Ok(Self(list))
    }

    pub(super) fn to_sockets(self) -> Vec<SocketShown> {
        let Some(elements) = self.0.elements() else {
            return Vec::new();
        };
        let mut sockets = Vec::with_capacity(elements.clone().count());
        sockets
            .extend(elements.filter_map(|socket| ReadSocket::check(socket).ok()).map(ReadSocket::to_shown));
        sockets
    }
}

/// The fields of a socket.
#[derive(Clone, Copy, Debug)]
struct ReadSocket<'a> {
    id: Value<'a>,
    rooms: Names<'a>,
    handshake: Option<Value<'a>>,
    data: Option<Value<'a>>,
}

impl<'a> ReadSocket<'a> {
    fn check(value: Value<'a>) -> Result<Self, Junk> {
        let [id, handshake, rooms, data] =
            value.fields(["id", "handshake", "rooms", "data"]).ok_or(Junk::Field("sockets"))?;
        Ok(Self { id: name(id, "id")?, rooms: Names::check(rooms, "rooms")?, handshake, data })
    }

    fn to_shown(self) -> SocketShown {
        let empty = || ByteString::from_static("{}");
        let handshake = self.handshake.filter(|handshake| handshake.is_object());
        SocketShown {
            id: self.id.to_name(),
            rooms: self.rooms.to_names(),
            handshake: handshake.map_or_else(empty, Value::to_json),
            data: self.data.map_or_else(empty, Value::to_json),
        }
    }
}

/// The options of an event, as they are written.
pub(super) fn opts(opts: &Opts) -> Document<'_> {
    let Flags { volatile, compress, timeout, expect_single_response } = opts.flags;
    let mut flags = Vec::new();
    if volatile {
        flags.push(("volatile", Document::Bool(true)));
    }
    if !compress {
        flags.push(("compress", Document::Bool(false)));
    }
    if let Some(timeout) = timeout {
        flags.push(("timeout", Document::Number(timeout)));
    }
    if expect_single_response {
        flags.push(("expectSingleResponse", Document::Bool(true)));
    }
    Document::Map(vec![
        ("rooms", Document::texts(&opts.target.to)),
        ("except", Document::texts(&opts.target.except)),
        ("flags", Document::Map(flags)),
    ])
}

/// Which sockets something is for, as it is written.
pub(super) fn target(target: &Target) -> Document<'_> {
    Document::Map(vec![("rooms", Document::texts(&target.to)), ("except", Document::texts(&target.except))])
}

/// Sockets, as they are written.
pub(super) fn sockets(sockets: &[SocketShown]) -> Document<'_> {
    Document::List(sockets.iter().map(shown).collect())
}

fn shown(socket: &SocketShown) -> Document<'_> {
    Document::Map(vec![
        ("id", Document::Text(&socket.id)),
        ("handshake", object(&socket.handshake)),
        ("rooms", Document::texts(&socket.rooms)),
        ("data", object(&socket.data)),
    ])
}

/// JSON of an object, which is empty if there is no text.
fn object(json: &str) -> Document<'_> {
    Document::Raw(if json.is_empty() { "{}" } else { json })
}
