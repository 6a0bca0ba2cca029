//! The format that a server speaks: where each message goes, what it looks like, and what comes by which channel.

use std::{borrow::Cow, collections::HashMap};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use bytestring::ByteString;

use super::{
    formats::{
        classic,
        clustered::{self, OwnBodies},
        sessions, sharded,
        streams::{self, EntryHead},
    },
    settings::{AdapterSettings, KeepSessions, RedisFormat},
    traffic::{Channel, Heard, Output, Query},
};
use crate::{
    protocol::socketio::MAIN,
    socketio::cluster::{Message, Session},
};

pub(super) use super::formats::{Envelope, Junk, WriteError};

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

/// By what a server hears itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HeardBy {
    /// A subscription.
    Channel(Channel),
    /// The stream.
    Stream,
    /// Nothing that keeps the order.
    Nothing,
}

/// The format, with the names of a server.
pub(crate) struct Speech {
    settings: AdapterSettings,
    uid: ByteString,
    stream: Option<ByteString>,
    /// The names of the namespaces that are served.
    names: HashMap<ByteString, Names>,
    last_request: u64,
}

/// The names of a namespace.
#[derive(Clone)]
enum Names {
    Classic(classic::Channels),
    Clustered(clustered::Channels, OwnBodies),
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
        Self { settings, uid, stream, names: HashMap::new(), last_request: 0 }
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

    fn names(&self, namespace: &str) -> Cow<'_, Names> {
        if let Some(names) = self.names.get(namespace) {
            return Cow::Borrowed(names);
        }
        let (key, uid) = (&self.settings.key, &self.uid);
        Cow::Owned(match self.settings.format {
            RedisFormat::Classic => Names::Classic(classic::Channels::new(key, namespace, uid)),
            RedisFormat::Sharded | RedisFormat::Streams => Names::Clustered(
                clustered::Channels::new(key, namespace, uid),
                OwnBodies::new(uid, namespace),
            ),
        })
    }

    // ----- what is heard -----

    /// What a server subscribes to for a namespace, and what comes by it.
    pub(super) fn subscriptions(&mut self, namespace: &ByteString) -> Vec<(Channel, Heard)> {
        let names = self.names(namespace).into_owned();
        let channel = match self.settings.format {
            RedisFormat::Sharded => Channel::Shard,
            RedisFormat::Classic | RedisFormat::Streams => Channel::Plain,
        };
        let all = match &names {
            Names::Classic(channels) => vec![
                (Channel::Pattern(channels.pattern.clone()), Heard::Broadcasts),
                (channel(channels.requests.clone()), Heard::Requests),
                (channel(channels.responses.clone()), Heard::Answers),
                (channel(channels.own_responses.clone()), Heard::Answers),
            ],
            Names::Clustered(channels, _) => {
                [&channels.all, &channels.own].map(|name| (channel(name.clone()), Heard::Any)).into()
            }
        };
        self.names.insert(namespace.clone(), names);
        all
    }

    /// The namespace is not served any more.
    pub(super) fn forget(&mut self, namespace: &ByteString) {
        self.names.remove(namespace);
    }

    /// What a server subscribes to for a room with its sockets.
    pub(super) fn room_subscription(&self, namespace: &str, room: &str) -> Option<Channel> {
        let has_channel =
            self.settings.format == RedisFormat::Sharded && self.settings.subscription_mode.has_channel(room);
        match &*self.names(namespace) {
            Names::Clustered(channels, _) if has_channel => Some(Channel::Shard(channels.of(room))),
            _ => None,
        }
    }

    /// The room that a channel of events is for, if it is for one.
    pub(super) fn room_of<'a>(&self, namespace: &str, channel: &'a str) -> Option<&'a str> {
        match &*self.names(namespace) {
            Names::Classic(channels) => channels.room_of(channel).flatten(),
            Names::Clustered(..) => None,
        }
    }

    /// Whether this server has written a body, as far as that can be seen without decoding it.
    pub(super) fn is_own(&self, heard: Heard, namespace: &str, body: &Bytes) -> bool {
        match heard {
            Heard::Broadcasts => classic::uid_of(body) == Some(self.uid.as_bytes()),
            Heard::Any => match &*self.names(namespace) {
                Names::Clustered(_, own) => own.contain(body),
                Names::Classic(_) => false,
            },
            Heard::Requests | Heard::Answers => false,
        }
    }

    /// Reads a body.
    pub(super) fn read(&self, heard: Heard, body: &Bytes) -> Result<Envelope, Junk> {
        let mut envelope = match heard {
            Heard::Broadcasts => classic::read_broadcast(body)?,
            Heard::Requests => classic::read_request(body)?,
            Heard::Answers => classic::read_response(body)?,
            Heard::Any => clustered::read(body)?,
        };
        if heard == Heard::Broadcasts {
            envelope.namespace.get_or_insert(ByteString::from_static(MAIN));
        }
        Ok(envelope)
    }

    /// The server, the namespace and the data of an entry.
    pub(super) fn entry_head(&self, fields: &[(Bytes, Bytes)]) -> Option<(ByteString, ByteString, Bytes)> {
        let EntryHead { uid, namespace, .. } = EntryHead::of(fields);
        let text = |bytes: &[u8]| ByteString::try_from(bytes).ok();
        let data = fields.iter().find(|(name, _)| name == "data")?;
        Some((text(uid)?, text(namespace)?, data.1.clone()))
    }

    /// Reads an entry.
    pub(super) fn read_entry(&self, fields: &[(Bytes, Bytes)]) -> Result<Envelope, Junk> {
        streams::read_entry(fields)
    }

    // ----- what is said -----

    /// How something is told to the other servers.
    pub(super) fn tell(&self, namespace: &ByteString, message: &Message) -> Result<Sending, WriteError> {
        let uid = &*self.uid;
        match &*self.names(namespace) {
            Names::Classic(channels) => self.publish(channels.of(message), namespace, message),
            Names::Clustered(channels, _) if self.settings.format == RedisFormat::Sharded => {
                self.publish(self.settings.subscription_mode.channel(channels, message), namespace, message)
            }
            Names::Clustered(channels, _) if streams::is_published(message) => {
                self.publish(channels.all.clone(), namespace, message)
            }
            Names::Clustered(..) => {
                let fields = streams::write_entry(uid, namespace, message)?;
                let data = fields.iter().find(|(name, _)| *name == "data");
                let body = data.map(|(_, data)| data.clone()).unwrap_or_default();
                Ok(Sending { way: Way::Append, to: self.settings.key.clone(), body, fields })
            }
        }
    }

    /// How another server is answered.
    pub(super) fn reply(
        &self,
        namespace: &ByteString,
        asker: Option<&ByteString>,
        message: &Message,
    ) -> Result<Sending, WriteError> {
        let to = match &*self.names(namespace) {
            Names::Classic(channels) => {
                // Node answers events of servers on the common channel only.
                let is_specific = self.settings.has_specific_response_channel
                    && !matches!(message, Message::ServerAnswer { .. });
                match asker.filter(|_| is_specific) {
                    Some(asker) => channels.responses_of(asker),
                    None => channels.of(message),
                }
            }
            Names::Clustered(channels, _) => match asker {
                Some(asker) => channels.of(asker),
                None => channels.all.clone(),
            },
        };
        self.publish(to, namespace, message)
    }

    fn publish(&self, to: ByteString, namespace: &str, message: &Message) -> Result<Sending, WriteError> {
        let (way, body) = match self.settings.format {
            RedisFormat::Classic => (Way::Publish, classic::write(&self.uid, namespace, message)?),
            RedisFormat::Sharded => (Way::PublishSharded, sharded::write(&self.uid, namespace, message)?),
            RedisFormat::Streams => (Way::Publish, streams::write_published(&self.uid, namespace, message)?),
        };
        Ok(Sending { way, to, body, fields: Vec::new() })
    }

    /// By what this server hears itself say something, in its place of the order.
    pub(super) fn heard_by(&self, namespace: &ByteString, sending: &Sending) -> HeardBy {
        match (sending.way, &*self.names(namespace)) {
            (Way::Append, _) => HeardBy::Stream,
            // What is published has no place among the entries of the stream.
            (Way::Publish, Names::Clustered(..)) => HeardBy::Nothing,
            (Way::PublishSharded, _) => HeardBy::Channel(Channel::Shard(sending.to.clone())),
            (Way::Publish, Names::Classic(channels)) if channels.room_of(&sending.to).is_some() => {
                HeardBy::Channel(Channel::Pattern(channels.pattern.clone()))
            }
            (Way::Publish, Names::Classic(_)) => HeardBy::Channel(Channel::Plain(sending.to.clone())),
        }
    }

    /// What counts the servers of a namespace.
    pub(super) fn count(&self, namespace: &ByteString) -> Query {
        let channel = match &*self.names(namespace) {
            Names::Classic(channels) => channels.requests.clone(),
            Names::Clustered(channels, _) => channels.all.clone(),
        };
        Query::Count { channel, is_sharded: self.settings.format == RedisFormat::Sharded }
    }

    // ----- lost sockets -----

    /// The key of a lost socket; `None` if the format keeps none.
    pub(super) fn session_key(&self, pid: &str) -> Option<ByteString> {
        self.stream.as_ref()?;
        Some(sessions::key(&self.settings.session_prefix, pid))
    }

    /// Whether a socket is kept while it lives, too.
    pub(super) fn keeps_changes(&self) -> bool {
        self.settings.keep_sessions == KeepSessions::AtEveryChange
    }

    /// The key and the value of a lost socket.
    pub(super) fn session(&self, session: &Session) -> Option<(ByteString, Bytes)> {
        Some((self.session_key(&session.pid)?, sessions::write(session).ok()?))
    }

    /// Reads the value of a lost socket.
    pub(super) fn read_session(&self, value: &Bytes) -> Option<Session> {
        sessions::read(value).ok()
    }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        protocol::socketio::Args,
        socketio::adapter::settings::{KeepSessions, SubscriptionMode},
    };

    fn speech(format: RedisFormat, has_specific_response_channel: bool) -> Speech {
        let settings = AdapterSettings {
            format,
            key: "tea".into(),
            requests_timeout: Duration::from_secs(5),
            has_specific_response_channel,
            subscription_mode: SubscriptionMode::Dynamic,
            stream_len: 10_000,
            read_count: 100,
            session_prefix: "sio:session:".into(),
            keep_sessions: KeepSessions::AtDisconnect,
            max_requests: 9,
            shows_headers: false,
        };
        Speech::with_uid(settings, "me".into())
    }

    /// The channel of an answer to the server `you`.
    fn channel_of(speech: &Speech, message: &Message) -> String {
        let sending = speech.reply(&"/n".into(), Some(&"you".into()), message).expect("it is in the format");
        match sending.into_output(speech) {
            Output::Publish { channel, .. } => channel.to_string(),
            output => panic!("{output:?}"),
        }
    }

    #[test]
    fn answers_go_to_the_asking_server_alone_if_that_is_set_and_those_of_listeners_never() {
        let request = || ByteString::from_static("1");
        let asked = Message::Asked { request: request(), clients: 2 };
        let args = Args { json: "[1]".into(), attachments: Vec::new() };
        let of_a_listener = Message::ServerAnswer { request: request(), args };
        for (is_specific, channel) in [(false, "tea-response#/n#"), (true, "tea-response#/n#you#")] {
            let speech = speech(RedisFormat::Classic, is_specific);
            assert_eq!(channel_of(&speech, &asked), channel);
            assert_eq!(channel_of(&speech, &of_a_listener), "tea-response#/n#");
        }
        for format in [RedisFormat::Sharded, RedisFormat::Streams] {
            for message in [&asked, &of_a_listener] {
                assert_eq!(channel_of(&speech(format, false), message), "tea#/n#you#", "{format}");
            }
        }
    }

    #[test]
    fn a_server_has_an_id_as_node_gives_it() {
        let id = |format| Speech::new(speech(format, false).settings).expect("random numbers").uid;
        let (short, long) = (id(RedisFormat::Classic), id(RedisFormat::Streams));
        assert_eq!((short.len(), long.len()), (6, 16));
        assert!(long.bytes().all(|byte| byte.is_ascii_hexdigit()), "{long}");
        assert_ne!(short, id(RedisFormat::Classic));
    }
}
