//! A Socket.IO server, as a program uses it.

use std::{any::Any, fmt, future::Future, rc::Rc, sync::Arc, time::Duration};

use actix_web::web::ServiceConfig;
use bytestring::ByteString;
use serde::Serialize;

pub use self::builder::{Builder, Recovery};
use super::{
    client::{Client, Setup},
    desk::Desk,
    door::{self, Door, Policy},
    emitter::Emitter,
    engine::Engine,
    into_rooms::IntoRooms,
    lookup::{AllRooms, Gone, Sockets},
    namespace::{Core, Family, Namespace, Place},
    socket::Handshake,
};
use crate::{
    connection::rate::RateLimit,
    protocol::socketio::{Limits, MAIN, Pattern},
};

mod builder;
mod on_connect;
#[cfg(feature = "program")]
mod program;
#[cfg(feature = "redis")]
mod redis;
mod server_side;

/// A Socket.IO server: its namespaces, and the sessions of its clients on all worker threads. Clones are cheap and are one
/// server; a clone may be kept by request handlers, jobs and other threads.
///
/// The methods that emit are those of the main [namespace](Self::namespace), `/`.
#[derive(Clone)]
pub struct Server(Arc<Shared>);

struct Shared {
    core: Core,
    policy: Policy,
    path: String,
    limits: Limits,
    rate: Option<RateLimit>,
    skips_admission: bool,
    max_namespaces: usize,
}

impl Server {
    /// A server with other settings than the defaults.
    pub fn builder() -> Builder {
        Builder::default()
    }

    // ----- namespaces -----

    /// The namespace of this name, which exists from now on. A slash is put in front if it lacks one. Clients connect to
    /// `/` unless they name another one.
    pub fn namespace(&self, name: impl Into<ByteString>) -> Namespace {
        let name = with_slash(name.into());
        self.0.core.table.add(&name);
        Namespace::new(self.0.core.clone(), Place::Named(name))
    }

    /// The namespaces whose names have a form, such as `/org-*`: `*` stands for one or more characters except `/`. Each
    /// exists once a client has connected to it. What is registered holds for all of them; what is emitted goes to those
    /// that exist. Namespaces of their own name come first, then dynamic ones in the order in which they were added.
    pub fn dynamic(&self, pattern: &str) -> Namespace {
        let pattern = with_slash(pattern.into());
        self.family(Family::Pattern(Pattern::new(&pattern)), pattern)
    }

    /// The namespaces whose names the program accepts. `accepts` is called with the name and the client's handshake for
    /// each client that connects to a name that no other namespace has. It must not wait; an
    /// [admission](Namespace::admit) may.
    pub fn dynamic_if(
        &self,
        accepts: impl Fn(&str, &Handshake) -> bool + Send + Sync + 'static,
    ) -> Namespace {
        self.family(Family::Predicate(Arc::new(accepts)), ByteString::from_static("(dynamic)"))
    }

    fn family(&self, family: Family, name: ByteString) -> Namespace {
        let id = self.0.core.table.add_family(family);
        Namespace::new(self.0.core.clone(), Place::Family(id, name))
    }

    /// Removes a namespace, or a dynamic one with all its names: clients that connect later are refused, and the connected
    /// ones are disconnected.
    pub fn remove<U: super::socket::SocketData>(&self, namespace: &Namespace<U>) {
        namespace.remove();
    }

    /// Calls `hook` with each namespace that a client brings into being by connecting to a dynamic one (`new_namespace`).
    /// It runs on the thread of that client.
    pub fn on_new_namespace(&self, hook: impl Fn(Namespace) + Send + Sync + 'static) {
        let core = self.0.core.clone();
        let (engine, table) = (Arc::downgrade(&core.engine), Arc::downgrade(&core.table));
        self.0.core.table.on_new(Arc::new(move |name| {
            if let (Some(engine), Some(table)) = (engine.upgrade(), table.upgrade()) {
                hook(Namespace::new(Core { engine, table }, Place::Named(name.into())));
            }
        }));
    }

    /// The names of all namespaces, in order of the alphabet.
    pub fn namespaces(&self) -> Vec<ByteString> {
        self.0.core.table.names()
    }

    // ----- serving -----

    /// The routes of the server, for [`App::configure`](actix_web::App::configure) or that of a scope. Each worker must
    /// call this once, in the function that makes its `App`.
    pub fn routes(&self) -> impl FnOnce(&mut ServiceConfig) + 'static {
        let server = self.clone();
        move |cfg| {
            let desk = server.0.core.engine.desk();
            server.mount(cfg, desk, None);
        }
    }

    /// As [`routes`](Self::routes), with a value of the worker that its handlers get from
    /// [`Socket::state`](super::Socket::state), such as a pool of connections that must stay on one thread.
    pub fn routes_with<T: Any>(&self, state: T) -> impl FnOnce(&mut ServiceConfig) + 'static {
        let server = self.clone();
        move |cfg| {
            let desk = server.0.core.engine.desk();
            server.mount(cfg, desk, Some(Rc::new(state)));
        }
    }

    /// Registers the door for a worker that has this desk.
    fn mount(&self, cfg: &mut ServiceConfig, desk: Desk, state: Option<Rc<dyn Any>>) {
        door::configure(cfg, &self.0.path, self.door(desk, state));
    }

    /// The door of a worker that has this desk.
    fn door(&self, desk: Desk, state: Option<Rc<dyn Any>>) -> Door {
        let engine = &self.0.core.engine;
        let setup = Rc::new(Setup {
            table: Arc::clone(&self.0.core.table),
            desk,
            limits: self.0.limits,
            rate: self.0.rate,
            events: engine.metrics.protocol("socketio").messages_in,
            can_recover: !engine.settings.rooms.recovery.window.is_zero(),
            skips_admission: self.0.skips_admission,
            keeps_sessions: engine.keeps_sessions(),
            max_namespaces: self.0.max_namespaces,
        });
        let door = Door::new(Arc::clone(engine), move || Box::new(Client::new(Rc::clone(&setup))));
        let door = door.with_policy(self.0.policy.clone());
        match state {
            Some(state) => door.with_state(state),
            None => door,
        }
    }

    /// The path of the server, `/socket.io` unless it was set.
    pub fn path(&self) -> &str {
        &self.0.path
    }

    /// The number of sessions, whether they have joined a namespace or not.
    pub fn clients_count(&self) -> usize {
        self.0.core.engine.count()
    }

    /// Bytes in use of [`Builder::memory`].
    pub fn memory_used(&self) -> usize {
        self.0.core.engine.budget().used()
    }

    /// Ends all sessions (`server shutting down`) and refuses new ones. Ready when all have ended.
    pub fn close(&self) -> impl Future<Output = ()> + 'static {
        let engine = Arc::clone(&self.0.core.engine);
        async move {
            engine.close().await;
            engine.leave_cluster().await;
        }
    }

    fn engine(&self) -> &Arc<Engine> {
        &self.0.core.engine
    }

    // ----- the main namespace -----

    fn main(&self) -> Namespace {
        Namespace::new(self.0.core.clone(), Place::Named(ByteString::from_static(MAIN)))
    }

    /// See [`Namespace::emit`].
    pub fn emit(&self, name: &str, data: &(impl Serialize + ?Sized)) {
        self.main().emit(name, data);
    }

    /// See [`Namespace::to`].
    pub fn to(&self, rooms: impl IntoRooms) -> Emitter {
        self.main().to(rooms)
    }

    /// See [`Namespace::within`].
    pub fn within(&self, rooms: impl IntoRooms) -> Emitter {
        self.main().to(rooms)
    }

    /// See [`Namespace::except`].
    pub fn except(&self, rooms: impl IntoRooms) -> Emitter {
        self.main().except(rooms)
    }

    /// See [`Namespace::volatile`].
    pub fn volatile(&self) -> Emitter {
        self.main().volatile()
    }

    /// See [`Namespace::compress`].
    pub fn compress(&self, is_compressed: bool) -> Emitter {
        self.main().compress(is_compressed)
    }

    /// See [`Namespace::local`].
    pub fn local(&self) -> Emitter {
        self.main().local()
    }

    /// See [`Namespace::timeout`].
    pub fn timeout(&self, timeout: Duration) -> Emitter {
        self.main().timeout(timeout)
    }

    /// See [`Namespace::fetch_sockets`].
    ///
    /// # Errors
    /// The room server did not reply.
    pub async fn fetch_sockets(&self) -> Result<Sockets, Gone> {
        self.main().fetch_sockets().await
    }

    /// See [`Namespace::all_rooms`].
    ///
    /// # Errors
    /// The room server did not reply.
    pub async fn all_rooms(&self) -> Result<AllRooms, Gone> {
        self.main().all_rooms().await
    }

    /// See [`Namespace::sockets_join`].
    pub fn sockets_join(&self, rooms: impl IntoRooms) {
        self.main().sockets_join(rooms);
    }

    /// See [`Namespace::sockets_leave`].
    pub fn sockets_leave(&self, rooms: impl IntoRooms) {
        self.main().sockets_leave(rooms);
    }

    /// See [`Namespace::disconnect_sockets`].
    pub fn disconnect_sockets(&self, close: bool) {
        self.main().disconnect_sockets(close);
    }
}

fn with_slash(name: ByteString) -> ByteString {
    if name.starts_with('/') { name } else { format!("/{name}").into() }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("path", &self.0.path)
            .field("clients", &self.clients_count())
            .finish_non_exhaustive()
    }
}
