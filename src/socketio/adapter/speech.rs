//! The format that a server speaks: where each message goes, what it looks like, and what comes by which channel.

use std::{borrow::Cow, collections::HashMap};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use bytestring::ByteString;

use super::{
    core::Heard,
    formats::classic,
    settings::{AdapterSettings, RedisFormat, SubscriptionMode},
    traffic::{Channel, Output, Query},
};
use crate::{
    protocol::socketio::MAIN,
    socketio::cluster::{Message, Session},
};

pub(super) use super::formats::{Envelope, Junk, WriteError};

/// The length of a socket's id. A room with a name of this length is taken for that of one socket.
const SID: usize = 20;

/// Random bytes of a server's id in the classic format: 6 characters, as its requests have.
const SHORT: usize = 4;

/// Random bytes of a server's id in the other formats.
const LONG: usize = 8;

/// Where something goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Publish,
    PublishSharded,
    Append,
}

/// What is sent to Redis.
#[derive(Clone, Debug)]
pub(super) struct Sending {
    way: Way,
    /// The channel, or the stream.
    to: ByteString,
    /// The body: of an entry, its data.
    pub(super) body: Bytes,
    /// The other fields of an entry.
    fields: Vec<(&'static str, Bytes)>,
}

/// The format, with the names of a server.
pub(crate) struct Speech {
    settings: AdapterSettings,
    uid: ByteString,
    stream: Option<ByteString>,
    /// The channels of the namespaces that are served, in the classic format.
    classic: HashMap<ByteString, classic::Channels>,
    last_request: u64,
}

impl Sending {
    pub(super) fn into_output(self, speech: &Speech) -> Output {
        let Self { way, to, body, fields } = self;
        match way {
            Way::Append => Output::Append { stream: to, fields, max_len: speech.settings.stream_len },
            way => Output::Publish { channel: to, is_sharded: way == Way::PublishSharded, body },
        }
    }
}

impl Speech {
    /// A server with an id that no other one has.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(crate) fn new(settings: AdapterSettings) -> Result<Self, getrandom::Error> {
        let uid = match settings.format {
            RedisFormat::Classic => random_text(SHORT)?[..6].into(),
            RedisFormat::Sharded | RedisFormat::Streams => random_digits(LONG)?,
        };
        Ok(Self::with_uid(settings, uid))
    }

    /// A server with this id.
    pub(crate) fn with_uid(settings: AdapterSettings, uid: ByteString) -> Self {
        let stream = (settings.format == RedisFormat::Streams).then(|| settings.key.clone());
        Self { settings, uid, stream, classic: HashMap::new(), last_request: 0 }
    }

    pub(super) fn uid(&self) -> &ByteString {
        &self.uid
    }

    /// The stream in which events are.
    pub(super) fn stream(&self) -> Option<&ByteString> {
        self.stream.as_ref()
    }

    /// Whether the format has a request for the names of rooms.
    pub(super) fn can_list_rooms(&self) -> bool {
        self.settings.format == RedisFormat::Classic
    }

    /// The id of a new request.
    pub(super) fn new_request(&mut self) -> ByteString {
        self.last_request += 1;
        // The server's id makes it unique; Node takes any text.
        format!("{}{:x}", self.uid, self.last_request).into()
    }

    fn classic(&self, namespace: &str) -> Cow<'_, classic::Channels> {
        match self.classic.get(namespace) {
            Some(channels) => Cow::Borrowed(channels),
            None => Cow::Owned(classic::Channels::new(&self.settings.key, namespace, &self.uid)),
        }
    }

    /// The channel of all messages in the other formats.
    fn main_channel(&self, namespace: &str) -> ByteString {
        format!("{}#{namespace}#", self.settings.key).into()
    }

    fn sub_channel(&self, namespace: &str, name: &str) -> ByteString {
        format!("{}#{namespace}#{name}#", self.settings.key).into()
    }

    // ----- what is heard -----

    /// What a server subscribes to for a namespace, and what comes by it.
    pub(super) fn subscriptions(&mut self, namespace: &ByteString) -> Vec<(Channel, Heard)> {
        let both = |channel: fn(ByteString) -> Channel| {
            let own = self.sub_channel(namespace, &self.uid);
            [self.main_channel(namespace), own].map(|name| (channel(name), Heard::Any)).into()
        };
        match self.settings.format {
            RedisFormat::Sharded => both(Channel::Shard),
            RedisFormat::Streams => both(Channel::Plain),
            RedisFormat::Classic => {
                let channels = classic::Channels::new(&self.settings.key, namespace, &self.uid);
                let all = vec![
                    (Channel::Pattern(channels.pattern.clone()), Heard::Broadcasts),
                    (Channel::Plain(channels.requests.clone()), Heard::Requests),
                    (Channel::Plain(channels.responses.clone()), Heard::Answers),
                    (Channel::Plain(channels.own_responses.clone()), Heard::Answers),
                ];
                self.classic.insert(namespace.clone(), channels);
                all
            }
        }
    }

    /// The namespace is not served any more.
    pub(super) fn forget(&mut self, namespace: &ByteString) {
        self.classic.remove(namespace);
    }

    /// What a server subscribes to for a room with its sockets.
    pub(super) fn room_subscription(&self, namespace: &str, room: &str) -> Option<Channel> {
        let has_channel = self.settings.format == RedisFormat::Sharded && self.has_channel(room);
        has_channel.then(|| Channel::Shard(self.sub_channel(namespace, room)))
    }

    /// Whether events to this room alone have a channel of their own, in the format Sharded.
    fn has_channel(&self, room: &str) -> bool {
        match self.settings.subscription_mode {
            SubscriptionMode::Static => false,
            // As Node counts: in units of UTF-16.
            SubscriptionMode::Dynamic => room.encode_utf16().count() != SID,
            SubscriptionMode::DynamicPrivate => true,
        }
    }

    /// The room that a channel of events is for, if it is for one.
    pub(super) fn room_of<'a>(&self, namespace: &str, channel: &'a str) -> Option<&'a str> {
        self.classic(namespace).room_of(channel).flatten()
    }

    /// Whether this server has written a body, as far as that can be seen without decoding it.
    pub(super) fn is_own(&self, heard: Heard, namespace: &str, body: &Bytes) -> bool {
        match heard {
            Heard::Broadcasts => classic::uid_of(body) == Some(self.uid.as_bytes()),
            Heard::Any => sharded::ends_as_own(body, &self.uid, namespace),
            Heard::Requests | Heard::Answers => false,
        }
    }

    /// Reads a body.
    pub(super) fn read(&self, heard: Heard, body: &Bytes) -> Result<Envelope, Junk> {
        let mut envelope = match heard {
            Heard::Broadcasts => classic::read_broadcast(body)?,
            Heard::Requests => classic::read_request(body)?,
            Heard::Answers => classic::read_response(body)?,
            Heard::Any => sharded::read(body)?,
        };
        if heard == Heard::Broadcasts {
            envelope.namespace.get_or_insert(ByteString::from_static(MAIN));
        }
        Ok(envelope)
    }

    /// The server, the namespace and the data of an entry.
    pub(super) fn entry_head(&self, fields: &[(Bytes, Bytes)]) -> Option<(ByteString, ByteString, Bytes)> {
        let text = |name: &str| ByteString::try_from(field(fields, name)?.clone()).ok();
        Some((text("uid")?, text("nsp")?, field(fields, "data")?.clone()))
    }

    /// Reads an entry.
    pub(super) fn read_entry(&self, fields: &[(Bytes, Bytes)]) -> Result<Envelope, Junk> {
        streams::read_entry(fields)
    }

    // ----- what is said -----

    /// How something is told to the other servers.
    pub(super) fn tell(&self, namespace: &ByteString, message: &Message) -> Result<Sending, WriteError> {
        let (uid, fields) = (&*self.uid, Vec::new());
        Ok(match self.settings.format {
            RedisFormat::Classic => {
                let to = self.classic(namespace).of(message);
                Sending { way: Way::Publish, to, body: classic::write(uid, namespace, message)?, fields }
            }
            RedisFormat::Sharded => {
                let to = self.sharded_channel(namespace, message);
                let body = sharded::write(uid, namespace, message)?;
                Sending { way: Way::PublishSharded, to, body, fields }
            }
            RedisFormat::Streams => match message {
                Message::Broadcast { .. }
                | Message::Join { .. }
                | Message::Leave { .. }
                | Message::Disconnect { .. } => {
                    let fields = streams::write_entry(uid, namespace, message)?;
                    let data = fields.iter().find(|(name, _)| *name == "data");
                    let body = data.map(|(_, data)| data.clone()).unwrap_or_default();
                    Sending { way: Way::Append, to: self.settings.key.clone(), body, fields }
                }
                _ => {
                    let body = streams::write_published(uid, namespace, message)?;
                    Sending { way: Way::Publish, to: self.main_channel(namespace), body, fields }
                }
            },
        })
    }

    fn sharded_channel(&self, namespace: &ByteString, message: &Message) -> ByteString {
        if let Message::Broadcast { opts, .. } = message
            && let [room] = &*opts.target.to
            && self.has_channel(room)
        {
            return self.sub_channel(namespace, room);
        }
        self.main_channel(namespace)
    }

    /// How another server is answered.
    pub(super) fn reply(
        &self,
        namespace: &ByteString,
        asker: Option<&ByteString>,
        message: &Message,
    ) -> Result<Sending, WriteError> {
        let (uid, fields) = (&*self.uid, Vec::new());
        let own_channel = || match asker {
            Some(asker) => self.sub_channel(namespace, asker),
            None => self.main_channel(namespace),
        };
        Ok(match self.settings.format {
            RedisFormat::Classic => {
                let channels = self.classic(namespace);
                // Node answers events of servers on the common channel only.
                let is_specific = self.settings.has_specific_response_channel
                    && !matches!(message, Message::ServerAnswer { .. });
                let to = match asker.filter(|_| is_specific) {
                    Some(asker) => channels.responses_of(asker),
                    None => channels.of(message),
                };
                Sending { way: Way::Publish, to, body: classic::write(uid, namespace, message)?, fields }
            }
            RedisFormat::Sharded => {
                let body = sharded::write(uid, namespace, message)?;
                Sending { way: Way::PublishSharded, to: own_channel(), body, fields }
            }
            RedisFormat::Streams => {
                let body = streams::write_published(uid, namespace, message)?;
                Sending { way: Way::Publish, to: own_channel(), body, fields }
            }
        })
    }

    /// The subscription by which this server hears itself say something; `None` for the stream.
    pub(super) fn heard_by(&self, namespace: &ByteString, sending: &Sending) -> Option<Channel> {
        match sending.way {
            Way::Append => None,
            Way::PublishSharded => Some(Channel::Shard(sending.to.clone())),
            Way::Publish => {
                let channels = self.classic(namespace);
                let is_broadcast =
                    self.settings.format == RedisFormat::Classic && channels.room_of(&sending.to).is_some();
                Some(match is_broadcast {
                    true => Channel::Pattern(channels.pattern.clone()),
                    false => Channel::Plain(sending.to.clone()),
                })
            }
        }
    }

    /// What counts the servers of a namespace.
    pub(super) fn count(&self, namespace: &ByteString) -> Query {
        let channel = match self.settings.format {
            RedisFormat::Classic => self.classic(namespace).requests.clone(),
            RedisFormat::Sharded | RedisFormat::Streams => self.main_channel(namespace),
        };
        Query::Count { channel, is_sharded: self.settings.format == RedisFormat::Sharded }
    }

    // ----- lost sockets -----

    /// The key of a lost socket; `None` if the format keeps none.
    pub(super) fn session_key(&self, pid: &str) -> Option<ByteString> {
        self.stream.as_ref()?;
        Some(format!("{}{pid}", self.settings.session_prefix).into())
    }

    /// The key and the value of a lost socket.
    pub(super) fn session(&self, session: &Session) -> Option<(ByteString, Bytes)> {
        Some((self.session_key(&session.pid)?, session::write(session).ok()?))
    }

    /// Reads the value of a lost socket.
    pub(super) fn read_session(&self, value: &Bytes) -> Option<Session> {
        session::read(value).ok()
    }
}

fn field<'a>(fields: &'a [(Bytes, Bytes)], name: &str) -> Option<&'a Bytes> {
    fields.iter().find(|(field, _)| *field == name.as_bytes()).map(|(_, value)| value)
}

fn random_text(bytes: usize) -> Result<String, getrandom::Error> {
    let mut random = vec![0; bytes + 2];
    getrandom::fill(&mut random)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(random))
}

fn random_digits(bytes: usize) -> Result<ByteString, getrandom::Error> {
    let mut random = vec![0; bytes];
    getrandom::fill(&mut random)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into())
}

mod sharded {
    use super::*;
    pub fn write(_: &str, _: &str, _: &Message) -> Result<Bytes, WriteError> {
        Err(WriteError::NotInFormat)
    }
    pub fn read(_: &Bytes) -> Result<Envelope, Junk> {
        Err(Junk::UnknownType)
    }
    pub fn ends_as_own(_: &Bytes, _: &str, _: &str) -> bool {
        false
    }
}
mod streams {
    use super::*;
    pub fn write_entry(_: &str, _: &str, _: &Message) -> Result<Vec<(&'static str, Bytes)>, WriteError> {
        Err(WriteError::NotInFormat)
    }
    pub fn write_published(_: &str, _: &str, _: &Message) -> Result<Bytes, WriteError> {
        Err(WriteError::NotInFormat)
    }
    pub fn read_entry(_: &[(Bytes, Bytes)]) -> Result<Envelope, Junk> {
        Err(Junk::UnknownType)
    }
}
mod session {
    use super::*;
    pub fn write(_: &Session) -> Result<Bytes, WriteError> {
        Err(WriteError::NotInFormat)
    }
    pub fn read(_: &Bytes) -> Result<Session, Junk> {
        Err(Junk::UnknownType)
    }
}
