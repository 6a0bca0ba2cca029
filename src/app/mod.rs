//! The application: starts the actors, binds the ports, and runs until stopped.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use actix_server::{Server, ServerHandle};
use actix_web::rt;
use log::{error, info, warn};

use self::{descriptors::Room, key::Key};
pub use self::{
    descriptors::raise_limit as raise_descriptor_limit,
    forget::forget,
    moving::{Move, MoveError, move_rooms},
    node::Node,
};
use crate::{
    config::{JournalKind, SettingError, Settings},
    journal::{JournalError, sqlite::OpenError},
    logging,
    parts::Parts,
};
pub use crate::{journal::sqlite::back_up, logging::install as install_logger};

mod descriptors;
pub mod embed;
mod forget;
mod key;
mod moving;
mod node;
mod page;
mod service;
mod sharing;
mod socketio_server;

/// Interval of log lines about omitted lines.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// The exit code of a server that lost messages which it had broadcast (`EX_IOERR`).
const EXIT_LOST: u8 = 74;

/// Errors at the start. Each message is one sentence that names the setting.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is invalid alone or with the others.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The Redis cannot be used.
    #[error(transparent)]
    Redis(#[from] crate::nodes::redis::start::StartError),
    /// Socket.IO cannot share its namespaces by way of Redis.
    #[error(transparent)]
    SocketIo(#[from] crate::socketio::SettingsError),
    /// The system has no random numbers.
    #[error("the system has no random numbers: {0}")]
    NoRandomNumbers(getrandom::Error),
    /// The system cannot start a thread.
    #[error("the thread for Redis cannot be started: {0}")]
    NoThread(io::Error),
    /// The path of Socket.IO hides a file of the page.
    #[error("--socketio-path (ECHOROOM_SOCKETIO_PATH): {path:?} is taken: the page has {} there", .file.display())]
    PathOfPage {
        /// The path of the setting.
        path: String,
        /// The file or folder.
        file: PathBuf,
    },
    /// The page is missing.
    #[error("--static-dir (ECHOROOM_STATIC_DIR): there is no page at {}: {source}", .path.display())]
    NoPage {
        /// The expected file.
        path: PathBuf,
        /// The error of the file system.
        source: io::Error,
    },
    /// The journal's folder lies inside the public folder of the page.
    #[error(
        "--data-dir (ECHOROOM_DATA_DIR): {} is inside of --static-dir (ECHOROOM_STATIC_DIR), {}: everybody could read \
         the journal", .data.display(), .page.display()
    )]
    PublicJournal {
        /// The value of `--data-dir`.
        data: PathBuf,
        /// The value of `--static-dir`.
        page: PathBuf,
    },
    /// The server cannot listen on the address.
    #[error("--bind and --port (ECHOROOM_BIND, ECHOROOM_PORT, PORT): cannot listen on {address}: {source}")]
    Bind {
        /// The address of the settings.
        address: SocketAddr,
        /// The error of the system, such as address in use.
        source: io::Error,
    },
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalStartError),
    /// The server cannot listen on the address for the metrics.
    #[error("--metrics-bind (ECHOROOM_METRICS_BIND): cannot listen on {address}: {source}")]
    BindMetrics {
        /// The address of the settings.
        address: SocketAddr,
        /// The error of the system.
        source: io::Error,
    },
}

/// Errors of opening the journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalStartError {
    /// Errors of the file.
    #[error("--data-dir (ECHOROOM_DATA_DIR): {0}")]
    Sqlite(#[from] OpenError),
    /// Errors of the journal in memory.
    #[error(transparent)]
    Memory(#[from] JournalError),
}

/// A server with bound ports, which serves once it is run.
#[must_use = "an application serves nothing until it is run"]
pub struct Application {
    node: Arc<Node>,
    server: Server,
    address: SocketAddr,
    /// The server of `--metrics-bind`, with its address.
    metrics: Option<(Server, SocketAddr)>,
}

impl Application {
    /// Binds the ports and starts the workers. Must be called inside an actix system.
    ///
    /// # Errors
    /// A setting is invalid, the page is missing, the journal cannot be used, or the server cannot listen on
    /// an address.
    pub fn build(settings: Settings) -> Result<Self, StartError> {
        settings.check()?;
        page::check(&settings)?;
        let address = SocketAddr::from((settings.listen.bind, settings.listen.port));
        let descriptors = descriptors::limit();
        let room = Room::of(&settings, descriptors);
        let workers = settings.listen.worker_count();
        let node = Arc::new(Node::with_room(settings, room, Some(workers))?);
        let metrics =
            node.settings.operation.metrics_bind.map(|address| serve_metrics(&node, address)).transpose()?;
        let settings = &node.settings;
        let bind_error = |source| StartError::Bind { address, source };
        let listener = service::listen(address).map_err(bind_error)?;
        descriptors::warn_if_short(settings, descriptors);
        let address = listener.local_addr().map_err(bind_error)?;
        let server = service::serve(&node, listener, room).map_err(bind_error)?;
        leave_key(&node, address);
        Ok(Self { server, node, address, metrics })
    }

    /// The bound port, also if the setting was 0.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The port of `--metrics-bind`, if that was set.
    pub fn metrics_port(&self) -> Option<u16> {
        self.metrics.as_ref().map(|(_, address)| address.port())
    }

    /// The parts that all clients share: actors and threads without which the process cannot work.
    pub fn parts(&self) -> &Parts {
        &self.node.parts
    }

    /// The server of Socket.IO, whose main namespace, `/`, is the chat. A program may add namespaces of its own, before the
    /// server runs or later.
    pub fn socketio(&self) -> &crate::socketio::Server {
        self.node.socketio()
    }

    /// A handle to stop the server from another task or thread.
    pub fn handle(&self) -> StopHandle {
        StopHandle {
            node: Arc::clone(&self.node),
            server: self.server.handle(),
            metrics: self.metrics.as_ref().map(|(server, _)| server.handle()),
        }
    }

    /// Serves until the [`handle`](Self::handle) stops it. Does not exit the process or install signal
    /// handlers.
    ///
    /// # Errors
    /// The server fails.
    pub async fn run(self) -> io::Result<Stopped> {
        let node = Arc::clone(&self.node);
        info!("listening on {}", clickable(self.address));
        let metrics = self.metrics.map(|(server, address)| {
            info!("metrics on {}/metrics", clickable(address));
            rt::spawn(server)
        });
        let reporting = rt::spawn(async {
            loop {
                rt::time::sleep(REPORT_EVERY).await;
                logging::report_left_out();
            }
        });
        let outcome = self.server.await;
        reporting.abort();
        logging::report_all_left_out();
        if let Some(metrics) = metrics {
            metrics.abort();
        }
        outcome.map(|()| Stopped::of(&node))
    }
}

/// The result of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Number of messages that were accepted but are not durable.
    pub lost: u64,
}

impl Stopped {
    fn of(node: &Node) -> Self {
        Self { lost: node.metrics.unkept() }
    }

    /// Logs lost messages, if there are any, and returns the exit code for that. To be called last.
    pub fn report(self) -> Option<u8> {
        (self.lost > 0).then(|| {
            error!(
                "{} messages that had been accepted are not known to be kept and may be lost: exit code {EXIT_LOST}",
                self.lost
            );
            EXIT_LOST
        })
    }
}

/// Stops an [`Application`] from another task or thread.
#[derive(Clone, Debug)]
pub struct StopHandle {
    node: Arc<Node>,
    server: ServerHandle,
    metrics: Option<ServerHandle>,
}

impl StopHandle {
    /// The number of open sessions.
    pub fn sessions(&self) -> usize {
        self.node.admission.sessions()
    }

    /// The result of the run if it ended now.
    pub fn stopped(&self) -> Stopped {
        Stopped::of(&self.node)
    }

    /// Rejects new sessions, closes every session with 1012, waits for their end, at most
    /// `--shutdown-timeout`, and stops.
    pub async fn stop(self) {
        self.node.end_sessions().await;
        self.stop_at_once();
    }

    /// Stops without close frames.
    pub fn stop_at_once(self) {
        for server in std::iter::once(self.server).chain(self.metrics) {
            // The call starts the stop; the future only waits for it.
            drop(server.stop(false));
        }
    }
}

fn serve_metrics(node: &Arc<Node>, address: SocketAddr) -> Result<(Server, SocketAddr), StartError> {
    let serve = || {
        let listener = service::listen(address)?;
        let address = listener.local_addr()?;
        Ok((service::serve_metrics(node, listener)?, address))
    };
    serve().map_err(|source| StartError::BindMetrics { address, source })
}

/// Writes the key for commands on this machine, if there is a data folder.
fn leave_key(node: &Node, address: SocketAddr) {
    if node.settings.journal.kind != JournalKind::Sqlite {
        return;
    }
    let folder = &node.settings.journal.data_dir;
    // A journal has made the folder; a node has none.
    let written = fs::create_dir_all(folder).and_then(|()| Key::write(folder, reachable(address)));
    match written {
        Ok((key, file)) => {
            _ = node.owner_key.set(key.secret);
            _ = node.key_file.set(file);
        }
        Err(error) => warn!("commands cannot reach this server: no key in {}: {error}", folder.display()),
    }
}

/// The address as reachable from this machine.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// The address as a link that works on this machine.
fn clickable(mut address: SocketAddr) -> String {
    // Some machines resolve `localhost` to 127.0.0.1 only, and none to another IPv4 address.
    if [Ipv4Addr::UNSPECIFIED, Ipv4Addr::LOCALHOST].map(IpAddr::from).contains(&address.ip()) {
        return format!("http://localhost:{}", address.port());
    }
    if address.ip().is_unspecified() {
        address.set_ip(Ipv6Addr::LOCALHOST.into());
    }
    format!("http://{address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_logged_as_a_link_that_opens() {
        let link = |text: &str| clickable(text.parse().expect("an address"));
        assert_eq!(link("0.0.0.0:3000"), "http://localhost:3000");
        assert_eq!(link("127.0.0.1:80"), "http://localhost:80");
        assert_eq!(link("127.0.0.2:80"), "http://127.0.0.2:80");
        assert_eq!(link("[::1]:3000"), "http://[::1]:3000");
        assert_eq!(link("[::]:3000"), "http://[::1]:3000");
        assert_eq!(link("192.0.2.7:3000"), "http://192.0.2.7:3000");
    }
}
