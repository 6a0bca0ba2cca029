//! A Redis Cluster: which of its servers has which partition. All keys of a partition are in one slot.

use std::{collections::BTreeSet, time::Duration};

use actix_web::rt;
use redis::{AsyncConnectionConfig, Value};

use super::{
    connecting::{NotConnected, client_of},
    facts::text_of,
    keys::tag,
};
use crate::{
    config::{Place, RedisUrl},
    nodes::{Partition, contract::Partitions},
};

/// The number of slots of a Redis Cluster.
const SLOTS: u16 = 16384;

/// How long one server may take to tell of the slots. The next one is asked then.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The slot of a partition.
fn slot_of(partition: Partition) -> u16 {
    crc16(tag(partition).as_bytes()) % SLOTS
}

/// CRC-16/XMODEM, by which a Redis Cluster finds the slot of a key.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(
            crc ^ u16::from(*byte) << 8,
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
            },
        )
    })
}

/// Which server has which partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owners {
    /// The masters, and the partitions that each of them has.
    pub masters: Vec<(RedisUrl, Partitions)>,
    /// The addresses of all servers, replicas too.
    pub servers: Vec<RedisUrl>,
}

impl Owners {
    /// A Redis that has all partitions.
    pub(super) fn one(url: RedisUrl) -> Self {
        Self { masters: vec![(url.clone(), Partitions::ALL)], servers: vec![url] }
    }

    /// The server that has a partition; `None` if none has it now.
    pub(super) fn of(&self, partition: Partition) -> Option<&RedisUrl> {
        self.masters.iter().find(|(_, partitions)| partitions.contains(partition)).map(|(url, _)| url)
    }

    /// Asks a server of a cluster.
    pub(super) async fn ask(url: &RedisUrl) -> Result<Self, NotConnected> {
        rt::time::timeout(TIMEOUT, ask(url)).await.unwrap_or(Err(NotConnected::Silent))
    }

    /// Reads the answer of the server at `url` to CLUSTER SLOTS.
    fn read(reply: &Value, url: &RedisUrl) -> Self {
        let (mut masters, mut servers) = (Vec::<(RedisUrl, Partitions)>::new(), Vec::new());
        for range in list_of(reply) {
            let [first, last, listed @ ..] = list_of(range) else { continue };
            let (Some(first), Some(last)) = (number_of(first), number_of(last)) else { continue };
            let of_range: Vec<_> = listed.iter().filter_map(|server| address(server, url)).collect();
            let has = |partition: &Partition| (first..=last).contains(&slot_of(*partition));
            let partitions: Partitions = Partition::all().filter(has).collect();
            if let Some(master) = of_range.first().filter(|_| !partitions.is_empty()) {
                match masters.iter_mut().find(|(known, _)| known == master) {
                    Some((_, known)) => known.add(partitions),
                    None => masters.push((master.clone(), partitions)),
                }
            }
            servers.extend(of_range);
        }
        let mut seen = BTreeSet::new();
        servers.retain(|server| seen.insert(server.to_string()));
        Self { masters, servers }
    }
}

async fn ask(url: &RedisUrl) -> Result<Owners, NotConnected> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(TIMEOUT));
    let mut connection = client_of(url)?.get_multiplexed_async_connection_with_config(&config).await?;
    let reply = connection.send_packed_command(redis::cmd("CLUSTER").arg("SLOTS")).await?.extract_error()?;
    Ok(Owners::read(&reply, url))
}

fn list_of(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        _ => &[],
    }
}

fn number_of(value: &Value) -> Option<u16> {
    match value {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    }
}

/// The address of a server in a range of slots. A server that does not know its own is the one that was asked.
fn address(server: &Value, asked: &RedisUrl) -> Option<RedisUrl> {
    let [host, port, ..] = list_of(server) else { return None };
    let port = number_of(port)?;
    match text_of(host).as_deref() {
        None | Some("") => Some(asked.at(host_of(asked), port)),
        // It is to announce a name, and has none.
        Some("?") => None,
        Some(host) => Some(asked.at(host, port)),
    }
}

fn host_of(url: &RedisUrl) -> &str {
    match url.place() {
        Place::Tcp { host, .. } => host,
        Place::Unix(_) => "127.0.0.1",
    }
}

/// The server to which a refusal of another one points, if it says that a slot is there: `MOVED 3999 host:port`.
pub(super) fn moved_to(text: &str, from: &RedisUrl) -> Option<RedisUrl> {
    let (_, address) = text.strip_prefix("MOVED ")?.split_once(' ')?;
    let (host, port) = address.rsplit_once(':')?;
    let host = if host.is_empty() { host_of(from) } else { host };
    Some(from.at(host, port.parse().ok()?))
}

/// Whether a refusal says that another server has the slot.
pub(super) fn is_moved(text: &str) -> bool {
    text.starts_with("MOVED ")
}

/// Whether a refusal says that the server does not belong to the cluster any more, or the cluster has lost some slots.
pub(super) fn is_down(text: &str) -> bool {
    text.starts_with("CLUSTERDOWN")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_of_a_partition_is_the_one_that_redis_computes() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        // As `CLUSTER KEYSLOT er:{e0}:m:tea` and so on say.
        let slots: Vec<_> = Partition::all().map(slot_of).collect();
        assert_eq!(slots[..3], [652, 4781, 8910]);
        let distinct: BTreeSet<_> = slots.iter().collect();
        assert_eq!(distinct.len(), 64);
    }

    fn server(host: &str, port: i64) -> Value {
        let id = Value::BulkString(b"07c37df".to_vec());
        Value::Array(vec![Value::BulkString(host.into()), Value::Int(port), id, Value::Array(Vec::new())])
    }

    fn range(first: i64, last: i64, servers: &[Value]) -> Value {
        Value::Array([&[Value::Int(first), Value::Int(last)], servers].concat())
    }

    #[test]
    fn the_owner_of_each_partition_is_the_master_of_its_slot_with_the_login_of_the_address_that_was_asked() {
        let url: RedisUrl = "rediss://ann:Geheim7@seed:7000".parse().expect("an address");
        let reply = Value::Array(vec![
            range(0, 8000, &[server("one.example", 7001), server("", 7004)]),
            range(8001, 8001, &[server("::1", 7002)]),
            range(8002, 16000, &[server("::1", 7002)]),
            range(16001, 16383, &[server("?", 7009)]),
            Value::Nil,
        ]);
        let owners = Owners::read(&reply, &url);
        let servers: Vec<_> = owners.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["rediss://one.example:7001/0", "rediss://seed:7004/0", "rediss://[::1]:7002/0"]);
        for partition in Partition::all() {
            let expected = match slot_of(partition) {
                ..=8000 => Some(&owners.servers[0]),
                8001..=16000 => Some(&owners.servers[2]),
                _ => None,
            };
            assert_eq!(owners.of(partition), expected, "{partition:?}");
        }
        assert!(
            owners.servers.iter().all(|url| (url.user(), url.password()) == (Some("ann"), Some("Geheim7")))
        );
    }

    #[test]
    fn another_answer_has_no_owners() {
        let url: RedisUrl = "unix:/run/redis.sock".parse().expect("an address");
        for reply in [Value::Nil, Value::Array(vec![Value::Int(1)]), Value::Array(vec![range(1, 2, &[])])] {
            let owners = Owners::read(&reply, &url);
            assert!(owners.masters.is_empty() && owners.servers.is_empty(), "{owners:?}");
        }
    }

    #[test]
    fn a_refusal_tells_to_which_server_a_slot_has_moved() {
        let from: RedisUrl = "redis://:Geheim7@seed:7000".parse().expect("an address");
        for (text, expected) in [
            ("MOVED 3999 127.0.0.1:6381", Some("redis://127.0.0.1:6381/0")),
            ("MOVED 3999 ::1:6381", Some("redis://[::1]:6381/0")),
            ("MOVED 3999 :6381", Some("redis://seed:6381/0")),
            ("MOVED 3999 one.example:x", None),
            ("MOVED", None),
            ("ASK 3999 127.0.0.1:6381", None),
        ] {
            assert_eq!(moved_to(text, &from).map(|url| url.to_string()).as_deref(), expected, "{text}");
        }
    }
}
