//! Whether a Redis is fit to have rooms, and what it promises of what it is told.

use std::fmt::Write as _;

use crate::{
    config::{Key, RedisAcks},
    redis_client::facts::Facts,
};

/// The oldest version of Redis that has functions and channels of shards.
const OLDEST: (u32, u32) = (7, 0);

/// Why a Redis cannot have rooms. Each is the end of a sentence that begins with its address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is too old.
    #[error("has version {version}, but {}.{} or newer is needed, or any Valkey", OLDEST.0, OLDEST.1)]
    TooOld {
        /// Its version.
        version: String,
    },
    /// It tells no version.
    #[error("does not tell its version")]
    NoVersion,
    /// It is part of a Redis Cluster, and was not taken for that.
    #[error("is part of a Redis Cluster, which it was not when this server started: start it again")]
    Cluster,
    /// It is a replica.
    #[error("is a replica: the address of its master is needed")]
    Replica,
    /// It may evict any key.
    #[error(
        "has maxmemory-policy {policy}, by which it may evict rooms when its memory is full: set noeviction there, or \
         {} on",
        Key("redis-eviction")
    )]
    Evicts {
        /// The policy.
        policy: String,
    },
}

/// What a Redis promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// The promise in words, for the log and for `/health`.
    pub words: String,
    /// Whether acks wait for more than one computer, or for its disk, and a failover can void them all the same.
    pub is_hollow: bool,
}

/// Whether a Redis is fit, and what it promises.
pub(super) fn judge(facts: &Facts, acks: RedisAcks, may_evict: bool) -> Result<Terms, Unfit> {
    if facts.version.is_empty() {
        return Err(Unfit::NoVersion);
    }
    let mut numbers = facts.version.split('.').map_while(|number| number.parse::<u32>().ok());
    if (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default()) < OLDEST {
        return Err(Unfit::TooOld { version: facts.version.clone() });
    }
    if facts.is_replica {
        return Err(Unfit::Replica);
    }
    if facts.eviction.starts_with("allkeys-") && !may_evict {
        return Err(Unfit::Evicts { policy: facts.eviction.clone() });
    }
    let waits = facts.flushes.as_deref() == Some("always") || acks != RedisAcks::Heard;
    let is_hollow = waits && facts.replicas > 0 && facts.min_replicas == Some(0);
    Ok(Terms { words: words(facts, acks), is_hollow })
}

/// The promise in words.
fn words(facts: &Facts, acks: RedisAcks) -> String {
    let flushes = facts.flushes.as_deref().filter(|_| facts.has_file);
    let mut words = match flushes {
        Some("always") => "appendfsync always: acked messages are on its disk".to_owned(),
        Some("everysec") => lost_together("appendfsync everysec", "acked messages of the last 2 seconds are"),
        Some(other) => {
            lost_together(&format!("appendfsync {other}"), "acked messages of the last minute may be")
        }
        None if facts.has_file => lost_together("appendonly yes", "the last acked messages may be"),
        None => lost_together("appendonly no", "messages since its last snapshot are"),
    };
    let replicas = match facts.replicas {
        0 => "no replica".to_owned(),
        1 => "1 replica".to_owned(),
        count => format!("{count} replicas"),
    };
    // Writing to a text cannot fail.
    let _ = match acks {
        RedisAcks::Heard if facts.replicas == 0 => write!(words, "; {replicas}"),
        RedisAcks::Heard => write!(words, "; {replicas}, for which acks do not wait"),
        RedisAcks::Replicas(count) if u32::from(count.get()) > facts.replicas => {
            write!(words, "; {replicas}, but acks wait for {count}: nothing can be acked")
        }
        RedisAcks::Replicas(count) => write!(words, "; {replicas}, acks wait for {count}"),
    };
    if facts.replicas > 0 && facts.min_replicas == Some(0) {
        words.push_str(
            "; min-replicas-to-write 0: what is acked while it is cut off from its replicas is lost by a failover",
        );
    }
    words
}

fn lost_together(setting: &str, what: &str) -> String {
    format!("{setting}: {what} lost if it and all nodes die at once")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            version: "7.0.15".into(),
            run: "ab".into(),
            history: "cd".into(),
            is_replica: false,
            is_cluster: false,
            is_loading: false,
            eviction: "noeviction".into(),
            has_file: true,
            flushes: Some("everysec".into()),
            replicas: 0,
            min_replicas: Some(0),
        }
    }

    fn judged(facts: &Facts, acks: &str) -> Result<String, String> {
        judge(facts, acks.parse().expect("acks"), false)
            .map(|terms| terms.words)
            .map_err(|unfit| unfit.to_string())
    }

    #[test]
    fn a_redis_that_is_unfit_is_told_why_in_one_sentence() {
        let table = [
            (Facts { version: "6.2.14".into(), ..facts() }, "has version 6.2.14, but 7.0"),
            (Facts { version: String::new(), ..facts() }, "does not tell its version"),
            (Facts { is_replica: true, ..facts() }, "master"),
            (Facts { eviction: "allkeys-lfu".into(), ..facts() }, "--redis-eviction"),
        ];
        for (facts, words) in table {
            let sentence = judged(&facts, "heard").expect_err(words);
            assert!(sentence.contains(words) && !sentence.contains('\n'), "{sentence}");
        }
    }

    #[test]
    fn what_may_evict_is_used_if_that_is_set_and_newer_versions_always() {
        let evicting = Facts { eviction: "allkeys-lru".into(), ..facts() };
        assert!(judge(&evicting, RedisAcks::Heard, true).is_ok());
        for fit in [
            Facts { version: "7.0.0".into(), ..facts() },
            Facts { version: "8.2".into(), ..facts() },
            Facts { version: "10.0.1".into(), ..facts() },
            Facts { eviction: "volatile-lru".into(), ..facts() },
        ] {
            assert!(judged(&fit, "heard").is_ok(), "{fit:?}");
        }
    }

    #[test]
    fn the_promise_says_what_is_lost_when() {
        let replicated = Facts { replicas: 2, ..facts() };
        let table = [
            (
                facts(),
                "heard",
                "appendfsync everysec: acked messages of the last 2 seconds are lost if it and",
            ),
            (Facts { flushes: Some("always".into()), ..facts() }, "heard", "on its disk; no replica"),
            (Facts { has_file: false, ..facts() }, "heard", "appendonly no"),
            (Facts { flushes: None, ..facts() }, "heard", "appendonly yes"),
            (replicated.clone(), "heard", "2 replicas, for which acks do not wait; min-replicas-to-write 0"),
            (replicated.clone(), "replicas:1", "2 replicas, acks wait for 1"),
            (facts(), "replicas:1", "no replica, but acks wait for 1: nothing can be acked"),
        ];
        for (facts, acks, words) in table {
            let promise = judged(&facts, acks).expect("it is fit");
            assert!(promise.contains(words), "{promise}");
        }
        let is_hollow = |facts: &Facts, acks: &str| {
            judge(facts, acks.parse().expect("acks"), false).expect("it is fit").is_hollow
        };
        assert!(is_hollow(&replicated, "replicas:1"));
        assert!(!is_hollow(&replicated, "heard"), "nothing was promised");
        assert!(!is_hollow(&Facts { min_replicas: Some(1), ..replicated }, "replicas:1"));
    }
}
