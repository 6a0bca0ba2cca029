//! Whether the name of a node is that of another server that runs.

use redis::{RedisError, Value, aio::MultiplexedConnection};

use super::keys::{channel_of_node, key_of_leases, prefix};
use crate::{
    nodes::{NodeName, NodeUid, Partition},
    redis_client::values::text_of,
};

/// The node of this name that is alive, if there is one: its channel is subscribed to, and its lease runs. Redis closes
/// the connections of a process that has crashed at once, so that it can start again; the connections of a machine
/// without power stay, and its lease ends. A node tells of itself in all partitions; this asks in one,
/// which the server must have.
pub(super) async fn namesake(
    connection: &mut MultiplexedConnection,
    partition: Partition,
    name: NodeName,
) -> Result<Option<NodeUid>, RedisError> {
    let mut requests = redis::pipe();
    requests.cmd("PUBSUB").arg("SHARDCHANNELS").arg(pattern(partition, name));
    requests.cmd("TIME");
    let replies = connection.send_packed_commands(&requests, 0, 2).await?;
    let [Value::Array(channels), Value::Array(time)] = &replies[..] else {
        // A user of Redis may not be allowed to ask this.
        return Ok(None);
    };
    let seconds = time.first().and_then(text_of).unwrap_or_default();
    let live = format!("{seconds}000");
    let mut leases = redis::cmd("ZRANGEBYSCORE");
    leases.arg(key_of_leases(partition)).arg(live).arg("+inf");
    let Value::Array(leases) = connection.send_packed_command(&leases).await? else {
        return Ok(None);
    };
    let nodes = leases.iter().filter_map(|node| text_of(node)?.parse::<NodeUid>().ok());
    let is_heard = |node: &NodeUid| {
        let own = channel_of_node(partition, node);
        channels.iter().any(|channel| text_of(channel).is_some_and(|channel| channel == own))
    };
    Ok(nodes.filter(|node| node.name() == name).find(is_heard))
}

/// What the channels of all nodes of a name match. A name has no character that means something in a pattern.
fn pattern(partition: Partition, name: NodeName) -> String {
    format!("{}node:{}*", prefix(partition), name.as_str())
}
