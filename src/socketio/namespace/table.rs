//! The namespaces of a server: those with a name, and families of names.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use bytestring::ByteString;
use log::{error, info, warn};

use crate::{
    protocol::socketio::Pattern,
    socketio::{
        Refusal,
        socket::{Definition, Handshake},
    },
};

/// Decides whether a client may connect to a namespace with this name.
pub(crate) type Predicate = dyn Fn(&str, &Handshake) -> bool + Send + Sync;

/// Told of the name of a namespace that a client has brought into being.
pub(crate) type OnNew = dyn Fn(&str) + Send + Sync;

/// Which names a family has.
#[derive(Clone)]
pub(crate) enum Family {
    /// Those of this form.
    Pattern(Pattern),
    /// Those that the program accepts.
    Predicate(Arc<Predicate>),
}

/// Identifies a family. No two families of a server have one id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FamilyId(usize);

/// The bounds of families.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Namespaces of families at a time.
    pub(crate) max_children: usize,
    /// Whether a namespace of a family is removed when its last socket leaves.
    pub(crate) removes_empty: bool,
}

/// The namespaces of a server, on all threads.
pub(crate) struct Table {
    bounds: Bounds,
    entries: RwLock<Entries>,
}

#[derive(Default)]
struct Entries {
    named: HashMap<ByteString, Arc<Definition>>,
    /// Asked in the order in which they were added.
    families: BTreeMap<FamilyId, (Family, Arc<Definition>)>,
    last_family: usize,
    /// Namespaces of families that clients have connected to.
    children: HashMap<ByteString, FamilyId>,
    on_new: Vec<Arc<OnNew>>,
}

impl Table {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, entries: RwLock::default() }
    }

    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a client gets that connects to this name.
    ///
    /// # Errors
    /// The server has no such namespace, or cannot have one more.
    pub(crate) fn find(&self, name: &ByteString, handshake: &Handshake) -> Result<Arc<Definition>, Refusal> {
        let (families, is_known) = {
            let entries = self.read();
            if let Some(definition) = entries.named.get(name) {
                return Ok(Arc::clone(definition));
            }
            let families: Vec<_> =
                entries.families.iter().map(|(id, (family, _))| (*id, family.clone())).collect();
            (families, entries.children.contains_key(name))
        };
        // The lock is free here: a predicate is the program's code.
        let found = families.into_iter().find(|(_, family)| family.has(name, handshake));
        let Some((id, _)) = found else {
            return Err(Refusal::new("Invalid namespace"));
        };
        if !is_known {
            self.add_child(name, id)?;
        }
        let entries = self.read();
        let definition = entries.families.get(&id).map(|(_, definition)| Arc::clone(definition));
        definition.ok_or_else(|| Refusal::new("Invalid namespace"))
    }

    fn add_child(&self, name: &ByteString, family: FamilyId) -> Result<(), Refusal> {
        let on_new = {
            let mut entries = self.write();
            if entries.children.len() >= self.bounds.max_children {
                warn!(
                    "max_child_namespaces: there are {} already, a client is refused",
                    entries.children.len()
                );
                return Err(Refusal::new("Too many namespaces"));
            }
            if entries.children.insert(name.clone(), family).is_some() {
                // Another thread was faster.
                return Ok(());
            }
            entries.on_new.clone()
        };
        info!("namespace {name} is new");
        for hook in on_new {
            if catch_unwind(AssertUnwindSafe(|| hook(name))).is_err() {
                error!("the hook for new namespaces panicked for {name}");
            }
        }
        Ok(())
    }

    /// Notes that the last socket of a namespace has left.
    pub(crate) fn emptied(&self, name: &str) {
        if self.bounds.removes_empty {
            self.write().children.remove(name);
        }
    }

    /// Adds a namespace, if there is none of this name.
    pub(crate) fn add(&self, name: &ByteString) {
        if !self.read().named.contains_key(name) {
            self.write().named.entry(name.clone()).or_default();
        }
    }

    /// Adds a family, which is asked behind those before.
    pub(crate) fn add_family(&self, family: Family) -> FamilyId {
        let mut entries = self.write();
        let id = FamilyId(entries.last_family);
        entries.last_family += 1;
        entries.families.insert(id, (family, Arc::default()));
        id
    }

    /// Changes a namespace for clients that connect later.
    pub(crate) fn change(&self, name: &ByteString, change: impl FnOnce(&mut Definition)) {
        let mut entries = self.write();
        change(Arc::make_mut(entries.named.entry(name.clone()).or_default()));
    }

    /// Changes a family for clients that connect later. Ignored if it was removed.
    pub(crate) fn change_family(&self, id: FamilyId, change: impl FnOnce(&mut Definition)) {
        if let Some((_, definition)) = self.write().families.get_mut(&id) {
            change(Arc::make_mut(definition));
        }
    }

    /// Removes a namespace: clients that connect to it later are refused. Returns whether it was there.
    pub(crate) fn remove(&self, name: &str) -> bool {
        let mut entries = self.write();
        let removed = (entries.named.remove(name), entries.children.remove(name));
        drop(entries);
        removed.0.is_some() || removed.1.is_some()
    }

    /// Removes a family, and returns its namespaces.
    pub(crate) fn remove_family(&self, id: FamilyId) -> Vec<ByteString> {
        let children = self.children(id);
        let mut entries = self.write();
        let removed = entries.families.remove(&id);
        entries.children.retain(|_, family| *family != id);
        drop(entries);
        // Dropped without the lock: it holds the program's closures.
        drop(removed);
        children
    }

    /// The namespaces of a family that clients have connected to.
    pub(crate) fn children(&self, id: FamilyId) -> Vec<ByteString> {
        let entries = self.read();
        let of_family = entries.children.iter().filter(|(_, family)| **family == id);
        of_family.map(|(name, _)| name.clone()).collect()
    }

    /// The names of all namespaces, in order of the alphabet.
    pub(crate) fn names(&self) -> Vec<ByteString> {
        let entries = self.read();
        let mut names: Vec<_> = entries.named.keys().chain(entries.children.keys()).cloned().collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Has `hook` told of namespaces that clients bring into being.
    pub(crate) fn on_new(&self, hook: Arc<OnNew>) {
        self.write().on_new.push(hook);
    }
}

impl Family {
    fn has(&self, name: &str, handshake: &Handshake) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.matches(name),
            Self::Predicate(predicate) => catch_unwind(AssertUnwindSafe(|| predicate(name, handshake)))
                .unwrap_or_else(|_| {
                    error!("the predicate of a family of namespaces panicked for {name}");
                    false
                }),
        }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("names", &self.names()).finish_non_exhaustive()
    }
}
