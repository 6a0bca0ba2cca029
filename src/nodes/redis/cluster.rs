//! A Redis Cluster: which of its servers has which partition. All keys of a partition are in one slot.

use std::collections::BTreeSet;

use super::{connecting::NotConnected, keys::tag};
use crate::{
    config::RedisUrl,
    nodes::{Partition, contract::Partitions},
    redis_client::slots::{self, SlotRange, slot_of_key},
};

/// The slot of a partition.
fn slot_of(partition: Partition) -> u16 {
    slot_of_key(tag(partition).as_bytes())
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
        Ok(Self::of_ranges(&slots::ask(url).await?))
    }

    fn of_ranges(ranges: &[SlotRange]) -> Self {
        let (mut masters, mut servers) = (Vec::<(RedisUrl, Partitions)>::new(), Vec::new());
        for range in ranges {
            let has = |partition: &Partition| range.slots.contains(&slot_of(*partition));
            let partitions: Partitions = Partition::all().filter(has).collect();
            if let Some(master) = range.servers.first().filter(|_| !partitions.is_empty()) {
                match masters.iter_mut().find(|(known, _)| known == master) {
                    Some((_, known)) => known.add(partitions),
                    None => masters.push((master.clone(), partitions)),
                }
            }
            servers.extend(range.servers.iter().cloned());
        }
        let mut seen = BTreeSet::new();
        servers.retain(|server| seen.insert(server.to_string()));
        Self { masters, servers }
    }
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::*;

    #[test]
    fn the_slot_of_a_partition_is_the_one_that_redis_computes() {
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
        let owners = Owners::of_ranges(&slots::read(&reply, &url));
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
            let owners = Owners::of_ranges(&slots::read(&reply, &url));
            assert!(owners.masters.is_empty() && owners.servers.is_empty(), "{owners:?}");
        }
    }
}
