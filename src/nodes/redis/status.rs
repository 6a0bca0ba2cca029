//! Whether Redis can be reached, in figures and in words.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Mutex, MutexGuard, PoisonError, atomic::AtomicUsize},
};

use crate::nodes::Partition;

/// Whether Redis can be reached, and what it promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Whether it can be reached; of a Redis Cluster, at least one server.
    pub is_up: bool,
    /// What it promises, and why it cannot be reached. Without the address of a single Redis.
    pub words: String,
    /// How often a connection was lost, or given up.
    pub losses: u64,
    /// The number of partitions for which it can be reached.
    pub partitions: u8,
}

impl Status {
    /// Notes for how many partitions Redis can be reached, and the words if there are new ones.
    pub(super) fn set(&mut self, partitions: u8, words: Option<String>) {
        (self.is_up, self.partitions) = (partitions > 0, partitions);
        if let Some(words) = words {
            self.words = words;
        }
    }
}

/// What the thread of the link and all others share.
pub(super) struct Shared {
    /// Orders that were not taken yet.
    pub(super) waiting: AtomicUsize,
    status: Mutex<Status>,
}

impl Shared {
    /// Before the first connection.
    pub(super) fn new() -> Self {
        let words = "not connected yet".to_owned();
        let status = Status { is_up: false, words, losses: 0, partitions: 0 };
        Self { waiting: AtomicUsize::new(0), status: Mutex::new(status) }
    }

    pub(super) fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The state of a Redis Cluster in words: what servers promise, by their addresses, and why others are away.
pub(super) fn words_of_cluster(
    open: &BTreeMap<String, String>,
    troubles: &BTreeMap<String, String>,
    partitions: u8,
) -> String {
    let mut words = match open.values().next() {
        Some(one) if open.len() == 1 => format!("Redis Cluster of 1 master, which promises: {one}"),
        Some(all) if open.values().all(|words| words == all) => {
            format!("Redis Cluster of {} masters, each of which promises: {all}", open.len())
        }
        None => "Redis Cluster".to_owned(),
        Some(_) => {
            let each: Vec<_> = open.iter().map(|(url, words)| format!("{url}: {words}")).collect();
            format!("Redis Cluster: {}", each.join("; "))
        }
    };
    if partitions < Partition::COUNT {
        // Writing to a text cannot fail.
        let _ = write!(words, "; {partitions} of {} parts of the rooms can be reached", Partition::COUNT);
        for (url, why) in troubles {
            let _ = write!(words, "; {url}: {why}");
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_cluster_name_its_servers_if_they_differ() {
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<_, _> {
            pairs.iter().map(|(url, words)| ((*url).to_owned(), (*words).to_owned())).collect()
        };
        let none = map(&[]);
        let words = words_of_cluster(&map(&[("a", "always")]), &none, 64);
        assert_eq!(words, "Redis Cluster of 1 master, which promises: always");
        let words = words_of_cluster(&map(&[("a", "always"), ("b", "always")]), &none, 64);
        assert_eq!(words, "Redis Cluster of 2 masters, each of which promises: always");
        assert!(words_of_cluster(&none, &none, 0).starts_with("Redis Cluster; 0 of 64 parts"));
        let words = words_of_cluster(&map(&[("a", "always"), ("b", "no")]), &map(&[("c", "gone")]), 43);
        assert_eq!(
            words,
            "Redis Cluster: a: always; b: no; 43 of 64 parts of the rooms can be reached; c: gone"
        );
    }
}
