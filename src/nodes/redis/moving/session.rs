//! Questions to Redis about rooms that are moved.

use std::collections::BTreeSet;

use redis::{Cmd, Value, aio::MultiplexedConnection};

use super::{
    super::{
        answers::{BadReply, answer, array, groups, list, number_of, text},
        calls::{call, function, of_room},
        connecting::{Options, connect, text_of_error},
        keys::{KEYS_OF_ROOMS, prefix, room_of_key},
        pages::{picture, picture_of},
        records::read_epochs,
    },
    MovingError, read_owner,
};
use crate::{
    domain::{Picture, PictureId, RoomName},
    journal::{Epoch, JournalError, ReservedName},
    nodes::{
        Bounds, Partition,
        commands::{Answer, Command, Stored},
    },
};

/// Keys that Redis looks at in one step.
const SCANNED: usize = 1000;

/// A connection to a Redis that is fit and has the functions.
pub(super) struct Session(MultiplexedConnection);

/// Where a room stands in Redis.
#[derive(Debug)]
pub(super) struct Standing {
    /// The offset of the last message.
    pub head: u64,
    /// The epochs, the oldest first; none if Redis does not know the room.
    pub epochs: Vec<Epoch>,
    /// The names that are reserved now.
    pub names: Vec<ReservedName>,
}

impl Session {
    pub(super) async fn open(options: &Options) -> Result<Self, MovingError> {
        let connected = connect(options).await;
        let error = |why| MovingError::NotConnected { place: options.url.clone(), why };
        connected.map(|connected| Self(connected.calls)).map_err(error)
    }

    /// Asks something.
    pub(super) async fn ask(&mut self, cmd: &Cmd) -> Result<Value, MovingError> {
        let answer = self.0.send_packed_command(cmd).await.and_then(Value::extract_error);
        answer.map_err(|error| MovingError::Redis(text_of_error(&error)))
    }

    /// Asks something that is done only if no node is alive: answered by the id of one, or by an empty text. Returns
    /// false if the answer is nothing.
    pub(super) async fn do_alone(&mut self, cmd: &Cmd) -> Result<bool, MovingError> {
        let answer = self.ask(cmd).await?;
        if answer == Value::Nil {
            return Ok(false);
        }
        let node = text(answer).map_err(unreadable)?;
        if node.is_empty() { Ok(true) } else { Err(MovingError::Alive(node)) }
    }

    /// Checks that no node is alive.
    pub(super) async fn check_no_node_is_alive(&mut self) -> Result<(), MovingError> {
        for partition in Partition::all() {
            self.do_alone(&function("live", [format!("{}n", prefix(partition))])).await?;
        }
        Ok(())
    }

    pub(super) async fn look(&mut self, room: &RoomName) -> Result<Standing, MovingError> {
        let answer = self.ask(&of_room("look", room, &["m", "x", "r"], &[])).await?;
        standing(answer).map_err(unreadable)
    }

    /// The oldest records of a room after an offset.
    pub(super) async fn records(&mut self, room: &RoomName, after: u64) -> Result<Vec<Stored>, MovingError> {
        let command = Command::Read { room: room.clone(), after };
        let reply = self.ask(&call(&command, &Bounds::default())).await?;
        match answer(&command, reply).map_err(unreadable)? {
            Answer::Records(records) => Ok(records),
            _ => Ok(Vec::new()),
        }
    }

    /// The ids of all avatar pictures with the times at which they were kept last, in milliseconds since 1970.
    pub(super) async fn pictures(&mut self) -> Result<Vec<(PictureId, u64)>, MovingError> {
        let mut pictures = Vec::new();
        for partition in Partition::all() {
            let mut range = redis::cmd("ZRANGE");
            range.arg(format!("{}ages", prefix(partition))).arg(&["0", "-1"]).arg("WITHSCORES");
            for pair in list(self.ask(&range).await?).map_err(unreadable)? {
                pictures.push(aged(pair).map_err(unreadable)?);
            }
        }
        Ok(pictures)
    }

    /// An avatar picture; `None` if it is not there any more. Damage is the inner error.
    pub(super) async fn picture(
        &mut self,
        id: &PictureId,
    ) -> Result<Result<Option<Picture>, JournalError>, MovingError> {
        Ok(picture_of(id, self.ask(&picture(id)).await?))
    }

    /// All rooms that have, or had, messages, or have reserved names.
    pub(super) async fn rooms(&mut self) -> Result<BTreeSet<RoomName>, MovingError> {
        let (mut rooms, mut cursor) = (BTreeSet::new(), "0".to_owned());
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(&cursor).arg("MATCH").arg(KEYS_OF_ROOMS).arg("COUNT").arg(SCANNED);
            let answer = self.ask(&scan).await?;
            let [next, keys] = array(answer).map_err(unreadable)?;
            for key in list(keys).map_err(unreadable)? {
                rooms.extend(room_of_key(&text(key).map_err(unreadable)?));
            }
            cursor = text(next).map_err(unreadable)?;
            if cursor == "0" {
                return Ok(rooms);
            }
        }
    }
}

fn unreadable(error: BadReply) -> MovingError {
    MovingError::Redis(error.to_string())
}

/// The id of a picture and its time: a pair, with the time as a number of floating point.
fn aged(pair: Value) -> Result<(PictureId, u64), BadReply> {
    let [id, time] = array(pair)?;
    let id = text(id)?.parse().map_err(|_| BadReply::Unexpected("the id of a picture"))?;
    match time {
        Value::Double(time) if time >= 0.0 => Ok((id, time as u64)),
        _ => Err(BadReply::Unexpected("a time")),
    }
}

fn standing(answer: Value) -> Result<Standing, BadReply> {
    let [head, epochs, names] = array(answer)?;
    let name = |[key, owner, until, name]: [Value; 4]| {
        let owner = read_owner(&text(owner)?).ok_or(BadReply::Unexpected("an owner"))?;
        Ok::<_, BadReply>(ReservedName {
            key: text(key)?,
            name: text(name)?,
            owner: owner.0,
            until: number_of(until)?,
        })
    };
    Ok(Standing {
        head: number_of(head)?,
        epochs: read_epochs(&text(epochs)?).ok_or(BadReply::Unexpected("the epochs of a room"))?,
        names: groups(names)?.into_iter().map(name).collect::<Result<_, _>>()?,
    })
}
