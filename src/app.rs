//! The hall: starts the actors, binds the port, and runs until stopped.

use std::{
    future::poll_fn,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use actix::{Actor as _, Addr};
use actix_web::{
    App, HttpServer,
    dev::{Server, ServerHandle},
    middleware::from_fn,
    rt,
};
use log::info;

use crate::{
    chat::{Budget, ChatServer, FanOut, messages::AddWorker},
    config::Settings,
    domain::WorkerId,
    metrics::Metrics,
    routes,
    session::{Worker, linger},
};

/// How many connections may wait to be accepted: a burst of clients after a restart.
const BACKLOG: u32 = 4096;

/// Why the server does not start. Each is one sentence that names the setting.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The demo page is not where it should be.
    #[error("--static-dir (ECHOROOM_STATIC_DIR): there is no page at {}: {source}", .path.display())]
    NoPage {
        /// The page looked for.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The address cannot be listened on.
    #[error("--bind and --port (ECHOROOM_BIND, ECHOROOM_PORT, PORT): cannot listen on {address}: {source}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said, such as that it is in use.
        source: io::Error,
    },
}

/// A server that is bound and answers as soon as it is run.
#[must_use = "an application serves nothing until it is run"]
pub struct Application {
    server: Server,
    address: SocketAddr,
}

impl Application {
    /// Binds the port and starts the workers. Must be called inside an actix system.
    ///
    /// # Errors
    /// The page is missing or the address cannot be had.
    pub fn build(settings: Settings) -> Result<Self, StartError> {
        let page = settings.static_dir.join("index.html");
        if let Err(source) = std::fs::File::open(&page) {
            return Err(StartError::NoPage { path: page, source });
        }
        let address = SocketAddr::from((settings.bind, settings.port));
        let node = Arc::new(Node::new(settings));
        let settings = Arc::clone(&node.settings);
        let mut server = HttpServer::new(move || {
            let worker = node.start_worker();
            App::new()
                .wrap(from_fn(routes::lingering::close_when_over))
                .configure(|cfg| routes::configure(cfg, worker))
        })
        .backlog(BACKLOG)
        .tcp_nodelay(true)
        .client_disconnect_timeout(linger::LINGER)
        .disable_signals();
        if let Some(workers) = settings.workers {
            server = server.workers(workers.get());
        }
        let server = server.bind(address).map_err(|source| StartError::Bind { address, source })?;
        let address = server.addrs().first().copied().unwrap_or(address);
        Ok(Self { server: server.run(), address })
    }

    /// The port that was bound, also when the settings asked for any.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Stops the server from elsewhere.
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Serves until SIGTERM, SIGINT or the [`handle`](Self::handle) ends it.
    ///
    /// # Errors
    /// When the server itself fails.
    pub async fn run_until_stopped(self) -> io::Result<()> {
        let handle = self.server.handle();
        // Before the address is logged: whoever reads it there may already send a signal.
        let signal = stop_signal()?;
        info!("listening on {}", clickable(self.address));
        let signals = rt::spawn(async move {
            let name = signal.await;
            info!("{name}: stopping");
            handle.stop(false).await;
        });
        let outcome = self.server.await;
        signals.abort();
        outcome
    }
}

/// What all workers of the process share, and the one chat server among them.
///
/// [`Application`] makes one; another host of the routes, such as actix's test server, makes its own.
#[derive(Debug)]
pub struct Node {
    settings: Arc<Settings>,
    metrics: Arc<Metrics>,
    intake: Arc<Budget>,
    chat: OnceLock<Addr<ChatServer>>,
    workers_started: AtomicUsize,
}

impl Node {
    /// A node that has no workers yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            intake: Budget::new(settings.max_intake_total.get()),
            settings: Arc::new(settings),
            metrics: Arc::new(Metrics::new()),
            chat: OnceLock::new(),
            workers_started: AtomicUsize::new(0),
        }
    }

    /// Starts what a worker needs. To be called on the worker's own thread; the first to come starts the chat server
    /// there.
    pub fn start_worker(&self) -> Worker {
        let id = WorkerId(self.workers_started.fetch_add(1, Ordering::Relaxed));
        let chat = self.chat.get_or_init(|| ChatServer::default().start()).clone();
        let fanout = FanOut::new(self.settings.max_queue_bytes.get()).start();
        chat.do_send(AddWorker { worker: id, fanout });
        Worker {
            id,
            chat,
            intake: Arc::clone(&self.intake),
            settings: Arc::clone(&self.settings),
            metrics: Arc::clone(&self.metrics),
        }
    }
}

/// Listens from now on for the signals that ask the process to stop; the future gives the name of the first.
fn stop_signal() -> io::Result<impl Future<Output = &'static str>> {
    use rt::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(poll_fn(move |cx| {
        if term.poll_recv(cx).is_ready() {
            Poll::Ready("SIGTERM")
        } else {
            int.poll_recv(cx).map(|_| "SIGINT")
        }
    }))
}

/// The address as a link that works on this machine.
fn clickable(mut address: SocketAddr) -> String {
    if address.ip() == Ipv4Addr::UNSPECIFIED || address.ip().is_loopback() {
        return format!("http://localhost:{}", address.port());
    }
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv6Addr::LOCALHOST.into());
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
        assert_eq!(link("[::]:3000"), "http://[::1]:3000");
        assert_eq!(link("192.0.2.7:3000"), "http://192.0.2.7:3000");
    }
}
