//! The socket under a session, as others may use it: to end a connection that does not come to its end by itself.
//!
//! A client that does not read leaves what is written to it in the way of its last word. Two things end it all the same:
//! the kernel, by `TCP_USER_TIMEOUT`, for a client that takes nothing at all; and [`Connection::cut_after`], for one that
//! takes a byte now and then. Where actix-http owns the socket, there being no [`Wire`], it does not even run the session's
//! actor while the client does not read: there nobody but these two could.

use std::{
    any::Any,
    io,
    net::{Shutdown, SocketAddr},
    os::fd::{AsRawFd as _, BorrowedFd, RawFd},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicI32, Ordering},
    },
    time::Duration,
};

use actix_web::{
    dev::Extensions,
    rt::{self, net::TcpStream},
};
use log::debug;
use socket2::SockRef;
use tokio::task::AbortHandle;

use super::wire::Wire;

/// In [`Connection::descriptor`]: the socket is gone.
const GONE: RawFd = -1;

/// A connection's socket, seen from outside; it does not keep the socket open.
#[derive(Debug)]
pub struct Connection {
    descriptor: AtomicI32,
    peer: SocketAddr,
    /// The socket took nothing when it was last written to. Only a wire tells.
    is_blocked: AtomicBool,
    /// The wait for the cut, if one was ordered; it ends with the connection.
    cut: OnceLock<AbortHandle>,
}

/// Stands beside a socket, in actix-http's data of the connection or in our own [`Wire`], and goes just before it does.
#[derive(Debug)]
pub struct Guard(Arc<Connection>);

impl Guard {
    /// A guard for the handle to a socket that is connected.
    ///
    /// # Errors
    /// It is not.
    pub fn of(stream: &TcpStream) -> io::Result<Self> {
        let peer = stream.peer_addr()?;
        let descriptor = AtomicI32::new(stream.as_raw_fd());
        let is_blocked = AtomicBool::new(false);
        Ok(Self(Arc::new(Connection { descriptor, peer, is_blocked, cut: OnceLock::new() })))
    }

    /// The handle.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.0
    }

    /// The socket is about to be closed: the handle does nothing from here on.
    pub fn forget(&self) {
        self.0.descriptor.store(GONE, Ordering::SeqCst);
        if let Some(cut) = self.0.cut.get() {
            cut.abort();
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.forget();
    }
}

/// For `HttpServer::on_connect` and the like: prepares a new socket and leaves a handle to it in the connection's data.
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

/// A client that takes nothing of what is sent to it for that long is cut by the kernel.
///
/// # Errors
/// Those of the socket.
#[cfg(target_os = "linux")]
pub fn set_stall_timeout(stream: &TcpStream, stall_timeout: Duration) -> io::Result<()> {
    SockRef::from(stream).set_tcp_user_timeout(Some(stall_timeout))
}

/// Other systems have no such option: there a client that takes nothing at all is cut when it is evicted or ends, and
/// else when the system itself gives it up.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn set_stall_timeout(_: &TcpStream, _: Duration) -> io::Result<()> {
    Ok(())
}

/// The handle to the socket that a request came over: its wire's, or what [`on_connect`] left if it has none.
pub fn of(request: &actix_web::HttpRequest) -> Option<Arc<Connection>> {
    let wire = Wire::of(request).map(|wire| Arc::clone(wire.connection()));
    wire.or_else(|| request.conn_data::<Guard>().map(|guard| Arc::clone(guard.connection())))
}

impl Connection {
    /// Whether the socket took nothing when it was last written to; known of sockets on a wire.
    pub fn is_blocked(&self) -> bool {
        self.is_blocked.load(Ordering::Relaxed)
    }

    /// The socket was written to.
    pub(super) fn set_blocked(&self, is_blocked: bool) {
        self.is_blocked.store(is_blocked, Ordering::Relaxed);
    }

    /// Cuts the connection if it is still there after `patience`; the first order counts.
    ///
    /// To be called on the worker's thread that the connection lives on.
    pub fn cut_after(self: &Arc<Self>, patience: Duration) {
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
    pub fn end_by_reset(&self) {
        let outcome = self.with_socket(|socket| socket.set_linger(Some(Duration::ZERO)));
        debug!("the connection of {} is to end by a reset: {outcome:?}", self.peer);
    }

    /// Ends the connection by a reset: what the kernel holds for the client is dropped. Harmless when it has ended.
    fn cut(&self) {
        let outcome = self.with_socket(|socket| {
            socket.set_linger(Some(Duration::ZERO)).and_then(|()| socket.shutdown(Shutdown::Both))
        });
        debug!("the connection of {} was cut: {outcome:?}", self.peer);
    }

    /// `None` if the socket is gone.
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
        // Should that order ever change, a number used again would be another client's connection: ask whose it is.
        let is_ours = socket.peer_addr().is_ok_and(|peer| peer.as_socket() == Some(self.peer));
        is_ours.then(|| act(socket))
    }
}
