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
    children: HashMap<ByteString, Child>,
    last_child: u64,
    on_new: Vec<Arc<OnNew>>,
}

/// A namespace of a family.
struct Child {
    /// No two children of a server have one number, not even of one name.
    number: u64,
    family: FamilyId,
    /// The clients that are connected or want to be.
    clients: usize,
}

/// Counts a client of a namespace of a family until it is dropped.
pub(crate) struct ChildClient {
    table: Arc<Table>,
    name: ByteString,
    number: u64,
}

impl ChildClient {
    /// Whether the namespace has not been removed.
    pub(crate) fn is_current(&self) -> bool {
        self.table.read().children.get(&self.name).is_some_and(|child| child.number == self.number)
    }
}

impl Drop for ChildClient {
    fn drop(&mut self) {
        self.table.client_left(&self.name, self.number);
    }
}

/// What a client gets that connects to a namespace.
pub(crate) struct Found {
    pub(crate) definition: Arc<Definition>,
    /// Set for a namespace of a family.
    pub(crate) child: Option<ChildClient>,
}

/// A client that has been counted in a namespace of a family.
struct Entered {
    definition: Arc<Definition>,
    /// The number of the namespace.
    number: u64,
    /// The hooks to call if the namespace is new.
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
    pub(crate) fn find(self: &Arc<Self>, name: &ByteString, handshake: &Handshake) -> Result<Found, Refusal> {
        let families: Vec<_> = {
            let entries = self.read();
            if let Some(definition) = entries.named.get(name) {
                return Ok(Found { definition: Arc::clone(definition), child: None });
            }
            entries.families.iter().map(|(id, (family, _))| (*id, family.clone())).collect()
        };
        // The lock is free here: a predicate is the program's code.
        let found = families.into_iter().find(|(_, family)| family.has(name, handshake));
        let (id, _) = found.ok_or_else(|| Refusal::new("Invalid namespace"))?;
        let Entered { definition, number, on_new } = self.enter_child(name, id)?;
        let child = Some(ChildClient { table: Arc::clone(self), name: name.clone(), number });
        for hook in on_new {
            if catch_unwind(AssertUnwindSafe(|| hook(name))).is_err() {
                error!("the hook for new namespaces panicked for {name}");
            }
        }
        Ok(Found { definition, child })
    }

    /// Counts a client of a namespace of a family.
    fn enter_child(&self, name: &ByteString, family: FamilyId) -> Result<Entered, Refusal> {
        let mut entries = self.write();
        let Entries { families, children, last_child, on_new, .. } = &mut *entries;
        // It may have been removed since.
        let Some((_, definition)) = families.get(&family) else {
            return Err(Refusal::new("Invalid namespace"));
        };
        let definition = Arc::clone(definition);
        if let Some(child) = children.get_mut(name) {
            child.clients += 1;
            return Ok(Entered { definition, number: child.number, on_new: Vec::new() });
        }
        if children.len() >= self.bounds.max_children {
            warn!("max_child_namespaces: there are {} already, a client is refused", children.len());
            return Err(Refusal::new("Too many namespaces"));
        }
        *last_child += 1;
        children.insert(name.clone(), Child { number: *last_child, family, clients: 1 });
        info!("namespace {name} is new");
        Ok(Entered { definition, number: *last_child, on_new: on_new.clone() })
    }

    /// A client of a namespace of a family has left.
    fn client_left(&self, name: &ByteString, number: u64) {
        let mut entries = self.write();
        let Some(child) = entries.children.get_mut(name).filter(|child| child.number == number) else {
            return;
        };
        child.clients = child.clients.saturating_sub(1);
        if child.clients == 0 && self.bounds.removes_empty {
            entries.children.remove(name);
        }
    }

    /// Whether there is a namespace of its own with this name.
    pub(crate) fn has_named(&self, name: &str) -> bool {
        self.read().named.contains_key(name)
    }

    /// Adds a namespace, if there is none of this name.
    pub(crate) fn add(&self, name: &ByteString) {
        if !self.has_named(name) {
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
        entries.children.retain(|_, child| child.family != id);
        drop(entries);
        // Dropped without the lock: it holds the program's closures.
        drop(removed);
        children
    }

    /// The namespaces of a family that clients have connected to.
    pub(crate) fn children(&self, id: FamilyId) -> Vec<ByteString> {
        let entries = self.read();
        let of_family = entries.children.iter().filter(|(_, child)| child.family == id);
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
