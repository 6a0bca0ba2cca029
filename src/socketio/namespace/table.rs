//! The namespaces of a server: those with a name, and families of names.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use bytestring::ByteString;
use log::{error, info, warn};

use super::observer::{Observe, Observer};
use crate::{
    protocol::socketio::Pattern,
    socketio::{
        Refusal,
        cluster::Mode,
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
    /// Whether lost sockets can be recovered.
    has_recovery: bool,
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
    observer: Option<Observer>,
}

impl Entries {
    /// The definition of a namespace that exists.
    fn definition(&self, name: &ByteString) -> Option<&Arc<Definition>> {
        let of_family = || Some(&self.families.get(&self.children.get(name)?.family)?.1);
        self.named.get(name).or_else(of_family)
    }

    /// The namespaces of a family.
    fn children_of(&self, id: FamilyId) -> Vec<ByteString> {
        let of_family = self.children.iter().filter(|(_, child)| child.family == id);
        of_family.map(|(name, _)| name.clone()).collect()
    }

    fn names(&self) -> Vec<ByteString> {
        self.named.keys().chain(self.children.keys()).cloned().collect()
    }
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
    /// Without namespaces. `has_recovery` is whether lost sockets can be recovered.
    pub(crate) fn new(bounds: Bounds, has_recovery: bool) -> Self {
        Self { bounds, has_recovery, entries: RwLock::default() }
    }

    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the observer of these namespaces, if there is one. The lock keeps what it is told in order.
    fn tell_of<'a>(&self, entries: &mut Entries, names: impl IntoIterator<Item = &'a ByteString>) {
        let Some(mut observer) = entries.observer.take() else {
            return;
        };
        for name in names {
            let definition = entries.definition(name);
            observer.note(name, definition.and_then(|definition| definition.mode(self.has_recovery)));
        }
        entries.observer = Some(observer);
    }

    /// Has `observe` told of each namespace that exists, and of those that come, change or go. It is called while the table
    /// is locked, and must not use the table.
    pub(crate) fn observe(&self, observe: Arc<Observe>) {
        let mut entries = self.write();
        entries.observer = Some(Observer::new(observe));
        let names = entries.names();
        self.tell_of(&mut entries, &names);
    }

    /// How events reach the sockets of a namespace where several servers share it; `None` if they do not share it, or if
    /// it does not exist.
    pub(crate) fn mode(&self, name: &ByteString) -> Option<Mode> {
        self.read().definition(name)?.mode(self.has_recovery)
    }

    /// The definition of a namespace that exists.
    pub(crate) fn definition(&self, name: &ByteString) -> Option<Arc<Definition>> {
        self.read().definition(name).cloned()
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
        let (number, on_new) = (*last_child, on_new.clone());
        self.tell_of(&mut entries, [name]);
        Ok(Entered { definition, number, on_new })
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
            self.tell_of(&mut entries, [name]);
        }
    }

    /// Whether there is a namespace of its own with this name.
    pub(crate) fn has_named(&self, name: &str) -> bool {
        self.read().named.contains_key(name)
    }

    /// Adds a namespace, if there is none of this name.
    pub(crate) fn add(&self, name: &ByteString) {
        if !self.has_named(name) {
            self.change(name, |_| {});
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
        self.tell_of(&mut entries, [name]);
    }

    /// Changes a family for clients that connect later. Ignored if it was removed.
    pub(crate) fn change_family(&self, id: FamilyId, change: impl FnOnce(&mut Definition)) {
        let mut entries = self.write();
        if let Some((_, definition)) = entries.families.get_mut(&id) {
            change(Arc::make_mut(definition));
            let children = entries.children_of(id);
            self.tell_of(&mut entries, &children);
        }
    }

    /// Removes a namespace: clients that connect to it later are refused. Returns whether it was there.
    pub(crate) fn remove(&self, name: &ByteString) -> bool {
        let mut entries = self.write();
        let removed = (entries.named.remove(name), entries.children.remove(name));
        self.tell_of(&mut entries, [name]);
        drop(entries);
        removed.0.is_some() || removed.1.is_some()
    }

    /// Removes a family, and returns its namespaces.
    pub(crate) fn remove_family(&self, id: FamilyId) -> Vec<ByteString> {
        let mut entries = self.write();
        let children = entries.children_of(id);
        let removed = entries.families.remove(&id);
        entries.children.retain(|_, child| child.family != id);
        self.tell_of(&mut entries, &children);
        drop(entries);
        // Dropped without the lock: it holds the program's closures.
        drop(removed);
        children
    }

    /// The namespaces of a family that clients have connected to.
    pub(crate) fn children(&self, id: FamilyId) -> Vec<ByteString> {
        self.read().children_of(id)
    }

    /// The names of all namespaces, in order of the alphabet.
    pub(crate) fn names(&self) -> Vec<ByteString> {
        let mut names = self.read().names();
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
