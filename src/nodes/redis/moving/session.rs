//! Questions to Redis about rooms that are moved.

use std::collections::BTreeSet;

use redis::{Cmd, Value, aio::MultiplexedConnection};

use super::{
    super::{
        answers::{BadReply, answer, array, groups, list, number_of, text},
        calls::{call, function, of_room},
        connecting::{NotConnected, Options, connect},
        fitness::Unfit,
        keys::{KEYS_OF_ROOMS, prefix, room_of_key},
        pages::{picture, picture_of},
        places,
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
        contract::Partitions,
    },
    redis_client::error::text_of_error,
};

/// Keys that Redis looks at in one step.
const SCANNED: usize = 1000;

/// Connections to a Redis, or to the masters of a Redis Cluster, that are fit and have the functions.
pub(super) struct Session(Vec<(MultiplexedConnection, Partitions)>);

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
        match open_one(options).await {
            Ok(connection) => Ok(Self(vec![(connection, Partitions::ALL)])),
            Err(MovingError::NotConnected { why: NotConnected::Unfit(Unfit::Cluster), .. }) => {
                Self::open_cluster(options).await
            }
            Err(error) => Err(error),
        }
    }

    async fn open_cluster(options: &Options) -> Result<Self, MovingError> {
        let place = || options.url.clone();
        let error = |why| MovingError::NotConnected { place: place(), why };
        let owners = places::ask(&[place()]).await.map_err(error)?;
        if Partition::all().any(|partition| owners.of(partition).is_none()) {
            return Err(error(NotConnected::NoOwner));
        }
        let mut connections = Vec::new();
        for (url, partitions) in owners.masters {
            connections.push((open_one(&options.at(url)).await?, partitions));
        }
        Ok(Self(connections))
    }

    /// Asks something about a partition.
    pub(super) async fn ask(&mut self, partition: Partition, cmd: &Cmd) -> Result<Value, MovingError> {
        match self.0.iter_mut().find(|(_, partitions)| partitions.contains(partition)) {
            Some((connection, _)) => ask(connection, cmd).await,
            None => Err(MovingError::Moved),
        }
    }

    /// Asks something that is done only if no node is alive: answered by the id of one, or by an empty text. Returns
    /// false if the answer is nothing.
    pub(super) async fn do_alone(&mut self, partition: Partition, cmd: &Cmd) -> Result<bool, MovingError> {
        let answer = self.ask(partition, cmd).await?;
        if answer == Value::Nil {
            return Ok(false);
        }
        let node = text(answer).map_err(unreadable)?;
        if node.is_empty() { Ok(true) } else { Err(MovingError::Alive(node)) }
    }

    /// Checks that no node is alive.
    pub(super) async fn check_no_node_is_alive(&mut self) -> Result<(), MovingError> {
        for partition in Partition::all() {
            self.do_alone(partition, &function("live", [format!("{}n", prefix(partition))])).await?;
        }
        Ok(())
    }

    pub(super) async fn look(&mut self, room: &RoomName) -> Result<Standing, MovingError> {
        let answer = self.ask(Partition::of(room), &of_room("look", room, &["m", "x", "r"], &[])).await?;
        standing(answer).map_err(unreadable)
    }

    /// The oldest records of a room after an offset.
    pub(super) async fn records(&mut self, room: &RoomName, after: u64) -> Result<Vec<Stored>, MovingError> {
        let command = Command::Read { room: room.clone(), after };
        let reply = self.ask(Partition::of(room), &call(&command, &Bounds::default())).await?;
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
            for pair in list(self.ask(partition, &range).await?).map_err(unreadable)? {
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
        Ok(picture_of(id, self.ask(Partition::of_picture(id), &picture(id)).await?))
    }

    /// All rooms that have, or had, messages, or have reserved names.
    pub(super) async fn rooms(&mut self) -> Result<BTreeSet<RoomName>, MovingError> {
        let mut rooms = BTreeSet::new();
        for (connection, _) in &mut self.0 {
            add_rooms(connection, &mut rooms).await?;
        }
        Ok(rooms)
    }
}

async fn open_one(options: &Options) -> Result<MultiplexedConnection, MovingError> {
    let error = |why| MovingError::NotConnected { place: options.url.clone(), why };
    connect(options).await.map(|connected| connected.calls).map_err(error)
}

async fn ask(connection: &mut MultiplexedConnection, cmd: &Cmd) -> Result<Value, MovingError> {
    let answer = connection.send_packed_command(cmd).await.and_then(Value::extract_error);
    answer.map_err(|error| {
        let text = text_of_error(&error);
        let is_moving = ["MOVED ", "ASK ", "TRYAGAIN"].iter().any(|word| text.starts_with(word));
        if is_moving { MovingError::Moved } else { MovingError::Redis(text) }
    })
}

/// Adds the rooms of one server.
async fn add_rooms(
    connection: &mut MultiplexedConnection,
    rooms: &mut BTreeSet<RoomName>,
) -> Result<(), MovingError> {
    let mut cursor = "0".to_owned();
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(&cursor).arg("MATCH").arg(KEYS_OF_ROOMS).arg("COUNT").arg(SCANNED);
        let [next, keys] = array(ask(connection, &scan).await?).map_err(unreadable)?;
        for key in list(keys).map_err(unreadable)? {
            rooms.extend(room_of_key(&text(key).map_err(unreadable)?));
        }
        cursor = text(next).map_err(unreadable)?;
        if cursor == "0" {
            return Ok(());
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
