//! The channels of a namespace.

use bytestring::ByteString;

use crate::socketio::cluster::Message;

/// The channels of a namespace, for one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Channels {
    /// Broadcasts, but those for one room; their channels begin with it.
    pub(crate) broadcasts: ByteString,
    /// The pattern of the channels of all broadcasts.
    pub(crate) pattern: ByteString,
    /// Requests.
    pub(crate) requests: ByteString,
    /// Answers, for all servers.
    pub(crate) responses: ByteString,
    /// Answers for this server only.
    pub(crate) own_responses: ByteString,
}

impl Channels {
    /// The channels of a namespace under a key, such as `socket.io`, for the server with this uid.
    pub(crate) fn new(key: &str, namespace: &str, uid: &str) -> Self {
        let broadcasts = format!("{key}#{namespace}#");
        Self {
            pattern: format!("{}*", escaped(&broadcasts)).into(),
            broadcasts: broadcasts.into(),
            requests: format!("{key}-request#{namespace}#").into(),
            responses: format!("{key}-response#{namespace}#").into(),
            own_responses: format!("{key}-response#{namespace}#{uid}#").into(),
        }
    }

    /// The channel of a message. Answers go to all servers.
    pub(crate) fn of(&self, message: &Message) -> ByteString {
        match message {
            Message::Broadcast { opts, .. } => match &*opts.target.to {
                [room] => format!("{}{room}#", self.broadcasts).into(),
                _ => self.broadcasts.clone(),
            },
            Message::Ask { .. }
            | Message::Join { .. }
            | Message::Leave { .. }
            | Message::Disconnect { .. }
            | Message::ListSids { .. }
            | Message::ListRooms { .. }
            | Message::Fetch { .. }
            | Message::ServerEvent { .. }
            | Message::Claim { .. } => self.requests.clone(),
            Message::Asked { .. }
            | Message::Acked { .. }
            | Message::Sockets { .. }
            | Message::Sids { .. }
            | Message::Rooms { .. }
            | Message::Done { .. }
            | Message::ServerAnswer { .. } => self.responses.clone(),
        }
    }

    /// The channel of answers for one other server.
    pub(crate) fn responses_of(&self, uid: &str) -> ByteString {
        format!("{}{uid}#", self.responses).into()
    }

    /// The room of a channel of broadcasts: none if it is for several rooms or all sockets. The outer None is a channel of
    /// something else.
    pub(crate) fn room_of<'a>(&self, channel: &'a str) -> Option<Option<&'a str>> {
        let rest = channel.strip_prefix(&*self.broadcasts)?;
        // As Node reads it: up to the last number sign, if there is one.
        let room = rest.rsplit_once('#').map_or("", |(room, _)| room);
        Some((!room.is_empty()).then_some(room))
    }
}

/// A text as a pattern of Redis that matches only it.
fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern
}
