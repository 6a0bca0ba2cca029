//! Maps whose keys no client chooses.

use std::collections::HashMap;

/// A map by numbers that this process gave out, or by hashes. It need not withstand keys that are made to collide, so it
/// does without the standard library's slower hash, which is paid several times a message.
pub(super) type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
