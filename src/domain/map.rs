//! Maps whose keys clients cannot choose.

use std::collections::HashMap;

/// A map whose keys are numbers from this process, or hashes. Clients cannot make such keys collide, so it
/// uses a faster hash than the standard library's, which would be paid several times a message.
pub(crate) type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
