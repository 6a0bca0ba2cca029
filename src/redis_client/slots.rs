//! Slots of a Redis Cluster: which of its servers has which.

use std::{ops::RangeInclusive, time::Duration};

use actix_web::rt;
use redis::{AsyncConnectionConfig, RedisError, Value, aio::MultiplexedConnection};

use super::{
    connecting::client_of,
    error::ConnectError,
    values::{list_of, text_of},
};
use crate::config::{Place, RedisUrl};

/// The number of slots of a Redis Cluster.
const SLOTS: u16 = 16384;

/// How long one server may take to tell of the slots. The next one is asked then.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Slots that one master has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SlotRange {
    /// The slots.
    pub(crate) slots: RangeInclusive<u16>,
    /// The addresses of the master and of its replicas, in this order.
    pub(crate) servers: Vec<RedisUrl>,
}

/// The slot of a key, by its hash tag if it has one.
pub(crate) fn slot_of_key(key: &[u8]) -> u16 {
    let position = |bytes: &[u8], sign: u8| bytes.iter().position(|byte| *byte == sign);
    let tag = position(key, b'{').and_then(|open| {
        let rest = &key[open + 1..];
        position(rest, b'}').filter(|len| *len > 0).map(|len| &rest[..len])
    });
    crc16(tag.unwrap_or(key)) % SLOTS
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

/// Asks a server of a cluster for the slots.
///
/// # Errors
/// It cannot be reached, is silent, or is no part of a cluster.
pub(crate) async fn ask(url: &RedisUrl) -> Result<Vec<SlotRange>, ConnectError> {
    let asking = async {
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(TIMEOUT));
        let mut connection = client_of(url)?.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(ask_by(&mut connection, url).await?)
    };
    rt::time::timeout(TIMEOUT, asking).await.unwrap_or(Err(ConnectError::Silent))
}

/// Asks the server at `url` for the slots, by an open connection.
///
/// # Errors
/// The connection is broken, or the server is no part of a cluster.
pub(crate) async fn ask_by(
    connection: &mut MultiplexedConnection,
    url: &RedisUrl,
) -> Result<Vec<SlotRange>, RedisError> {
    let reply = connection.send_packed_command(redis::cmd("CLUSTER").arg("SLOTS")).await?.extract_error()?;
    Ok(read(&reply, url))
}

/// Reads the answer of the server at `url` to `CLUSTER SLOTS`.
pub(crate) fn read(reply: &Value, url: &RedisUrl) -> Vec<SlotRange> {
    let range = |range| {
        let [first, last, listed @ ..] = list_of(range) else { return None };
        let servers = listed.iter().filter_map(|server| address(server, url)).collect();
        Some(SlotRange { slots: number_of(first)?..=number_of(last)?, servers })
    };
    list_of(reply).iter().filter_map(range).collect()
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
pub(crate) fn moved_to(text: &str, from: &RedisUrl) -> Option<RedisUrl> {
    let (_, address) = text.strip_prefix("MOVED ")?.split_once(' ')?;
    let (host, port) = address.rsplit_once(':')?;
    let host = if host.is_empty() { host_of(from) } else { host };
    Some(from.at(host, port.parse().ok()?))
}

/// Whether a refusal says that another server has the slot.
pub(crate) fn is_moved(text: &str) -> bool {
    text.starts_with("MOVED ")
}

/// Whether a refusal says that the server does not belong to the cluster any more, or the cluster has lost some slots.
pub(crate) fn is_down(text: &str) -> bool {
    text.starts_with("CLUSTERDOWN")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_of_a_key_is_the_one_that_redis_computes() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        // As `CLUSTER KEYSLOT` says.
        for (key, slot) in
            [("socket.io", 9972), ("{e0}", 652), ("er:{e0}:m:tea", 652), ("{}e0", 1215), ("a{e0", 1299)]
        {
            assert_eq!(slot_of_key(key.as_bytes()), slot, "{key}");
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
