//! What a Redis tells of itself.

use std::collections::HashMap;

use redis::{RedisError, Value, aio::MultiplexedConnection};

use super::values::text_of;

/// The settings that are asked for. Services that run Redis for others often forbid the question.
const SETTINGS: [&str; 2] = ["appendfsync", "min-replicas-to-write"];

/// What a Redis tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The version, as Redis writes it. Valkey tells that of the Redis that it is compatible with.
    pub version: String,
    /// The run, different after each start.
    pub run: String,
    /// The history of its data: that of the master, if it has been one's replica.
    pub history: String,
    /// Whether it is a replica.
    pub is_replica: bool,
    /// Whether it is part of a Redis Cluster.
    pub is_cluster: bool,
    /// Whether it is still reading its data.
    pub is_loading: bool,
    /// What it does when its memory is full.
    pub eviction: String,
    /// Whether it writes to a file what it is told.
    pub has_file: bool,
    /// When it flushes that file (`appendfsync`); `None` if it does not tell.
    pub flushes: Option<String>,
    /// The number of its replicas.
    pub replicas: u32,
    /// The replicas without which it takes nothing; `None` if it does not tell.
    pub min_replicas: Option<u32>,
}

impl Facts {
    /// Asks for them.
    pub(crate) async fn ask(connection: &mut MultiplexedConnection) -> Result<Self, RedisError> {
        let mut questions = redis::pipe();
        questions.cmd("INFO").cmd("CONFIG").arg("GET").arg(&SETTINGS);
        let mut answers = connection.send_packed_commands(&questions, 0, 2).await?.into_iter();
        let info = answers.next().unwrap_or_default().extract_error()?;
        let settings = answers.next().map(pairs_of).unwrap_or_default();
        Ok(Self::read(&text_of(&info).unwrap_or_default(), &settings))
    }

    /// Reads the text of INFO, and settings. What is missing is empty, or not so.
    fn read(info: &str, settings: &HashMap<String, String>) -> Self {
        let lines: HashMap<_, _> = info.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
        let text = |name: &str| lines.get(name).copied().unwrap_or_default().to_owned();
        let is_on = |name: &str| lines.get(name).is_some_and(|value| *value == "1");
        Self {
            version: text("redis_version"),
            run: text("run_id"),
            history: text("master_replid"),
            is_replica: lines.get("role").is_some_and(|role| *role == "slave"),
            is_cluster: is_on("cluster_enabled"),
            is_loading: is_on("loading"),
            eviction: text("maxmemory_policy"),
            has_file: is_on("aof_enabled"),
            flushes: settings.get("appendfsync").cloned(),
            replicas: text("connected_slaves").parse().unwrap_or_default(),
            min_replicas: settings.get("min-replicas-to-write").and_then(|count| count.parse().ok()),
        }
    }

    /// The run, and the history of its data.
    pub(crate) fn server(&self) -> String {
        format!("{}+{}", self.run, self.history)
    }
}

/// The pairs of an answer; none of an error.
fn pairs_of(value: Value) -> HashMap<String, String> {
    match value {
        Value::Map(pairs) => {
            pairs.iter().filter_map(|(name, value)| Some((text_of(name)?, text_of(value)?))).collect()
        }
        _ => HashMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_by_their_names_wherever_they_stand() {
        let info = "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nrun_id:ab\r\n\r\n# Replication\r\n\
                    role:slave\r\nmaster_replid:cd\r\nconnected_slaves:2\r\nloading:1\r\naof_enabled:1\r\n\
                    cluster_enabled:1\r\nmaxmemory_policy:allkeys-lru\r\n";
        let settings = [("appendfsync", "always"), ("min-replicas-to-write", "1")];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let facts = Facts::read(info, &settings);
        assert_eq!((facts.version.as_str(), facts.server().as_str()), ("7.2.4", "ab+cd"));
        assert!(facts.is_replica && facts.is_cluster && facts.is_loading && facts.has_file, "{facts:?}");
        assert_eq!((facts.eviction.as_str(), facts.flushes.as_deref()), ("allkeys-lru", Some("always")));
        assert_eq!((facts.replicas, facts.min_replicas), (2, Some(1)));
    }

    #[test]
    fn what_is_not_told_is_not_so() {
        let facts = Facts::read("junk\nredis_version:7.0.15", &HashMap::new());
        assert!(!facts.is_replica && !facts.is_cluster && !facts.is_loading && !facts.has_file, "{facts:?}");
        assert_eq!((facts.flushes, facts.min_replicas, facts.replicas), (None, None, 0));
    }
}
