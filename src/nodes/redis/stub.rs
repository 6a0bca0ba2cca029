//! What stands in for the files that are written beside this one: the link (`nodes::link`), and calls as bytes
//! (`nodes::redis::calls`). Goes away with them.

use std::time::Instant;

use bytes::Bytes;

use crate::{
    domain::RoomName,
    nodes::{
        NodeUid, Partition,
        commands::{Answer, Appended, Command, Published},
    },
};

/// Stands in for `nodes::link`.
pub mod link {
    use super::{Answer, Command, Instant, NodeUid, Partition, Published, RoomName};
    use crate::nodes::{
        commands::Refused,
        contract::{Away, Heard, Order},
    };

    /// The link's number for a call.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub struct CallId(pub u64);

    /// What a link is told.
    #[derive(Debug)]
    pub enum Input {
        /// Redis can be reached.
        Up {
            /// `run_id+master_replid`.
            server: String,
        },
        /// Redis cannot be reached.
        Down(Away),
        /// The chat asks for something.
        Order(Order),
        /// A call is answered.
        Answered(CallId, Result<Answer, Refused>),
        /// The channel of a room is subscribed to.
        Subscribed(RoomName),
        /// Something was published.
        Published(Option<RoomName>, Published),
        /// The time of `next_wake` has come.
        Wake,
        /// The server stops.
        Stop,
    }

    /// What a link wants done.
    #[derive(Debug)]
    pub enum Output {
        /// To call a function.
        Call(CallId, Command),
        /// To subscribe to the channel of a room.
        Subscribe(RoomName),
        /// To unsubscribe from it.
        Unsubscribe(RoomName),
        /// To subscribe to the channel of this node in a partition.
        SubscribeNode(Partition, NodeUid),
        /// To tell the chat something.
        Tell(Heard),
        /// To give the connections up and connect anew.
        HangUp(Away),
        /// Nothing more is to be done.
        Done,
    }

    /// A link that does nothing.
    #[derive(Debug, Default)]
    pub struct Link;

    impl Link {
        /// Takes an input.
        pub fn handle(&mut self, _now: Instant, input: Input, out: &mut Vec<Output>) {
            if matches!(input, Input::Stop) {
                out.push(Output::Done);
            }
        }

        /// When the link wants to be woken.
        pub fn next_wake(&self) -> Option<Instant> {
            None
        }
    }
}

/// Bounds on what Redis keeps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bounds {}

/// An answer that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("Redis has answered what cannot be read")]
pub struct BadReply;

/// A publication that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("what was published cannot be read")]
pub struct BadPublication;

/// The functions.
pub(crate) const FUNCTIONS: &str = "#!lua name=echoroom_0
redis.register_function('er_publish', function(keys, args)
  redis.call('SPUBLISH', keys[1], args[1])
  return 1
end)
redis.register_function('er_append', function(keys, args)
  return redis.call('INCRBY', keys[1], args[1])
end)
";

/// A call as bytes.
pub(crate) fn call(command: &Command, _bounds: &Bounds) -> ::redis::Cmd {
    let mut cmd = ::redis::cmd("FCALL");
    match command {
        Command::Append(append) => {
            let key = format!("er:m:{}", append.room.as_str());
            cmd.arg("er_append").arg(1).arg(key).arg(append.count);
        }
        Command::Publish { room, node, payload } => {
            let body = [node.as_str().as_bytes(), payload].concat();
            cmd.arg("er_publish").arg(1).arg(channel_of(room)).arg(body);
        }
        _ => {
            cmd.arg("er_unknown").arg(0);
        }
    }
    cmd
}

/// An answer as a value.
pub(crate) fn answer(command: &Command, value: ::redis::Value) -> Result<Answer, BadReply> {
    match (command, value) {
        (Command::Append(append), ::redis::Value::Int(last)) => {
            let first = u64::try_from(last).map_err(|_| BadReply)? + 1 - u64::from(append.count);
            Ok(Answer::Appended(Appended::At(first)))
        }
        (Command::Publish { .. }, ::redis::Value::Int(_)) => Ok(Answer::Done),
        _ => Err(BadReply),
    }
}

/// The channel of a room.
pub(crate) fn channel_of(room: &RoomName) -> String {
    format!("er:{{e{}}}:c:{}", Partition::of(room).number(), room.as_str())
}

/// The channel of a node in a partition.
pub(crate) fn channel_of_node(partition: Partition, node: NodeUid) -> String {
    format!("er:{{e{}}}:w:{node}", partition.number())
}

/// Reads publications, which may come in several pieces.
#[derive(Debug, Default)]
pub(crate) struct Publications {}

impl Publications {
    /// Reads a publication.
    pub(crate) fn read(
        &mut self,
        channel: &[u8],
        payload: Bytes,
    ) -> Result<Option<(Option<RoomName>, Published)>, BadPublication> {
        let channel = std::str::from_utf8(channel).map_err(|_| BadPublication)?;
        let name = channel.split_once(":c:").map(|(_, name)| name);
        let room = name.map(RoomName::parse).transpose().map_err(|_| BadPublication)?;
        let node = payload.get(..16).and_then(|uid| std::str::from_utf8(uid).ok()?.parse().ok());
        let node = node.ok_or(BadPublication)?;
        Ok(Some((room, Published::Shown { node, payload: payload.slice(16..) })))
    }
}
