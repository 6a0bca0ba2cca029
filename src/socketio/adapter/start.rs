//! Starts the adapter of a server.

use std::sync::{Arc, atomic::AtomicU64};

use bytestring::ByteString;

use super::{
    core::{Bounds, Core},
    figures::Figures,
    handle::RedisAdapter,
    local::Locally,
    redis,
    settings::{AdapterSettings, RedisOptions},
    speech::Speech,
};
use crate::socketio::{
    cluster::Adapter,
    engine::Engine,
    namespace::Table,
    rooms::{InCluster, messages::Info},
    socket::SocketInfo,
};

/// The adapter cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// There are no random numbers for the id of the server.
    #[error("no random numbers: {0}")]
    Random(#[from] getrandom::Error),
    /// The system cannot start a thread.
    #[error("the thread for Redis cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// Has a server join a cluster.
///
/// # Errors
/// The system has no random numbers, or cannot start a thread.
pub(crate) fn start(
    settings: AdapterSettings,
    options: RedisOptions,
    engine: &Arc<Engine>,
    table: &Arc<Table>,
) -> Result<Arc<Figures>, StartError> {
    let (figures, position) = (Arc::<Figures>::default(), Arc::<AtomicU64>::default());
    let recovery = engine.settings.rooms.recovery;
    let bounds = Bounds {
        requests_timeout: settings.requests_timeout,
        max_foreign_requests: settings.max_requests,
        max_held_bytes: options.max_unanswered_bytes,
        read_count: settings.read_count,
        stream_len: settings.stream_len,
        max_missed: recovery.bytes,
        session_time: recovery.window,
    };
    let core = Core::new(Speech::new(settings.clone())?, bounds, Arc::clone(&figures));
    let local = Locally {
        rooms: Arc::downgrade(&engine.place_of_rooms()),
        table: Arc::clone(table),
        position: Arc::clone(&position),
        shows_headers: settings.shows_headers,
    };
    let handle = redis::handle::start(engine.parts(), options, Arc::clone(&figures), core, local)?;
    let recovers = !recovery.window.is_zero();
    let send = Box::new(move |order| handle.order(order));
    let adapter = Arc::new(RedisAdapter::new(&settings, recovers, Arc::clone(table), position, send));
    engine.join_cluster(InCluster { adapter: Arc::clone(&adapter) as Arc<dyn Adapter>, show_data });
    // The table does not keep the adapter: the thread has the table, and ends with the adapter.
    let observer = Arc::downgrade(&adapter);
    table.observe(Arc::new(move |namespace, mode| {
        if let Some(adapter) = observer.upgrade() {
            adapter.observe(namespace, mode);
        }
    }));
    Ok(figures)
}

fn show_data(info: &Info) -> ByteString {
    info.downcast_ref::<SocketInfo>().map_or(ByteString::from_static("{}"), SocketInfo::data_json)
}
