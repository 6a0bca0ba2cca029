//! A handle to the socket under a session, to end a connection that does not end by itself.
//!
//! If a client does not read, its close frame waits behind all that was written before. Two things end such a
//! connection: the kernel, by `TCP_USER_TIMEOUT`, if the client takes nothing at all; and
//! [`Connection::cut_after`], if it takes a byte now and then.

use std::{
    any::Any,
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr},
    os::fd::{AsRawFd as _, BorrowedFd, RawFd},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicI32, Ordering},
    },
    time::Duration,
};

use actix_web::{
    HttpRequest,
    dev::Extensions,
    rt::{self, net::TcpStream},
};
use log::debug;
use socket2::SockRef;
use tokio::task::AbortHandle;

use super::host_state::HostState;

/// The value of [`Connection::descriptor`] when the socket is gone.
const GONE: RawFd = -1;

/// A handle to a connection's socket, which does not keep the socket open.
#[derive(Debug)]
pub(crate) struct Connection {
    descriptor: AtomicI32,
    peer: SocketAddr,
    /// Whether the socket took nothing when it was last written to.
    is_blocked: AtomicBool,
    /// The timer of the cut, if one was ordered; it ends with the connection.
    cut: OnceLock<AbortHandle>,
    /// The session's end of a connection that actix-http carries.
    host: OnceLock<Arc<HostState>>,
}

/// Kept beside a socket, in actix-http's data of the connection or in a wire, and dropped just before the socket.
#[derive(Debug)]
pub(crate) struct Guard(Arc<Connection>);

impl Guard {
    /// A guard with a handle to a connected socket.
    ///
    /// # Errors
    /// The socket is not connected.
    pub(crate) fn of(stream: &TcpStream) -> io::Result<Self> {
        let peer = stream.peer_addr()?;
        let descriptor = AtomicI32::new(stream.as_raw_fd());
        let is_blocked = AtomicBool::new(false);
        let (cut, host) = (OnceLock::new(), OnceLock::new());
        Ok(Self(Arc::new(Connection { descriptor, peer, is_blocked, cut, host })))
    }

    /// A guard beside the session's end of a connection that actix-http carries.
    pub(super) fn of_host(host: Arc<HostState>) -> Self {
        Self(Arc::new(Connection { host: OnceLock::from(host), ..Connection::default() }))
    }

    /// The handle to the socket.
    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.0
    }

    /// Disables the handle, because the socket is about to be closed.
    pub(crate) fn forget(&self) {
        self.0.descriptor.store(GONE, Ordering::SeqCst);
        // A host has the socket still, and may have last bytes for it.
        if let Some(cut) = self.0.cut.get().filter(|_| !self.0.is_on_host()) {
            cut.abort();
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.forget();
    }
}

/// For `HttpServer::on_connect`: prepares a new socket and leaves a handle to it in the connection's data.
pub fn on_connect(io: &dyn Any, data: &mut Extensions, stall_timeout: Duration) {
    let Some(stream) = io.downcast_ref::<TcpStream>() else { return };
    match prepare(stream, stall_timeout) {
        Ok(guard) => drop(data.insert(guard)),
        // The client is gone already; the server will notice by itself.
        Err(error) => debug!("a connection ended before it began: {error}"),
    }
}

fn prepare(stream: &TcpStream, stall_timeout: Duration) -> io::Result<Guard> {
    set_stall_timeout(stream, stall_timeout)?;
    Guard::of(stream)
}

/// Has the kernel cut a client that takes nothing of what is sent to it for `stall_timeout` (RFC 5482).
///
/// # Errors
/// Those of the socket.
#[cfg(target_os = "linux")]
pub(crate) fn set_stall_timeout(stream: &TcpStream, stall_timeout: Duration) -> io::Result<()> {
    SockRef::from(stream).set_tcp_user_timeout(Some(stall_timeout))
}

/// Does nothing, because only Linux has this option. A client that takes nothing at all is cut when it is
/// evicted or ends, or when the system itself gives it up.
///
/// # Errors
/// Never.
#[cfg(not(target_os = "linux"))]
pub(crate) fn set_stall_timeout(_: &TcpStream, _: Duration) -> io::Result<()> {
    Ok(())
}

/// The handle to the socket that actix-http has under a request, if [`on_connect`] has left one.
pub(super) fn of_host(request: &HttpRequest) -> Option<Arc<Connection>> {
    request.conn_data::<Guard>().map(|guard| Arc::clone(guard.connection()))
}

impl Default for Connection {
    /// A handle without a socket.
    fn default() -> Self {
        Self {
            descriptor: AtomicI32::new(GONE),
            peer: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            is_blocked: AtomicBool::new(false),
            cut: OnceLock::new(),
            host: OnceLock::new(),
        }
    }
}

impl Connection {
    /// Whether the socket took nothing when it was last written to.
    pub(crate) fn is_blocked(&self) -> bool {
        self.is_blocked.load(Ordering::Relaxed)
    }

    /// Whether the socket belongs to the actix-http of a host.
    pub(crate) fn is_on_host(&self) -> bool {
        self.host.get().is_some()
    }

    /// Notes whether the socket took nothing when it was written to.
    pub(crate) fn set_blocked(&self, is_blocked: bool) {
        self.is_blocked.store(is_blocked, Ordering::Relaxed);
    }

    /// Cuts the connection if it still exists after `patience`; the first call counts.
    ///
    /// To be called on the thread of the worker that has the connection.
    pub(crate) fn cut_after(self: &Arc<Self>, patience: Duration) {
        let connection = Arc::clone(self);
        self.cut.get_or_init(|| {
            let wait = rt::spawn(async move {
                rt::time::sleep(patience).await;
                connection.cut();
            });
            wait.abort_handle()
        });
    }

    /// From now on the connection ends by a reset, however it ends.
    pub(crate) fn end_by_reset(&self) {
        if let Some(host) = self.host.get() {
            return host.end_by_reset();
        }
        let outcome = self.with_socket(|socket| socket.set_linger(Some(Duration::ZERO)));
        debug!("the connection of {} is to end by a reset: {outcome:?}", self.peer);
    }

    /// Ends the connection by a reset, which drops what the kernel holds for the client. Idempotent.
    pub(super) fn cut(&self) {
        if let Some(host) = self.host.get() {
            return host.cut();
        }
        let outcome = self.with_socket(|socket| {
            socket.set_linger(Some(Duration::ZERO)).and_then(|()| socket.shutdown(Shutdown::Both))
        });
        debug!("the connection of {} was cut: {outcome:?}", self.peer);
    }

    /// Calls `act` on the socket; `None` if the socket is gone.
    fn with_socket<T>(&self, act: impl FnOnce(SockRef<'_>) -> T) -> Option<T> {
        let descriptor = self.descriptor.load(Ordering::SeqCst);
        if descriptor == GONE {
            return None;
        }
        // SAFETY: the descriptor is open for the length of this call. It belongs to a wire, or to actix-http's
        // connection; either drops our guard before the socket, on this same thread, so here the socket still exists.
        #[allow(unsafe_code, reason = "the socket belongs to others; see above")]
        let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
        let socket = SockRef::from(&descriptor);
        // If that order ever changed, the number could be that of another client's connection: compare the
        // peer.
        let is_ours = socket.peer_addr().is_ok_and(|peer| peer.as_socket() == Some(self.peer));
        is_ours.then(|| act(socket))
    }
}
